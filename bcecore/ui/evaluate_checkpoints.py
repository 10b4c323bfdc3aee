"""Several checkpoints on the same texts: which one to keep, why, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from bcecore.config import RunConfig
from bcecore.errors import BceError
from bcecore.evaluation.paired import Choice, changes, compare, which_to_keep
from bcecore.findings.few_drivers import few_drivers
from bcecore.findings.finding import Finding
from bcecore.report.evaluation_charts import behind_chart
from bcecore.report.evaluation_tables import choice_table
from bcecore.report.evaluation_words import choice_sentence, comparison_cautions, fixed, nats
from bcecore.report.run_figures import run_color
from bcecore.ui.evaluate_rows import Measured, Signature, examples_of, state_of
from bcecore.ui.evaluate_tables import show_table
from bcecore.ui.evaluate_words import perplexity_words
from bcecore.ui.words import percent, plain


def choice_of(measured: Sequence[Measured], against: Finding | None = None) -> Choice | str:
    """Which of these checkpoints to keep on a text, the earliest first, or why that cannot be said.

    `against` is a finding that forbids to say it.
    """
    if against is not None:
        sentence = against.sentence
        return f"Nobody can say by this text which checkpoint to keep: {sentence[:1].lower()}{sentence[1:]}"
    try:
        return _choice(tuple(measured), tuple(state_of(side) for side in measured))
    except BceError as error:
        return str(error)


def drivers_of(measured: Sequence[Measured]) -> list[Finding]:
    """The finding about two checkpoints on a text, if there is one, whose difference a few documents make."""
    if len(measured) != 2:
        return []  # of more, the choice is made between many pairs
    try:
        return _drivers(measured[0], measured[1], tuple(state_of(side) for side in measured))
    except BceError:
        return []  # the choice says why they cannot be compared


@st.cache_resource(max_entries=50, show_spinner=False)
def _drivers(first: Measured, second: Measured, states: tuple[Signature | None, ...]) -> list[Finding]:
    sides = examples_of(first), examples_of(second)
    comparison, totals = compare(*sides), changes(*sides)["change_total"]
    return few_drivers(second.key, totals, comparison.low, comparison.high, f"“{second.split}”")


@st.cache_resource(max_entries=50, show_spinner="Comparing the checkpoints …")
def _choice(measured: tuple[Measured, ...], states: tuple[Signature | None, ...]) -> Choice:
    """Kept until more has been measured, which the `states` tell."""
    return which_to_keep([examples_of(side) for side in measured])


def titles_of(steps: Sequence[int]) -> list[str]:
    """What sentences call the checkpoints."""
    return [f"step {step:,}" for step in steps]


def show_choice(split: str, steps: Sequence[int], choice: Choice | str, config: RunConfig, *, key: str) -> None:
    """One text: the sentence, the picture and the table. `key` tells it from the others on the page."""
    with st.container(border=True, key=f"choice-{key}"):
        st.subheader(plain(split), anchor=False)
        if isinstance(choice, str):
            st.warning(plain(choice), icon=":material/block:")
            return
        st.markdown(f":material/bookmark_added: **{plain(choice_sentence(choice, titles_of(steps)))}**")
        for caution in _cautions(choice):
            st.caption(f":material/info: {plain(caution)}")
        table = choice_table(choice, titles_of(steps))
        picture, figures = st.columns([2, 3], gap="medium")
        with picture:
            st.vega_lite_chart(
                behind_chart(table, steps, run_color(config)),
                alt=f"How far each checkpoint is behind the one with the lowest CE on {split}",
            )
        with figures:
            _figures(table, split)
            st.caption(
                "Each checkpoint against the one with the lowest CE, text by text. The level of the intervals is "
                "raised with the number of comparisons, so that none looks better by luck."
                if len(steps) > 2
                else "The two checkpoints text by text; the interval is at 95 %."
            )


def _cautions(choice: Choice) -> list[str]:
    """What to keep in mind, each once."""
    compared = [comparison for comparison in choice.against_lowest if comparison is not None]
    return list(dict.fromkeys(words for comparison in compared for words in comparison_cautions(comparison)))


def _figures(table: pd.DataFrame, split: str) -> None:
    rows = pd.DataFrame(
        {
            "name": [
                f"{name[0].upper()}{name[1:]}{' · keep' if keep else ''}"
                for name, keep in zip(table["name"], table["keep"], strict=True)
            ],
            "ce": table["ce"].map(lambda x: fixed(x, 4)),
            "perplexity": table["perplexity"].map(perplexity_words),
            "behind": table["behind"].map(lambda x: "lowest" if x == 0 else nats(x)),
            "interval": [
                "" if pd.isna(low) else f"{nats(low)} to {nats(high)}"
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
            "better_on": table["better_on"].map(lambda x: "" if pd.isna(x) else percent(x)),
        }
    )
    titles = {
        "name": "Checkpoint",
        "ce": "CE",
        "perplexity": "Perplexity",
        "behind": "Above the lowest",
        "interval": "Interval",
        "better_on": "Texts on which it loses",
    }
    show_table(rows, titles, f"Checkpoints on {split}")
