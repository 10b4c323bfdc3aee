"""Charts of what an evaluation says of single texts: what changed on them, and how they were labelled. Pure.

Colours are those of `report.charts`, and never alone: right and wrong, better and worse also differ by their place.
"""

from __future__ import annotations

import json

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from bcecore.evaluation.labelled import LabelMetrics
from bcecore.report.evaluation_tables import reliability_table
from bcecore.report.palette import HELD_OUT, NEUTRAL, TROUBLE

HEIGHT = 240
BARS = 24
MAX_NUMBERED_LABELS = 12
"""With more labels the numbers would not fit into the heat map; the table has them."""
_PADDING = {"left": 0, "right": 8, "top": 4, "bottom": 0}
_CELL = 42
# Letters within a chart do not follow the theme, so cells are light and letters dark in both.
_INK, _NONE, _ALL_RIGHT, _ALL_WRONG = "#14181F", "#F1F3F5", "#5CC9A4", "#EC929E"
_CONFIDENCE = [0.0, 1.0]


def change_bars(changes: npt.ArrayLike, bars: int = BARS) -> pd.DataFrame:
    """How many texts changed by how much: columns low, high (nats per token), texts, side (better or worse).

    All bars are equally wide, and 0 is always between two of them. The widest change of the middle 98 % decides how far
    they reach; what lies beyond counts in the last bar, so that a single text does not squeeze all others into one.
    Texts that did not change, or whose change is not a number, are left out.
    """
    values = np.asarray(changes, dtype=np.float64)
    values = values[np.isfinite(values) & (values != 0)]
    reach = float(np.abs(np.percentile(values, [1, 99])).max()) if len(values) else 0.0
    edges = np.linspace(-1, 1, bars + 1) * (reach or 1.0)
    edges[bars // 2] = 0.0
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    table = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "texts": counts})
    return table.assign(side=np.where(table["high"] <= 0, "better", "worse"))


def changes_chart(changes: npt.ArrayLike, name: str) -> alt.LayerChart:
    """Texts by their change of CE; those on the left are better with the side called `name`."""
    table = change_bars(changes)
    bars = (
        alt.Chart(table)
        .mark_bar(aria=False)
        .encode(
            x=alt.X("low:Q", bin="binned", title="Change of CE, nats per token (below 0 is better)").scale(nice=False),
            x2="high:Q",
            y=alt.Y("texts:Q", title="Texts").axis(tickMinStep=1, tickCount=5),
            color=alt.Color("side:N")
            .scale(domain=["better", "worse"], range=[HELD_OUT, TROUBLE])
            .legend(orient="top", title=f"With {name}"),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format="+.3f"),
                alt.Tooltip("high:Q", title="to", format="+.3f"),
                alt.Tooltip("texts:Q", title="texts"),
            ],
        )
    )
    middle = alt.Chart(pd.DataFrame({"low": [0.0]})).mark_rule(color=NEUTRAL, strokeWidth=2, aria=False)
    return alt.LayerChart(layer=[bars, middle.encode(x="low:Q")]).properties(height=HEIGHT, padding=_PADDING)


def confusion_chart(metrics: LabelMetrics) -> alt.LayerChart:
    """The confusion matrix as a heat map: the stronger a cell, the larger its share of the texts of that label."""
    labels = list(metrics.labels)
    shares = metrics.confusion / np.maximum(metrics.confusion.sum(axis=1, keepdims=True), 1)
    table = pd.DataFrame(
        [
            {
                "label": true,
                "predicted": predicted,
                "texts": int(metrics.confusion[row, column]),
                "share": float(shares[row, column]),
                "is_right": row == column,
            }
            for row, true in enumerate(labels)
            for column, predicted in enumerate(labels)
        ]
    )
    base = alt.Chart(table).encode(
        x=alt.X("predicted:N", title="The model’s answer", sort=labels).axis(orient="top", labelAngle=0, labelLimit=90),
        y=alt.Y("label:N", title="The right label", sort=labels).axis(labelLimit=110),
        tooltip=[
            alt.Tooltip("label:N", title="right label"),
            alt.Tooltip("predicted:N", title="answer"),
            alt.Tooltip("texts:Q"),
            alt.Tooltip("share:Q", title="share of this label", format=".1%"),
        ],
    )
    shade = alt.Color("share:Q").legend(None)
    layers = [
        base.transform_filter(alt.datum.is_right == is_right)
        .mark_rect(aria=False)
        .encode(color=shade.scale(domain=[0, 1], range=[_NONE, full], interpolate="rgb"))
        for is_right, full in ((True, _ALL_RIGHT), (False, _ALL_WRONG))
    ]
    if len(labels) <= MAX_NUMBERED_LABELS:
        numbers = base.mark_text(fontSize=15, color=_INK, aria=False)
        layers.append(numbers.encode(text=alt.Text("texts:Q", format=",d")))
    # The axis titles need their room, however few labels there are.
    height = max(60 + _CELL * len(labels), 170) if len(labels) <= MAX_NUMBERED_LABELS else 480
    chart = alt.LayerChart(layer=layers).resolve_scale(color="independent")
    sized: alt.LayerChart = chart.properties(height=height, padding=_PADDING)
    return sized


def reliability_chart(metrics: LabelMetrics) -> alt.LayerChart:
    """How often the model is right for each degree of confidence, with the number of texts above each bar."""
    table = reliability_table(metrics)
    table["middle"] = ((table["confidence_from"] + table["confidence_to"]) / 2).round(3)
    percent = alt.Axis(format=".0%", tickCount=5)
    x = alt.X("confidence_from:Q", title="How sure the model was", axis=percent).scale(domain=_CONFIDENCE)
    y = alt.Y("accuracy:Q", title="How often it was right", axis=percent).scale(domain=_CONFIDENCE)
    tooltip = [
        alt.Tooltip("confidence:Q", title="how sure", format=".1%"),
        alt.Tooltip("accuracy:Q", title="how often right", format=".1%"),
        alt.Tooltip("texts:Q"),
    ]
    bars = alt.Chart(table).mark_bar(color=HELD_OUT, opacity=0.75, aria=False)
    # A bar of no height is still a bar: never right.
    tops = alt.Chart(table).mark_rule(color=HELD_OUT, strokeWidth=3, aria=False)
    ends = pd.DataFrame({"confidence_from": _CONFIDENCE, "accuracy": _CONFIDENCE})
    line = alt.Chart(ends).mark_line(color=NEUTRAL, strokeDash=[6, 3], aria=False)
    # The numbers of texts are labels of an axis, as those have the theme's colour.
    texts = {f"{row.middle:g}": f"{row.texts:,}" for row in table.itertuples()}
    counts = alt.Axis(
        orient="top",
        title="Texts",
        titlePadding=4,
        values=table["middle"].tolist(),
        labelExpr=f"({json.dumps(texts)})[format(datum.value, '~g')]",
        labelOverlap=False,
        ticks=False,
        grid=False,
        domain=False,
    )
    numbers = alt.Chart(table).mark_point(opacity=0, aria=False)
    chart: alt.LayerChart = (
        alt.LayerChart(
            layer=[
                alt.LayerChart(
                    layer=[
                        bars.encode(x=x, x2="confidence_to:Q", y=y, y2=alt.datum(0), tooltip=tooltip),
                        tops.encode(x=x, x2="confidence_to:Q", y=y, tooltip=tooltip),
                        line.encode(x=x, y=y),
                    ]
                ),
                numbers.encode(x=alt.X("middle:Q", axis=counts).scale(domain=_CONFIDENCE), y=y),
            ]
        )
        .resolve_axis(x="independent")
        .properties(height=HEIGHT, padding=_PADDING)
    )
    return chart
