"""The points of a line: where they are on the x axis, which are in sight, which have a place at all. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from bcecore.report.smoothing import smooth
from bcecore.store.columns import Series

Axis = Literal["step", "epoch", "time"]
Range = tuple[float, float]
Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

MILLISECONDS = 1000
# What is far outside of the bulk: beyond these shares of the values, and some way further.
_BULK = (0.02, 0.98)
_BEYOND_BULK = 0.3
# As many of the values tell where most of them are.
_ENOUGH = 50_000


class Line(NamedTuple):
    """One line in the part of the axis that is in sight, with a point on either side. Arrays of equal length."""

    name: str
    steps: npt.NDArray[np.int64]
    x: Numbers
    values: Numbers
    smoothed: Numbers
    inside: npt.NDArray[np.bool_]
    """Which points are in sight."""

    def at(self, places: Places) -> Line:
        """Some of its points."""
        return Line(
            self.name,
            self.steps[places],
            self.x[places],
            self.values[places],
            self.smoothed[places],
            self.inside[places],
        )

    @property
    def known(self) -> Numbers:
        """The logged values in sight that are finite."""
        return self.values[self.inside & np.isfinite(self.values)]

    def outside(self, bulk: Range) -> int:
        """How many points in sight are beyond a range."""
        return int(((self.known < bulk[0]) | (self.known > bulk[1])).sum())


class Mean(NamedTuple):
    """The mean of several runs as a line, with the lowest and the highest value at each of its points."""

    line: Line
    low: Numbers
    high: Numbers

    def at(self, places: Places) -> Mean:
        """Some of its points."""
        return Mean(self.line.at(places), self.low[places], self.high[places])


def line_of(name: str, series: Series, axis: Axis, start: float, smoothing: float, window: Range | None) -> Line:
    """A series as a line. Points that have no place on the axis are left out."""
    x = places_of(series, axis, start)
    line = Line(name, series.steps, x, series.values, smooth(series.values, smoothing), np.ones(len(x), dtype=bool))
    if axis != "step" and not np.isfinite(x).all():
        line = line.at(np.flatnonzero(np.isfinite(x)))
    return line if window is None else _in_sight(line, window)


def mean_of(name: str, members: Sequence[Series], axis: Axis, smoothing: float, window: Range | None) -> Mean | None:
    """The mean of runs over the steps that all of them logged; None before there is one."""
    if not members or any(not len(series) for series in members):
        return None
    steps = members[0].steps
    for series in members[1:]:
        steps = np.intersect1d(steps, series.steps, assume_unique=True)
    smoothed = [smooth(series.values, smoothing) for series in members]
    values = np.stack(
        [column[np.searchsorted(series.steps, steps)] for series, column in zip(members, smoothed, strict=True)]
    )  # (members, steps)
    x = places_of(members[0], axis, math.nan)[np.searchsorted(members[0].steps, steps)]
    middle = values.mean(axis=0)
    line = Line(name, steps, x, middle, middle, np.ones(len(x), dtype=bool))
    mean = Mean(line, values.min(axis=0), values.max(axis=0))
    mean = mean.at(np.flatnonzero(np.isfinite(x) & np.isfinite(middle)))
    if window is not None:
        seen = _in_sight(mean.line, window)
        places = np.searchsorted(mean.line.steps, seen.steps)
        mean = Mean(seen, mean.low[places], mean.high[places])
    return mean if len(mean.line.steps) else None


def places_of(series: Series, axis: Axis, start: float) -> Numbers:
    """Where the points are on an axis: steps, epochs, or milliseconds since `start` (NaN: since the first time)."""
    if axis == "step":
        return series.steps.astype(np.float64)
    if axis == "epoch":
        return series.epochs
    return (series.times - (first_of(series.times) if math.isnan(start) else start)) * MILLISECONDS


def first_of(values: Numbers) -> float:
    """The first value that is known; NaN if none is."""
    known = np.isfinite(values)
    return float(values[np.argmax(known)]) if known.any() else math.nan


def _in_sight(line: Line, window: Range) -> Line:
    inside = (line.x >= window[0]) & (line.x <= window[1])
    # A neighbour on either side, so that the line runs on to the edges.
    wide = inside.copy()
    wide[:-1] |= inside[1:]
    wide[1:] |= inside[:-1]
    if not inside.any() and len(line.x):  # the window is between two points: the line that joins them
        after = int(np.searchsorted(line.x, window[0]))
        wide[max(0, after - 1) : after + 1] = True
    return line._replace(inside=inside).at(np.flatnonzero(wide))


def may_be_logarithmic(lines: Sequence[Line]) -> bool:
    """Whether anything is above zero: lines that are all below it cannot be drawn on a logarithmic axis."""
    known = [line.known for line in lines]
    return not any(len(values) for values in known) or any((values > 0).any() for values in known)


def has_place(line: Line, log_y: bool, log_x: bool) -> npt.NDArray[np.bool_]:
    """Which points have a place on these axes; those that are not finite have one, so that they can be marked."""
    place = np.ones(len(line.x), dtype=bool)
    if log_x:
        place &= line.x > 0
    if log_y:
        place &= ~(line.values <= 0) & ~(line.smoothed <= 0)
    return place


def placed(line: Line, log_y: bool, log_x: bool) -> Line:
    """A line without the points that have no place."""
    place = has_place(line, log_y, log_x)
    return line if place.all() else line.at(np.flatnonzero(place))


def bulk_of(lines: Sequence[Line]) -> Range | None:
    """The range in which most values of each line are, and some way further; None where there are no values."""
    ranges = []
    for line in lines:
        if len(known := line.known):
            low, high = np.quantile(known[:: 1 + len(known) // _ENOUGH], _BULK)
            further = _BEYOND_BULK * (high - low) or abs(low) or 1.0
            ranges.append((float(low - further), float(high + further)))
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
