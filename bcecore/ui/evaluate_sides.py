"""Two sides on the same texts: two checkpoints of an evaluation, or another evaluation, text by text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.evaluation.comparable import (
    SideOfComparison,
    shared_splits,
    what_differs,
)
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitSpec
from bcecore.store.runs import RunStore
from bcecore.ui.evaluate_changes import Side, from_top, show_changes
from bcecore.ui.evaluate_examples import cannot_be_shown, measured_steps
from bcecore.ui.evaluate_rows import Measured
from bcecore.ui.words import moment

_THIS = "this"
_WITH = "vs-with"


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
            show_changes(*sides)
    except BceError as error:
        cannot_be_shown(error)


# -- which two


@st.cache_resource(max_entries=4, show_spinner=False)
def _evaluations(root: str) -> EvaluationStore:
    """One for all open pages: it reads only those records again that have changed."""
    return EvaluationStore(RunStore(Path(root)))


def _choose(
    evaluations: EvaluationStore, store: RunStore, key: str, result: Mapping[str, Any]
) -> tuple[Side, Side] | None:
    """Let both sides be chosen; None where there is only one, and the page has said so."""
    steps_of = measured_steps(result)
    record = evaluations.record(key)
    others = {other.key: other for other in _others(evaluations, record)}
    with st.grid(4, min_column_width=150, vertical_alignment="bottom", key="vs-choices"):
        name = st.selectbox(
            "Texts", list(steps_of), key="vs-split", bind="query-params", persist_state="page", on_change=from_top
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
            on_change=from_top,
        )
        titles = _titles(store, others)
        # The address has the key and not the title, which changes with the name of a run.
        asked = st.query_params.get(_WITH)
        st.session_state[_WITH] = asked if asked in listed else listed[0]
        other_key = st.selectbox(
            "Compared with",
            listed,
            format_func=lambda other: titles.get(other, "This evaluation"),
            key=_WITH,
            on_change=_other_chosen,
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
            on_change=from_top,
        )
    root = str(store.root)
    mine, theirs = _step_words(first), _step_words(second)
    if other_key != _THIS:
        mine, theirs = _run_name(store, record), _run_name(store, other_record)
        mine, theirs = f"{mine}, {_step_words(first)}", f"{theirs}, {_step_words(second)}"
        if mine == theirs:
            mine, theirs = f"{mine} ({record.name})", f"{theirs} ({other_record.name})"
    return (
        Side(Measured(root, key, name, first), mine, spec, result),
        Side(Measured(root, other_record.key, found.name, second), theirs, found, other_result),
    )


def _other_chosen() -> None:
    st.query_params[_WITH] = st.session_state[_WITH]
    from_top()


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
