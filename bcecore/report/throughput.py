"""How fast a run was, from whatever says so: its record, its log, or a wall clock that somebody gave. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from bcecore.report.logged import Logged
from bcecore.store.columns import Series
from bcecore.store.imported import Imported
from bcecore.store.record import RunRecord

_PARTS = 10
_FEWEST_PER_PART = 5
# Between the fastest and the slowest tenth of a steady run.
_STEADY = 1.25


@dataclass(frozen=True)
class Throughput:
    """The pace of a run. None for what is not known."""

    steps: int
    seconds: float | None = None
    """The wall clock."""
    steps_per_second: float | None = None
    tokens_per_second: float | None = None
    source: str = ""
    """Where the pace comes from, in words."""
    slowest: float | None = None
    """Steps a second in the slowest tenth of the run."""
    fastest: float | None = None

    @property
    def steady(self) -> bool | None:
        """Whether the tenths of the run were about as fast as each other; None where that was not logged."""
        if self.slowest is None or self.fastest is None or self.slowest <= 0:
            return None
        return self.fastest <= _STEADY * self.slowest


def throughput(logged: Logged, record: RunRecord, imported: Imported | None, now: datetime) -> Throughput:
    """The pace of a run as far as it is known."""
    done = int(logged.steps[-1]) if len(logged.steps) else 0
    slowest, fastest = _spread(logged.series("loss"))
    tokens = logged.series("tokens_per_second").values
    tokens = tokens[np.isfinite(tokens)]
    per_second = float(np.median(tokens)) if len(tokens) else None
    seconds, pace, source = _pace(logged, record, imported, now, done)
    return Throughput(done, seconds, pace, per_second, source, slowest, fastest)


def _pace(
    logged: Logged, record: RunRecord, imported: Imported | None, now: datetime, done: int
) -> tuple[float | None, float | None, str]:
    given = imported.facts.get("wall_clock") if imported is not None else None
    if isinstance(given, (int, float)) and given > 0:
        return float(given), done / given, "from the wall clock that was given"
    logged_pace = _last(logged, "train_steps_per_second")
    if imported is not None or record.status == "imported":
        runtime = _last(logged, "train_runtime")
        if runtime:
            return runtime, logged_pace or done / runtime, "as the Trainer logged it at the end"
        times = logged.column("time")
        times = times[np.isfinite(times)]
        if len(times) > 1 and times[-1] > times[0]:
            return float(times[-1] - times[0]), (len(times) - 1) / float(times[-1] - times[0]), "from the log’s times"
        return None, None, ""
    elapsed = record.elapsed_seconds(now)
    overall = record.facts.get("train_steps_per_second") or logged_pace
    if overall:
        return elapsed, float(overall), "over the whole run"
    if record.progress is not None and record.progress.steps_per_second:
        return elapsed, record.progress.steps_per_second, "at the last steps"
    return elapsed, None, ""


def _last(logged: Logged, key: str) -> float | None:
    values = logged.series(key).values
    values = values[np.isfinite(values) & (values > 0)]
    return float(values[-1]) if len(values) else None


def _spread(losses: Series) -> tuple[float | None, float | None]:
    """The pace of the slowest and of the fastest tenth of the run, by the times of the log."""
    timed = losses.at(np.isfinite(losses.times))
    if len(timed) < _PARTS * _FEWEST_PER_PART:
        return None, None
    edges = np.linspace(0, len(timed) - 1, _PARTS + 1).round().astype(np.intp)
    taken = np.diff(timed.times[edges])
    if (taken <= 0).any():  # a run that was resumed, or a clock that was set
        return None, None
    paces = np.diff(timed.steps[edges]) / taken
    return float(paces.min()), float(paces.max())
