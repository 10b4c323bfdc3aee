"""What other pages say of a study: that a run belongs to one, and how far one is that is at work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from bcecore.errors import RunError
from bcecore.evaluation.study import controlling
from bcecore.evaluation.study.progress import StudyProgress, progress
from bcecore.jobs.queue import Job
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from bcecore.ui.actions import attempt
from bcecore.ui.page import STUDY_PAGE, STUDY_PARAMETER
from bcecore.ui.study_words import STUDY_WORDS, done_share, time_left_words
from bcecore.ui.words import plain


def study_name(store: RunStore, study_id: str) -> str | None:
    """What a study is called; None for one that is not here, or cannot be read."""
    try:
        return StudyStore(store).plan(study_id).name
    except RunError:
        return None


def show_belonging(store: RunStore, record: RunRecord) -> None:
    """That a run belongs to a study, with the way there; nothing for any other run."""
    if record.study is None:
        return
    name = study_name(store, record.study)
    if name is None:
        st.caption("This run was made for a study that is not here any more.")
        return
    st.page_link(
        STUDY_PAGE,
        label=f"Part of the study “{plain(name)}”",
        icon=":material/science:",
        query_params={STUDY_PARAMETER: record.study},
    )


def show_cards(store: RunStore, going_on: Sequence[Job], records: Sequence[RunRecord]) -> set[str]:
    """A card for each study of which something is at work or waits; `records` are those of all runs.

    Returns the keys of the runs and evaluations that the cards stand for.
    """
    studies = {record.id: record.study for record in records if record.study is not None}
    of_study: dict[str, list[Job]] = {}
    for job in going_on:
        if job.run_id in studies:
            of_study.setdefault(studies[job.run_id], []).append(job)
    covered: set[str] = set()
    for study_id, jobs in of_study.items():
        try:
            found = progress(store, study_id)
        except RunError:  # deleted or damaged: its runs are listed one by one
            continue
        _card(store, found, jobs[0].run_id)
        covered |= {job.key for job in jobs}
    return covered


def _card(store: RunStore, found: StudyProgress, run_id: str) -> None:
    study_id, words = found.plan.id, STUDY_WORDS[found.status]
    with st.container(border=True, key=f"card-{study_id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                st.markdown(f"**{plain(found.plan.name)}**", width="content")
                st.badge("Study", icon=":material/science:", color="gray")
                st.badge(words.word, icon=words.icon, color=words.color)
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                if st.button("Open", key=f"open-{study_id}", icon=":material/science:"):
                    st.switch_page(STUDY_PAGE, query_params={STUDY_PARAMETER: study_id})
                st.button(
                    "Stop",
                    key=f"stop-{study_id}",
                    icon=":material/stop_circle:",
                    disabled=found.state.stopped,
                    help="What is at work saves and stops, what waits leaves the queue; it can go on later.",
                    on_click=attempt,
                    args=(store, run_id, partial(controlling.stop, store, study_id)),
                )
        at_work = [f"{each.arm}, seed {each.seed}" for each in found.cells if each.status in ("training", "measuring")]
        now = f"now {' and '.join(at_work)}" if at_work else ""
        parts = [plain(found.sentence.rstrip(".")), now, time_left_words(found)]
        st.progress(done_share(found), text=" · ".join(filter(None, parts)))
