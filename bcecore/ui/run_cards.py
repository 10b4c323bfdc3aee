"""What Home shows: the runs at work, those that wait, the table of all runs, and the invitation when there is none."""

from __future__ import annotations

from functools import partial
from typing import Literal

import streamlit as st

from bcecore.errors import BceError
from bcecore.jobs import control, local, queue
from bcecore.recipes import DEFAULT_RECIPE, load_recipe
from bcecore.report.progress import done_share, pace_words, step_words
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs, news, run_list
from bcecore.ui.actions import attempt, once
from bcecore.ui.import_dialog import import_button
from bcecore.ui.live import REFRESH_SECONDS, open_history
from bcecore.ui.page import LAUNCH_PAGE, keep_supervised, open_run
from bcecore.ui.queue_outlook import outlook
from bcecore.ui.run_actions import queue_buttons, stop_menu
from bcecore.ui.run_dialogs import show_dialogs
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
    going_on = any(not record.is_over for record in records)
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
    active = [record for record in records if record.is_active]
    waiting = outlook(store, records)
    if going_on != bool(active or waiting):
        st.rerun(scope="app")  # so that the page stops asking, or begins to
    if going_on:
        keep_supervised(store)
    news.tell(records)
    by_id = {record.id: record for record in records}
    # One slot, so that the table below stays the same element when a run ends.
    with st.container(key="going-on"):
        of_studies = show_cards(store, [*active, *(by_id[run_id] for run_id in waiting)])
        for record in active:
            if record.id not in of_studies:
                _at_work(store, record)
        for place, (run_id, words) in enumerate(waiting.items()):
            if run_id in of_studies:
                continue
            _waiting(store, by_id[run_id], words, is_first=place == 0, is_last=place == len(waiting) - 1)
    if run_list.show(store, records) != st.session_state.get(_READING, False):
        st.session_state[_READING] = not st.session_state.get(_READING, False)
        st.rerun(scope="app")  # to ask again, or to stop asking


def _at_work(store: RunStore, record: RunRecord) -> None:
    with st.container(border=True, key=f"card-{record.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            _name(record)
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                _open(record)
                stop_menu(store, record)
        with open_history(store, record.id) as history:
            tokens_per_second = history.last.get("tokens_per_second")
        parts = [step_words(record), *pace_words(record, now(), tokens_per_second)]
        st.progress(done_share(record), text=" · ".join(parts))


def _waiting(store: RunStore, record: RunRecord, words: str, *, is_first: bool, is_last: bool) -> None:
    with st.container(border=True, key=f"card-{record.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            _name(record)
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                _open(record)
                _mover(store, record, "up", disabled=is_first)
                _mover(store, record, "down", disabled=is_last)
                queue_buttons(store, record)
        st.caption(words)


def _name(record: RunRecord) -> None:
    words = STATUS_WORDS[record.status]
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.markdown(f"**{plain(record.name)}**", width="content")
        st.badge(words.word, icon=words.icon, color=words.color)


def _open(record: RunRecord) -> None:
    if st.button("Open", key=f"open-{record.id}", icon=":material/monitoring:"):
        open_run(record.id)


def _mover(store: RunStore, record: RunRecord, to: Literal["up", "down"], *, disabled: bool) -> None:
    st.button(
        "Earlier" if to == "up" else "Later",
        icon=f":material/arrow_{to}ward:",
        key=f"{to}-{record.id}",
        disabled=disabled,
        on_click=attempt,
        args=(store, record.id, partial(queue.move, store, record.id, to)),
    )
