"""Asking for something about a file, and what a page shows while it is found out."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from bcecore.errors import BceError
from bcecore.jobs.looking import AtWork, Question, ask, forget, is_small
from bcecore.store.runs import RunStore
from bcecore.ui.config_form import show_problems
from bcecore.ui.data_files import File

_POLL_SECONDS = 1.0
Found = TypeVar("Found")


def answer(
    store: RunStore, question: Question, kind: type[Found], file: File, words: str, other: File | None = None
) -> Found | None:
    """What is known, or None while it is found out or where it cannot be: that is then drawn here."""

    def named(error: BceError) -> str:
        message = file.named(str(error))
        return message if other is None else other.named(message)

    key = f"data-ask-{question.kind}"
    try:
        if is_small(question):
            with st.spinner(words):
                found = ask(store, question)
        else:
            found = ask(store, question)
    except BceError as error:
        show_problems([named(error)])
        st.button("Try again", icon=":material/refresh:", key=f"{key}-again", on_click=forget, args=(store, question))
        return None
    except OSError as error:
        show_problems([f"{file.name} could not be read: {error.strerror or error}."])
        return None
    if isinstance(found, AtWork):
        st.fragment(_watch, run_every=_POLL_SECONDS)(store, question, words, key)
        return None
    assert isinstance(found, kind)
    return found


def _watch(store: RunStore, question: Question, words: str, key: str) -> None:
    try:
        found = ask(store, question)
    except BceError:
        st.rerun(scope="app")
    if not isinstance(found, AtWork):
        st.rerun(scope="app")
    with st.container(key=key):
        st.progress(min(found.share, 1.0), text=f"{words} {100 * found.share:.0f} %")
        st.caption("You can leave this page: the work goes on, and its result is kept.")
