"""The charts of the Run page."""

from __future__ import annotations

import streamlit as st

from bcecore.report.charts import HEIGHT, Drawn, LiveChart
from bcecore.ui.words import count


def show_charts(charts: list[tuple[LiveChart, Drawn]], points: int, *, waiting: bool) -> None:
    """All of them, or placeholders while there is nothing to draw."""
    shown, total = charts[0][1].shown, charts[0][1].total
    lines = len(charts[0][0].lines)
    if points:
        few = f"Showing {shown // lines:,} of {count(total // lines, 'point')} a line; spikes are always kept."
        st.caption(few if shown < total else f"Showing all {count(points, 'point')}.")
    else:
        st.caption("The charts begin with the first step." if waiting else "No step was logged.")
    with st.grid(2, min_column_width=340, key="charts"):
        for chart, drawn in charts:
            with st.container(border=True, key=f"chart-{chart.key}"):
                if points or not waiting:
                    st.vega_lite_chart(drawn.spec, alt=chart.alt)
                else:
                    st.skeleton(HEIGHT)
    with st.expander("What these charts show", icon=":material/help:"):
        st.markdown("\n".join(f"- **{chart.title}.** {chart.about}" for chart, _ in charts))
