"""Section 2 of the evaluation form: the texts to evaluate on, with what is wrong beside each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import streamlit as st

from bcecore.errors import BceError, RunError, TextError
from bcecore.evaluation import splits
from bcecore.evaluation.template import DEFAULT_TEMPLATE, LABEL, TEXT, filled
from bcecore.store.evaluations import MAX_SPLIT_NAME_CHARACTERS, SplitTexts
from bcecore.store.runs import RunStore
from bcecore.text.reading import SUFFIXES
from bcecore.ui.actions import sentence
from bcecore.ui.config_form import show_problems
from bcecore.ui.evaluate_uploads import by_its_name, show_upload, uploader, uploads
from bcecore.ui.evaluate_words import dropped_words
from bcecore.ui.launch_state import Upload
from bcecore.ui.words import count, plain

Kind = Literal["own", "file", "hub", "labelled"]

CHOICE = "evaluate:texts"
_KINDS: dict[Kind, str] = {
    "own": "Its own checking text",
    "file": "My own files",
    "hub": "WikiText-2, or another text of the Hub",
    "labelled": "A file with labels",
}
FILES, LABELLED = "files", "labelled"
_COLUMN = "evaluate:column"
_DATASET, _LIMIT = "evaluate:dataset", "evaluate:limit"
_HUB_PROBLEM = "evaluate:hub-problem"
_TEMPLATE, _LABELS = "evaluate:template", "evaluate:labels"
_TEXT_COLUMN, _LABEL_COLUMN = "evaluate:text-column", "evaluate:label-column"
_WITH_LABELS = tuple(suffix for suffix in SUFFIXES if suffix != ".txt")
_REPORT_LINES = "400"
_PREVIEWED = 3
_PREVIEW_CHARACTERS = 400
_SHOWN_LABELS = 12


@dataclass
class Chosen:
    """What the section came to: what can be read now, what is fetched when it is asked for, and what is missing."""

    splits: list[SplitTexts] = field(default_factory=list)
    hub: tuple[str, int | None] | None = None
    """The words for a dataset on the Hub, and how many of its lines; it is read once the evaluation is asked for."""
    faults: list[str] = field(default_factory=list)
    """Titles of the fields that something is wrong with or missing in."""


def show_texts(store: RunStore, run_id: str) -> Chosen:
    """Choose the texts, each kind with its fields."""
    chosen = Chosen()
    own = _own(store, run_id)
    kinds = [kind for kind in _KINDS if kind != "own" or isinstance(own, SplitTexts)]
    if CHOICE not in st.session_state:
        st.session_state[CHOICE] = ["own"] if isinstance(own, SplitTexts) else ["file"]
    # What was chosen for another run may not be possible here.
    st.session_state[CHOICE] = [kind for kind in st.session_state[CHOICE] if kind in kinds]
    picked: list[Kind] = st.pills(
        "Evaluate on",
        kinds,
        selection_mode="multi",
        format_func=lambda kind: _KINDS[kind],
        key=CHOICE,
        help="One or several. Each gets figures of its own.",
        persist_state="session",
    )
    if not picked:
        st.caption("Choose at least one text.")
        chosen.faults.append("Evaluate on")
    if isinstance(own, str):
        st.caption(own)
    elif "own" in picked:
        chosen.splits.append(own)
        learnt = (
            "which it did not learn from" if store.config(run_id).data.holds_out else "**which it also learnt from**"
        )
        st.markdown(f":material/notes: **Its own checking text**: {texts_words(own)}, {learnt}.")
    if "file" in picked:
        with st.container(border=True, key="evaluate-files"):
            _files(store, run_id, chosen)
    if "hub" in picked:
        with st.container(border=True, key="evaluate-hub"):
            _hub(chosen)
    if "labelled" in picked:
        with st.container(border=True, key="evaluate-labelled"):
            _labelled(store, run_id, chosen)
    return chosen


def texts_words(split: SplitTexts) -> str:
    """How many texts there are, and how many rows were left out, and why."""
    left_out = dropped_words(split.dropped)
    return count(len(split.texts), "text") + (f" ({left_out})" if left_out else "")


# -- the run's own


def _own(store: RunStore, run_id: str) -> SplitTexts | str:
    """The lines that were set aside, or why there are none."""
    mode = store.config(run_id).data.validation
    if mode == "none":
        return "This run has no checking text of its own: none was set aside when it was made."
    try:
        own = _own_split(str(store.root), run_id)
    except BceError as error:
        return plain(sentence(store, run_id, error))
    return own


# Texts do not change once a run is made, and an upload has a name of its own: both are read once for all sessions.
@st.cache_resource(max_entries=8, show_spinner=False)
def _own_split(root: str, run_id: str) -> SplitTexts:
    store = RunStore(Path(root))
    return splits.own_split(store, run_id, splits.reading_of(store, run_id))


# -- files


def _files(store: RunStore, run_id: str, chosen: Chosen) -> None:
    uploader(store, FILES, "Files, one text a line or row", SUFFIXES, several=True)
    given = uploads(FILES)
    if not given:
        st.caption("Drop one file or several: .txt with one text a line, or .jsonl, .csv or .parquet with a column.")
        chosen.faults.append("My own files")
        return
    column = "text"
    if any(upload.path.suffix != ".txt" for upload in given):
        column = _field("Column with the texts", _COLUMN, "text").strip() or "text"
    names: Counter[str] = Counter()
    for upload in given:
        # Two files may have the same name; the second is told apart by a number.
        stem = Path(upload.name).stem[:MAX_SPLIT_NAME_CHARACTERS].strip() or "text"
        names[stem] += 1
        name = stem if names[stem] == 1 else f"{stem[: MAX_SPLIT_NAME_CHARACTERS - 4]} {names[stem]}"
        read = _read(lambda u=upload, n=name: _file(str(store.root), run_id, str(u.path), n, column), upload)  # type: ignore[misc]
        if isinstance(read, SplitTexts):
            show_upload(FILES, upload, texts_words(read))
            chosen.splits.append(replace(read, source=upload.name))
        else:
            show_upload(FILES, upload, "")
            show_problems([str(read)])
            chosen.faults.append(upload.name)


def _read(reading: Callable[[], SplitTexts], upload: Upload) -> SplitTexts | BceError:
    """The texts of an upload, or what is wrong with it, by the name that people know it by."""
    try:
        return reading()
    except BceError as error:
        return TextError(by_its_name(str(error), upload), field=error.field)


@st.cache_resource(max_entries=16, show_spinner="Reading the text…")
def _file(root: str, run_id: str, path: str, name: str, column: str) -> SplitTexts:
    reading = splits.reading_of(RunStore(Path(root)), run_id)
    return splits.file_split(Path(path), reading, name, column=column)


# -- the Hub


def _hub(chosen: Chosen) -> None:
    with st.grid(2, min_column_width=260) as grid:
        with grid.cell():
            words = _field(
                "Dataset",
                _DATASET,
                "wikitext-2",
                "wikitext-2 is the raw validation text that the report used. Others: owner/name, "
                "owner/name/configuration, and with @split behind.",
            ).strip()
            fault = _hub_fault(words)
            show_problems([fault] if fault else [])
        with grid.cell():
            typed = _field(
                "First so many lines (empty ones do not count)", _LIMIT, _REPORT_LINES, "Leave it empty for all lines."
            ).strip()
            limit = int(typed) if typed.isascii() and typed.isdecimal() else None
            wrong = bool(typed) and not limit
            show_problems([f"“{typed}” is no number of lines. Write a whole number from 1 on."] if wrong else [])
    if fault or wrong:
        chosen.faults.append("Dataset" if fault else "First so many lines")
        return
    chosen.hub = (words, limit)
    failed = st.session_state.get(_HUB_PROBLEM)
    if failed is not None and failed[0] == chosen.hub:
        show_problems([failed[1]])
    else:
        st.caption("It is fetched from the Hugging Face Hub when you press “Evaluate”, and kept for the next time.")


def _hub_fault(words: str) -> str | None:
    try:
        splits.hub_dataset(words)
    except TextError as error:
        return str(error)
    return None


def fetch_hub(store: RunStore, run_id: str, wanted: tuple[str, int | None]) -> SplitTexts:
    """The texts of a dataset on the Hub. Raises BceError; the form then says so beside the dataset's field."""
    st.session_state.pop(_HUB_PROBLEM, None)
    try:
        return _hub_split(str(store.root), run_id, *wanted)
    except BceError as error:
        st.session_state[_HUB_PROBLEM] = (wanted, str(error))
        raise


@st.cache_resource(max_entries=4, show_spinner=False)
def _hub_split(root: str, run_id: str, words: str, limit: int | None) -> SplitTexts:
    reading = splits.reading_of(RunStore(Path(root)), run_id)
    name = words[:MAX_SPLIT_NAME_CHARACTERS]
    return splits.hub_split(splits.hub_dataset(words), reading, name, limit=limit)


# -- labels


def _labelled(store: RunStore, run_id: str, chosen: Chosen) -> None:
    st.markdown(
        "The model is asked for the label of each text: whichever label it finds most likely after the text is its "
        "answer. Texts that do not fit are always cut here."
    )
    uploader(store, LABELLED, "File with a text and a label in each row", _WITH_LABELS)
    given = uploads(LABELLED)
    at_file = st.container()
    with st.grid(3, min_column_width=240) as grid:
        with grid.cell():
            text_column = _field("Column with the texts", _TEXT_COLUMN, "text").strip() or "text"
        with grid.cell():
            label_column = _field("Column with the labels", _LABEL_COLUMN, "label").strip() or "label"
        with grid.cell():
            labels = _field(
                "Labels to choose from",
                _LABELS,
                "",
                "Separated by commas. Left empty, they are those that occur in the file.",
                placeholder="those in the file",
            )
    at_columns = st.container()
    template = st.text_area(
        "What the model reads",
        key=_with_default(_TEMPLATE, DEFAULT_TEMPLATE),
        height=90,
        help=f"{TEXT} is where the text goes and {LABEL} where each label is tried. Everything else stands as it is.",
        persist_state="session",
    )
    at_template = st.container()
    if not given:
        at_file.caption(
            "Drop a .csv, .jsonl or .parquet file; its columns are named in its first line, or in every line."
        )
        chosen.faults.append("A file with labels")
        return
    upload = given[0]
    names = tuple(labels.split(",")) if labels.strip() else None
    name = Path(upload.name).stem[:MAX_SPLIT_NAME_CHARACTERS].strip() or "labelled"
    read = _read(
        lambda: _labelled_split(
            str(store.root), run_id, str(upload.path), name, text_column, label_column, template or "", names
        ),
        upload,
    )
    with at_file:
        show_upload(LABELLED, upload, texts_words(read) if isinstance(read, SplitTexts) else "")
    if isinstance(read, SplitTexts):
        chosen.splits.append(replace(read, source=upload.name))
        with at_template:
            _preview(read)
        return
    chosen.faults.append(upload.name)
    places = {"template": at_template, "labels": at_columns, "data.column": at_columns}
    with places.get(read.field or "", at_file):
        show_problems([str(read)])


@st.cache_resource(max_entries=16, show_spinner="Reading the text…")
def _labelled_split(
    root: str,
    run_id: str,
    path: str,
    name: str,
    text_column: str,
    label_column: str,
    template: str,
    labels: tuple[str, ...] | None,
) -> SplitTexts:
    return splits.labelled_split(
        Path(path),
        splits.reading_of(RunStore(Path(root)), run_id),
        name,
        template=template,
        labels=labels,
        text_column=text_column,
        label_column=label_column,
    )


def _preview(split: SplitTexts) -> None:
    """The labels with how often each occurs, and the first texts as the model will read them."""
    assert split.labels is not None and split.labels_of_texts is not None and split.template is not None
    found = Counter(split.labels_of_texts)
    listed = ", ".join(f"{plain(label)} ({found[label]:,})" for label in split.labels[:_SHOWN_LABELS])
    more = f" and {len(split.labels) - _SHOWN_LABELS:,} more" if len(split.labels) > _SHOWN_LABELS else ""
    st.markdown(f":material/label: {count(len(split.labels), 'label')}: {listed}{more}.")
    with st.expander("What the model reads, with the right label", icon=":material/visibility:"):
        for text, label in zip(split.texts[:_PREVIEWED], split.labels_of_texts[:_PREVIEWED], strict=True):
            shown = text if len(text) <= _PREVIEW_CHARACTERS else f"{text[:_PREVIEW_CHARACTERS]}…"
            st.code(filled(split.template, shown, label), language=None, wrap_lines=True)


# -- fields


def _field(label: str, key: str, default: str, help: str | None = None, placeholder: str | None = None) -> str:
    """A line of text that keeps what was typed, also while it is not shown."""
    key = _with_default(key, default)
    return st.text_input(label, key=key, help=help, placeholder=placeholder, persist_state="session") or ""


def _with_default(key: str, default: str) -> str:
    st.session_state.setdefault(key, default)
    return key


def with_windows(split: SplitTexts, stride: int) -> SplitTexts:
    """The same texts, long ones read in windows; a labelled set stays as it is."""
    return split if split.kind == "labelled" else replace(split, long_texts="window", stride=stride)


def stride_of(store: RunStore, run_id: str, typed: str) -> int:
    """The stride that was typed. Raises RunError for what is none."""
    if not (typed.isascii() and typed.isdecimal()):
        raise RunError(f"“{typed}” is no number of tokens. Write a whole number.", field="stride")
    stride = splits.reading_of(store, run_id, "window", int(typed)).stride
    assert stride is not None
    return stride
