"""The curves of several runs in the same charts, each in its colour; runs of several seeds as a mean, if one likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import streamlit as st

from bcecore.report.chart_lines import Axis
from bcecore.report.charts import Band, Drawn, Figure, draw
from bcecore.report.comparability import Side
from bcecore.report.comparison import metric_of, overlaid_keys
from bcecore.report.differences import SeedGroup
from bcecore.report.palette import run_palette
from bcecore.report.run_figures import RunLines, overlay_figures
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui import compare_address as address
from bcecore.ui.chart_view import choose_view, show_chart, show_zoom
from bcecore.ui.compare_sides import open_sides
from bcecore.ui.crosshair import link_charts
from bcecore.ui.words import count

_SHOWN, _MEANS = "compare-shown", "compare-means"
_AT_FIRST = ("eval_loss", "ce", "loss", "grad_norm", "learning_rate", "bce_weight")
_MOST_AT_FIRST = 4


def show_charts(store: RunStore, records: Sequence[RunRecord], groups: Sequence[SeedGroup]) -> None:
    """The controls and a chart for each chosen measure."""
    chosen = [(record, None) for record in records]
    with open_sides(store, chosen) as sides:
        offered = overlaid_keys(sides)
        axes = _axes(sides)
        names = {key: _capital(metric_of(key, sides).name) for key in offered}
    if not offered:
        st.caption("The curves begin when two of the runs have logged the same value.")
        return
    # The zoom is kept for these runs, in whatever order they were chosen.
    scope = f"compare-{crc32(' '.join(sorted(record.id for record in records)).encode()):08x}"
    view = choose_view(scope, axes)
    keys = _choose_measures(names)
    means = _choose_means(groups)
    colors = run_palette([record.id for record in records])
    drawn: list[tuple[Figure, Drawn]] = []
    with open_sides(store, chosen) as sides:
        lines = [RunLines(side.name, colors[side.record.id], side, side.origin) for side in sides]
        for key in keys:
            for figure in overlay_figures(lines, [key]):
                figure = _with_means(figure, key, sides, groups, colors) if means else figure
                drawn.append((figure, draw(figure, view)))
    with st.container(horizontal=True, vertical_alignment="center", key="compare-charts-state"):
        st.caption(_reach_words([picture for _, picture in drawn]), width="content")
        show_zoom(view)
        link_charts()
    with st.grid(2, min_column_width=340, key="compare-charts"):
        for figure, picture in drawn:
            with st.container(border=True, key=f"overlay-{figure.key}"):
                show_chart(figure, picture.spec, scope, view)


def _axes(sides: Sequence[Side]) -> set[Axis]:
    """Those that at least one of the runs has logged."""
    known: set[Axis] = {"step"}
    for axis in ("epoch", "time"):
        if any(axis in side.keys for side in sides):
            known.add(axis)
    return known


def _choose_measures(names: Mapping[str, str]) -> list[str]:
    """The measures in the address, else those that people look at first. `names` of all that are offered."""
    offered = list(names)
    at_first = [key for key in _AT_FIRST if key in names][:_MOST_AT_FIRST] or offered[:_MOST_AT_FIRST]
    chosen = [key for key in address.shown() if key in offered] or at_first
    st.session_state[_SHOWN] = chosen
    st.multiselect(
        "Measures",
        offered,
        key=_SHOWN,
        format_func=names.__getitem__,
        placeholder="Choose what to draw",
        help="Everything that at least two of the runs have logged.",
        on_change=_measures_chosen,
    )
    return chosen


def _measures_chosen() -> None:
    address.set_shown(st.session_state[_SHOWN])


def _choose_means(groups: Sequence[SeedGroup]) -> bool:
    if not groups:
        return False
    st.session_state[_MEANS] = address.seed_means()
    st.toggle(
        "One curve for all seeds",
        key=_MEANS,
        help="Runs that differ in nothing but their seed are drawn as their mean, with a band from the lowest to the "
        "highest.",
        on_change=_means_chosen,
    )
    return address.seed_means()


def _means_chosen() -> None:
    address.set_seed_means(st.session_state[_MEANS])


def _with_means(
    figure: Figure, key: str, sides: Sequence[Side], groups: Sequence[SeedGroup], colors: dict[str, str]
) -> Figure:
    bands = []
    joined: set[str] = set()
    for group in groups:
        members = [sides[place] for place in group.members if len(sides[place].series(key))]
        if len(members) > 1:
            names = {side.name for side in members}
            dots = all(trace.dots for trace in figure.traces if trace.name in names)
            color = colors[members[0].record.id]
            bands.append(Band(group.name, color, tuple(side.series(key) for side in members), dots))
            joined |= names
    traces = tuple(trace for trace in figure.traces if trace.name not in joined)
    return replace(figure, traces=traces, bands=tuple(bands))


def _reach_words(pictures: Sequence[Drawn]) -> str:
    """Of the longest line, which is what people count in."""
    shown, logged = max((picture.longest for picture in pictures), key=lambda longest: longest[1], default=(0, 0))
    if shown < logged:
        return f"Showing {shown:,} of {count(logged, 'point')} a line; spikes are always kept."
    return f"Showing all {count(logged, 'point')}."


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
