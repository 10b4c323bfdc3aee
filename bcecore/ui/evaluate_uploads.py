"""Files that were given to the Evaluate page, kept in the session until they are taken away.

The uploader is emptied as soon as it has handed a file over: Streamlit forgets what it holds whenever another page is
visited, and a list that is half its and half ours could not be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from bcecore.errors import DiskFullError
from bcecore.jobs import submit
from bcecore.store.runs import RunStore
from bcecore.ui.config_form import show_problems
from bcecore.ui.launch_state import Upload
from bcecore.ui.words import plain, size

UPLOAD_MEGABYTES = 50


def uploads(slot: str) -> list[Upload]:
    """The files that were given in this place of the form, in the order in which they came."""
    found: list[Upload] = st.session_state.setdefault(_key(slot, "kept"), [])
    return found


def uploader(
    store: RunStore,
    slot: str,
    label: str,
    suffixes: Sequence[str],
    *,
    several: bool = False,
    larger: str = "Larger ones can be evaluated from the command line.",
) -> None:
    """A place to drop a file; with `several`, one beside the others, else in place of the one before."""
    turn = st.session_state.setdefault(_key(slot, "turn"), 0)
    key = _key(slot, f"uploader-{turn}")
    with st.container(key=f"uploader-{slot}"):
        st.file_uploader(
            label,
            [suffix.removeprefix(".") for suffix in suffixes],
            accept_multiple_files=several,
            key=key,
            max_upload_size=UPLOAD_MEGABYTES,
            help=f"Up to {UPLOAD_MEGABYTES} MB a file. {larger}",
            on_change=_take,
            args=(store, slot, key),
            kwargs={"several": several},
        )
    problem = st.session_state.get(_key(slot, "problem"))
    show_problems([problem] if problem else [])


def _take(store: RunStore, slot: str, key: str, *, several: bool) -> None:
    """Keep what was just given to the uploader, and empty that; as a callback."""
    given = st.session_state[key]
    # A drawing that is cut short leaves the browser with the uploader that was emptied, and it hands over once more.
    taken: set[str] = st.session_state.setdefault(_key(slot, "taken"), set())
    files = given if isinstance(given, list) else [given] if given is not None else []
    files = [file for file in files if file.file_id not in taken]
    if not files:
        return
    taken.update(file.file_id for file in files)
    st.session_state[_key(slot, "turn")] += 1
    st.session_state[_key(slot, "problem")] = None
    before = uploads(slot)
    kept = list(before) if several else []
    try:
        for file in files:
            kept.append(Upload(submit.keep_upload(store, file.name, file.getvalue()), file.name, file.size))
    except DiskFullError as error:
        st.session_state[_key(slot, "problem")] = str(error)
    st.session_state[_key(slot, "kept")] = kept or before
    for upload in before:
        if kept and upload not in kept:
            submit.forget_upload(upload.path)


def show_upload(slot: str, upload: Upload, about: str) -> None:
    """One file: what it is called, how large it is, what is in it, and the way to take it away."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"upload-{upload.path.stem}"):
        words = f":material/attach_file: **{plain(upload.name)}** · {size(upload.bytes)}"
        st.markdown(f"{words} · {about}" if about else words, width="content")
        st.button(
            f"Remove {plain(upload.name)}",
            icon=":material/close:",
            type="tertiary",
            key=_key(slot, f"away-{upload.path.stem}"),
            on_click=_forget,
            args=(slot, upload),
        )


def _forget(slot: str, upload: Upload) -> None:
    st.session_state[_key(slot, "kept")] = [other for other in uploads(slot) if other != upload]
    submit.forget_upload(upload.path)


def by_its_name(message: str, upload: Upload) -> str:
    """A message about an upload, with the name that people know it by in place of the one that it is kept under."""
    return message.replace(str(upload.path), upload.name).replace(upload.path.name, upload.name)


def _key(slot: str, what: str) -> str:
    return f"evaluate:{slot}:{what}"
