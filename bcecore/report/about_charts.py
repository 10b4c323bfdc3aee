"""The charts of the page that explains BCE: what its value is made of, and how little of it moves. Pure."""

from __future__ import annotations

import pandas as pd

from bcecore.report.bce_parts import OVERALL, seed_loss, seed_parts
from bcecore.report.chart_spec import LINE_WIDTH, PADDING, SCHEMA, Spec
from bcecore.report.metrics import COMPONENTS
from bcecore.report.palette import BCE_ON, DASHED, NEUTRAL

LONGEST = 4.0
"""Lengths of a hidden state are drawn up to here; tanh is flat from there on."""
_HEIGHT = 340
_POINTS = 80
_SMALLEST = 1e-6
_FIXED, _MOVING = "always the same", "follows the hidden state"
_BARS: Spec = {
    "$schema": SCHEMA,
    "title": "What R is made of (seed profile)",
    "height": _HEIGHT,
    "padding": PADDING,
    "data": {"name": "parts"},
    "mark": {"type": "bar", "height": {"band": 0.7}, "aria": False},
    "encoding": {
        "x": {
            "field": "value",
            "type": "quantitative",
            "title": "what it gives to R",
            "axis": {"format": ".2f", "tickCount": 5},
        },
        "y": {
            "field": "part",
            "type": "nominal",
            "title": None,
            "sort": list(COMPONENTS.values()),
            "axis": {"labelLimit": 140, "labelOverlap": False, "ticks": False, "domain": False},
        },
        "color": {
            "field": "kind",
            "type": "nominal",
            "scale": {"domain": [_FIXED, _MOVING], "range": [NEUTRAL, BCE_ON]},
            "legend": {"orient": "bottom", "title": None, "columns": 1},
        },
        "order": {"field": "kind", "type": "nominal"},
        "tooltip": [
            {"field": "part", "type": "nominal", "title": "Component"},
            {"field": "kind", "type": "nominal", "title": "This part"},
            {"field": "value", "type": "quantitative", "title": "gives", "format": ".4f"},
        ],
    },
}
_X = {"field": "length", "type": "quantitative", "title": "length of the hidden state", "scale": {"nice": False}}
_Y = {
    "field": "value",
    "type": "quantitative",
    "title": "R",
    "scale": {"domain": [-0.5, 0]},
    "axis": {"format": ".2f", "tickCount": 5},
}
_CURVE: Spec = {
    "$schema": SCHEMA,
    "title": "R for any hidden state (seed profile)",
    "height": _HEIGHT,
    "padding": PADDING,
    "layer": [
        {
            "data": {"name": "curve"},
            "mark": {"type": "line", "color": BCE_ON, "strokeWidth": LINE_WIDTH, "aria": False},
            "encoding": {"x": _X, "y": _Y},
        },
        {
            "data": {"name": "here"},
            "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": list(DASHED), "aria": False},
            "encoding": {"x": _X},
        },
        {
            "data": {"name": "here"},
            "mark": {"type": "point", "color": BCE_ON, "filled": True, "size": 90, "opacity": 1, "aria": False},
            "encoding": {
                "x": _X,
                "y": _Y,
                "tooltip": [
                    {"field": "length", "type": "quantitative", "title": "Length", "format": ".2f"},
                    {"field": "value", "type": "quantitative", "title": "R", "format": ".6f"},
                ],
            },
        },
    ],
}


def parts_chart(length: float) -> Spec:
    """What each component gives to R in the seed profile, for a hidden state of this length: bars by size."""
    floor = {part.key: part.seed for part in seed_parts(_SMALLEST)}
    share = OVERALL / len(COMPONENTS)
    rows = []
    for part in seed_parts(length):
        fixed = min(floor[part.key], part.seed)
        rows.append((part.name, _FIXED, -share * fixed))
        rows.append((part.name, _MOVING, -share * (part.seed - fixed)))
    return {**_BARS, "datasets": {"parts": pd.DataFrame(rows, columns=["part", "kind", "value"])}}


def seed_loss_chart(length: float) -> Spec:
    """R in the seed profile over the length of the hidden state, from 0 on; `length` is marked."""
    lengths = [max(_SMALLEST, LONGEST * place / _POINTS) for place in range(_POINTS + 1)]
    curve = pd.DataFrame({"length": lengths, "value": [seed_loss(each) for each in lengths]})
    here = pd.DataFrame({"length": [length], "value": [seed_loss(max(length, _SMALLEST))]})
    return {**_CURVE, "datasets": {"curve": curve, "here": here}}
