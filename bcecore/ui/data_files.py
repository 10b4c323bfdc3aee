"""Which file the Data page is about: one that was just given, one that is known already, or one on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from bcecore.errors import RunError
from bcecore.files import expanded
from bcecore.store.runs import RunStore
from bcecore.text.reading import SAMPLE_TRAIN_FILE, SAMPLE_VALIDATION_FILE, SUFFIXES
from bcecore.ui.evaluate_uploads import show_upload, uploader, uploads
from bcecore.ui.words import moment

SLOT = "data"
MAIN, CHECK = "data:main", "data:check"
_COLUMN = "data:column"
_SEEN = "data:seen"
_TYPED = "typed"
_SHOWN_RUNS = 30
_LARGER = "For a larger one choose “A file on this machine”."


@dataclass(frozen=True)
class File:
    """A text file, and what people call it."""

    path: Path
    name: str

    @property
    def has_columns(self) -> bool:
        """Whether its texts stand in a column that has a name."""
        return self.path.suffix.lower() != ".txt"

    def named(self, message: str) -> str:
        """A message about the file with the name that people know it by."""
        return message.replace(str(self.path), self.name).replace(self.path.name, self.name)


@dataclass(frozen=True)
class Chosen:
    """What somebody wants to look at."""

    main: File | None
    check: File | None
    """The text to check on, if there is one."""
    column: str


def choose(store: RunStore) -> Chosen:
    """Draw the choice of files, and say what was chosen."""
    uploader(store, SLOT, "Texts, one example a line or row", SUFFIXES, several=True, larger=_LARGER)
    for upload in uploads(SLOT):
        show_upload(SLOT, upload, "")
    known = _known(store)
    _follow_uploads(known)
    with st.grid(2, min_column_width=300) as grid:
        with grid.cell():
            main = _choice("Text to learn from", MAIN, known, "Choose a text")
        with grid.cell():
            check = _choice(
                "Text to check on, if there is one",
                CHECK,
                known,
                "None",
                "Its lines are looked for in the text to learn from.",
            )
    column = "text"
    if any(file is not None and file.has_columns for file in (main, check)):
        st.session_state.setdefault(_COLUMN, "text")
        typed = st.text_input("Column with the texts", key=_COLUMN, width=300, persist_state="session")
        column = (typed or "").strip() or "text"
    return Chosen(main, check, column)


def _follow_uploads(known: dict[str, File]) -> None:
    """Choose what was just given: the larger file is to learn from, unless somebody has chosen already."""
    given = [f"upload:{upload.path.stem}" for upload in sorted(uploads(SLOT), key=lambda upload: -upload.bytes)]
    seen: set[str] = st.session_state.setdefault(_SEEN, set())
    fresh = [key for key in given if key not in seen]
    seen.update(given)
    for place in (MAIN, CHECK):
        chosen = st.session_state.get(place)
        if chosen is not None and chosen != _TYPED and chosen not in known:
            st.session_state[place] = None  # it was taken away
    for key in fresh:
        place = MAIN if st.session_state.get(MAIN) is None else CHECK
        if st.session_state.get(place) is None:
            st.session_state[place] = key


def _known(store: RunStore) -> dict[str, File]:
    """All files that can be chosen, by a key."""
    found = {f"upload:{upload.path.stem}": File(upload.path, upload.name) for upload in uploads(SLOT)}
    found["sample"] = File(SAMPLE_TRAIN_FILE, "The sample text")
    found["sample:check"] = File(SAMPLE_VALIDATION_FILE, "The sample's checking text")
    for record in store.records()[:_SHOWN_RUNS]:
        try:
            data = store.directory(record.id) / "data"
        except RunError:
            continue
        for side, words in (("train", "what it learnt from"), ("validation", "what it was checked on")):
            path = data / f"{side}.jsonl"
            if path.is_file() and path.stat().st_size:
                found[f"run:{record.id}:{side}"] = File(path, f"Run “{record.name}”, {moment(record.created)}: {words}")
    return found


def _choice(label: str, key: str, known: dict[str, File], placeholder: str, help: str | None = None) -> File | None:
    chosen = st.selectbox(
        label,
        [*known, _TYPED],
        index=None,
        format_func=lambda key: known[key].name if key in known else "A file on this machine …",
        key=key,
        placeholder=placeholder,
        help=help,
        persist_state="session",
    )
    if chosen != _TYPED:
        return known.get(chosen) if chosen is not None else None
    typed = st.text_input(
        f"Path of the {label[0].lower()}{label[1:].partition(',')[0]}",
        key=f"{key}:path",
        placeholder="/home/me/texts/my-text.txt",
        persist_state="session",
    )
    path = expanded((typed or "").strip())
    return File(path, path.name) if (typed or "").strip() else None
