"""The dialogs about one run: stop it without saving, train it further, describe it, delete it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bcecore.config import RunConfig
from bcecore.errors import BceError, ConfigError, RunError
from bcecore.files import directory_size
from bcecore.jobs import control, derive
from bcecore.report.progress import unsaved_words
from bcecore.store.checkpoints import checkpoint_steps, last_complete
from bcecore.store.record import RunRecord
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore
from bcecore.ui import dialogs, news
from bcecore.ui.actions import attempt_and_close, once, sentence
from bcecore.ui.config_form import SETTINGS, NotANumberError, problem_words, show_problems, value_of
from bcecore.ui.launch_schedules import show_longer_learning_rate
from bcecore.ui.page import HOME_PAGE, open_run
from bcecore.ui.study_link import study_name
from bcecore.ui.words import STATUS_WORDS, count, plain, size


def show_dialogs(store: RunStore, *, leave_deleted: bool = False) -> None:
    """Draw the dialog that was asked for, if any. Outside what refreshes, and before it.

    `leave_deleted`: the page is about the one run, and leads Home when that is deleted.
    """
    contents: dict[str, tuple[str, Callable[[RunStore, RunRecord], None]]] = {
        "stop": ("Stop without saving?", _stop),
        "extend": ("Train it further", _extend),
        "describe": ("Name, tags and notes", _describe),
        "delete": ("Delete this run?", partial(_delete, leave=leave_deleted)),
    }
    dialogs.show_asked({name: (title, partial(_about, store, draw)) for name, (title, draw) in contents.items()})


def _about(store: RunStore, draw: Callable[[RunStore, RunRecord], None], run_id: str) -> None:
    try:
        record = store.record(run_id)
    except RunError as error:
        st.error(plain(sentence(store, run_id, error)), icon=":material/error:")
        return
    draw(store, record)


def _stop(store: RunStore, record: RunRecord) -> None:
    if record.is_over:
        st.markdown(f"**{plain(record.name)}** is not at work any more: {STATUS_WORDS[record.status].word.lower()}.")
        return
    lost = unsaved_words(record, checkpoint_steps(store.directory(record.id)))
    st.markdown(f"**{plain(record.name)}** ends at once. {lost}")
    with _buttons("Let it train"):
        st.button(
            "Stop now",
            icon=":material/stop_circle:",
            type="primary",
            key="dialog-stop",
            on_click=attempt_and_close,
            args=(store, record.id, partial(control.stop, store, record.id, save=False)),
        )


def _delete(store: RunStore, record: RunRecord, *, leave: bool) -> None:
    directory = store.directory(record.id)
    steps = checkpoint_steps(directory)
    kept = f" and {count(len(steps), 'checkpoint')}" if steps else ""
    st.markdown(
        f"**{plain(record.name)}** goes to the trash with its values{kept}: {size(directory_size(directory))}. "
        "You can take it back on the Settings page until the trash is emptied; only then is the disk space free."
    )
    name = None if record.study is None else study_name(store, record.study)
    if name is not None:
        st.warning(
            f"The study “{plain(name)}” needs this run for its verdict. It could be trained again from there.",
            icon=":material/science:",
        )
    with _buttons("Keep it"):
        if st.button("Delete", icon=":material/delete:", type="primary", key="dialog-delete"):
            done = f"{record.name} is in the trash. Settings can take it back."
            attempt_and_close(store, record.id, partial(control.delete, store, record.id), done)
            if leave:
                st.switch_page(HOME_PAGE)
            st.rerun()


def _describe(store: RunStore, record: RunRecord) -> None:
    name = st.text_input("Name", record.name, max_chars=MAX_NAME_CHARACTERS, key="dialog-name")
    tags = st.multiselect(
        "Tags",
        sorted({tag for other in store.records() for tag in other.tags}),
        list(record.tags),
        accept_new_options=True,
        placeholder="Choose or type a tag",
        key="dialog-tags",
    )
    notes = st.text_area(
        "Notes",
        record.notes,
        max_chars=control.MAX_NOTES_CHARACTERS,
        placeholder="What you wanted to find out, what you saw",
        key="dialog-notes",
    )
    problems = st.container()
    with _buttons("Cancel"):
        if st.button("Save", icon=":material/check:", type="primary", key="dialog-save"):
            try:
                control.rename(store, record.id, name)
                control.set_tags(store, record.id, tags)
                control.set_notes(store, record.id, notes)
            except BceError as error:
                with problems:
                    show_problems([sentence(store, record.id, error)])
                return
            dialogs.close()
            st.rerun()


def _extend(store: RunStore, record: RunRecord) -> None:
    config = store.config(record.id)
    checkpoint = last_complete(store.directory(record.id))
    if record.status != "finished" or checkpoint is None:
        st.error("Only a finished run that still has a checkpoint can be trained further.", icon=":material/error:")
        return
    unit = "steps" if config.training.max_steps else "epochs"
    setting = SETTINGS["training.max_steps" if unit == "steps" else "training.epochs"]
    st.markdown(
        f"A new run begins where **{plain(record.name)}** ended, at step {checkpoint.step:,}, with the same settings. "
        "This one stays as it is."
    )
    typed = st.text_input(f"How many more {unit}", "", key="dialog-more", placeholder=f"for example {_example(config)}")
    longer, problem = None, ""
    if typed.strip():
        try:
            more = value_of(setting, typed)
            longer = derive.extended_config(config, *((None, more) if unit == "steps" else (float(more), None)))
        except NotANumberError as error:
            problem = str(error)
        except BceError as error:
            problem = _problem(error)
    show_problems([problem] if problem else [])
    name = st.text_input(
        "Name of the new run",
        f"{record.name}, extended"[:MAX_NAME_CHARACTERS],
        max_chars=MAX_NAME_CHARACTERS,
        key="dialog-extended-name",
    )
    show_longer_learning_rate(config, longer, record.dataset["train_examples"], checkpoint.step)
    with _buttons("Cancel"):
        pressed = st.button(
            "Train further",
            icon=":material/update:",
            type="primary",
            key="dialog-extend",
            disabled=longer is None or not name.strip(),
        )
    if pressed and longer is not None:
        amount = {unit: value_of(setting, typed)}
        try:
            new = once(
                (record.id, longer.model_dump_json(), name),
                lambda: derive.extend(store, record.id, **amount, name=name),
            )
        except BceError as error:
            show_problems([sentence(store, record.id, error)])
            return
        dialogs.close()
        news.say(f"{name} is in the queue.")
        open_run(new)


def _problem(error: BceError) -> str:
    return " ".join(map(problem_words, error.problems)) if isinstance(error, ConfigError) else str(error)


def _example(config: RunConfig) -> str:
    return f"{config.training.max_steps:,}" if config.training.max_steps else f"{config.training.epochs:g}"


def _buttons(leave: str) -> DeltaGenerator:
    """The row of a dialog's buttons, with the harmless one in it."""
    row = st.container(horizontal=True, horizontal_alignment="right")
    row.button(leave, key="dialog-leave", on_click=dialogs.close)
    return row
