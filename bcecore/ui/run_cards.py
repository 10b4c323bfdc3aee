"""What Home shows: what is at work, what waits, the table of all runs, and the invitation when there is none."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from bcecore.errors import BceError
from bcecore.jobs import control, evaluations, local
from bcecore.jobs.queue import Job
from bcecore.recipes import DEFAULT_RECIPE, load_recipe
from bcecore.report.progress import done_share, pace_words, step_words
from bcecore.store.evaluations import EvaluationRecord
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs, evaluate_words, news, run_list
from bcecore.ui.actions import once
from bcecore.ui.evaluate_progress import stop_button
from bcecore.ui.import_dialog import import_button
from bcecore.ui.job_actions import mover, queue_buttons
from bcecore.ui.live import REFRESH_SECONDS, open_history
from bcecore.ui.page import EVALUATE_PAGE, EVALUATION_PARAMETER, LAUNCH_PAGE, RUN_PARAMETER, keep_supervised, open_run
from bcecore.ui.queue_outlook import outlook
from bcecore.ui.run_actions import stop_menu
from bcecore.ui.run_dialogs import show_dialogs
from bcecore.ui.run_findings import show_badge
from bcecore.ui.study_link import show_cards
from bcecore.ui.words import STATUS_WORDS, plain

# Whether the table of runs waits for logs that have still to be read.
_READING = "runs:reading"


def home(store: RunStore) -> None:
    """The whole of Home below its frame."""
    records = local.current_records(store)
    if not records:
        _invitation(store)
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title("Runs", anchor=False, width="content")
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            import_button(store, "import")
            if st.button("New run", type="primary", icon=":material/add:", key="new-run"):
                st.switch_page(LAUNCH_PAGE)
    going_on = any(not job.is_over for job in [*records, *evaluations.current_evaluations(store)])
    show_dialogs(store)
    refreshes = going_on or st.session_state.get(_READING, False)
    st.fragment(_runs, run_every=REFRESH_SECONDS if refreshes else None)(store, going_on)


def _invitation(store: RunStore) -> None:
    st.title("Watch a language model learn", anchor=False)
    st.markdown("Your runs will be listed here, with how far they are and how well they learn.")
    with st.container(horizontal=True, vertical_alignment="center"):
        try_it = st.button(
            "Try it: a one-minute run on sample text", type="primary", icon=":material/play_arrow:", key="try-it"
        )
        import_button(store, "import")
    if try_it:
        _launch_quick_look(store)


def _launch_quick_look(store: RunStore) -> None:
    recipe = load_recipe(DEFAULT_RECIPE)
    try:
        with st.spinner("Preparing the text …"):
            run_id = once(
                recipe.name, lambda: control.launch(store, recipe.config, name=recipe.name, recipe=recipe.name)
            )
    except BceError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    open_run(run_id)


def _runs(store: RunStore, going_on: bool) -> None:
    dialogs.redraw_if_asked()
    records = local.current_records(store)
    found = evaluations.current_evaluations(store)
    jobs: list[Job] = [*records, *found]
    active = [job for job in jobs if job.is_active]
    waiting = outlook(store, records, found)
    if going_on != bool(active or waiting):
        st.rerun(scope="app")  # so that the page stops asking, or begins to
    if going_on:
        keep_supervised(store)
    news.tell(jobs)
    by_key = {job.key: job for job in jobs}
    names = {record.id: record.name for record in records}
    # One slot, so that the table below stays the same element when a run ends.
    with st.container(key="going-on"):
        of_studies = show_cards(store, [*active, *(by_key[key] for key in waiting)], records)
        for job in active:
            if job.key not in of_studies:
                _at_work(store, job, names)
        for place, (key, words) in enumerate(waiting.items()):
            if key not in of_studies:
                _waiting(store, by_key[key], words, names, is_first=place == 0, is_last=place == len(waiting) - 1)
    if run_list.show(store, records) != st.session_state.get(_READING, False):
        st.session_state[_READING] = not st.session_state.get(_READING, False)
        st.rerun(scope="app")  # to ask again, or to stop asking


def _at_work(store: RunStore, job: Job, names: Mapping[str, str]) -> None:
    with st.container(border=True, key=f"card-{job.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            _name(job, names)
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                _open(job)
                if isinstance(job, RunRecord):
                    stop_menu(store, job)
                else:
                    stop_button(store, job)
        if isinstance(job, RunRecord):
            with open_history(store, job.id) as history:
                tokens_per_second = history.last.get("tokens_per_second")
            parts = [step_words(job), *pace_words(job, now(), tokens_per_second)]
            st.progress(done_share(job), text=" · ".join(parts))
            show_badge(store, job)
        else:
            parts = [evaluate_words.done_words(job), *evaluate_words.pace_words(job, now())]
            st.progress(evaluate_words.done_share(job), text=" · ".join(parts))


def _waiting(store: RunStore, job: Job, words: str, names: Mapping[str, str], *, is_first: bool, is_last: bool) -> None:
    with st.container(border=True, key=f"card-{job.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            _name(job, names)
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                _open(job)
                mover(store, job, "up", disabled=is_first)
                mover(store, job, "down", disabled=is_last)
                queue_buttons(store, job)
        st.caption(words)


def _name(job: Job, names: Mapping[str, str]) -> None:
    words = STATUS_WORDS[job.status]
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.markdown(f"**{plain(job.name)}**", width="content")
        if isinstance(job, EvaluationRecord):
            st.caption(f"evaluation of {plain(names.get(job.run_id, job.run_id))}", width="content")
        st.badge(words.word, icon=words.icon, color=words.color)


def _open(job: Job) -> None:
    icon = ":material/monitoring:" if isinstance(job, RunRecord) else ":material/fact_check:"
    if st.button("Open", key=f"open-{job.id}", icon=icon):
        if isinstance(job, RunRecord):
            open_run(job.id)
        st.switch_page(EVALUATE_PAGE, query_params={RUN_PARAMETER: job.run_id, EVALUATION_PARAMETER: job.id})
