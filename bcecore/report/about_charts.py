"""The charts of the page that explains BCE: what its value is made of, and how little of it moves. Pure."""

from __future__ import annotations

from functools import cache

import altair as alt
import pandas as pd

from bcecore.report.bce_parts import OVERALL, seed_loss, seed_parts
from bcecore.report.chart_spec import LINE_WIDTH, PADDING, Spec, as_spec, building, of_table
from bcecore.report.metrics import COMPONENTS
from bcecore.report.palette import BCE_ON, DASHED, NEUTRAL

LONGEST = 4.0
"""Lengths of a hidden state are drawn up to here; tanh is flat from there on."""
_HEIGHT = 340
_POINTS = 80
_SMALLEST = 1e-6
_FIXED, _MOVING = "always the same", "follows the hidden state"


def parts_chart(length: float) -> Spec:
    """What each component gives to R in the seed profile, for a hidden state of this length: bars by size."""
    floor = {part.key: part.seed for part in seed_parts(_SMALLEST)}
    share = OVERALL / len(COMPONENTS)
    rows = []
    for part in seed_parts(length):
        fixed = min(floor[part.key], part.seed)
        rows.append((part.name, _FIXED, -share * fixed))
        rows.append((part.name, _MOVING, -share * (part.seed - fixed)))
    return {**_bars(), "datasets": {"parts": pd.DataFrame(rows, columns=["part", "kind", "value"])}}


def seed_loss_chart(length: float) -> Spec:
    """R in the seed profile over the length of the hidden state, from 0 on; `length` is marked."""
    lengths = [max(_SMALLEST, LONGEST * place / _POINTS) for place in range(_POINTS + 1)]
    curve = pd.DataFrame({"length": lengths, "value": [seed_loss(each) for each in lengths]})
    here = pd.DataFrame({"length": [length], "value": [seed_loss(max(length, _SMALLEST))]})
    return {**_curve(), "datasets": {"curve": curve, "here": here}}


@cache
def _bars() -> Spec:
    kinds = alt.Scale(domain=[_FIXED, _MOVING], range=[NEUTRAL, BCE_ON])
    labels = alt.Axis(labelLimit=140, labelOverlap=False, ticks=False, domain=False)
    with building():
        bars: alt.Chart = of_table(
            "parts", title="What R is made of (seed profile)", height=_HEIGHT, padding=PADDING
        ).mark_bar(height=alt.RelativeBandSize(0.7), aria=False)
        return as_spec(
            bars.encode(
                x=alt.X("value:Q", title="what it gives to R", axis=alt.Axis(format=".2f", tickCount=5)),
                y=alt.Y("part:N", title=None, sort=list(COMPONENTS.values()), axis=labels),
                color=alt.Color("kind:N", scale=kinds, legend=alt.Legend(orient="bottom", title=None, columns=1)),
                order=alt.Order("kind:N"),
                tooltip=[
                    alt.Tooltip("part:N", title="Component"),
                    alt.Tooltip("kind:N", title="This part"),
                    alt.Tooltip("value:Q", title="gives", format=".4f"),
                ],
            )
        )


@cache
def _curve() -> Spec:
    with building():
        x = alt.X("length:Q", title="length of the hidden state", scale=alt.Scale(nice=False))
        y = alt.Y("value:Q", title="R", scale=alt.Scale(domain=[-0.5, 0]), axis=alt.Axis(format=".2f", tickCount=5))
        line: alt.Chart = of_table("curve").mark_line(color=BCE_ON, strokeWidth=LINE_WIDTH, aria=False)
        rule: alt.Chart = of_table("here").mark_rule(color=NEUTRAL, strokeDash=list(DASHED), aria=False)
        point: alt.Chart = of_table("here").mark_point(color=BCE_ON, filled=True, size=90, opacity=1, aria=False)
        told = [
            alt.Tooltip("length:Q", title="Length", format=".2f"),
            alt.Tooltip("value:Q", title="R", format=".6f"),
        ]
        layers = [line.encode(x=x, y=y), rule.encode(x=x), point.encode(x=x, y=y, tooltip=told)]
        return as_spec(
            alt.LayerChart(layer=layers, title="R for any hidden state (seed profile)", height=_HEIGHT, padding=PADDING)
        )
