"""The pictures of a study: its differences with the margin, and the held-out loss of its arms over training. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from bcecore.evaluation.outcome import Comparison, Curve
from bcecore.report.chart_spec import Spec
from bcecore.report.palette import BCE_OFF, BCE_ON, NEUTRAL, RUN_COLORS

_ROW = 30
_BELOW = 64
"""Pixels of the horizontal axis and its title: a page counts them to the height of a chart."""
_CURVES_HEIGHT = 260
ALL_SEEDS = "all seeds"


def difference_chart(found: Comparison, margin: float) -> Spec:
    """The difference of every seed and of all together, with intervals, over the band in which it would not matter.

    Needs a comparison that has a difference.
    """
    assert found.difference is not None
    rows = [
        {"name": f"seed {seed.seed}", "value": seed.value, "low": seed.low, "high": seed.high, "all": False}
        for seed in found.seeds
    ]
    whole = found.difference
    rows.append({"name": ALL_SEEDS, "value": whole.value, "low": whole.low, "high": whole.high, "all": True})
    table = pd.DataFrame(rows)
    table["low"], table["high"] = table["low"].fillna(table["value"]), table["high"].fillna(table["value"])
    y = alt.Y(
        "name:N",
        sort=[str(row["name"]) for row in rows],
        axis=alt.Axis(title=None, grid=False, labelOverlap=False, labelFlush=False),
    )
    # Two lines, or a narrow screen cuts it.
    title = [
        f"CE of “{found.arm}” less CE of “{found.reference}”",
        f"nats per token; left of 0, “{found.arm}” predicts better",
    ]
    x = alt.X("value:Q", axis=alt.Axis(title=title, tickCount=6)).scale(domain=_reach(table, margin))
    tooltip = [
        alt.Tooltip("name:N", title="Of"),
        alt.Tooltip("value:Q", title="difference", format="+.4f"),
        alt.Tooltip("low:Q", title="from", format="+.4f"),
        alt.Tooltip("high:Q", title="to", format="+.4f"),
    ]
    size = alt.condition("datum.all", alt.value(150), alt.value(60))
    width = alt.condition("datum.all", alt.value(3.5), alt.value(1.8))
    band = alt.Chart(pd.DataFrame({"from": [-margin], "to": [margin]})).mark_rect(
        color=NEUTRAL, opacity=0.18, aria=False
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=NEUTRAL, strokeDash=[6, 3], aria=False)
    base = alt.Chart(table)
    layers = [
        band.encode(x=alt.X("from:Q"), x2="to:Q"),
        zero.encode(x=alt.X("zero:Q")),
        base.mark_rule(color=BCE_ON, aria=False).encode(
            x=alt.X("low:Q"), x2="high:Q", y=y, strokeWidth=width, tooltip=tooltip
        ),
        base.mark_point(color=BCE_ON, filled=True, opacity=1).encode(x=x, y=y, size=size, tooltip=tooltip),
    ]
    return _plain(alt.LayerChart(layer=layers).properties(height=_ROW * len(rows) + _BELOW))


def _reach(table: pd.DataFrame, margin: float) -> list[float]:
    """The range of the axis: all intervals, and the whole band with some room, so that its ends are seen."""
    room = 1.25 * margin
    low, high = min(float(table["low"].min()), -room), max(float(table["high"].max()), room)
    return [low, high]


def difference_alt(found: Comparison, margin: float) -> str:
    """The same in words."""
    assert found.difference is not None
    better = sum(seed.value < 0 for seed in found.seeds)
    return (
        f"The difference at each of {len(found.seeds)} seeds and over all of them, with intervals, and the band of "
        f"±{margin:g} within which it would not matter. At {better} of {len(found.seeds)} seeds “{found.arm}” has the "
        "lower loss."
    )


def curves_chart(curves: Sequence[Curve]) -> Spec:
    """The held-out CE of every arm over training, with a band of one standard deviation over the seeds."""
    rows = [
        {"arm": curve.arm, "step": step, "mean": mean, "low": mean - deviation, "high": mean + deviation}
        for curve in curves
        for step, mean, deviation in zip(curve.steps, curve.mean, curve.deviation, strict=True)
    ]
    names = [curve.arm for curve in curves]
    colors = [BCE_OFF, BCE_ON, *RUN_COLORS][: len(names)]
    table = pd.DataFrame(rows)
    x = alt.X("step:Q", axis=alt.Axis(title="Step", format=",d", grid=False, tickMinStep=1))
    color = alt.Color(
        "arm:N",
        scale=alt.Scale(domain=names, range=colors),
        legend=alt.Legend(title=None, orient="bottom", symbolType="stroke", symbolOpacity=1),
    )
    dash = alt.StrokeDash("arm:N", scale=alt.Scale(domain=names), legend=None)
    base = alt.Chart(table)
    axis = alt.Axis(title="Held-out CE, nats per token", tickCount=6)
    layers = [
        base.mark_area(opacity=0.18, aria=False).encode(
            x=x, y=alt.Y("low:Q", axis=axis).scale(zero=False), y2="high:Q", color=color
        ),
        base.mark_line(strokeWidth=2, point=True).encode(
            x=x,
            y=alt.Y("mean:Q", axis=axis).scale(zero=False),
            color=color,
            strokeDash=dash,
            tooltip=["arm:N", alt.Tooltip("step:Q", format=",d"), alt.Tooltip("mean:Q", format=".4f")],
        ),
    ]
    return _plain(alt.LayerChart(layer=layers).properties(height=_CURVES_HEIGHT))


def curves_alt(curves: Sequence[Curve]) -> str:
    """The same in words."""
    names = " and ".join(f"“{curve.arm}”" for curve in curves)
    return f"The held-out CE of {names} over training, the mean of the seeds with one standard deviation."


def _plain(chart: alt.LayerChart) -> Spec:
    spec: Spec = chart.properties(padding={"left": 0, "right": 8, "top": 4, "bottom": 0}).to_dict()
    del spec["config"]  # Altair's own theme; the page has one
    return spec
