"""How somebody looks at the charts of a page: axis, smoothing, scales, and the stretch that is zoomed in on.

All but the zoom is in the page's address, so that a link shows what its sender saw; and it stays when another run is
chosen. A zoom belongs to one page of charts and one axis: somebody draws across one chart, and all of them follow.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from bcecore.report.chart_lines import Axis, Range
from bcecore.report.chart_spec import ZOOM
from bcecore.report.charts import Figure, View
from bcecore.report.smoothing import MOST
from bcecore.ui.crosshair import LINKED
from bcecore.ui.words import duration, number

_AXES: dict[Axis, str] = {"step": "Step", "epoch": "Epoch", "time": "Time"}
_AXIS, _SMOOTHING, _LOG_Y, _LOG_X, _CLIP = "x", "smoothing", "log", "log_x", "clip"
"""Names in the page's address."""
_ZOOM = "charts:zoom"


def choose_view(scope: str, axes: Set[Axis]) -> View:
    """Draw the controls and return what they say.

    `scope` names what the zoom belongs to: a run, or the runs that are compared. `axes` are those that the log has.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="chart-controls"):
        axis = st.segmented_control(
            "Horizontal axis",
            [axis for axis in _AXES if axis in axes],
            default="step",
            required=True,
            format_func=_AXES.__getitem__,
            key=_AXIS,
            bind="query-params",
            help="Step: how often the weights were changed. Epoch: how often the whole text was read. "
            "Time: since the first logged step, pauses included.",
        )
        smoothing = st.slider(
            "Smoothing",
            0.0,
            MOST,
            0.0,
            0.01,
            key=_SMOOTHING,
            bind="query-params",
            width=200,
            help="Draws a moving average and leaves the logged values faintly behind it.",
        )
        log_y = st.toggle(
            "Log scale",
            key=_LOG_Y,
            bind="query-params",
            help="Equal distances are equal factors. Values that are not above zero have no place on it.",
        )
        log_x = st.toggle(
            "Log horizontal axis", key=_LOG_X, bind="query-params", help="The same for the horizontal axis."
        )
        clip = st.toggle(
            "Leave out outliers",
            key=_CLIP,
            bind="query-params",
            help="Cuts the charts to the range that most values are in. Charts say how many points are beyond it.",
        )
    return View(axis, smoothing, log_y, log_x, clip, _window(scope, axis))


def show_chart(figure: Figure, spec: dict[str, Any], scope: str, view: View) -> None:
    """One chart; drawing across it zooms all charts of the scope."""
    key = f"{LINKED}-{scope}-{figure.key}"
    st.vega_lite_chart(
        spec,
        alt=figure.alt,
        key=key,
        on_select=partial(_zoomed, key, scope, view.x),
        selection_mode=[ZOOM],
    )


def show_zoom(view: View) -> None:
    """What stretch is shown, and the way back. Inside of a horizontal container."""
    if view.window is None:
        st.caption("Draw across a chart to zoom in; all charts follow.", width="content")
    else:
        st.caption(f"Zoomed in on {_stretch(view.x, view.window)}.", width="content")
    st.button(
        "Reset zoom",
        icon=":material/zoom_out_map:",
        key="reset-zoom",
        type="tertiary",
        disabled=view.window is None,
        on_click=_reset,
    )


def _stretch(axis: Axis, window: Range) -> str:
    low, high = window
    if axis == "time":
        return f"{duration(low / 1000)} to {duration(high / 1000)} after the start"
    if axis == "epoch":
        return f"epochs {number(low)} to {number(high)}"
    return f"steps {round(low):,} to {round(high):,}"


def _window(scope: str, axis: Axis) -> Range | None:
    held = st.session_state.get(_ZOOM)
    return held[2] if held is not None and held[:2] == (scope, axis) else None


def _reset() -> None:
    st.session_state.pop(_ZOOM, None)


def _zoomed(key: str, scope: str, axis: Axis) -> None:
    drawn = st.session_state[key]["selection"].get(ZOOM, {}).get("x")
    # A stretch goes away once the axis shows it; that says nothing new.
    if drawn:
        low, high = sorted(_place(edge) for edge in drawn)
        if high > low:
            st.session_state[_ZOOM] = (scope, axis, (low, high))


def _place(edge: Any) -> float:
    """A place on the axis, which for times comes as a date since 1970."""
    if isinstance(edge, str):
        return datetime.fromisoformat(edge).timestamp() * 1000
    return float(edge)
