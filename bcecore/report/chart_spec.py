"""The Vega-Lite specification of a chart: axes, layers, legend, and what answers to the pointer.

Nothing here depends on values. The tables have names, and even the ranges of the axes come out of one of them
(`FRAME`), so that a chart moves and zooms without being built anew.

Written out as Vega-Lite has it: Altair would take a third of a second for each chart, which a page with ten of them
would feel at every change of its controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from bcecore.report.chart_lines import Axis
from bcecore.report.palette import BCE_ON, DASHED, NEUTRAL, TROUBLE, Dash

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
HEIGHT = 320
PADDING = {"left": 0, "right": 8, "top": 0, "bottom": 0}
LINE_WIDTH = 1.8
ZOOM = "zoom"
"""The selection that somebody makes by drawing across a chart: `{"x": [from, to]}`."""

LINES, RAW, DOTS, BANDS, GAP = "lines", "raw", "dots", "bands", "gap"
TROUBLED, MARKS, HOVER, FRAME = "troubled", "marked", "under_pointer", "frame"
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


@lru_cache(maxsize=512)
def spec_of(look: Look) -> Spec:
    """The specification without its tables."""
    layers = [_note()]
    if look.gap:
        layers.append(_area(look, GAP, {"color": BCE_ON, "opacity": _GAP_OPACITY}))
    if look.bands:
        colored = {"color": _by_name(look, look.colors, legend=None)}
        layers += [_area(look, BANDS, {"opacity": _BAND_OPACITY}, colored), _line(look, BANDS)]
    if look.smoothed:
        layers.append(_line(look, RAW, opacity=_RAW_OPACITY, strokeWidth=1))
    layers.append({**_line(look, LINES), "params": [_zoom()]})
    if look.dots:
        layers.append(_line(look, DOTS, point={"filled": True, "size": 55, "aria": False}))
    said = [{"field": f"said{number}", "type": "nominal", "title": name} for number, name in enumerate(look.names)]
    layers += [_trouble(look), _mark_lines(look), hover_layer(HOVER, _x(look), said), _mark_signs(look)]
    return {
        "$schema": SCHEMA,
        "title": {"text": look.title, "offset": _TITLE_OFFSET},
        "height": HEIGHT,
        "padding": PADDING,
        "params": [{"name": _DRAWN_FROM, "expr": _edge("x0", 0)["expr"]}],
        "layer": layers,
    }


def hover_layer(table: str, x: Spec, tooltip: Sequence[Spec]) -> Spec:
    """Upright lines that appear under the pointer and tell the values of their step.

    A fixed number of them: looking for the nearest point of a long series would cost the browser more than drawing
    it, and a line itself answers with its first point wherever it is hit.
    """
    under_pointer = {"type": "point", "on": "pointerover", "clear": "pointerout", "fields": ["step"]}
    return {
        "data": {"name": table},
        "mark": {"type": "rule", "color": NEUTRAL, "strokeWidth": 4, "aria": False},
        "params": [{"name": "pointed_at", "select": under_pointer}],
        "encoding": {
            "x": x,
            "opacity": {"condition": {"param": "pointed_at", "empty": False, "value": 0.5}, "value": 0},
            "tooltip": [STEP_TOOLTIP, *tooltip],
        },
    }


STEP_TOOLTIP: Spec = {"field": "step", "type": "quantitative", "title": "Step", "format": ",d"}


def step_axis() -> Spec:
    """The axis of a chart over steps."""
    return {
        "title": "Step",
        "titlePadding": 6,
        "tickCount": 6,
        "grid": False,
        "labelFlush": False,
        "format": ",d",
        "tickMinStep": 1,
    }


def _edge(name: str, otherwise: float) -> Spec:
    # A table that is not there yet has no first row.
    return {"expr": f"length(data('{FRAME}')) ? data('{FRAME}')[0].{name} : {otherwise}"}


def _x(look: Look) -> Spec:
    axis = step_axis()
    if look.x != "step":
        del axis["tickMinStep"]
        axis |= {"title": _X_TITLES[look.x], "format": "~r"}
    scale: Spec = {"nice": False, "zero": False, "domain": [_edge("x0", 1), _edge("x1", 10)]}
    if look.x == "time":
        del axis["format"]
        axis["labelExpr"] = _ELAPSED
    if look.log_x:
        scale["type"] = "log"
        if look.x == "time":
            axis["values"] = _ROUND_TIMES
    elif look.x == "time":
        del scale["zero"]
        return {"field": "x", "type": "temporal", "axis": axis, "scale": {**scale, "type": "utc"}}
    return {"field": "x", "type": "quantitative", "axis": axis, "scale": scale}


def _y(look: Look, field: str = "value") -> Spec:
    axis: Spec = {"title": look.unit, "tickCount": 5}
    if look.format.endswith("e"):  # the number format of very small values writes 0 as 0e+0
        axis["labelExpr"] = "datum.value == 0 ? '0' : format(datum.value, '~e')"
    scale = {
        "type": "log" if look.log_y else "linear",
        "nice": False,
        "zero": False,
        "domain": [_edge("y0", 1), _edge("y1", 10)],
    }
    return {"field": field, "type": "quantitative", "axis": axis, "scale": scale}


def _by_name(look: Look, range: Sequence[Any], legend: Spec | None) -> Spec:
    scale = {"domain": list(look.names), "range": list(range)}
    return {"field": "series", "type": "nominal", "legend": legend, "scale": scale}


def _line(look: Look, table: str, **mark: Any) -> Spec:
    # Every layer with lines gets both colour and dashes, so that they share one legend.
    legend = _legend(look.names) if len(look.names) > 1 else None
    return {
        "data": {"name": table},
        "mark": {"type": "line", "strokeWidth": LINE_WIDTH, "clip": True, **mark},
        "encoding": {
            "x": _x(look),
            "y": _y(look),
            "color": _by_name(look, look.colors, legend),
            "strokeDash": _by_name(look, [list(dash) for dash in look.dashes], legend),
        },
    }


def _legend(names: Sequence[str]) -> Spec:
    """Below the chart, in as many columns as there is room for."""
    column = _LETTER * min(_LONGEST_NAME, max(map(len, names))) + _SYMBOL
    return {
        "orient": "bottom",
        "title": None,
        "columns": {"expr": f"max(1, floor(width / {column}))"},
        "symbolType": "stroke",
        "symbolSize": 140,
        "symbolOpacity": 1,
        "labelLimit": _LETTER * _LONGEST_NAME,
        "offset": 4,
        "padding": 0,
        "rowPadding": 4,
        "columnPadding": 8,
    }


def _area(look: Look, table: str, mark: Spec, encoding: Spec | None = None) -> Spec:
    return {
        "data": {"name": table},
        "mark": {"type": "area", "clip": True, "aria": False, **mark},
        "encoding": {"x": _x(look), "y": _y(look, "low"), "y2": {"field": "high"}, **(encoding or {})},
    }


def _zoom() -> Spec:
    """A stretch that somebody draws. Once the axis shows that stretch, the drawing has done its work and goes away."""
    brush = {"fill": NEUTRAL, "fillOpacity": 0.2, "stroke": NEUTRAL, "strokeOpacity": 0.6}
    select = {"type": "interval", "encodings": ["x"], "translate": False, "zoom": False, "mark": brush}
    return {"name": ZOOM, "select": {**select, "clear": {"signal": _DRAWN_FROM}}}


def _note() -> Spec:
    """What has to be said of the chart, above its right edge."""
    return {
        "data": {"name": FRAME},
        "mark": {"type": "text", "align": "right", "baseline": "bottom", "color": NEUTRAL, "fontSize": 12},
        "encoding": {
            "x": {"value": "width"},
            "y": {"value": -_NOTE_ABOVE},
            "text": {"field": "note", "type": "nominal"},
        },
    }


def _trouble(look: Look) -> Spec:
    """Signs at the top edge for values that were not finite: they have no height, and must not go unseen."""
    tooltip = [STEP_TOOLTIP, {"field": "series", "type": "nominal", "title": "Not a finite number"}]
    sign = {"type": "point", "shape": "triangle-down", "filled": True, "size": 90, "color": TROUBLE, "opacity": 1}
    return {
        "data": {"name": TROUBLED},
        "mark": {**sign, "aria": False},
        "encoding": {"x": _x(look), "y": {"value": 5}, "tooltip": tooltip},
    }


def _by_kind(range: Sequence[str]) -> Spec:
    scale = {"domain": ["checkpoint", "finding"], "range": list(range)}
    return {"field": "kind", "type": "nominal", "legend": None, "scale": scale}


def _mark_lines(look: Look) -> Spec:
    rule = {"type": "rule", "strokeDash": list(DASHED), "opacity": _MARK_OPACITY, "aria": False}
    return {
        "data": {"name": MARKS},
        "mark": rule,
        "encoding": {"x": _x(look), "stroke": _by_kind([NEUTRAL, TROUBLE])},
    }


def _mark_signs(look: Look) -> Spec:
    """A sign for each mark, on the axis, that tells its name."""
    return {
        "data": {"name": MARKS},
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "aria": False},
        "encoding": {
            "x": _x(look),
            "y": {"value": "height"},
            "shape": _by_kind(["diamond", "triangle-up"]),
            "fill": _by_kind([NEUTRAL, TROUBLE]),
            "tooltip": [{"field": "name", "type": "nominal", "title": "Mark"}, STEP_TOOLTIP],
        },
    }
