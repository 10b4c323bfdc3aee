"""The charts, as Altair specifications: what is drawn and how, from logged values to axes, legends and tooltips.

Colours mean the same everywhere and suit both themes: each has a contrast of 3 or more on the light and on the dark
background, and they stay apart for colour-blind eyes (after Okabe and Ito). Lines that share a chart differ in their
dashes as well.

A specification depends on the settings of the run only, never on its values: while points arrive only the data change,
and the browser moves the lines instead of building the chart anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from bcecore.config import RunConfig
from bcecore.report.thinning import thin

BCE_ON, BCE_OFF = "#0072B2", "#D55E00"
"""BCE on and off, everywhere."""
HELD_OUT = "#009E73"
NEUTRAL = "#7A7F87"
TROUBLE = "#D1495B"
HEIGHT = 280
SCHEDULE_HEIGHT = 220
POINTS_PER_CHART = 2000
POINTS_PER_LINE = 400
_HOVER_POINTS = 120
_SOLID: list[int] = [1, 0]
_DASHED, _DOTTED = [6, 3], [2, 2]

COMPONENTS = {
    "bce_rl": "reward (rl)",
    "bce_iso": "typicality (iso)",
    "bce_dcycle": "character (dcycle)",
    "bce_dbscan": "neighbours (dbscan)",
    "bce_auto": "discovery (auto)",
    "bce_bayes": "context (bayes)",
    "bce_fuzzy": "strength (fuzzy)",
    "bce_ethics": "ethics",
    "bce_master": "master",
}
"""The nine parts of the BCE value, by their key in the log."""


@dataclass(frozen=True)
class Line:
    """One line of a chart: the logged key, its name in the legend, and how it looks."""

    key: str
    name: str
    color: str
    dash: Sequence[int] = tuple(_SOLID)


@dataclass(frozen=True)
class LiveChart:
    """What one chart of the Run page shows."""

    key: str
    """Stable name of the chart on the page."""
    title: str
    unit: str
    """Title of the value axis."""
    lines: tuple[Line, ...]
    alt: str
    """What a screen reader says the chart is."""
    format: str = ".4~r"
    from_zero: bool = False
    dots: Line | None = None
    """Values that exist at a few steps only, drawn as points joined by a line."""


def live_charts(config: RunConfig) -> list[LiveChart]:
    """The charts of a run with these settings, in their order on the page."""
    color = run_color(config)
    losses: tuple[Line, ...] = (Line("ce", "CE", color),)
    if config.bce.enabled:
        losses = (Line("loss", "loss (CE with BCE's term)", NEUTRAL, tuple(_DASHED)), *losses)
    held_out = Line("eval_loss", "held-out CE", HELD_OUT) if config.data.validation != "none" else None
    charts = [
        LiveChart("loss", "Loss and CE", "nats per token", losses, "Loss and cross-entropy by step", dots=held_out),
        LiveChart(
            "grad-norm",
            "Gradient norm",
            "length of the gradient",
            (Line("grad_norm", "gradient norm", color),),
            "Gradient norm by step",
            from_zero=True,
        ),
        LiveChart(
            "learning-rate",
            "Learning speed (learning rate)",
            "learning rate",
            (Line("learning_rate", "learning rate", color),),
            "Learning rate by step",
            format=".3e",
            from_zero=True,
        ),
    ]
    if not config.bce.enabled:
        return charts
    return [
        *charts,
        LiveChart(
            "bce-weight",
            "BCE weight",
            "weight w",
            (Line("bce_weight", "BCE weight", color),),
            "BCE weight by step",
            from_zero=True,
        ),
        LiveChart(
            "bce-loss",
            "BCE loss (R, before weighting)",
            "R, own scale",
            (Line("bce_loss", "BCE loss", color),),
            "BCE loss by step",
            format=".5~r",
        ),
        LiveChart("bce-components", "BCE components", "value, 0 to 1", _component_lines(), "BCE components by step"),
    ]


def run_color(config: RunConfig) -> str:
    """The colour of a run: by whether BCE is on."""
    return BCE_ON if config.bce.enabled else BCE_OFF


def _component_lines() -> tuple[Line, ...]:
    # Nine colours cannot be told apart by everybody: three colours, each in three dashes, can.
    looks = [(color, dash) for dash in (_SOLID, _DASHED, _DOTTED) for color in (BCE_ON, BCE_OFF, HELD_OUT)]
    return tuple(
        Line(key, name, color, tuple(dash))
        for (key, name), (color, dash) in zip(COMPONENTS.items(), looks, strict=True)
    )


SeriesOf = Callable[[str], pd.DataFrame]
"""Gives the rows at which a key was logged: columns step and the key itself (`store.history.History.series`)."""


@dataclass(frozen=True)
class Drawn:
    """A chart ready to be shown, and how many of its points are in it."""

    chart: alt.LayerChart
    shown: int
    total: int


def draw(chart: LiveChart, series_of: SeriesOf) -> Drawn:
    """The chart of what has been logged so far, which may be nothing."""
    limit = min(POINTS_PER_LINE, POINTS_PER_CHART // len(chart.lines))
    whole = {line.key: _points(series_of, line) for line in chart.lines}
    shown = pd.concat([_thinned(points, limit) for points in whole.values()], ignore_index=True)
    dots = None
    if chart.dots is not None:
        dots = _thinned(_points(series_of, chart.dots), limit)
        dots = dots.assign(perplexity=np.exp(dots["value"]))
    tooltip = [alt.Tooltip(f"{line.key}:Q", title=line.name, format=chart.format) for line in chart.lines]
    layers = [_lines(chart, shown), _trouble(shown), _hover(_values_at_steps(chart, whole), tooltip)]
    if dots is not None:
        layers.insert(1, _dots(chart, dots))
    layered = alt.LayerChart(layer=layers).properties(title=chart.title, height=HEIGHT)
    return Drawn(layered, len(shown), sum(len(points) for points in whole.values()))


def _points(series_of: SeriesOf, line: Line) -> pd.DataFrame:
    """Columns step, value (none where it was not a finite number) and series, with the same types also when empty."""
    rows = series_of(line.key)
    value = rows[line.key].astype("float64")
    return pd.DataFrame(
        {
            "step": rows["step"].astype("int64"),
            "value": value.where(np.isfinite(value)),
            "series": pd.Series(line.name, index=rows.index, dtype="str"),
        }
    )


def _thinned(points: pd.DataFrame, limit: int) -> pd.DataFrame:
    return points.iloc[thin(points["value"].to_numpy(), limit)]


def _step_axis() -> alt.X:
    return alt.X("step:Q").title("Step").axis(format=",d", tickMinStep=1, tickCount=6, grid=False).scale(nice=False)


def _value_axis(chart: LiveChart) -> alt.Y:
    axis = alt.Y("value:Q").title(chart.unit).scale(zero=chart.from_zero)
    return axis.axis(format="~e", tickCount=5) if chart.format.endswith("e") else axis.axis(tickCount=5)


def _looks(chart: LiveChart) -> dict[str, Any]:
    """Colour and dashes of the lines. Every layer with lines gets both, so that they share one legend."""
    lines = [*chart.lines, *([chart.dots] if chart.dots else [])]
    names = [line.name for line in lines]
    legend = None
    if len(lines) > 1:
        legend = alt.Legend(orient="bottom", title=None, columns=3, symbolType="stroke", symbolSize=300, labelLimit=160)
    dashes = [list(line.dash) for line in lines]
    return {
        "color": alt.Color("series:N", legend=legend).scale(domain=names, range=[line.color for line in lines]),
        "strokeDash": alt.StrokeDash("series:N", legend=legend).scale(domain=names, range=dashes),
    }


def _lines(chart: LiveChart, points: pd.DataFrame) -> alt.Chart:
    lines: alt.Chart = alt.Chart(points).mark_line(strokeWidth=1.8)
    return lines.encode(x=_step_axis(), y=_value_axis(chart), **_looks(chart))


def _dots(chart: LiveChart, points: pd.DataFrame) -> alt.Chart:
    assert chart.dots is not None
    tooltip = [
        alt.Tooltip("step:Q", title="Step", format=",d"),
        alt.Tooltip("value:Q", title=chart.dots.name, format=chart.format),
        alt.Tooltip("perplexity:Q", title="perplexity", format=chart.format),
    ]
    point = alt.OverlayMarkDef(filled=True, size=55)
    dots: alt.Chart = alt.Chart(points).mark_line(strokeWidth=1.8, point=point)
    return dots.encode(x=_step_axis(), y=_value_axis(chart), tooltip=tooltip, **_looks(chart))


def _trouble(points: pd.DataFrame) -> alt.Chart:
    """Marks at the top edge for values that were not finite: they have no height, and must not go unseen."""
    tooltip = [
        alt.Tooltip("step:Q", title="Step", format=",d"),
        alt.Tooltip("series:N", title="Not a finite number"),
    ]
    marks: alt.Chart = alt.Chart(points).mark_point(
        shape="triangle-down", filled=True, size=90, color=TROUBLE, opacity=1
    )
    marks = marks.transform_filter("!isValid(datum.value)")
    return marks.encode(x=_step_axis(), y=alt.value(5), tooltip=tooltip)


def _hover(table: pd.DataFrame, tooltip: Sequence[alt.Tooltip]) -> alt.Chart:
    """Upright lines that appear under the pointer and tell the values of their step.

    A fixed number of them: looking for the nearest point of a long series would cost the browser more than drawing
    it, and a line itself answers with its first point wherever it is hit.
    """
    under_pointer = alt.selection_point(
        name="under_pointer", on="pointerover", clear="pointerout", fields=["step"], empty=False
    )
    rules: alt.Chart = alt.Chart(table).mark_rule(color=NEUTRAL, strokeWidth=4)
    return rules.encode(
        x=_step_axis(),
        opacity=alt.when(under_pointer).then(alt.value(0.5)).otherwise(alt.value(0)),
        tooltip=[alt.Tooltip("step:Q", title="Step", format=",d"), *tooltip],
    ).add_params(under_pointer)


def _values_at_steps(chart: LiveChart, whole: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The values of all lines, side by side, at the steps that the thinned first line keeps."""
    table = _thinned(whole[chart.lines[0].key], _HOVER_POINTS)[["step"]]
    for line in chart.lines:
        values = whole[line.key][["step", "value"]].rename(columns={"value": line.key})
        table = table.merge(values, on="step", how="left")
    return table


def schedule_chart(
    steps: Sequence[int],
    values: Sequence[float],
    title: str,
    value_title: str,
    marks: Mapping[str, int] | None = None,
) -> alt.LayerChart:
    """A planned value over the steps of a run; `marks` are named steps, drawn as upright lines."""
    planned = pd.DataFrame({"step": np.asarray(steps, dtype="int64"), "value": np.asarray(values, dtype="float64")})
    named = pd.DataFrame(
        {
            "step": pd.Series(list((marks or {}).values()), dtype="int64"),
            "name": pd.Series(list(marks or {}), dtype="str"),
        }
    )
    y = alt.Y("value:Q").title(value_title).axis(format=".2~g", tickCount=5)
    rules = alt.Chart(named).mark_rule(color=NEUTRAL, strokeDash=_DASHED).encode(x=_step_axis())
    names = alt.Chart(named).mark_text(color=NEUTRAL, align="left", baseline="top", dx=4)
    line = alt.Chart(_thinned(planned, POINTS_PER_LINE)).mark_line(color=BCE_ON, strokeWidth=2)
    # The hover points need a name of their own for the value: two equal tables would be merged into one.
    hover = _thinned(planned, _HOVER_POINTS).rename(columns={"value": "planned"})
    layers = [
        rules,
        names.encode(x=_step_axis(), y=alt.value(0), text="name:N"),
        line.encode(x=_step_axis(), y=y),
        _hover(hover, [alt.Tooltip("planned:Q", title=value_title, format=".3~g")]),
    ]
    return alt.LayerChart(layer=layers).properties(title=title, height=SCHEDULE_HEIGHT)
