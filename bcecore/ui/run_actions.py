"""The buttons of a run: what can be done with it in its present status, the likeliest thing first.

Every click is a callback, so that what is drawn next already shows what it did.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from bcecore.config import RunConfig
from bcecore.findings.of_repeat import of_repeat, repeat_words
from bcecore.jobs import control, derive
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.record import RunRecord
from bcecore.store.requests import EVALUATE_REQUEST, SAMPLE_REQUEST, SAVE_REQUEST, read_stop
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs
from bcecore.ui.actions import attempt
from bcecore.ui.config_form import SETTINGS, value_words
from bcecore.ui.export_menu import show_export_menu
from bcecore.ui.job_actions import action_button, queue_buttons
from bcecore.ui.page import use_settings
from bcecore.ui.words import plain

_STOPS = {
    "save": "**Save and stop** · keeps all work, and it can go on later",
    "now": "**Stop now** · loses the work since the last checkpoint",
}
_REQUESTS = {
    SAVE_REQUEST: ("Save now", ":material/save:", "Saves a checkpoint after this step, and trains on."),
    EVALUATE_REQUEST: (
        "Check now",
        ":material/fact_check:",
        "Checks the model on the text that was set aside, after this step, and trains on.",
    ),
    SAMPLE_REQUEST: (
        "Sample now",
        ":material/edit_note:",
        "Lets the model go on with the first words of a few lines, after this step, and trains on. Read it under "
        "“Samples”.",
    ),
}
_MORE: dict[str, str] = {
    "describe": "Name, tags and notes…",
    "repeat": "Repeat: does it end the same?",
    "archive": "Archive: list it no more",
    "restore": "List it again",
    "delete": "Delete…",
}


def show_bar(store: RunStore, record: RunRecord, config: RunConfig | None) -> None:
    """All buttons of one run, in a row. `config` is None for a run that was imported, which can only be looked at."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run-actions"):
        asked = False
        if config is None:
            _after_all(store, record)
            return
        if record.is_active:
            stop_menu(store, record, primary=True)
            asked = _requests(store, record, config)
        elif record.status in ("queued", "held"):
            queue_buttons(store, record, primary=True)
        elif record.status == "removed":
            action_button(
                "Put back into the queue", ":material/playlist_add:", store, record, control.resume, primary=True
            )
        elif record.status == "finished":
            st.button(
                "Extend",
                icon=":material/update:",
                type="primary",
                key="extend",
                help="Trains it further, as a new run that begins where this one ended.",
                on_click=dialogs.ask,
                args=("extend", record.id),
            )
        elif record.status in ("stopped", "failed", "crashed"):
            _go_on(store, record, config)
        if st.button(
            "Use these settings",
            icon=":material/content_copy:",
            key="use-settings",
            help="Opens the Launch page with every field as in this run.",
        ):
            use_settings(record.id)
        _after_all(store, record)
        # At the end, so that no button moves.
        if asked and record.status == "running":
            st.caption("Asked, comes after this step.", width="content")
    _show_repeat(store, record)


def _show_repeat(store: RunStore, record: RunRecord) -> None:
    """What came of a run that repeats another, where nothing is the matter: a finding says it where there is."""
    words = "" if record.repeat_of is None or of_repeat(store, record) else repeat_words(store, record.id)
    if words:
        st.caption(f":material/difference: {plain(words)}")


def _after_all(store: RunStore, record: RunRecord) -> None:
    """What can be done with every run."""
    show_export_menu(store, record)
    _more(store, record)


def stop_menu(store: RunStore, record: RunRecord, *, primary: bool = False) -> None:
    """The two ways to stop; once it is saving, only the quick one is left."""
    request = read_stop(store.directory(record.id))
    if request is not None and request.kind == "now":
        st.caption("Stopping…", width="content")
        return
    key = f"stop-{record.id}"
    st.menu_button(
        "Stop" if request is None else "Saving and stopping…",
        list(_STOPS) if request is None else ["now"],
        format_func=lambda kind: _STOPS[kind],
        icon=":material/stop_circle:",
        type="primary" if primary and request is None else "secondary",
        key=key,
        on_click=lambda: _stop(store, record.id, st.session_state[key]),
    )


def _stop(store: RunStore, run_id: str, kind: str) -> None:
    if kind == "now":
        dialogs.ask("stop", run_id)
    else:
        attempt(store, run_id, lambda: control.stop(store, run_id), "It saves a checkpoint and stops after this step.")


def _requests(store: RunStore, record: RunRecord, config: RunConfig) -> bool:
    """What can be asked of a run at work; returns whether something was asked that it has not taken up yet."""
    directory = store.directory(record.id)
    asked = {name for name in _REQUESTS if (directory / name).exists()}
    for name, (label, icon, about) in _REQUESTS.items():
        nothing_to_check = name == EVALUATE_REQUEST and config.data.validation == "none"
        st.button(
            label,
            icon=icon,
            key=f"ask-{name}",
            help="This run has no text to check it on." if nothing_to_check else about,
            disabled=record.status != "running" or name in asked or nothing_to_check,
            on_click=attempt,
            args=(
                store,
                record.id,
                partial(control.ask_now, store, record.id, name),
                f"{label}: asked, comes after this step.",
            ),
        )
    return bool(asked)


def _go_on(store: RunStore, record: RunRecord, config: RunConfig) -> None:
    steps = checkpoint_steps(store.directory(record.id))
    changes = derive.suggested_changes(record, config)
    if changes:
        words = ", ".join(
            f"{SETTINGS[key].title.lower()} {value_words(SETTINGS[key], value)}" for key, value in changes.items()
        )
        if st.button(
            f"Try again with {plain(words)}",
            icon=":material/restart_alt:",
            type="primary",
            key="try-again",
            help="Opens the Launch page with this run's settings and that change, to look at before it starts.",
        ):
            use_settings(record.id, changes)
    where = f"from step {steps[-1]:,}" if steps else "from the beginning"
    action_button(f"Resume {where}", ":material/resume:", store, record, control.resume, primary=not changes)
    if len(steps) > 1:
        key = f"resume-from-{record.id}"
        st.menu_button(
            "Resume from another step",
            [str(step) for step in reversed(steps[:-1])],
            format_func=lambda step: f"Step {int(step):,}",
            key=key,
            on_click=lambda: resume_from(store, record.id, int(st.session_state[key])),
        )


def resume_from(store: RunStore, run_id: str, step: int) -> None:
    """Go on from a checkpoint that is not the last; as a callback."""
    attempt(store, run_id, lambda: control.resume(store, run_id, step), f"It goes on from step {step:,}.")


def _more(store: RunStore, record: RunRecord) -> None:
    options = ["describe"]
    if record.status == "finished" and record.parent is None:
        options.append("repeat")
    if record.is_over:
        options += ["restore" if record.archived else "archive", "delete"]
    st.menu_button(
        "More",
        options,
        format_func=lambda option: _MORE[option],
        key="more",
        on_click=lambda: _do_more(store, record.id, st.session_state["more"]),
    )


def _do_more(store: RunStore, run_id: str, option: str) -> None:
    if option == "archive":
        attempt(store, run_id, lambda: control.archive(store, run_id), "Archived: Home shows it on request only.")
    elif option == "restore":
        attempt(store, run_id, lambda: control.archive(store, run_id, archived=False), "It is listed on Home again.")
    elif option == "repeat":
        said = "Trained once more with the same settings and lines; the repeat's page says whether both end the same."
        attempt(store, run_id, lambda: derive.repeat(store, run_id), said)
    else:
        dialogs.ask(option, run_id)
