"""What evaluations say of the steps that are compared: which to keep on each text, and what changed text by text.

Nothing is measured here. Where nothing was, one click leads to the form that measures these checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from bcecore.config import RunConfig
from bcecore.errors import BceError, RunError
from bcecore.evaluation.comparable import SideOfComparison, what_differs
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.of_evaluation import accepted_about
from bcecore.store.acknowledged import without_accepted
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitSpec
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.evaluate_changes import Side, from_top, show_changes
from bcecore.ui.evaluate_checkpoints import choice_of, drivers_of, show_choice, titles_of
from bcecore.ui.evaluate_examples import cannot_be_shown
from bcecore.ui.evaluate_rows import Measured
from bcecore.ui.evaluate_words import checkpoint_words
from bcecore.ui.evaluation_findings import looked_over
from bcecore.ui.findings_list import show_findings
from bcecore.ui.page import EVALUATE_PAGE, EVALUATION_PARAMETER, RUN_PARAMETER, STEPS_PARAMETER
from bcecore.ui.words import moment, plain

_CHANGES = "compare-changes"


@dataclass(frozen=True)
class OnText:
    """One text on which several of the compared steps were measured, read in the same way."""

    title: str
    split: SplitSpec
    sides: dict[int, tuple[Measured, SplitSpec]] = field(default_factory=dict)
    """By step, in order: where it was measured, and what the text is called there."""


def on_texts(store: RunStore, records: Sequence[EvaluationRecord], steps: Sequence[int]) -> list[OnText]:
    """The texts on which at least two of these steps were measured, those measured last first.

    `records` are the evaluations of one run, the newest first. Steps that were measured by different evaluations belong
    together if the guard of all comparisons finds nothing that differs; what was measured last of a step counts.
    """
    found: list[OnText] = []
    for record in records:
        if record.status != "finished" or record.request is None:
            continue
        for split in record.request.splits:
            group = next((each for each in found if _is_same(each.split, split)), None)
            if group is None:
                taken = any(each.title == split.name for each in found)
                title = f"{split.name} · {moment(record.created)} · {record.id[-4:]}" if taken else split.name
                group = OnText(title, split)
                found.append(group)
            for step in record.request.checkpoints:
                if step in steps and step not in group.sides:
                    group.sides[step] = Measured(str(store.root), record.key, split.name, step), split
    return [OnText(each.title, each.split, dict(sorted(each.sides.items()))) for each in found if len(each.sides) > 1]


def _is_same(first: SplitSpec, second: SplitSpec) -> bool:
    """Whether two texts were read alike; the tokenizer is the run's own, which is frozen with it."""
    return not what_differs(SideOfComparison("", first, ""), SideOfComparison("", second, ""))


def show_measured(
    store: RunStore, config: RunConfig, records: Sequence[EvaluationRecord], steps: Sequence[int]
) -> set[int]:
    """A box for each text, and below what changed text by text; returns the steps that were measured somewhere."""
    found = on_texts(store, records, steps)
    if found:
        st.header("Measured on texts", anchor=False)
    told: set[str] = set()
    for number, text in enumerate(found):
        sides = [measured for measured, _ in text.sides.values()]
        about, against = _noticed(store, text)
        # What is about the model is the same on all texts.
        about += drivers_of(sides)
        unsaid = {finding.sentence: finding for finding in about if finding.sentence not in told}
        told |= set(unsaid)
        show_findings(by_severity(unsaid.values()), key=f"measured-{number}")
        choice = choice_of(sides, against)
        show_choice(text.title, list(text.sides), choice, config, key=f"{number}-{text.split.sha256[:8]}")
    if found:
        with st.expander(
            "What changed, text by text", icon=":material/difference:", key=_CHANGES, on_change="rerun"
        ) as changes:
            if changes.open:
                _changes(store, found)
    return {step for text in found for step in text.sides}


def _noticed(store: RunStore, text: OnText) -> tuple[list[Finding], Finding | None]:
    """What limits the measured steps on a text, and what forbids to choose one of them, if anything does.

    What was accepted is told where that was done: on the Evaluate page, or on the run's own.
    """
    found: list[Finding] = []
    against: Finding | None = None
    # The steps can be of several evaluations, which call the text by several names.
    for key, name in dict.fromkeys((measured.key, measured.split) for measured, _ in text.sides.values()):
        noticed, accepted = looked_over(store, key), accepted_about(store, key)
        about = [finding for finding in noticed.model if finding.id != "scored-twice"]
        found += without_accepted([*about, *noticed.splits.get(name, ())], accepted)
        against = against or noticed.against_choosing(name, accepted)
    return found, against


@st.fragment
def _changes(store: RunStore, found: Sequence[OnText]) -> None:
    titles = {text.title: text for text in found}
    with st.container(horizontal=True, vertical_alignment="bottom", key="compare-sides"):
        text = found[0]
        if len(found) > 1:
            text = titles[st.selectbox("Texts", list(titles), key="compare-text", on_change=from_top, width=260)]
        steps = list(text.sides)
        first, second = steps[0], steps[-1]
        if len(steps) > 2:
            first = _step("First step", steps[:-1], steps[0])
            second = _step("Second step", [step for step in steps if step > first], steps[-1])
    try:
        evaluations = EvaluationStore(store)
        sides = []
        for step in (first, second):
            measured, split = text.sides[step]
            result = evaluations.result(measured.key)
            if result is None:
                raise RunError(f"The result of evaluation {measured.key} is gone. Evaluate once more.")
            sides.append(Side(measured, titles_of([step])[0], split, result))
        show_changes(*sides)
    except BceError as error:
        cannot_be_shown(error)


def _step(label: str, steps: Sequence[int], default: int) -> int:
    chosen: int = st.selectbox(
        label,
        steps,
        index=steps.index(default),
        key=f"compare-{label.split()[0].lower()}",
        format_func="Step {:,}".format,
        on_change=from_top,
        width=160,
    )
    return chosen


def show_next_step(
    record: RunRecord, records: Sequence[EvaluationRecord], steps: Sequence[int], measured: set[int]
) -> None:
    """Lead to the evaluation that is on its way, or else to one of these checkpoints, where they were not measured."""
    if len(steps) < 2 or measured.issuperset(steps):
        return
    on_its_way = next((each for each in records if not each.is_over and _covers(each, steps)), None)
    with st.container(horizontal=True, vertical_alignment="center", key="compare-evaluate"):
        if on_its_way is not None:
            st.caption(f"{plain(on_its_way.name)} is being measured.", width="content")
            address = {RUN_PARAMETER: record.id, EVALUATION_PARAMETER: on_its_way.id}
            st.page_link(EVALUATE_PAGE, label="See how far it is", icon=":material/pending:", query_params=address)
            return
        st.caption(
            "Measured on the same texts, their difference gets an interval, and every text says which step predicts "
            "it better.",
            width="content",
        )
        st.page_link(
            EVALUATE_PAGE,
            label=f"Evaluate {checkpoint_words(steps)}",
            icon=":material/fact_check:",
            query_params=[(RUN_PARAMETER, record.id), *((STEPS_PARAMETER, str(step)) for step in steps)],
        )


def _covers(record: EvaluationRecord, steps: Sequence[int]) -> bool:
    return record.request is not None and set(steps) <= set(record.request.checkpoints)
