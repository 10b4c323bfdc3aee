"""The charts, as Altair specifications: what is drawn and how, from logged values to axes, legends and tooltips.

Colours mean the same everywhere and suit both themes: each has a contrast of 3 or more on the light and on the dark
background, and they stay apart for colour-blind eyes (after Okabe and Ito). Lines that share a chart differ in their
dashes as well.

The specification of a live chart depends on the settings of the run only, never on its values: while points arrive only
the data change, and the browser moves the lines instead of building the chart anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from bcecore.config import RunConfig
from bcecore.report.metrics import COMPONENTS
from bcecore.report.summary import SeriesOf
from bcecore.report.thinning import thin

BCE_ON, BCE_OFF = "#1F7FC9", "#D55E00"
"""BCE on and off, everywhere."""
HELD_OUT = "#009E73"
NEUTRAL = "#7A7F87"
TROUBLE = "#D1495B"
HEIGHT = 320
SCHEDULE_HEIGHT = 220
SPARK_HEIGHT = 48
POINTS_PER_CHART = 2000
POINTS_PER_LINE = 400
_HOVER_POINTS = 120
# Names of the tables in a specification.
_LINES, _DOTS, _UNDER_POINTER = "lines", "dots", "under_pointer"
_PADDING = {"left": 0, "right": 8, "top": 0, "bottom": 0}
_SOLID: list[int] = [1, 0]
_DASHED, _DOTTED = [6, 3], [2, 2]


@dataclass(frozen=True)
class Line:
    """One line of a chart: the logged key, its name in the legend, and how it looks."""

    key: str
    name: str
    color: str
    dash: Sequence[int] = tuple(_SOLID)

    @property
    def title(self) -> str:
        """The name with the short one that the method's own texts use, where there is one: `reward (rl)`."""
        short = self.key.removeprefix("bce_")
        return f"{self.name} ({short})" if self.key in COMPONENTS and short != self.name else self.name


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
    about: str
    """What it shows, for somebody who has never trained a model."""
    format: str = ".4~r"
    from_zero: bool = False
    dots: Line | None = None
    """Values that exist at a few steps only, drawn as points joined by a line."""


def live_charts(config: RunConfig) -> list[LiveChart]:
    """The charts of a run with these settings, in their order on the page."""
    color = run_color(config)
    losses: tuple[Line, ...] = (Line("ce", "CE", color),)
    if config.bce.enabled:
        losses = (Line("loss", "loss with BCE", NEUTRAL, tuple(_DASHED)), *losses)
    checked = "held-out CE" if config.data.holds_out else "CE on re-used lines"
    held_out = Line("eval_loss", checked, HELD_OUT) if config.data.validation != "none" else None
    charts = [
        LiveChart(
            "loss",
            "Loss and CE",
            "nats per token",
            losses,
            "Loss and cross-entropy by step",
            "CE says how surprised the model is by the next token; it falls while the model learns. Held-out CE is the "
            "same on text that it does not learn from: when that rises while CE falls, the model learns by heart. "
            "The loss with BCE is what training minimises: CE plus BCE's weight times its value.",
            dots=held_out,
        ),
        LiveChart(
            "grad-norm",
            "Gradient norm",
            "length of the gradient",
            (Line("grad_norm", "gradient norm", color),),
            "Gradient norm by step",
            "How strongly the text of a step pulls at the weights. Single spikes are normal; a steady rise is not.",
            from_zero=True,
        ),
        LiveChart(
            "learning-rate",
            "Learning speed (learning rate)",
            "learning rate",
            (Line("learning_rate", "learning rate", color),),
            "Learning rate by step",
            "How far the weights move at a step: up during the warm-up, then down as the schedule says.",
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
            "How much BCE counts beside CE at each step.",
            from_zero=True,
        ),
        LiveChart(
            "bce-loss",
            "BCE loss (R, before weighting)",
            "R, own scale",
            (Line("bce_loss", "BCE loss", color),),
            "BCE loss by step",
            "BCE's own value. In a healthy run it moves by about 0.01, so it has a scale of its own.",
            format=".5~r",
        ),
        LiveChart(
            "bce-components",
            "BCE components",
            "value, 0 to 1",
            _component_lines(),
            "BCE components by step",
            "The nine parts that BCE's value is made of: the reward signal (rl), how typical the hidden state is "
            "(iso), how close it is to its long-term average (dcycle), to its neighbours (dbscan) and to its recent "
            "average (bayes), how strong it is (fuzzy), and discovery (auto), ethics and master, which stay constant.",
        ),
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


Spec = dict[str, Any]
"""A Vega-Lite specification as Altair gives it."""


@dataclass(frozen=True)
class Drawn:
    """A chart ready to be shown, and how many of its points are in it."""

    spec: Spec
    shown: int
    total: int


def draw(chart: LiveChart, series_of: SeriesOf) -> Drawn:
    """The chart of what has been logged so far, which may be nothing."""
    limit = min(POINTS_PER_LINE, POINTS_PER_CHART // len(chart.lines))
    whole = [_points(series_of, line.key) for line in chart.lines]
    shown = [points.thinned(limit) for points in whole]
    tables = {_LINES: _table(chart.lines, shown), _UNDER_POINTER: _values_at_steps(chart, whole)}
    if chart.dots is not None:
        dots = _table([chart.dots], [_points(series_of, chart.dots.key).thinned(limit)])
        with np.errstate(over="ignore"):  # the perplexity of a run that diverged is infinite, and may be shown so
            tables[_DOTS] = dots.assign(perplexity=np.exp(dots["value"]))
    return Drawn(
        _with_tables(_live_spec(chart), tables),
        sum(len(points.steps) for points in shown),
        sum(len(points.steps) for points in whole),
    )


def _with_tables(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> Spec:
    return {**spec, "datasets": dict(tables)}


@lru_cache(maxsize=256)
def _live_spec(chart: LiveChart) -> Spec:
    """The specification without its data. Building one takes Altair far longer than filling it with new points."""
    tooltip = [alt.Tooltip(f"{line.key}:Q", title=line.title, format=chart.format) for line in chart.lines]
    layers = [_lines(chart), _trouble(), _hover(alt.NamedData(_UNDER_POINTER), tooltip)]
    if chart.dots is not None:
        layers.insert(1, _dots(chart))
    return _as_spec(alt.LayerChart(layer=layers).properties(title=chart.title, height=HEIGHT, padding=_PADDING))


def _as_spec(chart: alt.Chart | alt.LayerChart) -> Spec:
    spec: Spec = chart.to_dict()
    del spec["config"]  # Altair's own theme; the page has one
    return spec


class _Points(NamedTuple):
    """The points of one line; a value that was not finite is NaN."""

    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def thinned(self, limit: int) -> _Points:
        kept = thin(self.values, limit)
        return _Points(self.steps[kept], self.values[kept])


def _points(series_of: SeriesOf, key: str) -> _Points:
    series = series_of(key)
    return _Points(series.steps, np.where(np.isfinite(series.values), series.values, np.nan))


def _table(lines: Sequence[Line], points: Sequence[_Points]) -> pd.DataFrame:
    """Columns step, value and series: one row a point, with the same types also when there are none."""
    names = [line.name for line, (steps, _) in zip(lines, points, strict=True) for _ in steps]
    return pd.DataFrame(
        {
            "step": np.concatenate([steps for steps, _ in points]),
            "value": np.concatenate([values for _, values in points]),
            "series": pd.Series(names, dtype="str"),
        }
    )


def _values_at_steps(chart: LiveChart, whole: Sequence[_Points]) -> pd.DataFrame:
    """The values of all lines, side by side, at the steps that the thinned first line keeps."""
    steps = whole[0].thinned(_HOVER_POINTS).steps
    columns = {
        line.key: pd.Series(points.values, index=points.steps).reindex(steps).to_numpy()
        for line, points in zip(chart.lines, whole, strict=True)
    }
    return pd.DataFrame({"step": steps, **columns})


def _step_axis() -> alt.X:
    axis = alt.Axis(title="Step", titlePadding=6, format=",d", tickMinStep=1, tickCount=6, grid=False)
    return alt.X("step:Q", axis=axis).scale(nice=False)


def _value_axis(chart: LiveChart) -> alt.Y:
    # The number format of very small values writes 0 as 0e+0.
    labels = "datum.value == 0 ? '0' : format(datum.value, '~e')" if chart.format.endswith("e") else alt.Undefined
    axis = alt.Axis(title=chart.unit, tickCount=5, labelExpr=labels)
    return alt.Y("value:Q", axis=axis).scale(zero=chart.from_zero)


def _looks(chart: LiveChart) -> dict[str, Any]:
    """Colour and dashes of the lines. Every layer with lines gets both, so that they share one legend."""
    lines = [*chart.lines, *([chart.dots] if chart.dots else [])]
    names = [line.name for line in lines]
    legend = None
    if len(lines) > 1:
        legend = alt.Legend(
            orient="bottom",
            title=None,
            columns=3,
            symbolType="stroke",
            symbolSize=140,
            offset=4,
            padding=0,
            rowPadding=4,
            columnPadding=8,
        )
    dashes = [list(line.dash) for line in lines]
    return {
        "color": alt.Color("series:N", legend=legend).scale(domain=names, range=[line.color for line in lines]),
        "strokeDash": alt.StrokeDash("series:N", legend=legend).scale(domain=names, range=dashes),
    }


def _lines(chart: LiveChart) -> alt.Chart:
    lines: alt.Chart = alt.Chart(alt.NamedData(_LINES)).mark_line(strokeWidth=1.8)
    return lines.encode(x=_step_axis(), y=_value_axis(chart), **_looks(chart))


def _dots(chart: LiveChart) -> alt.Chart:
    assert chart.dots is not None
    tooltip = [
        alt.Tooltip("step:Q", title="Step", format=",d"),
        alt.Tooltip("value:Q", title=chart.dots.name, format=chart.format),
        alt.Tooltip("perplexity:Q", title="perplexity", format=chart.format),
    ]
    point = alt.OverlayMarkDef(filled=True, size=55, aria=False)
    dots: alt.Chart = alt.Chart(alt.NamedData(_DOTS)).mark_line(strokeWidth=1.8, point=point)
    return dots.encode(x=_step_axis(), y=_value_axis(chart), tooltip=tooltip, **_looks(chart))


def _trouble() -> alt.Chart:
    """Marks at the top edge for values that were not finite: they have no height, and must not go unseen."""
    tooltip = [
        alt.Tooltip("step:Q", title="Step", format=",d"),
        alt.Tooltip("series:N", title="Not a finite number"),
    ]
    marks: alt.Chart = alt.Chart(alt.NamedData(_LINES)).mark_point(
        shape="triangle-down", filled=True, size=90, color=TROUBLE, opacity=1, aria=False
    )
    marks = marks.transform_filter("!isValid(datum.value)")
    return marks.encode(x=_step_axis(), y=alt.value(5), tooltip=tooltip)


def _hover(table: pd.DataFrame | alt.NamedData, tooltip: Sequence[alt.Tooltip]) -> alt.Chart:
    """Upright lines that appear under the pointer and tell the values of their step.

    A fixed number of them: looking for the nearest point of a long series would cost the browser more than drawing
    it, and a line itself answers with its first point wherever it is hit.
    """
    under_pointer = alt.selection_point(
        name="pointed_at", on="pointerover", clear="pointerout", fields=["step"], empty=False
    )
    rules: alt.Chart = alt.Chart(table).mark_rule(color=NEUTRAL, strokeWidth=4, aria=False)
    return rules.encode(
        x=_step_axis(),
        opacity=alt.when(under_pointer).then(alt.value(0.5)).otherwise(alt.value(0)),
        tooltip=[alt.Tooltip("step:Q", title="Step", format=",d"), *tooltip],
    ).add_params(under_pointer)


def sparkline(values: Sequence[float], color: str) -> Spec:
    """The course of a value in a few points, without axes. Below two values, a level line keeps its place."""
    shown = list(values) if len(values) > 1 else [0.0, 0.0]
    points = pd.DataFrame({"place": range(len(shown)), "value": np.asarray(shown, dtype="float64")})
    return _with_tables(_spark_spec(color), {_LINES: points})


@lru_cache(maxsize=8)
def _spark_spec(color: str) -> Spec:
    line: alt.Chart = alt.Chart(alt.NamedData(_LINES)).mark_line(color=color, strokeWidth=1.8, aria=False)
    line = line.encode(x=alt.X("place:Q", axis=None).scale(nice=False), y=alt.Y("value:Q", axis=None).scale(zero=False))
    return _as_spec(line.properties(height=SPARK_HEIGHT, padding=_PADDING))


def schedule_chart(
    steps: Sequence[int],
    values: Sequence[float],
    title: str,
    value_title: str,
    marks: Mapping[str, int] | None = None,
) -> alt.LayerChart:
    """A planned value over the steps of a run; `marks` are named steps, drawn as upright lines."""
    planned = _Points(np.asarray(steps, dtype=np.int64), np.asarray(values, dtype=np.float64))
    named = pd.DataFrame(
        {
            "step": pd.Series(list((marks or {}).values()), dtype="int64"),
            "name": pd.Series(list(marks or {}), dtype="str"),
        }
    )
    y = alt.Y("value:Q").title(value_title).axis(format=".2~g", tickCount=5)
    rules = alt.Chart(named).mark_rule(color=NEUTRAL, strokeDash=_DASHED).encode(x=_step_axis())
    names = alt.Chart(named).mark_text(color=NEUTRAL, align="left", baseline="bottom", dx=4, dy=-2)
    line_steps, line_values = planned.thinned(POINTS_PER_LINE)
    line = alt.Chart(pd.DataFrame({"step": line_steps, "value": line_values})).mark_line(color=BCE_ON, strokeWidth=2)
    # The hover points need a name of their own for the value: two equal tables would be merged into one.
    hover_steps, hover_values = planned.thinned(_HOVER_POINTS)
    hover = pd.DataFrame({"step": hover_steps, "planned": hover_values})
    layers = [
        rules,
        names.encode(x=_step_axis(), y=alt.value(0), text="name:N"),
        line.encode(x=_step_axis(), y=y),
        _hover(hover, [alt.Tooltip("planned:Q", title=value_title, format=".3~g")]),
    ]
    return alt.LayerChart(layer=layers).properties(title=title, height=SCHEDULE_HEIGHT, padding=_PADDING)
