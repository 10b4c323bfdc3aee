"""The curves of a run, drawn by the functions that the training uses: BCE weight and learning speed."""

from __future__ import annotations

import streamlit as st

from bcecore.config import RunConfig
from bcecore.report.small_charts import SCHEDULE_HEIGHT, schedule_chart
from bcecore.ui.words import number, scientific

_POINTS = 400
# Room of a chart, kept while there is none, so that the page does not jump.
_PLACEHOLDER_HEIGHT = SCHEDULE_HEIGHT + 20


def sampled_steps(total: int, boundaries: set[int]) -> list[int]:
    """The steps at which a curve over steps 1 to `total` is drawn: evenly spread, and every boundary in between.

    A boundary is a step where the curve may have a corner; its neighbours belong to it.
    """
    even = {1 + round(i * (total - 1) / (_POINTS - 1)) for i in range(_POINTS)}
    corners = {step + offset for step in boundaries for offset in (-1, 0, 1)}
    return sorted(even | {step for step in corners if 1 <= step <= total})


def show_schedules(config: RunConfig | None, total: int | None) -> None:
    """Both curves over this run's steps, side by side."""
    left, right = st.columns(2)
    if config is None or total is None:
        for column, what in ((left, "BCE weight"), (right, "learning speed")):
            with column, st.container(height=_PLACEHOLDER_HEIGHT, border=True):
                st.caption(f"The {what} over the run is drawn here as soon as the settings above are possible.")
        return
    with left, st.container(key="launch-bce-weight"):
        _bce_weight(config, total)
    with right, st.container(key="launch-learning-rate"):
        _learning_rate(config, total)


def _bce_weight(config: RunConfig, total: int) -> None:
    bce = config.bce
    ends = {"warm-up ends": bce.warmup_steps, "boost ends": bce.warmup_steps + bce.boost_span}
    marks = {name: step for name, step in ends.items() if bce.enabled and 1 <= step <= total}
    steps = sampled_steps(total, set(ends.values()))
    values = [bce.weight(t) for t in steps]
    st.vega_lite_chart(
        schedule_chart(steps, values, "BCE weight over the run", "BCE weight", marks),
        alt=f"BCE weight from step 1 ({number(values[0])}) to step {total:,} ({number(values[-1])}).",
    )


def _learning_rate(config: RunConfig, total: int) -> None:
    warmup = config.training.warmup_steps
    steps = sampled_steps(total, {warmup})
    values = [config.learning_rate(t, total) for t in steps]
    st.vega_lite_chart(
        schedule_chart(
            steps,
            values,
            "Learning speed over the run",
            "Learning rate",
            {"warm-up ends": warmup} if 1 <= warmup <= total else {},
        ),
        alt=f"Learning rate up to {scientific(max(values))}, {scientific(values[-1])} at step {total:,}.",
    )


def show_longer_learning_rate(config: RunConfig, longer: RunConfig | None, examples: int, joint: int) -> None:
    """The learning speed of a run that is made `longer`, over all of it, and what happens to it at step `joint`."""
    if longer is None:
        with st.container(height=_PLACEHOLDER_HEIGHT, border=True):
            st.caption("The learning speed over the longer run is drawn here.")
        return
    total = longer.total_steps(examples)
    steps = sampled_steps(total, {longer.training.warmup_steps, joint})
    values = [longer.learning_rate(t, total) for t in steps]
    before, after = config.learning_rate(joint, config.total_steps(examples)), longer.learning_rate(joint + 1, total)
    with st.container(key="longer-learning-rate"):
        st.vega_lite_chart(
            schedule_chart(
                steps, values, "Learning speed over the longer run", "Learning rate", {"goes on here": joint}
            ),
            alt=f"Learning rate from step 1 to step {total:,}; the new run begins at step {joint:,}.",
        )
    st.markdown(
        f"The whole run then has {total:,} steps, and its learning speed is planned over all of them: after step "
        f"{joint:,} it goes from {scientific(before)} to **{scientific(after)}**."
    )
