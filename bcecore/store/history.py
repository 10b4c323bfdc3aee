"""The logged values of a run, one row per step, read as they arrive."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from bcecore.store.metrics import RESUME, MetricsTail


class History:
    """All logged values of one run, growing with its live log.

    Training and evaluation lines of one step share a row. After a resume from step N, earlier values beyond N are
    dropped: they were computed again.
    """

    def __init__(self, run_directory: Path) -> None:
        self._tail = MetricsTail(run_directory / "metrics.jsonl")
        self._rows: dict[int, dict[str, Any]] = {}
        self._frame: pd.DataFrame | None = None

    def refresh(self) -> bool:
        """Read what was added to the log; True if anything was."""
        records = list(self._tail.read())
        changed = bool(records) or self._tail.reset
        if self._tail.reset:
            self._rows.clear()
        for record in records:
            self._add(record)
        if changed:
            self._frame = None
        return changed

    def _add(self, record: dict[str, Any]) -> None:
        if record.get("event") == RESUME:
            beyond = record.get("from", math.inf)
            self._rows = {step: row for step, row in self._rows.items() if step <= beyond}
            return
        step = record.get("step")
        if not isinstance(step, int):
            return
        row = self._rows.setdefault(step, {"step": step})
        row.update((key, value) for key, value in record.items() if isinstance(value, (int, float)))
        row.update((key, math.nan) for key in record.get("nonfinite", ()))

    @property
    def frame(self) -> pd.DataFrame:
        """One row per logged step, in order; a column for every number that was logged. Empty before the first line."""
        if self._frame is None:
            rows = [self._rows[step] for step in sorted(self._rows)]
            self._frame = pd.DataFrame(rows) if rows else pd.DataFrame({"step": pd.Series(dtype="int64")})
        return self._frame

    @property
    def last(self) -> dict[str, Any]:
        """The newest value of every column; empty before the first line."""
        newest: dict[str, Any] = {}
        for step in sorted(self._rows):
            newest.update(self._rows[step])
        return newest

    def series(self, key: str) -> pd.DataFrame:
        """The rows with a value (also a non-finite one) for `key`: columns step, epoch, time where logged, `key`."""
        rows = [self._rows[step] for step in sorted(self._rows) if key in self._rows[step]]
        return pd.DataFrame(rows, columns=["step", "epoch", "time", key])
