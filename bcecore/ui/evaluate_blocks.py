"""BCE on and off side by side: as the report measured it, and what the model predicts.

The same for an evaluation of ours and for the report's own files. Every figure and sentence comes from
`report.evaluation_tables` and `report.evaluation_words`; what stands here is their order on the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from bcecore.evaluation.decomposition import Difference, exponential
from bcecore.evaluation.explorer import Bucket
from bcecore.report.evaluation_tables import (
    bucket_table,
    on_off_table,
    report_table,
    statistics_table,
    timing_table,
    totals_table,
)
from bcecore.report.evaluation_words import (
    AVERAGING_WORDS,
    difference_equation,
    difference_sentence,
    fixed,
    nats,
    signed,
)
from bcecore.settings import readable_number
from bcecore.ui.evaluate_tables import OFF, ON, show_table
from bcecore.ui.evaluate_words import perplexity_words
from bcecore.ui.page import STUDY_PAGE
from bcecore.ui.words import plain

Differences = Mapping[str, Sequence[Difference]]

NO_VERDICT = (
    "Here **one model is scored twice**, with BCE's term and without it. That shows what BCE adds to the score. It "
    "can never show whether BCE helped: for that, two models have to be trained, one with BCE and one without, and "
    "compared on text that neither has seen."
)
TOTALS_TITLES = {
    "split": "Text",
    "mode": "Mode",
    "weight": "weight",
    "mean_ce": "mean CE",
    "mean_total": "mean CE + w·R",
}


def show_no_verdict() -> None:
    """What scoring on and off cannot say."""
    st.info(NO_VERDICT, icon=":material/balance:")
    st.page_link(STUDY_PAGE, label="Find out in a study", icon=":material/science:")


def show_as_reported(splits: Differences, first_weight: float | None, own_weight: str) -> None:
    """The report's table, where its differences come from, and the same at the checkpoint's own weight.

    `first_weight` is w(1), where it is the same for all; `own_weight` says whose weight the second set has.
    """
    with st.container(border=True, key="as-reported"):
        st.subheader("As the report measured it", anchor=False)
        at = "" if first_weight is None else f" ({readable_number(float(f'{first_weight:.3g}'))})"
        st.markdown(
            f"**eval_loss = CE + w(1)·R.** A fresh trainer scores the text, and takes itself to be at step 1: BCE's "
            f"term R counts with the weight of that step{at}. Average: {AVERAGING_WORDS['examples']}."
        )
        printed = report_table(splits)
        if printed.empty:
            st.caption("Nothing was measured this way.")
        else:
            _printed(printed)
            _decomposed(splits)
        if any(_of(found, "objective", "examples") for found in splits.values()):
            st.markdown(f"**The same with the weight of {own_weight}**")
            _totals(splits)


def _printed(table: pd.DataFrame) -> None:
    titles = {
        "split": "Text",
        "mode": "Mode",
        "eval_loss": "eval_loss",
        "eval_loss_change": "Δ vs BCE on",
        "perplexity": "perplexity*",
        "perplexity_change": "Δ vs BCE on ",
    }
    show_table(table, titles, "The report's table: eval_loss with BCE on and off", words=("mode",))
    st.caption(
        "\\* As the report has it: exp(eval_loss), with BCE's term in it. Percentages are from unrounded values."
    )
    for split, note in table.loc[table["note"] != "", ["split", "note"]].itertuples(index=False):
        st.caption(f":material/calculate: {plain(split)}: {plain(note)}")


def _totals(splits: Differences) -> None:
    show_table(totals_table(splits), TOTALS_TITLES, "Mean CE and mean total with BCE on and off", words=("mode",))
    _sentences({name: _of(found, "objective", "examples") for name, found in splits.items()})


def _decomposed(splits: Differences) -> None:
    """Where each difference comes from, as figures and as the sentence that follows."""
    chosen = {name: _of(found, "report", "examples") for name, found in splits.items()}
    table = on_off_table(chosen)
    rows = pd.DataFrame(
        {
            "split": table["split"],
            "on": table["on"].map(lambda x: fixed(x, 5)),
            "off": table["off"].map(lambda x: fixed(x, 5)),
            **{name: table[name].map(_change) for name in ("change", "change_in_ce", "change_in_term")},
        }
    )
    titles = {
        "split": "Text",
        "on": ON,
        "off": OFF,
        "change": "Difference (on − off)",
        "change_in_ce": "= change in CE",
        "change_in_term": "+ change in w·R",
    }
    show_table(rows, titles, "Each difference between on and off, and its two parts")
    _sentences(chosen)


def _sentences(splits: Differences) -> None:
    """The sentence of each difference, once where it is the same for several texts, and the equations behind it."""
    said: dict[str, list[str]] = {}
    for name, found in splits.items():
        for difference in found:
            said.setdefault(difference_sentence(difference), []).append(name)
    for sentence, names in said.items():
        where = "" if len(said) == 1 else f"{plain(', '.join(names))}: "
        st.markdown(f":material/subdirectory_arrow_right: {where}**{plain(sentence)}**")
    lines = [
        f"{plain(name)}: {plain(difference_equation(difference))}"
        for name, found in splits.items()
        for difference in found
        if difference.change_in_term
    ]
    if lines:
        st.caption("  \n".join(lines))


def show_predicted(splits: Differences, result: Mapping[str, Any]) -> None:
    """CE and what is made of it: the same on both sides. `result` holds the splits of one checkpoint."""
    # Ours first, where it is known.
    chosen = {name: [each for each in found if each.measure == "model"][::-1] for name, found in splits.items()}
    known = {each.averaging for found in chosen.values() for each in found}
    averages = [AVERAGING_WORDS[way] for way in ("tokens", "examples") if way in known]
    with st.container(border=True, key="predicted"):
        st.subheader("What the model predicts", anchor=False)
        st.markdown(
            "**CE alone**: how surprised the model is by the next token, in nats. It is the same on both sides, "
            f"because the model is. Average: {' and below it, '.join(averages)}."
        )
        table = on_off_table(chosen)
        rows = pd.DataFrame(
            {
                "split": table["split"],
                "average": table["average"],
                "on": table["on"].map(_ce),
                "off": table["off"].map(_ce),
                "change": table["change"].map(_change),
                "perplexity": table["off"].map(lambda ce: perplexity_words(exponential(ce))),
            }
        )
        titles = {
            "split": "Text",
            "average": "Average",
            "on": ON,
            "off": OFF,
            "change": "Difference",
            "perplexity": "Perplexity = exp(CE)",
        }
        show_table(rows, titles, "CE with BCE on and off", words=("average",))
        _sentences(chosen)
        st.markdown("**How the texts differ**")
        _spread(result)


def _spread(result: Mapping[str, Any]) -> None:
    table = statistics_table(result)
    whole = ("examples", "tokens")
    rows = pd.DataFrame({"split": table["split"]})
    for name in whole:
        rows[name] = table[name].map(lambda x: "–" if pd.isna(x) else f"{int(x):,}")
    for name in ("ce_mean", "ce_median", "ce_p90", "bits_per_byte"):
        rows[name] = table[name].map(lambda x: "–" if pd.isna(x) else _ce(x))
    titles = {
        "split": "Text",
        "examples": "Texts",
        "tokens": "Predicted tokens",
        "ce_mean": "Mean CE of a text",
        "ce_median": "Median",
        "ce_p90": "9 of 10 are below",
        "bits_per_byte": "Bits per byte",
    }
    show_table(rows, titles, "CE over the texts: mean, median and 90th percentile")


def show_lengths(split: str, buckets: Sequence[Bucket]) -> None:
    """CE by the length of the text; empty buckets are left out."""
    table = bucket_table([bucket for bucket in buckets if bucket.examples != 0])
    rows = pd.DataFrame({"length": table["length"].map(lambda words: f"{words} tokens")})
    for name in ("examples", "tokens"):
        rows[name] = table[name].map(lambda x: "–" if pd.isna(x) else f"{x:,}")
    for name in ("ce_mean", "ce"):
        rows[name] = table[name].map(lambda x: "–" if pd.isna(x) else _ce(x))
    titles = {
        "length": "Length of the text",
        "examples": "Texts",
        "tokens": "Predicted tokens",
        "ce_mean": "Mean CE of a text (the report's)",
        "ce": "CE per token (ours)",
    }
    show_table(rows, titles, f"CE by length: {split}")


def show_timing(result: Mapping[str, Any]) -> None:
    """The report's timing rows."""
    table = timing_table(result)
    decimals = {"runtime": 4, "samples_per_second": 1, "steps_per_second": 1}
    rows = pd.DataFrame({"split": table["split"], "checkpoint": table["checkpoint"].map(lambda step: f"{step:,}")})
    for name, digits in decimals.items():
        rows[name] = table[name].map(lambda x, digits=digits: fixed(None if pd.isna(x) else x, digits))
    titles = {
        "split": "Text",
        "checkpoint": "Step",
        "runtime": "eval_runtime (s)",
        "samples_per_second": "eval_samples_per_second",
        "steps_per_second": "eval_steps_per_second",
    }
    show_table(rows, titles, "How long scoring took")
    st.caption("Loading the model is left out. A step is one batch; the report's batches held one text each.")


def _of(found: Sequence[Difference], measure: str, averaging: str) -> list[Difference]:
    return [each for each in found if each.measure == measure and each.averaging == averaging]


def _ce(x: float) -> str:
    return fixed(x, 4)


def _change(x: float) -> str:
    return signed(nats(x))
