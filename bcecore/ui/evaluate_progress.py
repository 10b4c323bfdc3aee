"""One evaluation while it waits and works, how it ended, and what can be done with it; and the list of all of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from bcecore.errors import BceError
from bcecore.files import directory_size
from bcecore.jobs import control, evaluations
from bcecore.jobs.local import current_records
from bcecore.store.evaluations import LOG_FILE, EvaluationRecord, EvaluationStore
from bcecore.store.log import log_tail
from bcecore.store.record import WAITING, now
from bcecore.store.requests import read_stop
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs, news
from bcecore.ui.actions import attempt_and_close, by_name
from bcecore.ui.evaluate_words import (
    about_words,
    done_share,
    done_words,
    kept_words,
    pace_words,
)
from bcecore.ui.job_actions import action_button, queue_buttons
from bcecore.ui.live import REFRESH_SECONDS
from bcecore.ui.page import EVALUATION_PARAMETER, RUN_PARAMETER, keep_supervised
from bcecore.ui.queue_outlook import outlook
from bcecore.ui.words import STATUS_WORDS, count, moment, plain, size

_DELETE = "delete-evaluation"
_LOG_LINES = 200
_LISTED = 6


def open_evaluation(run_id: str, evaluation_id: str | None) -> None:
    """Have the page show an evaluation of a run, or the form for a new one; as a callback."""
    address = {RUN_PARAMETER: run_id}
    if evaluation_id is not None:
        address[EVALUATION_PARAMETER] = evaluation_id
    # All of it, so that nothing in the address is about the evaluation before.
    st.query_params.from_dict(address)


# -- one evaluation


def show_header(record: EvaluationRecord) -> None:
    """What it is called, how it is, and what it measures."""
    words = STATUS_WORDS[record.status]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="evaluation-header"):
        st.header(plain(record.name), anchor=False, width="content")
        st.badge(words.word, icon=words.icon, color=words.color)
    parts = [plain(about_words(record)), moment(record.created)]
    if record.status == "finished":
        parts += [done_words(record), *pace_words(record, now())]
    st.caption(" · ".join(parts))


def show_progress(store: RunStore, record: EvaluationRecord) -> None:
    """How far it is, unless it is done, with what can be done with it now, and what its status means."""
    if record.status in WAITING:
        parts = [_outlook(store).get(record.key, "")]
        if record.counts is not None and record.counts[0]:
            parts.append(done_words(record))
    else:
        parts = [done_words(record), *pace_words(record, now())]
    if record.status != "finished":
        st.progress(done_share(record), text=" · ".join(parts))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="evaluation-actions"):
        _actions(store, record)
    with st.container(key="evaluation-notice"):
        _notice(store, record)


def _outlook(store: RunStore) -> dict[str, str]:
    """What to expect of everything that waits, by its key."""
    return outlook(store, current_records(store), evaluations.current_evaluations(store))


def _actions(store: RunStore, record: EvaluationRecord) -> None:
    if record.is_active:
        stop_button(store, record, primary=True)
    elif record.status in WAITING:
        queue_buttons(store, record, primary=True)
    elif record.status != "finished" and record.request is not None:
        label = "Put back into the queue" if record.status == "removed" else "Resume"
        about = "Goes on where it ended: nothing is measured twice."
        action_button(label, ":material/resume:", store, record, evaluations.resume, about=about, primary=True)
    st.button(
        "New evaluation",
        icon=":material/add:",
        key="new-evaluation",
        on_click=open_evaluation,
        args=(record.run_id, None),
    )
    if record.is_over:
        st.button(
            "Delete", icon=":material/delete:", key="delete-this", on_click=dialogs.ask, args=(_DELETE, record.key)
        )


def stop_button(store: RunStore, record: EvaluationRecord, *, primary: bool = False) -> None:
    """Stop an evaluation at work; it takes a moment."""
    stopping = read_stop(EvaluationStore(store).directory(record.key)) is not None
    action_button(
        "Stopping…" if stopping else "Stop",
        ":material/stop_circle:",
        store,
        record,
        control.stop,
        about="What it has measured is kept, and it can go on later.",
        primary=primary,
        disabled=stopping,
    )


def _kept(store: RunStore, record: EvaluationRecord) -> str:
    try:
        result = EvaluationStore(store).result(record.key)
    except BceError:
        return "What it had measured cannot be read."
    return kept_words(record, result)


def _notice(store: RunStore, record: EvaluationRecord) -> None:
    if record.status == "stopped":
        words = f"**Stopped before its end.** {_kept(store, record)} “Resume” goes on from there."
        st.warning(words, icon=":material/stop_circle:")
    elif record.status == "removed":
        st.warning("**Taken out of the queue.** It will not start unless you put it back.", icon=":material/info:")
    elif record.status in ("failed", "crashed"):
        what = "failed" if record.status == "failed" else "ended unexpectedly"
        said = record.failure.message if record.failure is not None else "No reason was recorded."
        what_now = f"{_kept(store, record)} “Resume” tries to go on from there."
        if record.request is None:
            what_now = "Delete it, and evaluate anew."
        st.error(f"**This evaluation {what}.** {plain(by_name(record, said))}\n\n{what_now}", icon=":material/error:")
        detail = record.failure.detail if record.failure is not None else ""
        if not detail:
            detail = "\n".join(log_tail(EvaluationStore(store).directory(record.key) / LOG_FILE, _LOG_LINES))
        if detail:
            with st.expander("Technical detail", icon=":material/code:"):
                st.code(detail, language=None, wrap_lines=True)


# -- deleting


def show_dialogs(store: RunStore) -> None:
    """Draw the question that was asked for, if any. Outside what refreshes, and before it."""
    dialogs.show_asked({_DELETE: ("Delete this evaluation?", partial(_delete, store))})


def _delete(store: RunStore, key: str) -> None:
    found = EvaluationStore(store)
    try:
        record, directory = found.record(key), found.directory(key)
    except BceError:
        damaged = next((each for each in found.records(key.partition("/")[0]) if each.key == key), None)
        if damaged is None:
            st.error("This evaluation is not here any more: it was deleted in another window.", icon=":material/error:")
            return
        record, directory = damaged, found.directory(key)
    st.markdown(
        f"**{plain(record.name)}** goes for good, with its figures and its texts ({size(directory_size(directory))}). "
        "The run and its checkpoints stay, so it can be measured again."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it", key="dialog-leave"):
            dialogs.close()
            st.rerun()
        if st.button("Delete", icon=":material/delete:", type="primary", key="dialog-delete"):
            done = f"{record.name} is deleted."
            attempt_and_close(store, key, partial(evaluations.delete, store, key), done)
            if st.query_params.get(EVALUATION_PARAMETER) == record.id:
                open_evaluation(record.run_id, None)
            st.rerun()


# -- all of a run


def show_list(store: RunStore, run_id: str, found: Sequence[EvaluationRecord]) -> None:
    """The evaluations of a run, the newest first, refreshed while one of them is going on."""
    if not found:
        return
    st.header("Evaluations of this run", anchor=False)
    going_on = any(not record.is_over for record in found)
    address = st.query_params.get(EVALUATION_PARAMETER)
    st.fragment(_list, run_every=REFRESH_SECONDS if going_on else None)(store, run_id, going_on, address)


def _list(store: RunStore, run_id: str, going_on: bool, address: str | None) -> None:
    dialogs.redraw_if_asked()
    found = evaluations.current_evaluations(store, run_id)
    if going_on != any(not record.is_over for record in found) or address != st.query_params.get(EVALUATION_PARAMETER):
        st.rerun(scope="app")  # the page stops asking, or begins to; or one was opened here
    if going_on:
        keep_supervised(store)
    news.tell(found)
    expected = _outlook(store) if any(record.status in WAITING for record in found) else {}
    for record in found[:_LISTED]:
        _listed(record, expected)
    older = found[_LISTED:]
    if older:
        with st.expander(f"{count(len(older), 'earlier evaluation')}", icon=":material/history:"):
            for record in older:
                _listed(record, expected)


def _listed(record: EvaluationRecord, expected: Mapping[str, str]) -> None:
    words = STATUS_WORDS[record.status]
    with st.container(border=True, key=f"evaluation-{record.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                st.markdown(f"**{plain(record.name)}**", width="content")
                st.badge(words.word, icon=words.icon, color=words.color)
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                st.button(
                    "Open",
                    icon=":material/table_view:",
                    key=f"open-{record.id}",
                    on_click=open_evaluation,
                    args=(record.run_id, record.id),
                )
                st.button(
                    "Delete",
                    icon=":material/delete:",
                    key=f"delete-{record.id}",
                    disabled=not record.is_over,
                    on_click=dialogs.ask,
                    args=(_DELETE, record.key),
                )
        parts = [plain(about_words(record)), moment(record.created)]
        if record.status in WAITING:
            parts.append(expected.get(record.key, ""))
        elif record.status != "finished":
            parts += [done_words(record), *(pace_words(record, now()) if record.is_active else [])]
        st.caption(" · ".join(parts))
