"""What a run's log comes to, in a few numbers for each key: for the table of runs, which cannot read thousands of logs.

Of a run that is over it is kept in `summary.json`, by whoever computes it first, and computed again when a log of the
run has another size than it had then.
"""

from __future__ import annotations

import math
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json

from bcecore.config import RunConfig
from bcecore.errors import DiskFullError, RunError
from bcecore.files import write_bytes_atomically
from bcecore.store.columns import Series
from bcecore.store.history import IMPORTED_DIRECTORY, METRICS_FILE, STATE_FILE, History
from bcecore.store.imported import IMPORT_FILE
from bcecore.store.metrics import metrics_line
from bcecore.store.objective import has_bce, worked_out_ce
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore

SUMMARY_FILE = "summary.json"
TREND_KEYS = ("ce", "loss", "eval_loss")
"""Keys whose course is kept too."""

_VERSION = 2
_TREND_POINTS = 60
_TREND_DIGITS = 5

BceKind = Literal["off", "seed", "active", "logged", "unknown"]
"""`logged`: a log from elsewhere has BCE's values, but not of which kind it was."""
BCE_KINDS: tuple[BceKind, ...] = get_args(BceKind)
SeriesOf = Callable[[str], Series]
"""Gives the steps at which a key was logged, and what (`store.history.History.series`)."""


class Figures(NamedTuple):
    """What the values of one key come to. A value that was logged and was not finite is NaN."""

    logged: int
    """How many values."""
    first: float
    last: float
    last_step: int
    lowest: float
    """Of the finite values, and the step of the first one so low; NaN and -1 when none is finite. So `highest`."""
    lowest_step: int
    highest: float
    highest_step: int


class Basics(NamedTuple):
    """What the table says of a run's settings."""

    bce: BceKind = "unknown"
    holds_out: bool | None = None
    """Whether the checks were made on text that the model did not learn from; None where that is not known."""
    model: str | None = None


# Most runs have logged the same: they share one tuple of names.
_same_keys: dict[tuple[str, ...], tuple[str, ...]] = {}


class LogSummary:
    """The figures of every key of a log. Small: a dashboard keeps those of all runs."""

    __slots__ = ("_numbers", "ce_is_worked_out", "keys", "trends")

    def __init__(
        self,
        figures: Mapping[str, Sequence[float]],
        trends: Mapping[str, Iterable[float]],
        *,
        ce_is_worked_out: bool = False,
    ) -> None:
        keys = tuple(map(sys.intern, figures))
        self.keys = _same_keys.setdefault(keys, keys)
        """Everything that was logged besides the step; CE too where it is worked out."""
        self.ce_is_worked_out = ce_is_worked_out
        """Whether CE was not logged, but is the loss less BCE's term (`store.objective.worked_out_ce`)."""
        # One array in place of a tuple of objects for each key: a tenth of the memory.
        self._numbers = array("d", chain.from_iterable(figures.values()))
        self.trends = {sys.intern(key): array("d", points) for key, points in trends.items()}
        """A few points of the course of each of `TREND_KEYS`, as far as it was logged; none that is not finite."""

    def figures(self, key: str) -> Figures | None:
        """What the values of a key come to; None if it was never logged."""
        try:
            start = self.keys.index(key) * len(Figures._fields)
        except ValueError:
            return None
        logged, first, last, last_step, lowest, lowest_step, highest, highest_step = self._numbers[
            start : start + len(Figures._fields)
        ]
        return Figures(int(logged), first, last, int(last_step), lowest, int(lowest_step), highest, int(highest_step))


NOTHING_LOGGED = LogSummary({}, {})


def figures_of(series: Series) -> Figures | None:
    """What some logged values come to; None where there are none."""
    if not len(series):
        return None
    steps, values = series.steps, series.values
    first, last, last_step = float(values[0]), float(values[-1]), int(steps[-1])
    low, high = int(np.argmin(values)), int(np.argmax(values))
    if not (math.isfinite(values[low]) and math.isfinite(values[high])):
        finite = np.isfinite(values)
        if not finite.any():
            return Figures(len(series), first, last, last_step, math.nan, -1, math.nan, -1)
        low = int(np.argmin(np.where(finite, values, np.inf)))
        high = int(np.argmax(np.where(finite, values, -np.inf)))
    return Figures(
        len(series), first, last, last_step, float(values[low]), int(steps[low]), float(values[high]), int(steps[high])
    )


def trend_of(series: Series) -> tuple[float, ...]:
    """The course of some values in at most 60 points, the means of as many equal parts; without what is not finite."""
    values: npt.NDArray[np.float64] = series.values[np.isfinite(series.values)]
    if len(values) <= _TREND_POINTS:
        return tuple(values.tolist())
    bounds = np.linspace(0, len(values), _TREND_POINTS + 1).astype(np.intp)
    sizes = np.diff(bounds)
    with np.errstate(over="ignore"):
        means = np.add.reduceat(values / np.repeat(sizes, sizes), bounds[:-1])
    return tuple(means[np.isfinite(means)].tolist())


def summarise_log(keys: Iterable[str], series_of: SeriesOf, ce: Series | None = None) -> LogSummary:
    """The summary of what has been logged so far. `ce`: CE where it was not logged, but can be worked out."""
    figures, trends = {}, {}
    for key in keys if ce is None else (*keys, "ce"):
        series = ce if ce is not None and key == "ce" else series_of(key)
        found = figures_of(series)
        if found is not None:
            figures[key] = found
        if key in TREND_KEYS:
            trends[key] = trend_of(series)
    return LogSummary(figures, trends, ce_is_worked_out=ce is not None and "ce" in figures)


def basics_of(config: RunConfig) -> Basics:
    """What the table says of these settings."""
    model = config.model
    name = "built here" if model.kind == "offline" else model.source.rstrip("/\\").replace("\\", "/")
    if model.kind == "local":
        name = name.rpartition("/")[2]
    return Basics(config.bce.profile if config.bce.enabled else "off", config.data.holds_out, name)


def read_basics(store: RunStore, record: RunRecord, log: LogSummary) -> Basics:
    """What is known about a run's settings, which may be nothing; of BCE in a run from elsewhere, what its log says."""
    with suppress(RunError):
        if record.status == "imported":
            model = store.imported(record.id).facts.get("model")
            return Basics(_logged_bce(log), model=None if model is None else str(model))
        return basics_of(store.config(record.id))
    return Basics()


def _logged_bce(log: LogSummary) -> BceKind:
    if not has_bce(log.keys):
        return "unknown"
    weights = log.figures("bce_weight")
    return "off" if weights is not None and weights.lowest == weights.highest == 0 else "logged"


def read_summary(store: RunStore, record: RunRecord) -> tuple[LogSummary, Basics]:
    """The summary of a run that is over, from its file if that is up to date.

    If not, it is computed and, where that is possible, kept. A run that was deleted a moment ago has logged nothing.
    """
    directory = store.root / record.id
    logs = _state_of_logs(directory)
    with suppress(OSError, ValueError, TypeError, KeyError):
        content = from_json((directory / SUMMARY_FILE).read_bytes())
        if content["version"] == _VERSION and content["logs"] == logs:
            return _parsed(content)
    history = History(directory)
    try:
        history.refresh()
    except FileNotFoundError:
        return NOTHING_LOGGED, Basics()
    summary = summarise_log(history.keys, history.series, worked_out_ce(history))
    basics = read_basics(store, record, summary)
    if record.status == "imported" or basics != Basics():  # settings that cannot be read may be mended
        _keep(directory, logs, summary, basics)
    return summary, basics


def _state_of_logs(directory: Path) -> dict[str, int]:
    """What tells whether anything that the summary was made from has changed: the sizes of the logs, so that it holds
    for a copy of the run too. What is known about an imported run can be corrected, which need not change a size.
    """
    # Plain strings: for ten thousand runs, making the paths would take longer than asking for them.
    start = f"{directory}{os.sep}"
    state = {}
    for name in (METRICS_FILE, STATE_FILE):
        with suppress(OSError):
            state[name] = os.lstat(start + name).st_size
    with suppress(OSError):
        state[IMPORT_FILE] = os.lstat(start + IMPORT_FILE).st_mtime_ns
        with os.scandir(start + IMPORTED_DIRECTORY) as entries:
            state |= {entry.name: entry.stat().st_size for entry in entries}
    return state


def _keep(directory: Path, logs: dict[str, int], summary: LogSummary, basics: Basics) -> None:
    content = {
        "version": _VERSION,
        "logs": logs,
        "basics": basics._asdict(),
        "ce_is_worked_out": summary.ce_is_worked_out,
        "figures": {
            key: [number if math.isfinite(number) else None for number in summary.figures(key) or ()]
            for key in summary.keys
        },
        "trends": {
            key: [rounded for point in points if math.isfinite(rounded := float(f"{point:.{_TREND_DIGITS}g}"))]
            for key, points in summary.trends.items()
        },
    }
    # It only saves time: a full disk or a folder that may not be written to is no reason to fail.
    with suppress(OSError, DiskFullError):
        write_bytes_atomically(directory / SUMMARY_FILE, metrics_line(content).encode() + b"\n", durable=False)


def _parsed(content: Mapping[str, Any]) -> tuple[LogSummary, Basics]:
    figures: dict[str, list[float]] = {
        key: [math.nan if number is None else number for number in numbers] if None in numbers else numbers
        for key, numbers in content["figures"].items()
    }
    if any(len(numbers) != len(Figures._fields) for numbers in figures.values()):
        raise ValueError("not the figures of this version")
    log = LogSummary(figures, content["trends"], ce_is_worked_out=content["ce_is_worked_out"])
    return log, Basics(**content["basics"])
