"""The specification of a chart: axes, layers, legend, and what answers to the pointer. Built with Altair.

Nothing here depends on values. The tables have names, and even the ranges of the axes come out of one of them
(`FRAME`), so that a chart moves and zooms without being built anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import altair as alt
from altair.utils.schemapi import debug_mode

from bcecore.report.chart_lines import Axis
from bcecore.report.palette import BCE_ON, DASHED, NEUTRAL, TROUBLE, Dash

Spec = dict[str, Any]
"""Vega-Lite."""

HEIGHT = 320
PADDING: dict[str, float] = {"left": 0, "right": 8, "top": 0, "bottom": 0}
LINE_WIDTH = 1.8
ZOOM = "zoom"
"""The selection that somebody makes by drawing across a chart: `{"x": [from, to]}`."""

LINES, RAW, DOTS, BANDS, GAP = "lines", "raw", "dots", "bands", "gap"
LONELY, TROUBLED, MARKS, HOVER, FRAME = "lonely", "troubled", "marked", "under_pointer", "frame"
"""Names of the tables in a specification."""

_X_TITLES: dict[Axis, str] = {"step": "Step", "epoch": "Epoch", "time": "Time since the first step"}
_DRAWN_FROM = "drawn_from"
_RAW_OPACITY, _BAND_OPACITY, _GAP_OPACITY, _MARK_OPACITY = 0.28, 0.2, 0.3, 0.45
# Between the title and the chart is room for a line of text.
_TITLE_OFFSET, _NOTE_ABOVE = 4, 7
# Pixels in a legend, and the longest name that it shows whole.
_LETTER, _SYMBOL, _LONGEST_NAME = 7, 32, 40
# Milliseconds, and in words. A logarithmic axis has no round ones of its own.
_ROUND_TIMES = [
    1000 * unit * count
    for unit, counts in (
        (1, (1, 2, 5, 10, 20)),
        (60, (0.5, 1, 2, 5, 10, 20)),
        (3600, (0.5, 1, 2, 5, 12)),
        (86_400, (1, 2, 5, 10, 30)),
    )
    for count in counts
]
_ELAPSED = (
    "toNumber(datum.value) < 120000 ? format(toNumber(datum.value) / 1000, '~r') + ' s'"
    " : toNumber(datum.value) < 7200000 ? format(toNumber(datum.value) / 60000, '.3~r') + ' m'"
    " : toNumber(datum.value) < 172800000 ? format(toNumber(datum.value) / 3600000, '.3~r') + ' h'"
    " : format(toNumber(datum.value) / 86400000, '.3~r') + ' d'"
)
# In a template they stand for what a chart fills in.
_TITLE, _UNIT, _NAMES, _COLORS, _DASHES, _COLUMNS = ["@title", "@unit", "@names", "@colors", "@dashes", "@columns"]
_BUILDING = Lock()


class Look(NamedTuple):
    """All that the specification of a chart depends on."""

    title: str
    unit: str
    format: str
    x: Axis
    log_x: bool
    log_y: bool
    names: tuple[str, ...]
    colors: tuple[str, ...]
    dashes: tuple[Dash, ...]
    smoothed: bool
    dots: bool
    bands: bool
    gap: bool


class Structure(NamedTuple):
    """What charts have in common that differ only in their words and colours."""

    x: Axis
    log_x: bool
    log_y: bool
    tiny: bool
    """Values that are written with an exponent."""
    legend: bool
    smoothed: bool
    dots: bool
    bands: bool
    gap: bool


@lru_cache(maxsize=512)
def spec_of(look: Look) -> Spec:
    """The specification without its tables."""
    names = list(look.names)
    structure = Structure(
        look.x,
        look.log_x,
        look.log_y,
        look.format.endswith("e"),
        len(names) > 1,
        look.smoothed,
        look.dots,
        look.bands,
        look.gap,
    )
    # In a legend there are as many columns as there is room for.
    column = _LETTER * min(_LONGEST_NAME, max(map(len, names), default=0)) + _SYMBOL
    words = {
        _TITLE: look.title,
        _UNIT: look.unit,
        _NAMES: names,
        _COLORS: list(look.colors),
        _DASHES: [list(dash) for dash in look.dashes],
        _COLUMNS: f"max(1, floor(width / {column}))",
    }
    spec: Spec = _filled(template(structure), words)
    hover = next(layer for layer in spec["layer"] if layer.get("name") == HOVER)
    hover["encoding"]["tooltip"] += [
        {"field": f"said{number}", "type": "nominal", "title": name} for number, name in enumerate(names)
    ]
    return spec


def _filled(part: Any, words: Mapping[str, Any]) -> Any:
    """A copy of a part of a specification with what stands for a chart's own words replaced by them."""
    if isinstance(part, dict):
        return {key: _filled(value, words) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, words) for value in part]
    return words.get(part, part) if isinstance(part, str) else part


@lru_cache(maxsize=128)
def template(structure: Structure) -> Spec:
    """The specification of all charts of one structure, with signs in the place of words and colours.

    Altair takes some twenty milliseconds to build one. Filling it in takes none.
    """
    with building():
        spec = as_spec(
            alt.LayerChart(
                layer=_layers(structure),
                params=[alt.VariableParameter(name=_DRAWN_FROM, expr=_edge("x0", 0))],
                title=alt.TitleParams(_TITLE, offset=_TITLE_OFFSET),
                height=HEIGHT,
                padding=PADDING,
            )
        )
    # Once the axis shows the stretch that somebody drew, the drawing has done its work and goes away. Vega clears on a
    # signal; Altair knows of events of the pointer only.
    zoom = next(param for param in spec["params"] if param["name"] == ZOOM)
    zoom["select"]["clear"] = {"signal": _DRAWN_FROM}
    return spec


@contextmanager
def building() -> Iterator[None]:
    """To build charts in: Altair's checks of every part of a chart would take ten times as long as the rest.

    Altair switches them for the whole process. Threads that build at the same time take turns here, or the last one
    could leave them off.
    """
    with _BUILDING, debug_mode(False):
        yield


def as_spec(chart: alt.Chart | alt.LayerChart) -> Spec:
    """A chart as Vega-Lite, unchecked, and without Altair's own theme: pages and pictures have theirs."""
    spec: Spec = chart.to_dict(validate=False)
    del spec["config"]
    return spec


def of_table(table: str, **properties: Any) -> alt.Chart:
    """A chart of the table that will come under this name."""
    return alt.Chart(alt.NamedData(table), **properties)


def hover_layer(table: str, x: alt.X, tooltip: Sequence[alt.Tooltip]) -> alt.Chart:
    """Upright lines that appear under the pointer and tell the values of their step.

    A fixed number of them: looking for the nearest point of a long series would cost the browser more than drawing
    it, and a line itself answers with its first point wherever it is hit.
    """
    pointed_at = alt.selection_point(name="pointed_at", on="pointerover", clear="pointerout", fields=["step"])
    rules: alt.Chart = of_table(table, name=table).mark_rule(color=NEUTRAL, strokeWidth=4, aria=False)
    opacity = alt.OpacityValue(0, condition={"param": pointed_at.name, "empty": False, "value": 0.5})
    return rules.encode(x=x, opacity=opacity, tooltip=[_step_tooltip(), *tooltip]).add_params(pointed_at)


def step_axis() -> alt.Axis:
    """The axis of a chart over steps."""
    return alt.Axis(title="Step", titlePadding=6, tickCount=6, grid=False, labelFlush=False, format=",d", tickMinStep=1)


def _step_tooltip() -> alt.Tooltip:
    return alt.Tooltip("step:Q", title="Step", format=",d")


def _layers(structure: Structure) -> list[alt.Chart]:
    layers = [_note()]
    if structure.gap:
        layers.append(_area(structure, GAP, color=BCE_ON, opacity=_GAP_OPACITY))
    if structure.bands:
        layers += [_area(structure, BANDS, opacity=_BAND_OPACITY).encode(**_looks(structure)), _line(structure, BANDS)]
    if structure.smoothed:
        layers.append(_line(structure, RAW, opacity=_RAW_OPACITY, strokeWidth=1))
    drawn = _line(structure, LINES)
    drawn.name = LINES
    layers.append(drawn.add_params(_zoom()))
    if structure.dots:
        layers.append(_line(structure, DOTS, point=alt.OverlayMarkDef(filled=True, size=55, aria=False)))
    return [
        *layers,
        _lonely(structure),
        _trouble(structure),
        _mark_lines(structure),
        hover_layer(HOVER, _x(structure), []),
        _mark_signs(structure),
    ]


def _edge(name: str, otherwise: float) -> str:
    # A table that is not there yet has no first row.
    return f"length(data('{FRAME}')) ? data('{FRAME}')[0].{name} : {otherwise}"


def _edges(axis: str) -> list[alt.ExprRef]:
    return [alt.ExprRef(_edge(f"{axis}0", 1)), alt.ExprRef(_edge(f"{axis}1", 10))]


def _x(structure: Structure) -> alt.X:
    axis = step_axis()
    if structure.x != "step":
        axis = alt.Axis(
            title=_X_TITLES[structure.x], titlePadding=6, tickCount=6, grid=False, labelFlush=False, format="~r"
        )
    scale = alt.Scale(nice=False, zero=False, domain=_edges("x"))
    if structure.x == "time":
        axis.format = alt.Undefined
        axis.labelExpr = _ELAPSED
    if structure.log_x:
        scale.type = "log"
        if structure.x == "time":
            axis["values"] = _ROUND_TIMES
    elif structure.x == "time":
        return alt.X("x:T", axis=axis, scale=alt.Scale(type="utc", nice=False, domain=_edges("x")))
    return alt.X("x:Q", axis=axis, scale=scale)


def _y(structure: Structure, field: str = "value") -> alt.Y:
    # The number format of very small values writes 0 as 0e+0.
    labels = "datum.value == 0 ? '0' : format(datum.value, '~e')" if structure.tiny else alt.Undefined
    scale = alt.Scale(type="log" if structure.log_y else "linear", nice=False, zero=False, domain=_edges("y"))
    return alt.Y(f"{field}:Q", axis=alt.Axis(title=_UNIT, tickCount=5, labelExpr=labels), scale=scale)


def _looks(structure: Structure) -> dict[str, Any]:
    """Colour and dashes. Every layer that names its lines gets both, so that all of them share one legend."""
    legend = _legend() if structure.legend else None
    return {
        "color": alt.Color("series:N", legend=legend, scale=alt.Scale(domain=_NAMES, range=_COLORS)),
        "strokeDash": alt.StrokeDash("series:N", legend=legend, scale=alt.Scale(domain=_NAMES, range=_DASHES)),
    }


def _legend() -> alt.Legend:
    """Below the chart."""
    return alt.Legend(
        orient="bottom",
        title=None,
        columns=alt.ExprRef(_COLUMNS),
        symbolType="stroke",
        symbolSize=140,
        symbolOpacity=1,
        labelLimit=_LETTER * _LONGEST_NAME,
        offset=4,
        padding=0,
        rowPadding=4,
        columnPadding=8,
    )


def _line(structure: Structure, table: str, **mark: Any) -> alt.Chart:
    line: alt.Chart = of_table(table).mark_line(**{"strokeWidth": LINE_WIDTH, "clip": True, **mark})
    return line.encode(x=_x(structure), y=_y(structure), **_looks(structure))


def _area(structure: Structure, table: str, **mark: Any) -> alt.Chart:
    area: alt.Chart = of_table(table).mark_area(clip=True, aria=False, **mark)
    return area.encode(x=_x(structure), y=_y(structure, "low"), y2="high:Q")


def _zoom() -> alt.Parameter:
    """A stretch that somebody draws."""
    brush = alt.BrushConfig(fill=NEUTRAL, fillOpacity=0.2, stroke=NEUTRAL, strokeOpacity=0.6)
    return alt.selection_interval(name=ZOOM, encodings=["x"], translate=False, zoom=False, mark=brush)


def _note() -> alt.Chart:
    """What has to be said of the chart, above its right edge."""
    text: alt.Chart = of_table(FRAME).mark_text(align="right", baseline="bottom", color=NEUTRAL, fontSize=12)
    return text.encode(x=alt.XValue("width"), y=alt.YValue(-_NOTE_ABOVE), text="note:N")


def _lonely(structure: Structure) -> alt.Chart:
    """Points without a neighbour: a line through a single point has no length."""
    points: alt.Chart = of_table(LONELY).mark_point(filled=True, size=30, opacity=1, clip=True, aria=False)
    looks = _looks(structure)
    return points.encode(x=_x(structure), y=_y(structure), color=looks["color"])


def _trouble(structure: Structure) -> alt.Chart:
    """Signs at the top edge for values that were not finite: they have no height, and must not go unseen."""
    tooltip = [_step_tooltip(), alt.Tooltip("series:N", title="Not a finite number")]
    signs: alt.Chart = of_table(TROUBLED).mark_point(
        shape="triangle-down", filled=True, size=90, color=TROUBLE, opacity=1, aria=False
    )
    return signs.encode(x=_x(structure), y=alt.YValue(5), tooltip=tooltip)


def _by_kind(range: Sequence[str]) -> dict[str, Any]:
    return {"legend": None, "scale": alt.Scale(domain=["checkpoint", "finding"], range=list(range))}


def _mark_lines(structure: Structure) -> alt.Chart:
    rules: alt.Chart = of_table(MARKS).mark_rule(strokeDash=list(DASHED), opacity=_MARK_OPACITY, aria=False)
    return rules.encode(x=_x(structure), stroke=alt.Stroke("kind:N", **_by_kind([NEUTRAL, TROUBLE])))


def _mark_signs(structure: Structure) -> alt.Chart:
    """A sign for each mark, on the axis, that tells its name."""
    signs: alt.Chart = of_table(MARKS).mark_point(filled=True, size=60, opacity=1, aria=False)
    return signs.encode(
        x=_x(structure),
        y=alt.YValue("height"),
        shape=alt.Shape("kind:N", **_by_kind(["diamond", "triangle-up"])),
        fill=alt.Fill("kind:N", **_by_kind([NEUTRAL, TROUBLE])),
        tooltip=[alt.Tooltip("name:N", title="Mark"), _step_tooltip()],
    )
