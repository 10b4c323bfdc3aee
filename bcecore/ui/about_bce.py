"""The page that explains BCE to somebody who has never trained a model."""

from __future__ import annotations

import streamlit as st

from bcecore import schedule
from bcecore.report.about_charts import LONGEST, parts_chart, seed_loss_chart
from bcecore.report.bce_parts import seed_loss, seed_parts
from bcecore.report.document import Table
from bcecore.report.small_charts import schedule_chart
from bcecore.ui.launch_schedules import sampled_steps
from bcecore.ui.page import STUDY_PAGE
from bcecore.ui.run_tables import show_table
from bcecore.ui.words import number

_SMALLEST_LENGTH = 0.05


def show_answer() -> None:
    """What it is, in a few sentences."""
    st.markdown(
        "BCE is the **Behavioral Consciousness Engine**: a number that is worked out from what goes on inside the "
        "model while it reads, and that is added to the loss during training, with a weight that changes over the run. "
        "Such an addition is called a regulariser: it is to steer *how* the model learns, beside *what* it learns."
    )
    st.info(
        "**It is not binary cross-entropy**, which is often called BCE as well and is a different thing.",
        icon=":material/info:",
    )
    st.markdown(
        "The idea, its name and the report that this product starts from are those of the "
        "[Sollana Framework](https://github.com/pthinc/sollanaframework) by Prometech. The implementation here is an "
        "independent one, made from published formulas and figures."
    )


def show_objective() -> None:
    """CE, R, w, and what they add up to."""
    st.header("What it adds", anchor=False)
    with st.grid(3, min_column_width=240):
        for title, text in (
            (
                "CE · what the model is judged by",
                "How surprised the model is by the next word, on average (cross-entropy, in nats). Lower is better. "
                "Perplexity is exp(CE), and of nothing else.",
            ),
            (
                "R · the BCE loss",
                "BCE's own value. It is worked out from nine components, is negative, and hardly moves: in the seed "
                "profile it always lies between -0.465570 and -0.421126.",
            ),
            (
                "w · the BCE weight",
                "How much R counts at a step. It rises from 0 as planned below. Off means that it is 0 at every "
                "step, and this product has no other off.",
            ),
        ):
            with st.container(border=True, height="stretch", gap="xsmall"):
                st.markdown(f"**{title}**")
                st.markdown(text)
    st.markdown(
        "Training makes **CE + w × R** smaller: the *objective*, logged as “loss”. As R is negative and w rises, the "
        "loss falls a little by itself, without the model predicting anything better. At a weight of 0.44 that is "
        "about 0.2. This is why CE stands beside the loss everywhere here, and why only CE is compared."
    )


def show_schedule() -> None:
    """The weight over a run, drawn by the function that the training uses."""
    st.header("The weight over a run", anchor=False)
    st.markdown("Three stretches: a warm-up from 0, a boost to the highest weight, and level from there. Try it:")
    left, right = st.columns([2, 3], gap="large")
    with left:
        base = st.slider("Weight after the warm-up", 0.0, 1.0, 0.2, 0.01, key="start", bind="query-params")
        target = st.slider(
            "Cap on that weight",
            0.0,
            1.0,
            0.2,
            0.01,
            key="cap",
            help="The weight after the warm-up is never larger than this.",
            bind="query-params",
        )
        maximum = st.slider(
            "Highest weight", 0.0, 1.0, 0.5, 0.01, key="highest", help="0 means no boost.", bind="query-params"
        )
        warmup = st.slider("Warm-up, in steps", 0, 2000, 400, 10, key="warmup", bind="query-params")
        span = st.slider("Boost, in steps", 10, 4000, 2000, 10, key="boost", bind="query-params")
        total = st.slider("Steps of the run", 100, 5000, 2000, 100, key="length", bind="query-params")
    steps = sampled_steps(total, {warmup, warmup + span})
    weights = [
        schedule.bce_weight(step, base=base, target=target, maximum=maximum, warmup_steps=warmup, boost_span=span)
        for step in steps
    ]
    ends = {"warm-up ends": warmup, "boost ends": warmup + span if maximum else 0}
    marks = {name: step for name, step in ends.items() if 1 <= step <= total}
    with right:
        st.vega_lite_chart(
            schedule_chart(steps, weights, "BCE weight", "BCE weight", marks),
            alt=f"BCE weight from step 1 ({number(weights[0])}) to step {total:,} ({number(weights[-1])}).",
        )
        st.caption(
            f"At the last step the weight is {weights[-1]:.3g}: the loss is then lower than CE by about "
            f"{-weights[-1] * seed_loss(1.0):.2g}. The original report's values are 0.2, 0.2, 0.5, 400 and 2,000, over "
            "2,000 steps."
        )
        if 0 < maximum < min(base, target):
            st.caption("A run cannot be started so: the weight would fall after the warm-up.")


def show_parts() -> None:
    """The nine components, and how little of them moves in the seed profile."""
    st.header("The nine components", anchor=False)
    st.markdown(
        "R is the mean of nine numbers between 0 and 1, times -0.8. In the **seed profile**, which is what the "
        "original report ran, the hidden state is compared with itself, so that most of the nine are the same whatever "
        "the model does. Only its *length* counts, and only in one component."
    )
    length = st.slider(
        "Length of the hidden state",
        _SMALLEST_LENGTH,
        LONGEST,
        1.0,
        0.05,
        key="state",
        help="How large the numbers are that the model has in its last layer, taken together.",
        bind="query-params",
    )
    parts = seed_parts(length)
    with st.grid(2, min_column_width=340):
        with st.container(border=True):
            st.vega_lite_chart(
                parts_chart(length), alt="What each of the nine components gives to R. The table below has the numbers."
            )
        with st.container(border=True):
            st.vega_lite_chart(
                seed_loss_chart(length),
                alt=f"R by the length of the hidden state, from -0.4211 to -0.4656; here {seed_loss(length):.4f}.",
            )
    rows = tuple(
        (
            f"{part.name[:1].upper()}{part.name[1:]} ({part.key.removeprefix('bce_')})",
            part.about,
            f"{part.seed:.4f}" if part.seed else "0",
            f"{part.share_of_r:.4f}" if part.seed else "0",
            part.active,
        )
        for part in parts
    )
    whole = ("All together", "", "", f"{seed_loss(length):.4f}", "")
    columns = ("Component", "What it measures", "Value, seed", "Gives to R", "Active profile")
    show_table(Table("The nine components of BCE", columns, (*rows, whole)))


def show_profiles() -> None:
    """Seed and active, what they do to the model, and what can go wrong."""
    st.header("Two kinds of BCE", anchor=False)
    with st.grid(2, min_column_width=320):
        with st.container(border=True, height="stretch"):
            st.markdown("**As in the report · seed profile**")
            st.markdown(
                "R is worked out beside the model, and no gradient leads from it to the weights: it **changes the "
                "number that is logged and nothing else**. A run with it ends with the same weights, to the last bit, "
                "as one without. It is here so that the report can be repeated and understood."
            )
        with st.container(border=True, height="stretch"):
            st.markdown("**Acting · active profile**")
            st.markdown(
                "The hidden state is compared with what the run remembers of earlier ones, and R reaches the weights. "
                "It rewards states that are alike. Too much of it makes **all states alike**: they collapse, and the "
                "model says the same of every text. R does not show that; the *spread of the hidden states* does, and "
                "the Run page draws it."
            )
    st.header("Does it help?", anchor=False)
    st.markdown(
        "- **Scoring one model with and without BCE's term** cannot tell. The model is the same, so its CE is the "
        "same; only the added term moves.\n"
        "- **Training twins**, which differ in nothing but BCE, with several seeds, and comparing them on text that "
        "neither has learnt from: only that can.\n"
        "- One run, or one pair, may differ by chance alone."
    )
    st.page_link(STUDY_PAGE, label="Find out in a study", icon=":material/science:")
