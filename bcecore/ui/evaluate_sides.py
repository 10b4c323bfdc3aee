"""Two sides on the same texts: two checkpoints of an evaluation, or another evaluation, text by text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.evaluation.comparable import (
    NotComparable,
    SideOfComparison,
    must_be_comparable,
    shared_splits,
    what_differs,
)
from bcecore.evaluation.decomposition import known
from bcecore.evaluation.explorer import choose
from bcecore.evaluation.paired import Comparison, changes, compare
from bcecore.report.evaluation_words import (
    comparison_cautions,
    comparison_sentence,
    fixed,
    nats,
    signed,
)
from bcecore.report.example_charts import changes_chart
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitSpec
from bcecore.store.runs import RunStore
from bcecore.ui import evaluate_list
from bcecore.ui.evaluate_examples import cannot_be_shown, measured_steps
from bcecore.ui.evaluate_rows import Measured, Signature, example_of, examples_of, state_of
from bcecore.ui.evaluate_tokens import show_colours, show_legend
from bcecore.ui.words import count, moment, plain

_KEY = "vs"
_BIGGEST, _BETTER, _WORSE = "Biggest change first", "Got better most", "Got worse most"
_THIS = "this evaluation"
_KEPT = 16


@dataclass(frozen=True)
class _Side:
    """One side of the comparison."""

    measured: Measured
    name: str
    split: SplitSpec
    result: Mapping[str, Any]

    @property
    def of_comparison(self) -> SideOfComparison:
        return SideOfComparison(self.name, self.split, str(self.result["settings"]["tokenizer"]))

    @property
    def bits_per_byte(self) -> float | None:
        summary = self.result["splits"][self.split.name]["checkpoints"][str(self.measured.step)]
        return known(summary.get("bits_per_byte"))


@st.fragment
def show_sides(store: RunStore, run_id: str, evaluation_id: str, result: Mapping[str, Any] | None) -> None:
    """Compare two checkpoints, or two runs, on the same texts, the biggest change first.

    `result` is what `result.json` says by now; None before anything was measured.
    """
    if result is None or not measured_steps(result):
        st.caption("Two sides can be compared here as soon as texts are scored.")
        return
    try:
        sides = _choose(_evaluations(str(store.root)), store, f"{run_id}/{evaluation_id}", result)
        if sides is not None:
            _compare(*sides)
    except BceError as error:
        cannot_be_shown(error)


# -- which two


@st.cache_resource(max_entries=4, show_spinner=False)
def _evaluations(root: str) -> EvaluationStore:
    """One for all open pages: it reads only those records again that have changed."""
    return EvaluationStore(RunStore(Path(root)))


def _choose(
    evaluations: EvaluationStore, store: RunStore, key: str, result: Mapping[str, Any]
) -> tuple[_Side, _Side] | None:
    """Let both sides be chosen; None where there is only one, and the page has said so."""
    steps_of = measured_steps(result)
    record = evaluations.record(key)
    others = {other.key: other for other in _others(evaluations, record)}
    with st.grid(4, min_column_width=150, vertical_alignment="bottom", key="vs-choices"):
        name = st.selectbox(
            "Texts", list(steps_of), key="vs-split", bind="query-params", persist_state="page", on_change=_from_top
        )
        spec = _spec(record, name)
        if spec is None:
            return None
        steps = steps_of[name]
        listed = [*([_THIS] if len(steps) > 1 else []), *_nearest_first(evaluations, spec, result, others.values())]
        if not listed:
            st.info(
                "It takes two sides: evaluate a second checkpoint, or another run, on the same texts, and both are "
                "compared here text by text.",
                icon=":material/compare_arrows:",
            )
            return None
        first = st.selectbox(
            "First side",
            steps,
            format_func=_step_words,
            key="vs-first",
            bind="query-params",
            persist_state="page",
            on_change=_from_top,
        )
        titles = _titles(store, others)
        other_key = st.selectbox(
            "Compared with",
            listed,
            format_func=lambda other: titles.get(other, "This evaluation"),
            key="vs-with",
            bind="query-params",
            persist_state="page",
            on_change=_from_top,
        )
        other_result = result if other_key == _THIS else evaluations.result(other_key)
        other_record = record if other_key == _THIS else others[other_key]
        found = None if other_result is None else _second_split(spec, result, other_record, other_result)
        if other_result is None or found is None:
            st.caption("Nothing of it was measured yet.")
            return None
        there = [step for step in measured_steps(other_result)[found.name] if other_key != _THIS or step != first]
        second = st.selectbox(
            "Second side",
            there,
            index=len(there) - 1,
            format_func=_step_words,
            key="vs-second",
            bind="query-params",
            persist_state="page",
            on_change=_from_top,
        )
    root = str(store.root)
    mine, theirs = _step_words(first), _step_words(second)
    if other_key != _THIS:
        mine, theirs = _run_name(store, record), _run_name(store, other_record)
        mine, theirs = f"{mine}, {_step_words(first)}", f"{theirs}, {_step_words(second)}"
        if mine == theirs:
            mine, theirs = f"{mine} ({record.name})", f"{theirs} ({other_record.name})"
    return (
        _Side(Measured(root, key, name, first), mine, spec, result),
        _Side(Measured(root, other_record.key, found.name, second), theirs, found, other_result),
    )


def _from_top() -> None:
    evaluate_list.restart(_KEY)


def _step_words(step: int) -> str:
    return f"step {step:,}"


def _others(evaluations: EvaluationStore, record: EvaluationRecord) -> list[EvaluationRecord]:
    """The other evaluations of which something may have been measured, the newest first."""
    return [
        other
        for other in evaluations.records()
        if other.key != record.key and other.request is not None and other.status not in ("queued", "held", "removed")
    ]


def _nearest_first(
    evaluations: EvaluationStore, spec: SplitSpec, result: Mapping[str, Any], others: Iterable[EvaluationRecord]
) -> list[str]:
    """The keys of other evaluations: those that may be compared first, then those that differ, but in the texts."""

    def distance(other: EvaluationRecord) -> int:
        if other.request is None or not shared_splits([spec], other.request.splits):
            return 2
        found = evaluations.result(other.key)
        same_tokenizer = found is not None and found["settings"]["tokenizer"] == result["settings"]["tokenizer"]
        return 0 if same_tokenizer else 1

    return [other.key for other in sorted(others, key=distance)]


def _titles(store: RunStore, others: Mapping[str, EvaluationRecord]) -> dict[str, str]:
    """What other evaluations are called; the end of the id keeps those apart that share all else."""
    names = {other.run_id: _run_name(store, other) for other in others.values()}
    return {
        key: f"{names[other.run_id]} · {other.name} · {moment(other.created)} · {other.id[-4:]}"
        for key, other in others.items()
    }


def _run_name(store: RunStore, record: EvaluationRecord) -> str:
    try:
        return store.record(record.run_id).name
    except RunError:
        return record.run_id


def _spec(record: EvaluationRecord, name: str) -> SplitSpec | None:
    splits = () if record.request is None else record.request.splits
    return next((split for split in splits if split.name == name), None)


def _second_split(
    first: SplitSpec, result: Mapping[str, Any], other: EvaluationRecord, other_result: Mapping[str, Any]
) -> SplitSpec | None:
    """Of what the other evaluation measured, the texts that differ least from the first side's."""
    measured = measured_steps(other_result)
    splits = () if other.request is None else other.request.splits
    mine = SideOfComparison("", first, str(result["settings"]["tokenizer"]))

    def distance(split: SplitSpec) -> tuple[bool, int, bool]:
        theirs = SideOfComparison("", split, str(other_result["settings"]["tokenizer"]))
        return split.sha256 != first.sha256, len(what_differs(mine, theirs)), split.name != first.name

    return min((split for split in splits if split.name in measured), key=distance, default=None)


# -- what changed


def _compare(first: _Side, second: _Side) -> None:
    try:
        must_be_comparable(first.of_comparison, second.of_comparison)
        table, comparison = _changes(
            first.measured, state_of(first.measured), second.measured, state_of(second.measured)
        )
    except NotComparable as error:
        _refuse(first, second, error)
        return
    _headline(first, second, comparison)
    if comparison.identical:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox(
            "Order",
            [_BIGGEST, _BETTER, _WORSE],
            key="vs-order",
            bind="query-params",
            persist_state="page",
            on_change=_from_top,
            width=220,
            help=f"Better is with a lower CE on {second.name}.",
        )
        search = st.text_input(
            "Find",
            key="vs-find",
            bind="query-params",
            persist_state="page",
            placeholder="words of the text",
            on_change=_from_top,
            width=220,
        )
        st.download_button(
            "Download the changes",
            lambda: _csv(table, first, second),
            file_name=f"changes-{first.measured.step}-{second.measured.step}.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="vs-download",
        )
    found = _sorted(table, order, search)
    if found.empty:
        st.info("No text has these words.", icon=":material/search:")
        return
    slot = st.container(key="vs-list")
    listing = evaluate_list.choose(
        _KEY, found["example"].to_numpy(dtype=np.int64), second.split.rows, second.split.sha256
    )
    with slot:
        evaluate_list.show_list(
            listing,
            found,
            {
                "change": st.column_config.NumberColumn(
                    "Change", format="%+.3f", width=76, help="Of CE, nats per token. Below 0 the second side is better."
                ),
                "text": st.column_config.TextColumn("Text", width="large"),
                "ce_first": st.column_config.NumberColumn("CE, first", format="%.3f", width=76),
                "ce_second": st.column_config.NumberColumn("CE, second", format="%.3f", width=86),
                "tokens": st.column_config.NumberColumn("Tokens", format="localized", width=64),
            },
            "Texts by how much their CE changed",
        )
    _both(first, second, listing.chosen)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _changes(
    first: Measured, first_state: Signature | None, second: Measured, second_state: Signature | None
) -> tuple[pd.DataFrame, Comparison]:
    one, other = examples_of(first), examples_of(second)
    table = changes(one, other)
    # The search looks at lengths too, which nobody narrows here.
    return table.assign(length=table["tokens"]), compare(one, other)


def _sorted(table: pd.DataFrame, order: str, search: str) -> pd.DataFrame:
    if search.strip():
        fitting = choose(table.assign(ce=table["ce_second"]), search=search, order="as in the file")
        table = table[table["example"].isin(fitting["example"])]
    if order == _BIGGEST:
        return table
    return table.sort_values("change", ascending=order == _BETTER, kind="stable", na_position="last")


def _refuse(first: _Side, second: _Side, error: NotComparable) -> None:
    """Say what keeps the sides from being compared; what can be said of both all the same, say too."""
    st.warning(f"**No fair comparison.** {plain(str(error))}", icon=":material/balance:")
    found = what_differs(first.of_comparison, second.of_comparison)
    bits = [side.bits_per_byte for side in (first, second)]
    if [difference.what for difference in found] == ["the tokenizer"] and None not in bits:
        with st.container(horizontal=True):
            for side, value in zip((first, second), bits, strict=True):
                st.metric(
                    f"Bits per byte, {plain(side.name)}",
                    fixed(value, 4),
                    width="content",
                    help="How many bits the model needs for a byte of the text: the same measure however a text is cut "
                    "into tokens. Lower is better.",
                )


def _headline(first: _Side, second: _Side, comparison: Comparison) -> None:
    st.markdown(f"**{plain(comparison_sentence(comparison, first.name, second.name))}**")
    for caution in comparison_cautions(comparison):
        st.caption(f":material/info: {plain(caution)}")
    if comparison.identical or not comparison.documents:
        return
    with st.grid(2, min_column_width=400, gap="medium", key="vs-head") as grid:
        with grid.cell(), st.container(horizontal=True, key="vs-metrics"):
            st.metric(f"CE, {plain(first.name)}", fixed(comparison.ce_first, 3), width="content")
            st.metric(
                f"CE, {plain(second.name)}",
                fixed(comparison.ce_second, 3),
                # Streamlit reads the sign of a plain hyphen only, and draws its arrow after it.
                delta=f"{signed(nats(comparison.difference.value)).replace('−', '-')} nats per token",
                delta_color="inverse",
                width="content",
            )
            unchanged = f", no change on {comparison.same:,}" if comparison.same else ""
            st.caption(
                f"Better on {comparison.better:,}, worse on {comparison.worse:,}{unchanged} of "
                f"{count(comparison.documents, 'text')}. Long texts weigh more in CE than short ones."
            )
        with grid.cell():
            table, _ = _changes(first.measured, state_of(first.measured), second.measured, state_of(second.measured))
            st.altair_chart(
                changes_chart(table["change"].to_numpy(), second.name),
                alt=f"Texts by their change of CE: better on {comparison.better:,}, worse on {comparison.worse:,}",
            )


def _both(first: _Side, second: _Side, example: int) -> None:
    """One text as both sides predict it."""
    with st.grid(2, min_column_width=340, gap="medium", key="vs-both") as grid:
        for number, side in enumerate((first, second)):
            with grid.cell():
                found = example_of(side.measured, example)
                if found is None:
                    st.caption(f"Text {example + 1:,} was not scored with {plain(side.name)}.")
                    continue
                words = fixed(found["ce"], 3) if math.isfinite(found["ce"]) else "not a number"
                st.markdown(f"**{plain(side.name)}** · CE {plain(words)}")
                show_colours(found, key=f"vs-colours-{number}")
    show_legend()


def _csv(table: pd.DataFrame, first: _Side, second: _Side) -> bytes:
    columns: dict[str, npt.ArrayLike] = {
        "text_number": table["example"] + 1,
        "text": table["text"],
        "tokens": table["tokens"],
        f"ce ({first.name})": table["ce_first"],
        f"ce ({second.name})": table["ce_second"],
        "change": table["change"],
    }
    return pd.DataFrame(columns).to_csv(index=False).encode("utf-8-sig")
