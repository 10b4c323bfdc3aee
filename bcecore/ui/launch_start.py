"""The foot of the Launch page: what differs from where it began, the run's name, and the button that starts it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from bcecore.config import SAMPLE_TEXT, RunConfig
from bcecore.errors import BceError, RunError
from bcecore.jobs import control
from bcecore.report.finding_words import SEVERITY_WORDS
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore, check_name
from bcecore.ui import launch_state
from bcecore.ui.actions import once
from bcecore.ui.config_form import SETTINGS, show_problems, value_words
from bcecore.ui.launch_draft import Draft
from bcecore.ui.launch_sections import SECTION_LINKS
from bcecore.ui.launch_words import noticed_words, run_name
from bcecore.ui.page import open_run
from bcecore.ui.words import plain


def show_launch(store: RunStore, draft: Draft) -> None:
    """Say what is different and what is missing, and launch the run when asked to."""
    with st.container(border=True, key="launch-foot"):
        _differences(draft)
        launch_state.suggest_name(_suggested_name(draft))
        name = st.text_input(
            "Name of the run",
            key=launch_state.NAME,
            max_chars=MAX_NAME_CHARACTERS,
            width=480,
            persist_state="session",
        )
        name_problem = _name_problem(name)
        show_problems([name_problem] if name_problem else [])
        _noticed(draft)
        reason = _reason(draft, name_problem)
        with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
            if reason:
                st.markdown(reason, width="content")
            pressed = st.button(
                "Launch",
                icon=":material/rocket_launch:",
                type="primary",
                key="launch",
                disabled=bool(reason),
            )
        # A press can arrive together with the change that makes the run impossible.
        if pressed and not reason and draft.checked is not None:
            _launch(store, name, draft.checked.config, draft.origin.recipe)


def _noticed(draft: Draft) -> None:
    words = noticed_words(draft.findings, SECTION_LINKS)
    if words:
        st.markdown(f"{SEVERITY_WORDS[draft.findings[0].severity].icon} {words}")


def _differences(draft: Draft) -> None:
    origin = f"the {draft.origin.kind} “{plain(draft.origin.title)}”"
    if not draft.changes and draft.problems:
        st.markdown(f"What differs from {origin} is listed here when every setting is possible.")
    elif not draft.changes:
        st.markdown(f"Everything is as in {origin}.")
        return
    else:
        st.markdown(f"Different from {origin}:")
    lines = []
    for key, (before, after) in draft.changes.items():
        described = SETTINGS[key]
        words = [
            value_words(described, launch_state.shown_path(value) if key in launch_state.TEXT_FIELDS else value)
            for value in (before, after)
        ]
        lines.append(f"- {described.title}: {plain(words[0])} → **{plain(words[1])}**")
    if lines:
        st.markdown("\n".join(lines))
    st.button(
        "Back to the recipe" if draft.origin.run_id is None else "Undo all changes",
        icon=":material/undo:",
        key="launch-back",
        help=f"Sets every field to what the {draft.origin.kind} says. An uploaded file is kept.",
        on_click=launch_state.start_again,
    )


def _suggested_name(draft: Draft) -> str:
    if draft.origin.recipe is None or draft.origin.run_id is not None:
        return draft.origin.again
    train_file = draft.config.data.train_file if draft.config else SAMPLE_TEXT
    own_text = None if train_file == SAMPLE_TEXT else Path(launch_state.shown_path(train_file)).stem
    return run_name(draft.origin.recipe, own_text, [key for key in draft.changes if key != "data.train_file"])


def _name_problem(name: str) -> str | None:
    try:
        check_name(name)
    except RunError as error:
        return str(error)
    return None


def _reason(draft: Draft, name_problem: str | None) -> str:
    """Why the run cannot be launched now; empty when it can."""
    fields = [SETTINGS[key].title if key else "the message at the top" for key in draft.problems]
    if name_problem:
        fields.append("Name of the run")
    if fields:
        return f":material/block: Not ready yet. Look at: {plain(', '.join(fields))}."
    if any(finding.id == "disk-room" for finding in draft.findings):
        return ":material/block: The disk has no room for this run. See “How long and how fast”."
    return ""


def _launch(store: RunStore, name: str, config: RunConfig, recipe: str | None) -> None:
    try:
        with st.spinner("Preparing the run…"):
            run_id = once((name, config), lambda: control.launch(store, config, name=name, recipe=recipe))
    except BceError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    open_run(run_id)
