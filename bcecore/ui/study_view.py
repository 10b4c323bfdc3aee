"""What the Study page shows: all studies, the form for a new one, or one of them from its first run to its verdict.

The address decides: `?study=ID` is one study, `?study=new` the form, and neither the list.
"""

from __future__ import annotations

import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.evaluation.study.progress import StudyProgress, progress
from bcecore.evaluation.study.verdicts import take_due_looks
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from bcecore.ui.live import REFRESH_SECONDS
from bcecore.ui.page import NEW_STUDY, STUDY_PARAMETER
from bcecore.ui.study_form import show_form
from bcecore.ui.study_list import show_list
from bcecore.ui.study_progress import show_dialogs, show_work
from bcecore.ui.study_result import show_plan, show_result
from bcecore.ui.study_words import advice_words, is_moving
from bcecore.ui.words import plain


def show(store: RunStore) -> None:
    """The whole page below its frame."""
    show_dialogs(store)
    asked = st.query_params.get(STUDY_PARAMETER)
    if asked == NEW_STUDY:
        show_form(store)
        return
    if asked is not None and asked in StudyStore(store).ids():
        _study(store, asked)
        return
    if asked is not None:
        st.error(
            "**There is no study at this address.** It may have been deleted, or the address was cut short.",
            icon=":material/search_off:",
        )
    show_list(store)


def _study(store: RunStore, study_id: str) -> None:
    try:
        found = progress(store, study_id)
    except RunError as error:
        _damaged(error)
        return
    problem = _take_looks(store, found)
    found = progress(store, study_id)
    live = is_moving(found)
    with st.container(key="study-work"):
        st.fragment(show_work, run_every=REFRESH_SECONDS if live else None)(store, study_id, live, found.due)
    if found.alteration is not None:
        st.error(f"**There is no verdict.** {plain(found.alteration)}", icon=":material/edit_off:")
    elif problem is not None:
        _no_look(problem)
    if found.state.looks:
        show_result(store, found)
    else:
        show_plan(store, found)


def _take_looks(store: RunStore, found: StudyProgress) -> str | None:
    """Take the looks that are due, as planned; what stood in the way, if something did."""
    if not found.due or found.alteration is not None:
        return None
    try:
        with st.spinner("All of its runs are measured. Working out the result…"):
            take_due_looks(store, found.plan.id)
    except BceError as error:
        return str(error)
    return None


def _no_look(problem: str) -> None:
    st.error(
        f"**The result cannot be worked out.** {plain(advice_words(problem))} Nothing was kept of it, so it can be "
        "tried again.",
        icon=":material/error:",
    )
    st.button("Try again", icon=":material/refresh:", key="study-look-again")


def _damaged(error: RunError) -> None:
    st.error(
        "**This study cannot be shown:** its files are damaged. Its runs are not touched; they are on Home.",
        icon=":material/broken_image:",
    )
    with st.expander("Technical detail"):
        st.code(str(error), language=None, wrap_lines=True)
