"""How fast a run was, from whatever says so: its record, its log, or a wall clock that somebody gave. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from bcecore.report.log_facts import extent_of
from bcecore.report.logged import Logged
from bcecore.report.words import count
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
    certain: bool = True
    """False: the pace is right only if what `source` says is so."""
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
    seconds, pace, source, certain = (
        _imported_pace(logged, imported) if imported is not None else (*_own_pace(logged, record, now), True)
    )
    return Throughput(done, seconds, pace, per_second, source, certain, slowest, fastest)


def _imported_pace(logged: Logged, imported: Imported) -> tuple[float | None, float | None, str, bool]:
    given = imported.facts.get("wall_clock")
    if isinstance(given, (int, float)) and given > 0:
        extent = extent_of(logged, imported.state)
        steps = extent.total or extent.reached
        # The time is meant to be that of the whole training; a log may hold a part of it.
        source = "from the wall clock that was given"
        if not extent.ended:
            source = f"if the wall clock that was given is that of {count(steps, 'step')}"
        return float(given), steps / given, source, extent.ended
    runtime = _last(logged, "train_runtime")
    if runtime is not None:
        pace = _last(logged, "train_steps_per_second")
        done, seconds = runtime
        return seconds, pace[1] if pace is not None else done / seconds, "as the Trainer logged it at the end", True
    times = logged.column("time")
    timed = np.isfinite(times)
    steps_timed, times = logged.steps[timed], times[timed]
    if len(times) > 1 and times[-1] > times[0]:
        seconds = float(times[-1] - times[0])
        return seconds, int(steps_timed[-1] - steps_timed[0]) / seconds, "from the log’s times", True
    return None, None, "", True


def _own_pace(logged: Logged, record: RunRecord, now: datetime) -> tuple[float | None, float | None, str]:
    logged_pace = _last(logged, "train_steps_per_second")
    elapsed = record.elapsed_seconds(now)
    overall = record.facts.get("train_steps_per_second") or (logged_pace[1] if logged_pace is not None else None)
    if overall:
        return elapsed, float(overall), "over the whole run"
    if record.progress is not None and record.progress.steps_per_second:
        return elapsed, record.progress.steps_per_second, "at the last steps"
    return elapsed, None, ""


def _last(logged: Logged, key: str) -> tuple[int, float] | None:
    """The last value above 0 that was logged of a key, behind its step."""
    series = logged.series(key)
    series = series.at(np.isfinite(series.values) & (series.values > 0))
    return (int(series.steps[-1]), float(series.values[-1])) if len(series) else None


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
