"""The form for a new evaluation of a run: which checkpoints, on which texts, and what to do with long ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from bcecore.errors import BceError
from bcecore.jobs import evaluations
from bcecore.store.evaluations import LongTexts, SplitTexts
from bcecore.store.record import RunRecord
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore
from bcecore.ui.actions import once, sentence
from bcecore.ui.config_form import show_problems
from bcecore.ui.evaluate_texts import Chosen, fetch_hub, show_texts, stride_of, with_windows
from bcecore.ui.page import EVALUATION_PARAMETER, RUN_PAGE, RUN_PARAMETER, STEPS_PARAMETER
from bcecore.ui.words import count, plain

_LONG, _STRIDE, _NAME = "evaluate:long", "evaluate:stride", "evaluate:name"
_LONG_WORDS: dict[LongTexts, str] = {
    "truncate": "Cut, as the report did",
    "window": "Read in windows",
}
# More than so many are chosen from a list.
_SHOWN_STEPS = 12


def show_form(store: RunStore, record: RunRecord) -> None:
    """Choose what to evaluate and start it; what is wrong stands beside its field, and nothing typed is lost."""
    steps = evaluations.evaluable_steps(store, record.id)
    if not steps:
        _without_checkpoints(record)
        return
    with _section("1 · Checkpoints"):
        chosen_steps = _checkpoints(record, steps)
    with _section("2 · Texts"):
        chosen = show_texts(store, record.id)
    with _section("3 · Long texts"):
        stride = _long_texts(store, record.id, chosen)
    _foot(store, record, chosen_steps, chosen, stride)


def _without_checkpoints(record: RunRecord) -> None:
    if record.is_over:
        words = (
            "**This run has no checkpoint, so there is no model to evaluate.** It ended before it saved one, or its "
            "checkpoints were deleted. Resume it, or train another run."
        )
    else:
        words = (
            "**This run has not saved a checkpoint yet, so there is no model to evaluate.** It saves one now and then "
            "while it trains: come back then, or press “Save now” on its page."
        )
    st.info(words, icon=":material/hourglass_empty:")
    st.page_link(RUN_PAGE, label="Open the run", icon=":material/monitoring:", query_params={RUN_PARAMETER: record.id})


@contextmanager
def _section(title: str) -> Iterator[None]:
    with st.container(border=True):
        st.header(title, anchor=False)
        yield


def _checkpoints(record: RunRecord, steps: Sequence[int]) -> list[int]:
    key = f"evaluate:{record.id}:checkpoints"
    state = st.session_state
    # A link may ask for some. It is taken once, so that what is chosen afterwards stays.
    asked = [int(step) for step in st.query_params.get_all(STEPS_PARAMETER) if step.isdecimal() and int(step) in steps]
    st.query_params.pop(STEPS_PARAMETER, None)
    # A checkpoint may have been deleted since; the last one is what most people want.
    state[key] = asked or [step for step in state.get(key, steps[-1:]) if step in steps]
    final = record.step_reached if record.status == "finished" else None

    def title(step: int) -> str:
        return f"Step {step:,}, the end" if step == final else f"Step {step:,}"

    about = "Choose several to see which one to keep: each is compared with the others on the same texts."
    chosen: list[int]
    if len(steps) <= _SHOWN_STEPS:
        chosen = st.pills(
            "Evaluate",
            steps,
            selection_mode="multi",
            format_func=title,
            key=key,
            help=about,
            persist_state="session",
        )
    else:
        chosen = st.multiselect("Evaluate", steps, format_func=title, key=key, help=about, persist_state="session")
    if not chosen:
        st.caption("Choose at least one checkpoint.")
    elif len(steps) > 1:
        st.caption(about)
    return sorted(chosen)


def _long_texts(store: RunStore, run_id: str, chosen: Chosen) -> int | None:
    """The stride where long texts are read in windows, else None."""
    size = store.config(run_id).data.block_size
    st.session_state.setdefault(_LONG, "truncate")
    choice = st.segmented_control(
        f"Texts of more than {size:,} tokens",
        list(_LONG_WORDS),
        format_func=lambda name: _LONG_WORDS[name],
        key=_LONG,
        required=True,
        persist_state="session",
    )
    if choice == "truncate":
        st.markdown(
            f"The model reads {size:,} tokens at once, as in training. Of a longer text only its first {size:,} count."
        )
        return None
    st.markdown(
        f"A longer text is read in windows of {size:,} tokens that overlap, so that every token is predicted once and "
        "with text before it. Each window begins so many tokens behind the one before; fewer give each token more to "
        "go by, and take longer."
    )
    # Half a window, unless somebody has typed another one for a model that reads as much at once.
    key = f"{_STRIDE}:{size}"
    st.session_state.setdefault(key, str(size // 2))
    typed = st.text_input("From window to window (stride, tokens)", key=key, width=320, persist_state="session") or ""
    try:
        return stride_of(store, run_id, typed.strip())
    except BceError as error:
        show_problems([str(error)])
        chosen.faults.append("From window to window")
        return None


def _foot(store: RunStore, record: RunRecord, steps: list[int], chosen: Chosen, stride: int | None) -> None:
    with st.container(border=True, key="evaluate-foot"):
        name = st.text_input(
            "Name of the evaluation",
            key=_NAME,
            max_chars=MAX_NAME_CHARACTERS,
            placeholder="Named after what is evaluated",
            width=480,
            persist_state="session",
        )
        twice = _twice(chosen)
        show_problems([twice] if twice else [])
        faults = [*([] if steps else ["Evaluate"]), *chosen.faults, *(["My own files"] if twice else [])]
        with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
            if faults:
                where = plain(", ".join(dict.fromkeys(faults)))
                st.markdown(f":material/block: Not ready yet. Look at: {where}.", width="content")
            else:
                st.markdown(_amount_words(steps, chosen), width="content")
            pressed = st.button(
                "Evaluate", icon=":material/fact_check:", type="primary", key="evaluate", disabled=bool(faults)
            )
        # A press can arrive together with the change that makes the evaluation impossible.
        if pressed and not faults:
            _start(store, record, steps, chosen, stride, name or "")


def _twice(chosen: Chosen) -> str | None:
    """What is wrong where two texts would have the same name."""
    names = [split.name for split in chosen.splits]
    if chosen.hub is not None:
        names.append(chosen.hub[0])
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"Two texts are called “{twice}”. Rename one of the files and drop it again."


def _amount_words(steps: Sequence[int], chosen: Chosen) -> str:
    texts = sum(len(split.texts) for split in chosen.splits)
    more = " and those of the Hub" if chosen.hub is not None else ""
    on = f"{count(texts, 'text')}{more}" if texts else "the texts of the Hub"
    return f"{count(len(steps), 'checkpoint')} on {on}"


def _start(store: RunStore, record: RunRecord, steps: list[int], chosen: Chosen, stride: int | None, name: str) -> None:
    """Put the evaluation into the queue and show it."""
    splits = list(chosen.splits)
    if chosen.hub is not None:
        try:
            with st.spinner(f"Reading {plain(chosen.hub[0])} from the Hugging Face Hub…"):
                splits.append(fetch_hub(store, record.id, chosen.hub))
        except BceError:
            st.rerun()  # the form says it beside the field
    if stride is not None:
        splits = [with_windows(split, stride) for split in splits]
    try:
        with st.spinner("Preparing the evaluation…"):
            evaluation_id = once(
                _identity(record.id, steps, splits, name),
                lambda: evaluations.submit(store, record.id, splits, steps=steps, name=name.strip() or None).id,
            )
    except (BceError, OSError) as error:
        message = sentence(store, record.id, error) if isinstance(error, BceError) else f"{error.strerror or error}."
        st.error(plain(message), icon=":material/error:")
        return
    st.query_params[EVALUATION_PARAMETER] = evaluation_id
    st.rerun()


def _identity(run_id: str, steps: Sequence[int], splits: Sequence[SplitTexts], name: str) -> tuple[object, ...]:
    """What makes two presses ask for the same evaluation."""
    texts = tuple((split.name, len(split.texts), split.template, split.labels, split.stride) for split in splits)
    return (run_id, tuple(steps), texts, name)
