"""The charts: what one shows, how it is looked at, and the table behind every line of it. Pure.

A `Figure` says what is drawn, a `View` how somebody wants to see it, and `draw` makes a Vega-Lite specification of
both. The specification itself (`chart_spec`) depends on names, colours and the view, never on values: while points
arrive only the tables change, and the browser moves the lines instead of building the chart anew. That holds for the
range of the axes too, which is a table of one row. So a chart that is zoomed in stays so when points arrive.

Values are smoothed first, all of them, and thinned afterwards. When somebody zooms in, thinning starts from what is in
sight: the closer one looks, the more of the logged points are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bcecore.report.chart_lines import (
    Axis,
    Line,
    Mean,
    Numbers,
    Places,
    Range,
    bulk_of,
    has_place,
    line_of,
    may_be_logarithmic,
    mean_of,
    placed,
    places_of,
)
from bcecore.report.chart_spec import (
    BANDS,
    DOTS,
    FRAME,
    GAP,
    HOVER,
    LINES,
    LONELY,
    MARKS,
    RAW,
    TROUBLED,
    Look,
    spec_of,
)
from bcecore.report.palette import SOLID, Dash
from bcecore.report.thinning import LEAST, thin, thin_for_logarithm
from bcecore.report.words import count, number, scientific
from bcecore.store.columns import Series, Steps

MarkKind = Literal["checkpoint", "finding"]

ROWS_PER_CHART = 2000
"""The most rows that all tables of one chart have together."""
POINTS_PER_LINE = 600
_HOVER_POINTS = 120
_LONELY_PER_CHART = 30
_MARKS_PER_CHART = 60
_DOTS_UNDER_POINTER = 60
_MARGIN, _END = 0.04, 0.01


@dataclass(frozen=True)
class View:
    """How somebody looks at charts."""

    x: Axis = "step"
    """`time` is what has passed since the first logged step."""
    smoothing: float = 0.0
    """The share that the past keeps in the moving average, 0 to 0.99."""
    log_y: bool = False
    log_x: bool = False
    clip: bool = False
    """Leave values far outside of the others out of sight."""
    window: Range | None = None
    """The part of the x axis that is zoomed in on: steps, epochs, or milliseconds."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One line of a chart."""

    name: str
    """In the legend; each name once in a chart."""
    series: Series
    color: str
    dash: Dash = SOLID
    dots: bool = False
    """Values at few steps, each drawn as a point; a line joins them."""
    start: float = math.nan
    """When the run began, in seconds since 1970; without it, the series' own first time."""
    key: str = ""
    """The logged key, for marks that belong to one; empty where it does not matter."""


@dataclass(frozen=True)
class Mark:
    """Something that happened at a step."""

    step: int
    kind: MarkKind
    name: str


@dataclass(frozen=True, eq=False)
class Band:
    """The same value of runs that differ in their seed only: their mean, and the band from lowest to highest."""

    name: str
    color: str
    members: tuple[Series, ...]
    dots: bool = False
    """Values at few steps, which are not smoothed."""

    @property
    def title(self) -> str:
        """The name with how many runs it stands for."""
        return f"{self.name} (mean of {len(self.members)})"


class Extent(NamedTuple):
    """How far a run reaches on each axis, so that all its charts cover the same. None where it is not logged."""

    step: Range
    epoch: Range | None
    time: Range | None
    """Milliseconds since the first logged step."""
    above_zero: Mapping[Axis, float] = MappingProxyType({})
    """The least place above zero on each axis: where a logarithmic one begins."""


@dataclass(frozen=True, eq=False)
class Figure:
    """What one chart shows."""

    key: str
    """Stable name of the chart on its page; letters, digits and hyphens."""
    title: str
    unit: str
    """Title of the value axis."""
    traces: tuple[Trace, ...]
    alt: str
    """What a screen reader says the chart is."""
    about: str
    """What it shows, for somebody who has never trained a model."""
    format: str = ".4~r"
    """Of the values, as Vega writes formats."""
    from_zero: bool = False
    marks: tuple[Mark, ...] = ()
    bands: tuple[Band, ...] = ()
    gap: tuple[str, str] | None = None
    """Names of two traces with the same steps, between which the area is filled."""
    least_smoothing: float = 0.0
    """Of a chart that can only be read smoothed."""
    more: bool = False
    """Of interest to few: pages keep such charts folded away."""
    extent: Extent | None = None


@dataclass(frozen=True)
class Drawn:
    """A chart ready to be shown, and how much of it is in it."""

    spec: dict[str, Any]
    """Vega-Lite; the tables are under `datasets`, as DataFrames."""
    shown: int
    """Points of all lines that are drawn."""
    total: int
    """Points of all lines that were logged, in the part of the axis that is in sight."""
    hidden: int
    """Points out of sight: they are far outside of the others, or have no place on a logarithmic axis."""
    longest: tuple[int, int] = (0, 0)
    """The same two numbers, `shown` and `total`, of the line that has the most points."""

    @property
    def rows(self) -> int:
        """Rows of all tables, which the browser gets."""
        return sum(len(table) for table in self.spec["datasets"].values())


def draw(figure: Figure, view: View) -> Drawn:
    """The chart of what has been logged so far, which may be nothing. ValueError for a smoothing out of its range."""
    smoothing = max(view.smoothing, figure.least_smoothing)
    lines = [_line(trace, view, smoothing) for trace in figure.traces if not trace.dots]
    dots = [_line(trace, view, 0) for trace in figure.traces if trace.dots]
    found = [
        mean_of(band.title, band.members, view.x, 0 if band.dots else smoothing, view.window) for band in figure.bands
    ]
    means = [mean for mean in found if mean is not None]
    everything = [*lines, *dots, *(mean.line for mean in means)]
    log_y = view.log_y and may_be_logarithmic(everything)
    hidden = 0
    if log_y or view.log_x:
        hidden = sum(int((line.inside & ~has_place(line, log_y, view.log_x)).sum()) for line in everything)
        lines = [placed(line, log_y, view.log_x) for line in lines]
        dots = [placed(line, log_y, view.log_x) for line in dots]
        means = [mean.at(np.flatnonzero(has_place(mean.line, log_y, view.log_x))) for mean in means]
    bulk = bulk_of([*lines, *dots]) if view.clip else None
    if bulk is not None:
        hidden += sum(line.outside(bulk) for line in [*lines, *dots])

    smoothed = smoothing > 0 and bool(lines)
    limit = _points_per_line(
        [len(line.x) for line in [*lines, *(lines if smoothed else ()), *dots]]
        + [len(mean.low) for mean in means for _ in range(2)]
        + ([len(lines[0].x)] if figure.gap else [])
    )
    chosen = partial(thin_for_logarithm if view.log_x else thin, limit=limit)
    line_tables = [_points(line, line.smoothed, chosen(line.smoothed)) for line in lines]
    raw_tables = [_points(line, line.values, chosen(line.values)) for line in lines] if smoothed else []
    dot_tables = [_points(line, line.values, chosen(line.values)) for line in dots]
    band_tables = [_thinned_mean(mean, limit) for mean in means]
    tables = {
        LINES: _joined(line_tables),
        RAW: _joined(raw_tables),
        DOTS: _joined(dot_tables),
        BANDS: _joined(band_tables, (*_POINT_COLUMNS, "low", "high")),
        GAP: _gap(figure, lines, limit),
        LONELY: _lonely([*line_tables, *band_tables]),
        TROUBLED: _troubled([*(raw_tables or line_tables), *dot_tables], view),
        MARKS: _marks(figure, view),
        HOVER: _hover(figure, lines, dots, means, smoothed),
    }
    tables[FRAME] = _frame(figure, view, tables, bulk, log_y, hidden)
    drawn_tables, drawn_lines = [*line_tables, *dot_tables, *band_tables], [*lines, *dots, *(m.line for m in means)]
    return Drawn(
        {**spec_of(_look(figure, view, log_y, smoothed)), "datasets": tables},
        sum(len(table) for table in drawn_tables),
        sum(int(line.inside.sum()) for line in everything),
        hidden,
        max(
            ((len(table), int(line.inside.sum())) for table, line in zip(drawn_tables, drawn_lines, strict=True)),
            key=lambda numbers: numbers[1],
            default=(0, 0),
        ),
    )


def _line(trace: Trace, view: View, smoothing: float) -> Line:
    return line_of(trace.name, trace.series, view.x, trace.start, smoothing, view.window)


def _look(figure: Figure, view: View, log_y: bool, smoothed: bool) -> Look:
    return Look(
        title=figure.title,
        unit=figure.unit,
        format=figure.format,
        x=view.x,
        log_x=view.log_x,
        log_y=log_y,
        names=tuple(_names(figure)),
        colors=(*(trace.color for trace in figure.traces), *(band.color for band in figure.bands)),
        dashes=(*(tuple(trace.dash) for trace in figure.traces), *(SOLID for _ in figure.bands)),
        smoothed=smoothed,
        dots=any(trace.dots for trace in figure.traces),
        bands=bool(figure.bands),
        gap=figure.gap is not None,
    )


def _names(figure: Figure) -> list[str]:
    return [trace.name for trace in figure.traces] + [band.title for band in figure.bands]


# -- tables of points


def _points_per_line(lengths: Sequence[int]) -> int:
    """How many points each line may have: short ones leave their room to the others."""
    # What is not finite is in a table of its own besides: a tenth of a line's points at most.
    room = (ROWS_PER_CHART - _HOVER_POINTS - _MARKS_PER_CHART - _LONELY_PER_CHART - 1) * 10 // 11
    limit = room
    for taken, length in enumerate(sorted(lengths)):
        limit = room // (len(lengths) - taken)
        if length > limit:
            break
        room -= length
    return max(LEAST, min(POINTS_PER_LINE, limit))


_POINT_COLUMNS = ("step", "x", "value", "series")


def _points(line: Line, values: Numbers, places: Places) -> pd.DataFrame:
    """A value that is not finite is NaN: there the line has a gap."""
    shown = values[places]
    return pd.DataFrame(
        {
            "step": line.steps[places],
            "x": line.x[places],
            "value": np.where(np.isfinite(shown), shown, np.nan),
            "series": pd.Series([line.name] * len(places), dtype="str"),
        }
    )


def _thinned_mean(mean: Mean, limit: int) -> pd.DataFrame:
    at = mean.at(np.union1d(thin(mean.low, limit), thin(mean.high, limit)))
    names = pd.Series([at.line.name] * len(at.low), dtype="str")
    return pd.DataFrame(
        {
            "step": at.line.steps,
            "x": at.line.x,
            "value": at.line.smoothed,
            "series": names,
            "low": at.low,
            "high": at.high,
        }
    )


def _joined(tables: Sequence[pd.DataFrame], columns: Sequence[str] = _POINT_COLUMNS) -> pd.DataFrame:
    """One below the other; with the same columns and types also when there is nothing."""
    if tables:
        return pd.concat(tables, ignore_index=True)
    types = {"step": "int64", "series": "str"}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, "float64")) for name in columns})


def _troubled(tables: Sequence[pd.DataFrame], view: View) -> pd.DataFrame:
    """The points that are not finite, without the neighbours of what is in sight."""
    points = _joined(tables)
    points = points[points["value"].isna()]
    return points if view.window is None else points[points["x"].between(*view.window)]


def _lonely(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The points of lines that have a gap, or the end, on either side; of very many, some."""
    found = []
    for table in tables:
        missing = table["value"].isna()
        found.append(table[~missing & missing.shift(1, fill_value=True) & missing.shift(-1, fill_value=True)])
    points = _joined(found)[list(_POINT_COLUMNS)]
    every = -(-len(points) // _LONELY_PER_CHART)
    return points.iloc[:: max(1, every)]


def _gap(figure: Figure, lines: Sequence[Line], limit: int) -> pd.DataFrame:
    if figure.gap is None:
        return pd.DataFrame({name: pd.Series(dtype="float64") for name in ("x", "low", "high")})
    one, other = (next(line for line in lines if line.name == name) for name in figure.gap)
    if not np.array_equal(one.steps, other.steps):
        _, at_one, at_other = np.intersect1d(one.steps, other.steps, assume_unique=True, return_indices=True)
        one, other = one.at(at_one), other.at(at_other)
    places = thin(one.smoothed, limit)
    first, second = one.smoothed[places], other.smoothed[places]
    known = np.isfinite(first) & np.isfinite(second)
    return pd.DataFrame(
        {
            "x": one.x[places][known],
            "low": np.minimum(first, second)[known],
            "high": np.maximum(first, second)[known],
        }
    )


# -- ranges of the axes


def _frame(
    figure: Figure, view: View, tables: Mapping[str, pd.DataFrame], bulk: Range | None, log_y: bool, hidden: int
) -> pd.DataFrame:
    """The range of both axes, and what is said inside the chart; one row."""
    left, right = view.window or _reach(figure, view, tables)
    if view.log_x and left <= 0:
        shown = pd.concat([tables[name]["x"] for name in (LINES, DOTS, BANDS)])
        least = float(shown.min()) if len(shown) else 1.0
        left = figure.extent.above_zero.get(view.x, least) if figure.extent is not None else least
    if right <= left:
        right = left * 10 if view.log_x else left + 1
    if view.window is None:  # room for a point at the end
        right = right * (right / left) ** _END if view.log_x else right + _END * (right - left)
    bottom, top = _heights(figure, tables, bulk, log_y)
    note = f"{count(hidden, 'point')} out of sight" if hidden else ""
    return pd.DataFrame({"x0": [left], "x1": [right], "y0": [bottom], "y1": [top], "note": [note]})


def _reach(figure: Figure, view: View, tables: Mapping[str, pd.DataFrame]) -> Range:
    reach: Range | None = getattr(figure.extent, view.x) if figure.extent is not None else None
    if reach is not None:
        return reach
    shown = pd.concat([tables[name]["x"] for name in (LINES, DOTS, BANDS)])
    return (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 1.0)


def _heights(figure: Figure, tables: Mapping[str, pd.DataFrame], bulk: Range | None, log_y: bool) -> Range:
    shown = [tables[name]["value"] for name in (RAW, LINES, DOTS)]
    shown += [tables[name][edge] for name in (BANDS, GAP) for edge in ("low", "high")]
    values = pd.concat(shown).dropna()
    if log_y:
        values = values[values > 0]
    if not len(values):
        return (1.0, 10.0) if log_y else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if bulk is not None and max(low, bulk[0]) <= min(high, bulk[1]):
        low, high = max(low, bulk[0]), min(high, bulk[1])
    if log_y:
        factor = (high / low) ** _MARGIN if high > low else 2.0
        return low / factor, high * factor
    if figure.from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            return 0.0, 1.0
    margin = _MARGIN * (high - low) or abs(high) * _MARGIN or 1.0
    return (
        low if figure.from_zero and low == 0 < high else low - margin,
        high if figure.from_zero and low < 0 == high else high + margin,
    )


# -- marks, and what the pointer tells


def _marks(figure: Figure, view: View) -> pd.DataFrame:
    """Where there are too many, findings go before checkpoints and newer ones before older ones."""
    ranked = sorted(figure.marks, key=lambda mark: (mark.kind == "finding", mark.step))
    marks = sorted(ranked[-_MARKS_PER_CHART:], key=lambda mark: mark.step)
    steps = np.array([mark.step for mark in marks], dtype=np.int64)
    table = pd.DataFrame(
        {
            "step": steps,
            "x": _places_of_steps(figure, view, steps),
            "kind": pd.Series([mark.kind for mark in marks], dtype="str"),
            "name": pd.Series([mark.name for mark in marks], dtype="str"),
        }
    )
    seen = table["x"].notna()
    if view.window is not None:
        seen &= table["x"].between(*view.window)
    if view.log_x:
        seen &= table["x"] > 0
    return table[seen].reset_index(drop=True)


def _places_of_steps(figure: Figure, view: View, steps: Steps) -> Numbers:
    """Where steps are on the x axis, which may lie between two logged ones; NaN where that is not known."""
    if view.x == "step":
        return steps.astype(np.float64)
    longest = max(figure.traces, key=lambda trace: len(trace.series), default=None)
    if longest is not None:
        places = places_of(longest.series, view.x, longest.start)
        known = np.isfinite(places)
        if known.any():
            return np.interp(steps, longest.series.steps[known], places[known])
    return np.full(len(steps), np.nan)


def _hover(
    figure: Figure, lines: Sequence[Line], dots: Sequence[Line], means: Sequence[Mean], smoothed: bool
) -> pd.DataFrame:
    """The places at which a pointer is noticed, and what is said there: a column of words for each line, in order."""
    curves = [*lines, *(mean.line for mean in means)]
    drawn = {line.name: line for line in [*curves, *dots]}
    steps, x = _pointed_at(curves, dots)
    columns: dict[str, Any] = {"step": steps, "x": x}
    for position, name in enumerate(_names(figure)):
        words = [""] * len(steps)
        if name in drawn:
            averaged = smoothed and any(line.name == name for line in lines)
            words = list(_told(drawn[name], steps, figure.format, averaged))
        columns[f"said{position}"] = pd.Series(words, dtype="str")
    return pd.DataFrame(columns)


def _pointed_at(curves: Sequence[Line], dots: Sequence[Line]) -> tuple[Steps, Numbers]:
    """Steps, as even as the longest line has them, and among them those of values that are few."""
    found: dict[int, float] = {}
    longest = max(curves or dots, key=lambda line: int(line.inside.sum()), default=None)
    for line in [*dots, longest]:
        if line is None or len(found) >= _HOVER_POINTS:
            continue
        seen = np.flatnonzero(line.inside)
        room = _HOVER_POINTS - len(found) if line is longest else _HOVER_POINTS // 2
        if len(seen) <= room or line is longest:
            at = seen[np.unique(np.linspace(0, max(0, len(seen) - 1), min(room, len(seen))).astype(np.intp))]
            found.update(zip(line.steps[at].tolist(), line.x[at].tolist(), strict=True))
    steps = sorted(found)
    return np.array(steps, dtype=np.int64), np.array([found[step] for step in steps], dtype=np.float64)


def _told(line: Line, steps: Steps, format: str, averaged: bool) -> Iterable[str]:
    """A line's value at each step; of a line that has none there, its latest."""
    places = np.searchsorted(line.steps, steps, side="right") - 1
    for step, place in zip(steps.tolist(), places.tolist(), strict=True):
        if place < 0:
            yield ""
            continue
        words = spelled(float(line.values[place]), format)
        if averaged:
            words += f" (smoothed {spelled(float(line.smoothed[place]), format)})"
        logged = int(line.steps[place])
        yield words if logged == step else f"{words} (step {logged:,})"


def spelled(value: float, format: str) -> str:
    """A value in words, with the digits that a chart's format gives it."""
    if not math.isfinite(value):
        return number(value)
    if format.endswith("e"):
        return scientific(value)
    digits = int(format[1]) if len(format) > 1 and format[1].isdigit() else 4
    if abs(value) >= 1000:
        return number(value)
    words = f"{value:.{digits}g}"
    return scientific(value) if "e" in words else words
