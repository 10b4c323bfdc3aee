"""Importing the log of a run that was trained elsewhere, and telling what its log cannot know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from bcecore.errors import BceError
from bcecore.report.metrics import Group, metric, origin_of
from bcecore.store.imported import Fact
from bcecore.store.imports import Found, Upload, find_logs, import_run, imported_before
from bcecore.store.record import RunRecord
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore
from bcecore.store.tensorboard import TensorBoardMissingError
from bcecore.ui import dialogs, news
from bcecore.ui.actions import once
from bcecore.ui.config_form import show_problems
from bcecore.ui.page import open_run
from bcecore.ui.words import count, number, plain, size

_DIALOG = "import"
_READ = "import:read"
_FILES, _FOLDER = "Files", "A whole folder"
# What is taken from a folder: the rest of it, such as weights, stays where it is. The digits are how TensorBoard's
# files end.
_FOLDER_TYPES = ["json", "jsonl", *(str(digit) for digit in range(10))]
_VALUES_NAMED = 8
_GROUPS: tuple[Group, ...] = ("learning", "check", "bce", "optimiser", "components", "other", "totals", "pace")


class _FactField(NamedTuple):
    title: str
    example: str
    about: str
    in_state: str | None = None
    """Under which name the Trainer's state may tell it."""


_FACT_FIELDS: dict[str, _FactField] = {
    "model": _FactField("Model", "bert-base-uncased", "Which model was trained."),
    "text": _FactField("Text", "400 lines of WikiText-2", "What it was trained on."),
    "wall_clock": _FactField(
        "Wall clock", "106.96 or 1:46:40", "How long the training took: in seconds, or as hours:minutes:seconds."
    ),
    "epochs": _FactField("Epochs", "10", "How often the whole text was gone through.", "num_train_epochs"),
    "batch_size": _FactField("Batch size", "8", "Examples that are learnt from at once.", "train_batch_size"),
    "block_size": _FactField("Block size", "128", "The longest example, in tokens; what is longer was cut."),
    "learning_rate": _FactField("Learning rate", "5e-5", "The highest learning speed that it reached."),
    "warmup_steps": _FactField("Warm-up steps", "400", "Steps over which the learning rate rose."),
    "bce_weight": _FactField("BCE weight", "0.2 rising to 0.5", "The schedule of BCE's weight, in words."),
    "seed": _FactField("Seed", "42", "The number from which all that was random began."),
    "device": _FactField("Device", "one A100", "What it was trained on."),
}


@dataclass(frozen=True)
class _Read:
    """What the chosen files turned out to be."""

    files: tuple[str, ...]
    found: Found | None = None
    before: str | None = None
    """The run that was imported from them already."""
    steps: int = 0
    last_step: int = 0
    """The last one of which there are values: earlier than where the run was, if the file was cut off."""
    epoch: float | None = None
    """Of the last values."""
    keys: tuple[str, ...] = ()
    problem: BceError | None = None


def import_button(store: RunStore, key: str, *, primary: bool = False) -> None:
    """The button that opens the dialog, and the dialog itself while it is open. Not within what refreshes."""
    st.button(
        "Import a log",
        icon=":material/upload_file:",
        type="primary" if primary else "secondary",
        key=key,
        help="Makes the log of a training run from elsewhere into a run that can be looked at and compared.",
        on_click=_open,
    )
    dialogs.show_asked({_DIALOG: ("Import a log", lambda _: _show(store))})


def _open() -> None:
    st.session_state.pop(_READ, None)
    dialogs.ask(_DIALOG)


def _show(store: RunStore) -> None:
    st.markdown(
        "The log of any Hugging Face Trainer: its **trainer_state.json**, or TensorBoard’s files. It becomes a run "
        "that can be looked at and compared."
    )
    kind = st.radio("What to import", [_FILES, _FOLDER], horizontal=True, key="import-kind")
    read = _read(store, _uploaded(kind == _FOLDER))
    if read is not None and read.problem is not None:
        _problem(read.problem)
    found = read.found if read is not None else None
    if read is not None and found is not None:
        _preview(store, read, found)
    name, facts = "", {}
    if found is not None:
        name = st.text_input(
            "Name", found.name, max_chars=MAX_NAME_CHARACTERS, key=f"import-name-{found.sources[0].sha256[:8]}"
        )
        with st.expander("What a log cannot know", icon=":material/edit_note:"):
            st.caption("If you know it, the tables and the report can say it. It can be added later, too.")
            facts = _fact_fields("import", found.newest.state, {})
    problems = st.container()
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="dialog-leave", on_click=dialogs.close)
        pressed = st.button(
            "Import again" if read is not None and read.before is not None else "Import",
            icon=":material/download_done:",
            type="primary",
            key="dialog-import",
            disabled=found is None or not name.strip(),
        )
    if pressed and read is not None and found is not None:
        with problems:
            _import(store, read.files, found, name, facts)


def _uploaded(folder: bool) -> list[UploadedFile]:
    if folder:
        return st.file_uploader(
            "The folder into which the Trainer wrote, or one of its checkpoints",
            accept_multiple_files="directory",
            type=_FOLDER_TYPES,
            key="import-folder",
            help="Only logs are read: trainer_state.json, TensorBoard’s files. Weights are not uploaded.",
        )
    return st.file_uploader(
        "Drop the log here; several, if they are of one run",
        accept_multiple_files=True,
        key="import-files",
        help="trainer_state.json lies in the folder into which the Trainer wrote, and in each of its checkpoints: the "
        "newest one has everything.",
    )


def _read(store: RunStore, uploads: Sequence[UploadedFile]) -> _Read | None:
    """What the files are; read once and not at every change of the dialog."""
    if not uploads:
        st.session_state.pop(_READ, None)
        return None
    files = tuple(upload.file_id for upload in uploads)
    known: _Read | None = st.session_state.get(_READ)
    if known is None or known.files != files:
        with st.spinner("Reading …"):
            known = _look_into(store, files, [Upload(upload.name, upload.getvalue()) for upload in uploads])
        st.session_state[_READ] = known
    return known


def _look_into(store: RunStore, files: tuple[str, ...], uploads: Sequence[Upload]) -> _Read:
    try:
        found = find_logs(uploads)
    except BceError as error:
        return _Read(files, problem=error)
    columns = found.columns()
    keys = [key for key in columns.keys if key not in ("epoch", "time")]
    keys.sort(key=lambda key: _GROUPS.index(metric(key).group))
    return _Read(
        files,
        found,
        imported_before(store, found),
        steps=len(columns),
        last_step=int(columns.steps[-1]),
        epoch=columns.last("epoch") if "epoch" in columns.keys else None,
        keys=tuple(keys),
    )


def _problem(error: BceError) -> None:
    if isinstance(error, TensorBoardMissingError):
        st.error(
            "**TensorBoard’s files cannot be read yet:** that takes an optional extra, which is not installed. Whoever "
            "looks after this machine can install it:",
            icon=":material/extension:",
        )
        st.code(error.command, language=None, wrap_lines=True)
    else:
        show_problems([str(error)])


def _preview(store: RunStore, read: _Read, found: Found) -> None:
    origin = origin_of(read.keys, ours=False)
    names = [metric(key, origin).name for key in read.keys]
    more = f" and {len(names) - _VALUES_NAMED} more" if len(names) > _VALUES_NAMED else ""
    parts = [f"**{count(read.steps, 'logged step')}**", *_extent(read, found)]
    with st.container(border=True, gap="xsmall", key="import-preview"):
        st.markdown(f":green[:material/check_circle:] {' · '.join(parts)}")
        st.caption(f"{count(len(names), 'value')}: {plain(', '.join(names[:_VALUES_NAMED]))}{more}.")
        read_bytes = sum(source.bytes for source in found.sources)
        st.caption(f"From {count(len(found.sources), 'file')}, {size(read_bytes)}.")
        for note in found.notes[:3]:
            st.caption(f":material/sticky_note_2: {plain(note)}")
        if len(found.notes) > 3:
            st.caption(f"{len(found.notes) - 3} more notes will stand on the run’s page.")
    if read.before is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            before = plain(store.record(read.before).name)
            st.warning(f"**This log was imported before**, as “{before}”.", icon=":material/content_copy:")
            if st.button("Open that run", icon=":material/monitoring:", key="import-open-before"):
                dialogs.close()
                open_run(read.before)


def _extent(read: _Read, found: Found) -> list[str]:
    """How far the values go, and of how many steps."""
    parts = [f"values to step {read.last_step:,}"]
    planned = found.newest.state.get("max_steps")
    total = max(found.newest.last_step, planned if isinstance(planned, int) else 0)
    if total > read.last_step:
        parts[0] += f" of {total:,}"
    if read.epoch is not None:
        parts.append(f"epoch {number(read.epoch)}")
    return parts


def _import(store: RunStore, files: tuple[str, ...], found: Found, name: str, facts: Mapping[str, Fact]) -> None:
    try:
        # That it was imported before has been said above.
        run_id = once((files, name), lambda: import_run(store, found, name=name, facts=facts, again=True))
    except BceError as error:
        show_problems([str(error)])
        return
    st.session_state.pop(_READ, None)
    dialogs.close()
    news.say(f"{name} is imported.", icon=":material/check:")
    open_run(run_id)


# -- facts


def _fact_fields(key: str, state: Mapping[str, Any], given: Mapping[str, Fact]) -> dict[str, Fact]:
    """A field for each fact; returns what stands in them."""
    typed: dict[str, Fact] = {}
    with st.grid(2, min_column_width=180, key=f"{key}-facts"):
        for name, field in _FACT_FIELDS.items():
            logged = state.get(field.in_state) if field.in_state is not None else None
            typed[name] = st.text_input(
                field.title,
                str(given.get(name, "")),
                key=f"{key}-fact-{name}",
                help=field.about,
                placeholder=f"{logged}, says the log" if logged is not None else f"such as {field.example}",
            )
    return typed


def show_fact_form(store: RunStore, record: RunRecord) -> None:
    """The facts of an imported run, to be completed or corrected; nothing for any other run."""
    if record.status != "imported":
        return
    try:
        imported = store.imported(record.id)
    except BceError as error:
        show_problems([str(error)])
        return
    missing = sum(name not in imported.facts for name in _FACT_FIELDS)
    title = f"What the log cannot know ({missing} of {len(_FACT_FIELDS)} not given)" if missing else "What was given"
    with st.expander(title, icon=":material/edit_note:"), st.form(f"facts-{record.id}", border=False):
        typed = _fact_fields(f"facts-{record.id}", imported.state, imported.facts)
        if st.form_submit_button("Save", icon=":material/check:", type="primary"):
            try:
                store.set_facts(record.id, typed)
            except BceError as error:
                show_problems([str(error)])
            else:
                news.say("Saved. The tables and the report say it now.", icon=":material/check:")
                st.rerun(scope="app")
