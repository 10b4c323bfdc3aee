"""Charts of few numbers: sparklines, and what a schedule plans. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bcecore.report.chart_spec import LINE_WIDTH, PADDING, SCHEMA, Spec, hover_layer, step_axis
from bcecore.report.palette import BCE_ON, DASHED, NEUTRAL
from bcecore.report.thinning import thin

SCHEDULE_HEIGHT = 220
SPARK_HEIGHT = 48
_POINTS, _HOVER_POINTS = 400, 120
_LINE, _MARKS, _HOVER = "lines", "marks", "under_pointer"


def sparkline(values: Sequence[float], color: str) -> Spec:
    """The course of a value in a few points, without axes. Below two values, a level line keeps its place."""
    shown = list(values) if len(values) > 1 else [0.0, 0.0]
    points = pd.DataFrame({"place": range(len(shown)), "value": np.asarray(shown, dtype="float64")})
    scale = {"nice": False, "zero": False}
    return {
        "$schema": SCHEMA,
        "height": SPARK_HEIGHT,
        "padding": PADDING,
        "data": {"name": _LINE},
        "mark": {"type": "line", "color": color, "strokeWidth": LINE_WIDTH, "aria": False},
        "encoding": {
            "x": {"field": "place", "type": "quantitative", "axis": None, "scale": scale},
            "y": {"field": "value", "type": "quantitative", "axis": None, "scale": scale},
        },
        "datasets": {_LINE: points},
    }


def schedule_chart(
    steps: Sequence[int],
    values: Sequence[float],
    title: str,
    value_title: str,
    marks: Mapping[str, int] | None = None,
) -> Spec:
    """A planned value over the steps of a run; `marks` are named steps, drawn as upright lines."""
    planned = pd.DataFrame({"step": np.asarray(steps, dtype="int64"), "value": np.asarray(values, dtype="float64")})
    named = pd.DataFrame(
        {
            "step": pd.Series(list((marks or {}).values()), dtype="int64"),
            "name": pd.Series(list(marks or {}), dtype="str"),
        }
    )
    x = {"field": "step", "type": "quantitative", "axis": step_axis(), "scale": {"nice": False}}
    y = {
        "field": "value",
        "type": "quantitative",
        "title": value_title,
        "axis": {"format": ".2~g", "tickCount": 5},
    }
    text = {"type": "text", "color": NEUTRAL, "align": "left", "baseline": "bottom", "dx": 4, "dy": -2}
    layers = [
        {
            "data": {"name": _MARKS},
            "mark": {"type": "rule", "color": NEUTRAL, "strokeDash": list(DASHED)},
            "encoding": {"x": x},
        },
        {
            "data": {"name": _MARKS},
            "mark": text,
            "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "name", "type": "nominal"}},
        },
        {
            "data": {"name": _LINE},
            "mark": {"type": "line", "color": BCE_ON, "strokeWidth": 2},
            "encoding": {"x": x, "y": y},
        },
        hover_layer(_HOVER, x, [{"field": "value", "type": "quantitative", "title": value_title, "format": ".3~g"}]),
    ]
    return {
        "$schema": SCHEMA,
        "title": title,
        "height": SCHEDULE_HEIGHT,
        "padding": PADDING,
        "layer": layers,
        "datasets": {
            _MARKS: named,
            _LINE: planned.iloc[thin(planned["value"].to_numpy(), _POINTS)],
            _HOVER: planned.iloc[thin(planned["value"].to_numpy(), _HOVER_POINTS)],
        },
    }
