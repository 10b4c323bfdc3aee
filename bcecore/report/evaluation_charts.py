"""The chart of several checkpoints on one text: how far each is behind the best, with its interval. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from bcecore.report.chart_spec import Spec
from bcecore.report.palette import NEUTRAL

HEIGHT = 240


def behind_chart(table: pd.DataFrame, steps: Sequence[int], color: str) -> Spec:
    """CE of each checkpoint less the lowest CE, from `evaluation_tables.choice_table` and the `steps` of its rows.

    The line at 0 is the lowest; a checkpoint whose interval crosses it cannot be told from that one.
    """
    drawn = table.assign(step=list(steps), low=table["low"].fillna(0.0), high=table["high"].fillna(0.0))
    base = alt.Chart(drawn)
    x = alt.X("step:Q", axis=alt.Axis(title="Step", format=",d", values=list(steps), grid=False)).scale(
        padding=24, zero=False, nice=False
    )
    y = alt.Y("behind:Q", axis=alt.Axis(title="CE above the lowest, nats per token", tickCount=5))
    tooltip = [
        alt.Tooltip("name:N", title="Checkpoint"),
        alt.Tooltip("ce:Q", title="CE", format=".4~r"),
        alt.Tooltip("behind:Q", title="Above the lowest", format=".3~r"),
        alt.Tooltip("low:Q", title="from", format=".3~r"),
        alt.Tooltip("high:Q", title="to", format=".3~r"),
    ]
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=NEUTRAL, strokeDash=[6, 3], aria=False)
    spread = base.mark_rule(color=color, strokeWidth=2.5, aria=False)
    points = base.mark_point(color=color, filled=True, size=90, opacity=1)
    layers = [
        zero.encode(y=alt.Y("zero:Q")),
        spread.encode(x=x, y=alt.Y("low:Q"), y2="high:Q", tooltip=tooltip),
        points.encode(x=x, y=y, tooltip=tooltip),
    ]
    padding = {"left": 0, "right": 8, "top": 4, "bottom": 0}
    spec: Spec = alt.LayerChart(layer=layers).properties(height=HEIGHT, padding=padding).to_dict()
    del spec["config"]  # Altair's own theme; the page has one
    return spec
