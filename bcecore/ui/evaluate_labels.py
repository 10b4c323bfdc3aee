"""Labelled sets: how often the model gives the right label, which ones it mixes up, and whether to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from bcecore.errors import BceError
from bcecore.evaluation.labelled import LabelError, LabelMetrics, label_metrics, label_probabilities
from bcecore.report.evaluation_tables import class_table, confusion_table, reliability_table
from bcecore.report.evaluation_words import fixed, label_sentences
from bcecore.report.example_charts import MAX_NUMBERED_LABELS, confusion_chart, reliability_chart
from bcecore.store.evaluations import EvaluationStore, SplitSpec
from bcecore.store.runs import RunStore
from bcecore.ui import evaluate_list
from bcecore.ui.evaluate_examples import cannot_be_shown, choose_measured, measured_steps
from bcecore.ui.evaluate_rows import Measured, Signature, example_of, examples_of, state_of
from bcecore.ui.evaluate_tokens import show_colours, show_legend
from bcecore.ui.words import count, percent, plain

_KEY = "lab"
_WRONG, _RIGHT, _ALL = "Wrong", "Right", "All"
_KEPT = 16
_NUMBER = st.column_config.NumberColumn


@st.fragment
def show_labels(store: RunStore, run_id: str, evaluation_id: str, result: Mapping[str, Any] | None) -> None:
    """The labelled sets of an evaluation, one at a time.

    `result` is what `result.json` says by now; None before anything was measured.
    """
    key = f"{run_id}/{evaluation_id}"
    try:
        request = EvaluationStore(store).record(key).request
        specs = {split.name: split for split in (request.splits if request else ()) if split.labels is not None}
        if not specs:
            st.info(
                "No labelled texts are in this evaluation. With a .csv or .jsonl file of texts and their labels (such "
                "as positive and negative) you see here how often the model chooses the right one, and which labels it "
                "mixes up.",
                icon=":material/label:",
            )
            return
        steps_of = {name: steps for name, steps in measured_steps(result).items() if name in specs}
        if not steps_of:
            st.caption("The labelled texts are shown here as soon as the first ones are scored.")
            return
        with st.grid(4, min_column_width=150, vertical_alignment="bottom", key="lab-choices"):
            measured = choose_measured(store, key, steps_of, _KEY, on_split=_from_top)
        _show(measured, specs[measured.split], steps_of[measured.split])
    except BceError as error:
        cannot_be_shown(error)


def _from_top() -> None:
    evaluate_list.restart(_KEY)


def _show(measured: Measured, spec: SplitSpec, steps: Sequence[int]) -> None:
    assert spec.labels is not None
    st.caption(
        f"The model reads each text in the template “{plain(spec.template or '')}” with every label in turn; its "
        "answer is the label that it finds likeliest."
    )
    try:
        metrics = _metrics(measured, state_of(measured), spec.labels)
    except LabelError as error:
        st.warning(f"**These labels cannot be counted.** {plain(str(error))}", icon=":material/label_off:")
        return
    _headline(metrics)
    _checkpoints(measured, spec.labels, steps)
    with st.grid(2, min_column_width=400, gap="medium", key="lab-charts") as grid:
        with grid.cell():
            _confusion(metrics)
        with grid.cell():
            _calibration(metrics)
    _classes(metrics)
    _texts(measured, spec)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _metrics(measured: Measured, signature: Signature | None, labels: tuple[str, ...]) -> LabelMetrics:
    return label_metrics(examples_of(measured, labelled=True), labels)


def _headline(metrics: LabelMetrics) -> None:
    first, *others = label_sentences(metrics)
    st.markdown(f"**{plain(first)}** {plain(' '.join(others))}")
    with st.grid(4, min_column_width=150, key="lab-metrics"):
        st.metric(
            "Accuracy",
            percent(metrics.accuracy),
            border=True,
            help=f"The share of the texts with the right answer; 95 % between {percent(metrics.low)} and "
            f"{percent(metrics.high)}.",
        )
        st.metric(
            "Baseline",
            percent(metrics.baseline),
            border=True,
            help=f"The accuracy of answering “{plain(metrics.most_frequent)}” every time. A model has to beat this.",
        )
        st.metric(
            "Macro F1",
            fixed(metrics.macro_f1, 3),
            border=True,
            help="From 0 to 1: how well it does with each label, rare ones counting as much as common ones.",
        )
        st.metric(
            "Confidence gap",
            percent(metrics.calibration.error),
            border=True,
            help="How far its confidence and its being right are apart, on average (expected calibration error). At 0 "
            "it is right as often as it is sure.",
        )


def _checkpoints(measured: Measured, labels: tuple[str, ...], steps: Sequence[int]) -> None:
    """The same at every checkpoint, where there are several."""
    if len(steps) < 2:
        return
    rows: list[dict[str, float]] = []
    for step in steps:
        side = Measured(measured.root, measured.key, measured.split, step)
        try:
            found = _metrics(side, state_of(side), labels)
        except LabelError:
            rows.append({"step": step})  # a broken checkpoint is there, without figures
            continue
        rows.append(
            {
                "step": step,
                "accuracy": 100 * found.accuracy,
                "low": 100 * found.low,
                "high": 100 * found.high,
                "f1": found.macro_f1,
                "off": 100 * found.calibration.error,
            }
        )
    with st.expander("Every checkpoint", icon=":material/timeline:", key="lab-steps"):
        st.dataframe(
            pd.DataFrame(rows, columns=["step", "accuracy", "low", "high", "f1", "off"]),
            hide_index=True,
            height="content",
            column_config={
                "step": _NUMBER("Step", format="localized"),
                "accuracy": _NUMBER("Accuracy", format="%.1f %%"),
                "low": _NUMBER("95 % from", format="%.1f %%"),
                "high": _NUMBER("to", format="%.1f %%"),
                "f1": _NUMBER("Macro F1", format="%.3f"),
                "off": _NUMBER("Confidence gap", format="%.1f %%"),
            },
            alt="Accuracy, macro F1 and calibration of every checkpoint",
        )


def _confusion(metrics: LabelMetrics) -> None:
    st.subheader("What it takes for what", anchor=False)
    st.caption(
        "A row is for the texts of one label, a column for one answer of the model. On the diagonal, in green, it was "
        "right; elsewhere it took the label of the row for that of the column. This is called a confusion matrix."
    )
    st.altair_chart(
        confusion_chart(metrics),
        alt=f"Confusion matrix of {count(len(metrics.labels), 'label')}: right on {metrics.right:,} of "
        f"{count(metrics.examples, 'text')}. The table below has the numbers.",
    )
    table = confusion_table(metrics)
    # Beyond that the chart has no numbers, so the table is open.
    with st.expander(
        "As a table", icon=":material/table:", key="lab-matrix", expanded=len(metrics.labels) > MAX_NUMBERED_LABELS
    ):
        st.dataframe(
            table,
            column_config={"_index": st.column_config.TextColumn("Right label ↓ · answer →")},
            height="content",
            alt="Confusion matrix: right labels down, answers across",
        )
        _download("Download the matrix", table.to_csv(), "confusion-matrix.csv", "lab-get-matrix")


def _calibration(metrics: LabelMetrics) -> None:
    st.subheader("Can it be trusted when it is sure?", anchor=False)
    st.caption(
        "Each bar holds the texts on which it was about equally sure of its answer; the number above is how many. A "
        "bar that ends on the dashed line is as it should be; below the line the model is too sure of itself, above "
        "it not sure enough."
    )
    table = reliability_table(metrics)
    bars = "; ".join(
        f"{percent(found.confidence)} sure, right on {percent(found.accuracy)} of {count(found.examples, 'text')}"
        for found in metrics.calibration.bins
        if found.confidence is not None and found.accuracy is not None
    )
    st.altair_chart(reliability_chart(metrics), alt=f"How often it was right by how sure it was: {bars}.")
    with st.expander("As a table", icon=":material/table:", key="lab-bins"):
        shares = ["confidence_from", "confidence_to", "confidence", "accuracy"]
        st.dataframe(
            table.assign(**{name: 100 * table[name] for name in shares}),
            hide_index=True,
            height="content",
            column_config={
                "confidence_from": _NUMBER("Sure from", format="%.0f %%"),
                "confidence_to": _NUMBER("to", format="%.0f %%"),
                "texts": _NUMBER("Texts", format="localized"),
                "confidence": _NUMBER("Sure, mean", format="%.1f %%"),
                "accuracy": _NUMBER("Right", format="%.1f %%"),
            },
            alt="How often it was right by how sure it was",
        )


def _classes(metrics: LabelMetrics) -> None:
    st.subheader("Label by label", anchor=False)
    table = class_table(metrics)
    st.dataframe(
        table.assign(precision=100 * table["precision"], recall=100 * table["recall"]),
        hide_index=True,
        height="content",
        placeholder="–",
        column_config={
            "label": "Label",
            "texts": _NUMBER("Texts", format="localized", help="How many texts have this label."),
            "predicted": _NUMBER("Answers", format="localized", help="How often the model answered with it."),
            "recall": _NUMBER(
                "Found", format="%.1f %%", help="Of the texts with this label, how many it recognised (recall)."
            ),
            "precision": _NUMBER(
                "Trustworthy", format="%.1f %%", help="Of its answers with this label, how many were right (precision)."
            ),
            "f1": _NUMBER("F1", format="%.3f", help="Both in one number, from 0 to 1 (their harmonic mean)."),
        },
        column_order=["label", "texts", "predicted", "recall", "precision", "f1"],
        alt="Each label with how many of its texts were found and how far its answers can be trusted",
    )
    _download("Download this table", table.to_csv(index=False), "labels.csv", "lab-get-classes")


# -- the texts


def _texts(measured: Measured, spec: SplitSpec) -> None:
    assert spec.labels is not None
    st.subheader("Text by text", anchor=False)
    table = answers(examples_of(measured, labelled=True), spec.labels)
    right = table["label"] == table["predicted"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.segmented_control(
            "Answers",
            [_WRONG, _RIGHT, _ALL],
            default=_WRONG,
            required=True,
            key="lab-show",
            bind="query-params",
            persist_state="page",
            on_change=_from_top,
        )
        _download("Download all answers", table.to_csv(index=False), "answers.csv", "lab-get-answers")
    kept = table if shown == _ALL else table[right if shown == _RIGHT else ~right]
    if kept.empty:
        st.info(f"No answer was {'wrong' if shown == _WRONG else 'right'}.", icon=":material/check_circle:")
        return
    st.caption(
        f"{count(len(kept), 'text')}, the wrong answers first, and of them first those of which the model was surest."
        if shown != _RIGHT
        else f"{count(len(kept), 'text')}, those first of which the model was surest."
    )
    with st.grid(2, min_column_width=400, gap="medium", key="lab-both") as grid:
        with grid.cell():
            slot = st.container(key="lab-list")
        with grid.cell(), st.container(key="lab-one"):
            listing = evaluate_list.choose(_KEY, kept["number"].to_numpy(dtype=np.int64) - 1, spec.rows, spec.sha256)
            _one(measured, listing, table, spec.labels)
    with slot:
        evaluate_list.show_list(
            listing,
            kept.assign(sure=100 * kept["sure"]).drop(columns="number"),
            {
                "label": st.column_config.TextColumn("Right label", width=90),
                "predicted": st.column_config.TextColumn("Answer", width=90),
                "sure": _NUMBER("Sure", format="%.0f %%", width=60),
                "text": st.column_config.TextColumn("Text", width="medium"),
            },
            f"Texts with {shown.lower()} answers",
        )


def answers(rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The texts with the model's answers, the wrong ones first, and of them the surest first.

    `rows` has the columns example, text, label, predicted and label_scores. Columns: number (from 1), text, label,
    predicted, sure (the probability of the answer, a share of 1), and `probability of LABEL` for each label. Raises
    LabelError for scores that are no numbers.
    """
    chances = label_probabilities(list(rows["label_scores"]), len(labels))
    table = pd.DataFrame(
        {
            "number": rows["example"].to_numpy() + 1,
            "text": rows["text"].to_numpy(),
            "label": rows["label"].to_numpy(),
            "predicted": rows["predicted"].to_numpy(),
            "sure": chances.max(axis=1),
        }
    )
    for place, label in enumerate(labels):
        table[f"probability of {label}"] = chances[:, place]
    is_right = (table["label"] == table["predicted"]).to_numpy()
    return table.iloc[np.lexsort((-table["sure"].to_numpy(), is_right))].reset_index(drop=True)


def _one(measured: Measured, listing: evaluate_list.Listing, table: pd.DataFrame, labels: Sequence[str]) -> None:
    example = example_of(measured, listing.chosen)
    row = table[table["number"] == listing.chosen + 1]
    if example is None or row.empty:
        st.info(f"Text {listing.chosen + 1:,} was not scored.", icon=":material/search_off:")
        return
    answer = row.iloc[0]
    if answer["label"] == answer["predicted"]:
        words, icon = f"Right: “{answer['label']}”", ":green[:material/check_circle:]"
    else:
        words, icon = f"Wrong: “{answer['predicted']}” instead of “{answer['label']}”", ":red[:material/cancel:]"
    st.markdown(f"{icon} **{plain(words)}**, {percent(float(answer['sure']))} sure.")
    show_colours(example, key="lab-colours")
    chances = pd.DataFrame(
        {"label": list(labels), "chance": [100 * float(answer[f"probability of {label}"]) for label in labels]}
    ).sort_values("chance", ascending=False, kind="stable")
    st.dataframe(
        chances.assign(right=np.where(chances["label"] == answer["label"], "✓", "")),
        hide_index=True,
        column_config={
            "label": "Label",
            "chance": st.column_config.ProgressColumn("How likely", min_value=0, max_value=100, format="%.1f %%"),
            "right": st.column_config.TextColumn("Right one", width=70),
        },
        alt="How likely the model finds each label of this text",
    )
    with st.expander("What the colours mean", key="lab-legend"):
        st.caption("The text alone, without the template: what the model knows of its words.")
        show_legend()


def _download(label: str, text: str, file_name: str, key: str) -> None:
    st.download_button(
        label,
        # With a mark at its beginning, by which spreadsheets know that it is UTF-8.
        text.encode("utf-8-sig"),
        file_name=file_name,
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        key=key,
    )
