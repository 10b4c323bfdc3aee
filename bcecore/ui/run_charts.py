"""The charts of the Run page, and the way to take them along."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.report.chart_data import as_csv
from bcecore.report.chart_lines import Axis
from bcecore.report.chart_spec import HEIGHT
from bcecore.report.charts import Drawn, Figure, Mark, View, draw
from bcecore.report.render import as_png, as_svg
from bcecore.report.run_figures import run_figures
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.history import History
from bcecore.store.runs import RunStore
from bcecore.ui.chart_view import choose_view, show_chart, show_zoom
from bcecore.ui.crosshair import link_charts
from bcecore.ui.live import open_history
from bcecore.ui.words import count, plain

_FORMATS = {
    "PNG picture": ("png", "image/png"),
    "SVG picture": ("svg", "image/svg+xml"),
    "Numbers": ("csv", "text/csv"),
}
_MORE = "more-charts"


def show_charts(
    store: RunStore, run_id: str, config: RunConfig | None, findings: Sequence[Finding], *, waiting: bool
) -> None:
    """The controls and all charts of a run, or placeholders while there is nothing to draw.

    `findings` are marked at their steps.
    """
    steps = checkpoint_steps(store.directory(run_id))
    marks = [Mark(step, "checkpoint", f"Checkpoint of step {step:,}") for step in steps]
    # The series are views of arrays that grow: nobody else may read on while they are drawn.
    with open_history(store, run_id) as history:
        logged = len(history.steps) > 0
        view = choose_view(run_id, _axes(history))
        figures = run_figures(history, config, marks, findings)
        charts = [(figure, draw(figure, view)) for figure in figures if not figure.more]
        _below_controls(store, run_id, config, figures, charts, view, waiting=waiting)
        _grid(charts, run_id, view, placeholders=waiting and not logged)
        folded = [figure for figure in figures if figure.more]
        if folded:
            more = st.expander("More values", icon=":material/stacked_line_chart:", key=_MORE, on_change="rerun")
            if more.open:
                with more:
                    _grid([(figure, draw(figure, view)) for figure in folded], run_id, view, placeholders=False)
    with st.expander("What these charts show", icon=":material/help:"):
        signs = (
            "- **Signs.** ◆ is a checkpoint. A red ▲ is where something was noticed: “Findings” below says what. A red "
            "▼ at the top edge is a value that was not a number, or infinite. "
            "Point at a chart to read its values; draw across it to zoom in."
        )
        st.markdown("\n".join([*(f"- **{plain(figure.title)}.** {figure.about}" for figure in figures), signs]))


def _axes(history: History) -> set[Axis]:
    known: set[Axis] = {"step"}
    for axis in ("epoch", "time"):
        if axis in history.keys or not len(history.steps):
            known.add(axis)
    return known


def _grid(charts: Sequence[tuple[Figure, Drawn]], run_id: str, view: View, *, placeholders: bool) -> None:
    with st.grid(2, min_column_width=340):
        for figure, drawn in charts:
            with st.container(border=True, key=f"chart-{figure.key}"):
                if placeholders:
                    st.skeleton(HEIGHT)
                else:
                    show_chart(figure, drawn.spec, run_id, view)


def _below_controls(
    store: RunStore,
    run_id: str,
    config: RunConfig | None,
    figures: Sequence[Figure],
    charts: Sequence[tuple[Figure, Drawn]],
    view: View,
    *,
    waiting: bool,
) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="charts-state"):
        st.caption(_how_many([drawn for _, drawn in charts], waiting=waiting), width="content")
        show_zoom(view)
        with st.popover("Download a chart", icon=":material/download:", type="tertiary", key="download-charts"):
            _download(store, run_id, config, figures, view)
        link_charts()


def _how_many(charts: Sequence[Drawn], *, waiting: bool) -> str:
    total = sum(drawn.total for drawn in charts)
    if not total:
        return "The charts begin with the first step." if waiting else "No step was logged."
    # Of the longest line, which is what people count in.
    longest = max(charts, key=lambda drawn: drawn.longest[1]).longest
    shown, logged = longest
    if shown < logged:
        return f"Showing {shown:,} of {count(logged, 'point')} a line; spikes are always kept."
    return f"Showing all {count(logged, 'point')}."


def _download(store: RunStore, run_id: str, config: RunConfig | None, figures: Sequence[Figure], view: View) -> None:
    titles = {figure.key: figure.title for figure in figures}
    key = st.selectbox("Chart", list(titles), format_func=titles.__getitem__, key="download-chart-which")
    asked = st.segmented_control(
        "As", list(_FORMATS), default="PNG picture", required=True, key="download-chart-format"
    )
    ending, mime = _FORMATS[asked]
    st.download_button(
        "Download",
        partial(chart_file, store, run_id, config, key, view, ending, dark=st.context.theme.type == "dark"),
        file_name=f"{run_id}-{key}.{ending}",
        mime=mime,
        on_click="ignore",
        icon=":material/download:",
        key="download-chart",
    )
    st.caption(
        "All values as they were logged, to calculate with."
        if ending == "csv"
        else "The chart as it is shown now, with its zoom and smoothing."
    )


def chart_file(
    store: RunStore, run_id: str, config: RunConfig | None, key: str, view: View, ending: str, *, dark: bool
) -> bytes | str:
    """One chart of a run as a file: `ending` is csv, svg or png. Made when somebody clicks, and not before."""
    with open_history(store, run_id) as history:
        figure = next(figure for figure in run_figures(history, config) if figure.key == key)
        if ending == "csv":
            return as_csv(figure)
        spec = draw(figure, view).spec
    return as_svg(spec, dark) if ending == "svg" else as_png(spec, dark)
