"""The chart of how long the lines of a text are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from bcecore.report.chart_spec import Spec
from bcecore.report.palette import HELD_OUT, NEUTRAL, TROUBLE

HEIGHT = 240


def lengths_chart(lengths: Sequence[tuple[int, int, int]], block_size: int) -> Spec:
    """A bar for each step of length, from `text.looking.histogram`, and a line where longer ones are cut."""
    width = lengths[0][1]
    rows = [
        # The last step holds all of the longest: it is drawn as wide as the others, and says so.
        {"low": low - 1, "high": low - 1 + width, "lines": lines, "tokens": f"{low:,} to {high:,}"}
        for low, high, lines in lengths
    ]
    x = alt.X("low:Q", title="Tokens in a line", scale=alt.Scale(nice=False), axis=alt.Axis(grid=False, format=",d"))
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(color=HELD_OUT, binSpacing=1)
        .encode(
            x=x,
            x2="high:Q",
            y=alt.Y("lines:Q", title="Lines", axis=alt.Axis(tickCount=5, format=",d", tickMinStep=1)),
            tooltip=[alt.Tooltip("tokens:N", title="Tokens"), alt.Tooltip("lines:Q", title="Lines", format=",d")],
        )
    )
    layers: list[alt.Chart] = [bars]
    if block_size < rows[-1]["high"]:  # type: ignore[operator]
        cut = alt.Chart(pd.DataFrame({"cut": [block_size], "words": [f"cut at {block_size:,}"]}))
        layers.append(cut.mark_rule(color=TROUBLE, strokeDash=[6, 3], aria=False).encode(x="cut:Q"))
        layers.append(
            cut.mark_text(align="left", baseline="top", dx=4, color=NEUTRAL, aria=False).encode(
                x="cut:Q", y=alt.YValue(2), text="words:N"
            )
        )
    padding = {"left": 0, "right": 8, "top": 4, "bottom": 0}
    spec: Spec = alt.LayerChart(layer=layers).properties(height=HEIGHT, padding=padding).to_dict()
    del spec["config"]  # Altair's own theme; the page has one
    return spec
