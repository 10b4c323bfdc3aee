"""Looking over a run again and again while it goes on.

Every look costs as much as there is news: the rules over rows are fed the new ones (`live`), the record is read again
only when its file has changed, and the texts, which never change once a run has them, are looked over once. Texts of
more than a megabyte are looked over by a thread in the background, one after the other, so that the page does not wait:
their findings are there at a later look. Beyond a gigabyte nobody has asked for that; `of_run`, which the command line
and the reports use, looks at those as well.
"""

from __future__ import annotations

import threading

from bcecore.config import RunConfig
from bcecore.findings import collect
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.live import LiveRules
from bcecore.findings.of_repeat import of_repeat
from bcecore.findings.of_run import by_facts, by_log
from bcecore.store.history import History
from bcecore.store.runs import RunStore

AT_ONCE_BYTES = 1_000_000
"""Text that a page looks over while somebody waits: half a second of work."""
MOST_BYTES = 1_000_000_000

_one_at_a_time = threading.Lock()


class Watch:
    """The findings about one run, kept up to date with its log."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._config: RunConfig | None = None
        self._rules: LiveRules | None = None
        self._record_seen: tuple[int, int, int] | None = None
        self._log_seen: tuple[History, int] | None = None
        self._by_facts: list[Finding] = []
        self._by_rows: list[Finding] = []
        self._by_text: list[Finding] | None = None
        self._reader: threading.Thread | None = None

    def look(self, history: History) -> list[Finding]:
        """What is noticed now, the most serious first. Raises RunError for a run that cannot be read."""
        self._look_at_record()
        assert self._rules is not None
        seen = (history, history.version)
        if seen != self._log_seen:
            log = by_log(self._run_id, self._config, history)
            self._by_rows, self._log_seen = [*self._rules.look(history), *log], seen
        if self._by_text is None and self._reader is None:
            self._look_at_text()
        return by_severity([*self._by_facts, *self._by_rows, *(self._by_text or [])])

    @property
    def is_reading(self) -> bool:
        """Whether the run's texts are still being looked over, so that findings about them may follow."""
        return self._by_text is None and self._reader is not None

    def _look_at_record(self) -> None:
        path = self._store.directory(self._run_id) / "run.json"
        seen = collect.stamp(path)
        if self._rules is not None and seen == self._record_seen:
            return
        record = self._store.record(self._run_id)
        if self._rules is None:
            self._config = collect.settings(self._store, record)
            self._rules = LiveRules(self._run_id, self._config)
        self._by_facts = [*by_facts(record, self._config), *of_repeat(self._store, record)]
        self._record_seen = seen

    def _look_at_text(self) -> None:
        size = collect.text_bytes(self._store, self._run_id)
        if size <= AT_ONCE_BYTES:
            self._by_text = self._read()
        elif size <= MOST_BYTES:
            # A daemon, so that the dashboard can end while it reads; it changes nothing on disk.
            self._reader = threading.Thread(target=self._read_in_background, name="findings-text", daemon=True)
            self._reader.start()
        else:
            self._by_text = []

    def _read_in_background(self) -> None:
        with _one_at_a_time:
            self._by_text = self._read()

    def _read(self) -> list[Finding]:
        return collect.text_findings(self._store, self._run_id, self._config)
