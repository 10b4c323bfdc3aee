"""Charts of few numbers: sparklines, and what a schedule plans. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import altair as alt
import numpy as np
import pandas as pd

from bcecore.report.chart_spec import LINE_WIDTH, PADDING, Spec, as_spec, building, hover_layer, of_table, step_axis
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
    return {**_sparkline(color), "datasets": {_LINE: points}}


@lru_cache(maxsize=64)
def _sparkline(color: str) -> Spec:
    scale = alt.Scale(nice=False, zero=False)
    with building():
        line: alt.Chart = of_table(_LINE, height=SPARK_HEIGHT, padding=PADDING)
        line = line.mark_line(color=color, strokeWidth=LINE_WIDTH, aria=False)
        return as_spec(
            line.encode(x=alt.X("place:Q", axis=None, scale=scale), y=alt.Y("value:Q", axis=None, scale=scale))
        )


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
    return {
        **_schedule_chart(title, value_title),
        "datasets": {
            _MARKS: named,
            _LINE: planned.iloc[thin(planned["value"].to_numpy(), _POINTS)],
            _HOVER: planned.iloc[thin(planned["value"].to_numpy(), _HOVER_POINTS)],
        },
    }


@lru_cache(maxsize=64)
def _schedule_chart(title: str, value_title: str) -> Spec:
    with building():
        x = alt.X("step:Q", axis=step_axis(), scale=alt.Scale(nice=False))
        y = alt.Y("value:Q", title=value_title, axis=alt.Axis(format=".2~g", tickCount=5))
        rules: alt.Chart = of_table(_MARKS).mark_rule(color=NEUTRAL, strokeDash=list(DASHED))
        names: alt.Chart = of_table(_MARKS).mark_text(color=NEUTRAL, align="left", baseline="bottom", dx=4, dy=-2)
        line: alt.Chart = of_table(_LINE).mark_line(color=BCE_ON, strokeWidth=2)
        layers = [
            rules.encode(x=x),
            names.encode(x=x, y=alt.YValue(0), text="name:N"),
            line.encode(x=x, y=y),
            hover_layer(_HOVER, x, [alt.Tooltip("value:Q", title=value_title, format=".3~g")]),
        ]
        return as_spec(alt.LayerChart(layer=layers, title=title, height=SCHEDULE_HEIGHT, padding=PADDING))
