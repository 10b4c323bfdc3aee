"""What checkpoints write when they go on with the same beginnings, side by side; and having them do so."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from bcecore.jobs import generation
from bcecore.jobs.generation import Generation
from bcecore.store.generation import LOG_FILE
from bcecore.store.log import log_tail
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.samples import read_samples
from bcecore.ui.actions import attempt
from bcecore.ui.words import count, plain

_SHOWN_PROMPTS = 8
_LOG_LINES = 40


def show_writing(store: RunStore, record: RunRecord, steps: Sequence[int], saved: Sequence[int]) -> None:
    """The texts of these steps of a run, and the form that asks for more of them."""
    st.header("What they write", anchor=False)
    if record.status == "imported":
        st.caption("This run was trained elsewhere. Its log is here, its checkpoints are not, so they cannot write.")
        return
    able = [step for step in steps if step in saved]
    if not saved:
        st.caption("No checkpoint of this run was saved, so none can write.")
    else:
        _form(store, record, able, [step for step in steps if step not in saved])
    _texts(store, record, steps)


def _form(store: RunStore, record: RunRecord, able: Sequence[int], unable: Sequence[int]) -> None:
    key = f"beginnings-{record.id}"
    if key not in st.session_state:
        st.session_state[key] = "\n".join(generation.suggested_prompts(store, record.id))
    st.text_area(
        "Beginnings, one a line",
        key=key,
        height=110,
        help="Each checkpoint goes on with every one of them, always with the likeliest next word. The first words of "
        "the run's checking text are filled in.",
    )
    current = generation.current(store, record.id)
    writing = current is not None and current.state == "running"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Let them write",
            type="primary",
            icon=":material/edit_note:",
            key="let-write",
            disabled=writing or not able,
            on_click=_ask,
            args=(store, record.id, able, key),
        )
        words = "Takes some seconds, without disturbing a run that is going on."
        if not able:
            words = "None of the chosen steps has a saved checkpoint, so none can write."
        elif unable:
            words = f"Not saved, so it cannot write: step {', '.join(f'{step:,}' for step in unable)}."
        st.caption(words, width="content")
    with st.container(key="compare-writing"):
        if current is not None:
            _progress(store, record, current)


def _ask(store: RunStore, run_id: str, steps: Sequence[int], key: str) -> None:
    prompts = str(st.session_state[key]).splitlines()
    attempt(store, run_id, partial(generation.start, store, run_id, steps, prompts))


def _progress(store: RunStore, record: RunRecord, current: Generation) -> None:
    if current.state == "running":
        words = f"{current.done:,} of {count(current.total, 'text')}" if current.total else "The model is being loaded"
        st.progress(current.done / current.total if current.total else 0.0, text=words)
    elif current.state == "failed":
        st.error(f"**The checkpoints could not write.** {plain(current.error)}", icon=":material/error:")
        lines = log_tail(store.directory(record.id) / LOG_FILE, _LOG_LINES)
        if lines:
            with st.expander("Technical detail", icon=":material/code:"):
                st.code("\n".join(lines), language=None, wrap_lines=True)


def _texts(store: RunStore, record: RunRecord, steps: Sequence[int]) -> None:
    """Each beginning with what every step made of it; the beginnings that were used last come first."""
    written: dict[str, dict[int, str]] = {}
    used: dict[str, float] = {}
    for sample in read_samples(store.directory(record.id)):
        if sample.step in steps:
            # The newest counts where a step went on with the same beginning twice.
            written.setdefault(sample.prompt, {})[sample.step] = sample.text
            used[sample.prompt] = sample.time
    if not written:
        st.caption("None of the chosen steps has written anything yet.")
        return
    newest_first = sorted(written, key=lambda prompt: -used[prompt])
    for place, prompt in enumerate(newest_first[:_SHOWN_PROMPTS]):
        texts = written[prompt]
        with st.container(border=True, key=f"written-{place}"):
            st.markdown(f"**{plain(prompt)} …**")
            with st.grid(len(steps), min_column_width=240):
                for step in steps:
                    with st.container(gap="xsmall"):
                        st.caption(f"Step {step:,}")
                        st.markdown(plain(texts[step]) or "*(nothing)*" if step in texts else "*not asked*")
