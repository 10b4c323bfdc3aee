"""The logged values of a run, one row per step, read as they arrive.

From the live log of our own runs, and from Trainers' logs: the final one of a run whose live log lost something, and
those that were imported.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from bcecore.store.columns import Columns, Series, Steps, Values
from bcecore.store.live_log import Resumed, Unreadable, parse_lines
from bcecore.store.metrics import MetricsTail
from bcecore.store.trainer_log import LogError, TrainerLog, merged, read_trainer_log

METRICS_FILE = "metrics.jsonl"
STATE_FILE = "trainer_state.json"
IMPORTED_DIRECTORY = "imported"
"""Where an imported run keeps the logs that it was made from."""

_GLOBAL_STEP = re.compile(rb'"global_step":\s*(\d+)')
_HEAD_BYTES = 4096


class History:
    """All logged values of one run, growing with its live log.

    Training and evaluation lines of one step share a row. After a resume from step N, earlier values beyond N are
    dropped: they were computed again.
    """

    def __init__(self, run_directory: Path) -> None:
        self._directory = run_directory
        self._tail = MetricsTail(run_directory / METRICS_FILE)
        self._columns = Columns()
        self._unreadable = 0
        self._read_files: tuple[tuple[str, int, int], ...] = ()
        self.version = 0
        """Grows with every change: what was made from an earlier one is out of date."""
        self._rewrites = 0
        self.notes: tuple[str, ...] = ()
        """Sentences about what had to be mended in the files."""

    def refresh(self) -> bool:
        """Read what was added; True if anything was."""
        changed = self._read_live_log()
        changed |= self._read_logs()
        self.version += changed
        return changed

    def _read_live_log(self) -> bool:
        changed = False
        for piece in self._tail.pieces():
            if self._tail.reset and not changed:
                self._start_anew()
            changed = True
            for part in parse_lines(piece):
                match part:
                    case Resumed(step):
                        self._columns.truncate(step)
                    case Unreadable(lines):
                        self._unreadable += lines
                    case block:
                        self._columns.add(block)
        if self._tail.reset and not changed:  # it is empty now
            self._start_anew()
            changed = True
        return changed

    def _start_anew(self) -> None:
        self._replace(Columns())
        self._unreadable, self._read_files = 0, ()

    def _replace(self, columns: Columns) -> None:
        self._rewrites += self._columns.rewrites + 1
        self._columns = columns

    def _read_logs(self) -> bool:
        paths = sorted((self._directory / IMPORTED_DIRECTORY).glob("*.json*"))
        if not paths and self._needs_state():
            paths = [self._directory / STATE_FILE]
        files = tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
        if files == self._read_files:
            return False
        self._read_files = files
        logs: list[TrainerLog] = []
        notes: list[str] = []
        for path in paths:
            try:
                logs.append(read_trainer_log(path))
                notes += logs[-1].notes
            except LogError as error:
                notes.append(str(error))
        self.notes = tuple(notes)
        columns = Columns()
        columns.add(merged(logs))
        columns.add(self._columns.block())  # what the live log has is the newer
        self._replace(columns)
        return True

    def _needs_state(self) -> bool:
        """Whether the final log may know what the live one has lost: lines that cannot be read, its end, or all of it.

        The live log of a run that was resumed is newer than the final log of its earlier end.
        """
        try:
            state = (self._directory / STATE_FILE).stat()
        except FileNotFoundError:
            return False
        try:
            if (self._directory / METRICS_FILE).stat().st_mtime_ns > state.st_mtime_ns:
                return False
        except FileNotFoundError:
            return True
        if self._unreadable or not len(self._columns):
            return True
        with (self._directory / STATE_FILE).open("rb") as file:
            found = _GLOBAL_STEP.search(file.read(_HEAD_BYTES))
        return found is not None and int(found[1]) > int(self._columns.steps[-1])

    # -- what was read

    @property
    def rewrites(self) -> int:
        """Grows when anything but new rows behind the last came: a reader of new rows has to begin anew."""
        return self._rewrites + self._columns.rewrites

    @property
    def steps(self) -> Steps:
        """The logged steps, in order."""
        return self._columns.steps

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that was logged besides the step."""
        return self._columns.keys

    def column(self, key: str) -> Values:
        """The values of a key at all logged steps; NaN where there is none."""
        return self._columns.column(key)

    def series(self, key: str, start: int = 0) -> Series:
        """The steps at which a key was logged, from row `start` on, and what; empty for an unknown key."""
        return self._columns.series(key, start)

    @property
    def last(self) -> dict[str, float]:
        """The newest value of everything; empty before the first line."""
        if not len(self._columns):
            return {}
        return {"step": int(self.steps[-1])} | {key: self._columns.last(key) for key in self.keys}

    @property
    def frame(self) -> pd.DataFrame:
        """One row per logged step; a column for every number that was logged. A copy."""
        columns = {"step": self.steps.copy()} | {key: self.column(key).copy() for key in self.keys}
        return pd.DataFrame(columns)
