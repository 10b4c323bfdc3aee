"""All studies with their states, and what a study is where there is none yet."""

from __future__ import annotations

from functools import partial

import streamlit as st

from bcecore.errors import RunError
from bcecore.evaluation.study.progress import StudyProgress, progress
from bcecore.evaluation.study.verdicts import outcome_of
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.store.studies import Listed, StudyStore
from bcecore.ui import dialogs
from bcecore.ui.live import REFRESH_SECONDS
from bcecore.ui.page import NEW_STUDY, STUDY_PARAMETER, keep_supervised
from bcecore.ui.study_words import (
    DAMAGED,
    STUDY_WORDS,
    VERDICT_WORDS,
    about_words,
    done_share,
    is_moving,
    time_left_words,
)
from bcecore.ui.words import StatusWords, age, count, plain

_LISTED = 12


def open_study(study_id: str | None) -> None:
    """Have the page show a study, the form (`NEW_STUDY`), or with None all of them; as a callback."""
    st.query_params.from_dict({} if study_id is None else {STUDY_PARAMETER: study_id})


def show_list(store: RunStore) -> None:
    """All studies, the newest first, refreshed while one of them is going on."""
    studies = StudyStore(store).listed()
    if not studies:
        _invitation()
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title("Did BCE help?", anchor=False, width="content")
        _new_study("New study")
    st.markdown(
        "A study trains twins that differ in nothing but BCE, several times over, and compares them on text that none "
        "of them has seen."
    )
    live = any(found is not None and is_moving(found) for found in (_progress(store, study) for study in studies))
    address = st.query_params.get(STUDY_PARAMETER)
    st.fragment(_list, run_every=REFRESH_SECONDS if live else None)(store, live, address)


def _new_study(label: str) -> None:
    open_form = partial(open_study, NEW_STUDY)
    st.button(label, type="primary", icon=":material/add:", key="new-study", on_click=open_form)


def _invitation() -> None:
    st.title("Did BCE help?", anchor=False)
    st.markdown(
        "One run cannot tell, and neither can two: the next pair may come out the other way round. A **study** finds "
        "out. It trains *twins* that differ in nothing but BCE, several times over from different random starts, "
        "compares them on text that none of them has seen, and says in one sentence what can be said."
    )
    _new_study("Plan a study")
    with st.grid(2, min_column_width=300):
        with st.container(border=True, height="stretch"):
            st.markdown("**Training on and off · a study**")
            st.markdown(
                "Two models are trained, one with BCE and one without, from the same first weights, on the same text "
                "in the same order. What differs in the end is BCE's doing. Only this can say whether BCE helped."
            )
        with st.container(border=True, height="stretch"):
            st.markdown("**Scoring on and off · Evaluate**")
            st.markdown(
                "One model is scored twice, with BCE's term added to the score and without. The model is the same both "
                "times, so only the added term moves. This cannot say whether BCE helped."
            )


def _progress(store: RunStore, study: Listed) -> StudyProgress | None:
    if study.problem is not None:
        return None
    try:
        return progress(store, study.id)
    except RunError:  # deleted or damaged a moment ago
        return None


def _list(store: RunStore, live: bool, address: str | None) -> None:
    dialogs.redraw_if_asked()
    if address != st.query_params.get(STUDY_PARAMETER):
        st.rerun(scope="app")  # one was opened here
    studies = StudyStore(store).listed()
    found = {study.id: _progress(store, study) for study in studies}
    if live != any(each is not None and is_moving(each) for each in found.values()):
        st.rerun(scope="app")
    if live:
        keep_supervised(store)
    for study in studies[:_LISTED]:
        _listed(study, found[study.id])
    if studies[_LISTED:]:
        with st.expander(count(len(studies) - _LISTED, "earlier study", "earlier studies"), icon=":material/history:"):
            for study in studies[_LISTED:]:
                _listed(study, found[study.id])


def _listed(study: Listed, found: StudyProgress | None) -> None:
    words = DAMAGED if found is None else STUDY_WORDS[found.status]
    with st.container(border=True, key=f"study-{study.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                st.markdown(f"**{plain(study.name)}**", width="content")
                st.badge(words.word, icon=words.icon, color=words.color)
                verdict = None if found is None else _verdict_of(found)
                if verdict is not None:
                    st.badge(verdict.word, icon=verdict.icon, color=verdict.color)
            st.button(
                "Open",
                icon=":material/science:",
                key=f"open-{study.id}",
                on_click=open_study,
                args=(study.id,),
            )
        if found is None:
            st.caption("Its files are damaged, or were deleted a moment ago.")
            return
        st.caption(f"{plain(about_words(found.plan))} · {age(study.created, now())}")
        if is_moving(found):
            left = time_left_words(found)
            st.progress(done_share(found), text=plain(found.sentence) + (f" {left.capitalize()}." if left else ""))
        elif not found.state.looks:
            st.caption(plain(found.sentence))


def _verdict_of(found: StudyProgress) -> StatusWords | None:
    """The verdict of the last look in a word, where there is one arm that it is about."""
    if found.last_look is None:
        return None
    try:
        about_bce = [each for each in outcome_of(found.last_look).comparisons if not each.planted]
    except RunError:
        return None
    return VERDICT_WORDS[about_bce[0].verdict.kind] if len(about_bce) == 1 else None
