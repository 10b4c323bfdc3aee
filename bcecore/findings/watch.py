"""Looking over a run again and again while it goes on."""

from __future__ import annotations

from bcecore.findings.finding import Finding
from bcecore.findings.of_run import of_run
from bcecore.store.history import History
from bcecore.store.runs import RunStore


class Watch:
    """The findings about one run, kept up to date with its log."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._seen: tuple[int, int] | None = None
        self._found: list[Finding] = []

    @property
    def is_reading(self) -> bool:
        """Whether the run's texts are still being looked over, so that findings about them may follow."""
        return False

    def look(self, history: History) -> list[Finding]:
        """What is noticed now, the most serious first. Raises RunError for a run that cannot be read."""
        seen = (id(history), history.version)
        if seen != self._seen:
            self._found, self._seen = of_run(self._store, self._run_id), seen
        return self._found
