"""The results of one evaluation: the answer first, then on and off, the checkpoints, and the examples one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.evaluation.decomposition import known
from bcecore.evaluation.explorer import FINE_EDGES, REPORT_EDGES, length_buckets
from bcecore.evaluation.paired import Choice
from bcecore.findings.finding import by_severity
from bcecore.findings.of_evaluation import LookedOver, accepted_about
from bcecore.report.evaluation_words import choice_sentence, nats
from bcecore.store.acknowledged import read, without_accepted
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitSpec
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.evaluate_blocks import (
    show_as_reported,
    show_lengths,
    show_no_verdict,
    show_predicted,
    show_timing,
)
from bcecore.ui.evaluate_checkpoints import choice_of, drivers_of, show_choice, titles_of
from bcecore.ui.evaluate_downloads import differences_of, show_downloads
from bcecore.ui.evaluate_examples import show_examples
from bcecore.ui.evaluate_labels import show_labels
from bcecore.ui.evaluate_rows import Measured, examples_of
from bcecore.ui.evaluate_sides import show_sides
from bcecore.ui.evaluate_words import about_words, dropped_words, perplexity_words, reading_words
from bcecore.ui.evaluation_findings import looked_over
from bcecore.ui.findings_list import Accepting, show_findings
from bcecore.ui.words import count, plain

TAB_PARAMETER = "part"
"""Name of the query parameter that says which part of the results is shown."""
_ON_OFF, _CHECKPOINTS, _EXAMPLES = "On and off", "Checkpoints", "Examples"
_LABELS, _SIDES, _DOWNLOADS = "Labels", "Two sides", "Downloads"
_STEP = "evaluate:step"
# More than so many are chosen from a list.
_SHOWN_STEPS = 8
_EDGES = {"The report's two": REPORT_EDGES, "Finer": FINE_EDGES}


def show_results(
    store: RunStore, run: RunRecord, config: RunConfig, record: EvaluationRecord, result: Mapping[str, Any]
) -> None:
    """Everything that was measured; of an unfinished evaluation what there is of it."""
    assert record.request is not None
    steps = sorted({int(step) for entry in result["splits"].values() for step in entry["checkpoints"]})
    noticed = looked_over(store, record.key)
    choices = _choices(store, record, result, steps, noticed)
    # What on and off cannot say stands beside them.
    limiting = [finding for finding in noticed.findings if finding.id != "scored-twice"]
    limiting += [finding for split in choices for finding in drivers_of(_measured(store, record, result, split))]
    # What was accepted of the run is told on its own page.
    limiting = without_accepted(limiting, read(store.directory(run.id)))
    directory = EvaluationStore(store).directory(record.key)
    show_findings(by_severity(limiting), key="evaluation-findings", acknowledge=Accepting(directory))
    _answer(config, result, steps, choices)
    labelled = any(split.kind == "labelled" for split in record.request.splits)
    names = [_ON_OFF, _CHECKPOINTS, _EXAMPLES, _LABELS, _SIDES, _DOWNLOADS]
    if not choices:
        names.remove(_CHECKPOINTS)
    if not labelled:
        names.remove(_LABELS)
    parts = dict(zip(names, st.tabs(names, key=TAB_PARAMETER, bind="query-params"), strict=True))
    chosen = next(name for name, part in parts.items() if part.open)
    with parts[chosen]:
        if chosen == _ON_OFF:
            _on_and_off(store, config, record, result, steps)
        elif chosen == _CHECKPOINTS:
            for split, choice in choices.items():
                show_choice(split, _steps_of(result, split), choice, config, key=split)
        elif chosen == _EXAMPLES:
            show_examples(store, record.run_id, record.id, result)
        elif chosen == _LABELS:
            show_labels(store, record.run_id, record.id, result)
        elif chosen == _SIDES:
            show_sides(store, record.run_id, record.id, result)
        else:
            found = differences_of(result, config.bce.weight(1))
            show_downloads(store, record, about_words(record), found, result, noticed.findings)


def _steps_of(result: Mapping[str, Any], split: str) -> list[int]:
    return sorted(int(step) for step in result["splits"][split]["checkpoints"])


def _choices(
    store: RunStore,
    record: EvaluationRecord,
    result: Mapping[str, Any],
    steps: Sequence[int],
    noticed: LookedOver,
) -> dict[str, Choice | str]:
    """Which checkpoint to keep, for every text on which there are several, or why nobody can say."""
    if len(steps) < 2:
        return {}
    found = {split: _measured(store, record, result, split) for split in result["splits"]}
    accepted = accepted_about(store, record.key)
    return {
        split: choice_of(measured, noticed.against_choosing(split, accepted))
        for split, measured in found.items()
        if len(measured) > 1
    }


def _measured(store: RunStore, record: EvaluationRecord, result: Mapping[str, Any], split: str) -> list[Measured]:
    """The checkpoints that were measured on a text, the earliest first."""
    return [Measured(str(store.root), record.key, split, step) for step in _steps_of(result, split)]


# -- the answer


def _answer(
    config: RunConfig, result: Mapping[str, Any], steps: Sequence[int], choices: Mapping[str, Choice | str]
) -> None:
    """What came out, in a sentence or two, and a card for each text."""
    lines = {
        split: choice if isinstance(choice, str) else choice_sentence(choice, titles_of(_steps_of(result, split)))
        for split, choice in choices.items()
    }
    if not lines:
        st.subheader(_one_checkpoint_words(config, steps), anchor=False)
    elif len(lines) == 1:
        st.subheader(plain(*lines.values()), anchor=False)
    else:
        st.markdown("\n".join(f"- **{plain(split)}:** {plain(words)}" for split, words in lines.items()))
    with st.grid(4, min_column_width=220, key="evaluation-cards"):
        for split, entry in result["splits"].items():
            measured = {int(step): summary for step, summary in entry["checkpoints"].items()}
            if measured:
                with st.container(border=True, height="stretch", gap="xsmall"):
                    _card(split, measured, choices.get(split))


def _one_checkpoint_words(config: RunConfig, steps: Sequence[int]) -> str:
    if not config.bce.enabled:
        return f"Step {steps[0]:,} was trained without BCE, so on and off are the same."
    return f"Step {steps[0]:,} predicts the same with BCE on and off; only BCE's own term is added to the score."


def _card(split: str, measured: Mapping[int, Mapping[str, Any]], choice: Choice | str | None) -> None:
    """CE on one text: of the checkpoint to keep, or of the last."""
    steps = sorted(measured)
    step = steps[choice.keep] if isinstance(choice, Choice) else steps[-1]
    summary = measured[step]
    ce, perplexity, bits = (known(summary.get(name)) for name in ("ce", "perplexity", "bits_per_byte"))
    st.metric(
        plain(split),
        "not a number" if ce is None else nats(ce),
        delta="nats per token (CE)",
        delta_color="off",
        delta_arrow="off",
        help="How surprised the model is by the next token, on average over all tokens. Lower is better.",
    )
    parts = [f"Step {step:,}"]
    if perplexity is not None:
        parts.append(f"perplexity {perplexity_words(perplexity)}")
    if bits is not None:
        parts.append(f"{nats(bits)} bits per byte")
    parts.append(count(summary["examples"], "text"))
    st.caption(" · ".join(parts))


# -- on and off


def _on_and_off(
    store: RunStore, config: RunConfig, record: EvaluationRecord, result: Mapping[str, Any], steps: Sequence[int]
) -> None:
    step = _step(steps)
    of_step = _of_step(result, step)
    found = differences_of(of_step, config.bce.weight(1))[step]
    show_no_verdict()
    show_as_reported(found, config.bce.weight(1), f"step {step:,}, as training had it")
    show_predicted(found, of_step)
    with st.expander("CE by length", icon=":material/straighten:", key="lengths", on_change="rerun") as lengths:
        if lengths.open:
            _lengths(store, record, step, list(of_step["splits"]))
    with st.expander("What was read, and how long it took", icon=":material/timer:", key="read-and-timed"):
        _read(record, of_step, step)
        show_timing(of_step)


def _step(steps: Sequence[int]) -> int:
    if len(steps) == 1:
        return steps[0]
    if st.session_state.get(_STEP) not in steps:
        st.session_state[_STEP] = steps[-1]
    title = "Step {:,}".format
    chosen: int | None
    if len(steps) > _SHOWN_STEPS:
        chosen = st.selectbox("Checkpoint", steps, format_func=title, key=_STEP, width=260)
    else:
        chosen = st.segmented_control("Checkpoint", steps, format_func=title, key=_STEP, required=True)
    assert chosen is not None  # one of them is always chosen
    return chosen


def _of_step(result: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The part of a result that is about one checkpoint; texts on which it was not scored are left out."""
    splits = {
        split: {"checkpoints": {str(step): entry["checkpoints"][str(step)]}}
        for split, entry in result["splits"].items()
        if str(step) in entry["checkpoints"]
    }
    return {**result, "splits": splits}


def _lengths(store: RunStore, record: EvaluationRecord, step: int, splits: Sequence[str]) -> None:
    edges = st.segmented_control("Lengths", list(_EDGES), default=next(iter(_EDGES)), required=True, key="length-edges")
    assert edges is not None  # one of them is always chosen
    for split in splits:
        st.markdown(f"**{plain(split)}**")
        try:
            examples = examples_of(Measured(str(store.root), record.key, split, step))
        except RunError as error:
            st.error(plain(str(error)), icon=":material/broken_image:")
            continue
        show_lengths(split, length_buckets(examples, _EDGES[edges]))


def _read(record: EvaluationRecord, of_step: Mapping[str, Any], step: int) -> None:
    assert record.request is not None
    lines = []
    for split in record.request.splits:
        entry = of_step["splits"].get(split.name)
        if entry is not None:
            lines.append(f"- **{plain(split.name)}** · {plain(_read_words(split, entry['checkpoints'][str(step)]))}")
    st.markdown("\n".join(lines))


def _read_words(split: SplitSpec, summary: Mapping[str, Any]) -> str:
    parts = [split.source, count(split.rows, "text")]
    left_out = dropped_words(split.dropped)
    if left_out:
        parts.append(left_out)
    parts.append(reading_words(split, summary.get("cut")))
    return " · ".join(parts)


# -- while it is going on


def show_so_far(store: EvaluationStore, record: EvaluationRecord) -> None:
    """The figures that there are while more are being measured."""
    try:
        result = store.result(record.key)
    except RunError:
        return  # it says so once it is over
    splits = result["splits"] if result is not None else {}
    cards = [
        (split, {int(step): summary for step, summary in entry["checkpoints"].items()})
        for split, entry in splits.items()
        if entry["checkpoints"]
    ]
    if not cards:
        st.caption("The first figures appear here as soon as some texts are scored. You can leave; it goes on.")
        return
    st.caption("What was measured so far. You can leave; it goes on.")
    with st.grid(4, min_column_width=220, key="evaluation-so-far"):
        for split, measured in cards:
            with st.container(border=True, height="stretch", gap="xsmall"):
                _card(split, measured, None)
