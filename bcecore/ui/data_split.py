"""The one button of the Data page: write files of which the model is never checked on what it has learnt."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import streamlit as st

from bcecore.errors import BceError
from bcecore.jobs.looking import Cleaned, Written
from bcecore.store.runs import RunStore
from bcecore.text.looking import Between, Look
from bcecore.ui import launch_state
from bcecore.ui.config_form import show_problems
from bcecore.ui.data_asking import answer
from bcecore.ui.data_files import Chosen
from bcecore.ui.page import LAUNCH_PAGE
from bcecore.ui.words import count, plain

_MADE = "data:made"
_FRACTION = "data:fraction"
_FRACTIONS = (0.05, 0.1, 0.2)

How = Literal["split", "without", "once"]


def show(store: RunStore, chosen: Chosen, look: Look, between: Between | None) -> None:
    """What can be written, and once it is, where it is and what can be done with it."""
    assert chosen.main is not None
    with st.container(border=True, key="data-split"):
        made: Cleaned | None = st.session_state.get(_MADE)
        if made is not None and (made.path, made.column) == (chosen.main.path, chosen.column):
            written = answer(store, made, Written, chosen.main, "Dividing the text …", chosen.check)
            if written is not None:
                _written(store, written)
            st.button("Start over", icon=":material/undo:", key="data-undo", on_click=_forget)
            return
        if between is not None and between.clean < between.held_out_lines:
            both = between.held_out_lines - between.clean
            st.markdown(
                f"**Make the two texts clean.** The text to learn from is written anew without the "
                f"{count(both, 'line')} that are in the text to check on, and without lines that are nearly the same. "
                "Your own files stay as they are."
            )
            _button(store, chosen, "without")
        elif between is not None and chosen.check is not None:
            st.markdown("**The two texts are clean.** They can be used as they are.")
            _button(store, chosen, "without", "Train on them")
        else:
            st.markdown(
                "**Set lines aside to check on.** Two files are written: one to learn from and one to check on. No "
                "line is in both, neither as it is nor nearly: what is there twice stays on one side."
            )
            st.session_state.setdefault(_FRACTION, 0.1)
            st.segmented_control(
                "Share set aside",
                _FRACTIONS,
                format_func=lambda share: f"{100 * share:.0f} %",
                key=_FRACTION,
                required=True,
                persist_state="session",
            )
            _button(store, chosen, "split")
        if look.exact_copies + look.near_copies:
            copies = count(look.exact_copies + look.near_copies, "copy").replace("copys", "copies")
            st.button(
                f"Write it without its {copies}",
                icon=":material/filter_1:",
                key="data-once",
                help="Of lines that are the same, or nearly, the first one is kept.",
                on_click=_make,
                args=(store, chosen, "once"),
            )


def _button(store: RunStore, chosen: Chosen, how: How, label: str = "Make a clean split") -> None:
    st.button(
        label,
        icon=":material/call_split:",
        type="primary",
        key="data-make",
        on_click=_make,
        args=(store, chosen, how),
    )


def _make(store: RunStore, chosen: Chosen, how: How) -> None:
    assert chosen.main is not None
    held_out = chosen.check.path if how == "without" and chosen.check is not None else None
    fraction = st.session_state.get(_FRACTION) or 0.1
    # A folder for each question, so that the files can have the name that people know.
    name = f"{chosen.main.path}|{held_out}|{how}|{chosen.column}|{fraction}"
    folder = hashlib.sha256(name.encode()).hexdigest()[:16]
    st.session_state[_MADE] = Cleaned(
        path=chosen.main.path,
        how=how,
        held_out=held_out,
        column=chosen.column,
        fraction=fraction,
        directory=store.root / ".uploads" / folder,
        stem=_file_name(chosen.main.name),
    )


def _file_name(name: str) -> str:
    """What people call a file, as part of the name of another one."""
    kept = "".join(letter if letter.isalnum() or letter in " -_" else "-" for letter in Path(name).stem)
    return kept.strip(" -")[:60] or "text"


def _forget() -> None:
    st.session_state.pop(_MADE, None)


def _written(store: RunStore, written: Written) -> None:
    parts = [f"{count(written.train_lines, 'line')} to learn from"]
    if written.held_out is not None:
        parts.append(f"{count(written.held_out_lines, 'line')} to check on, none of them in both")
    if written.left_out:
        parts.append(f"{count(written.left_out, 'line')} left out")
    st.success(f"**{', '.join(parts)}.**", icon=":material/check_circle:")
    with st.container(horizontal=True):
        pressed = st.button("Train on it", icon=":material/rocket_launch:", type="primary", key="data-train")
        for words, path in (("the text to learn from", written.train), ("the text to check on", written.held_out)):
            if path is not None:
                st.download_button(
                    f"Download {words}",
                    path.read_bytes,
                    file_name=path.name,
                    mime="text/plain",
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"data-download-{path.stem}",
                )
    st.caption(f"The files are {plain(written.train.name)}" + _and(written.held_out) + ".")
    if pressed:
        try:
            launch_state.use_texts(store, written.train, written.held_out)
        except BceError as error:
            show_problems([str(error)])
        else:
            st.switch_page(LAUNCH_PAGE)


def _and(path: Path | None) -> str:
    return "" if path is None else f" and {plain(path.name)}"
