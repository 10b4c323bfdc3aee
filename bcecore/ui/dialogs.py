"""Which dialog is open. It is kept in the session, so that a page that is drawn anew does not close it.

A dialog that was opened within a part of the page that refreshes would be gone at the next refresh: such a part only
asks for it (`ask`, as a callback) and has the page drawn (`redraw_if_asked`), which shows it first (`show_asked`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

_ASKED = "dialog:asked"
_PAGE = "dialog:page"


@dataclass
class _Asked:
    name: str
    run_id: str
    drawn: bool = False


def arrive(page: str) -> None:
    """Forget a dialog that was left open on another page."""
    if st.session_state.get(_PAGE) != page:
        close()
    st.session_state[_PAGE] = page


def ask(name: str, run_id: str = "") -> None:
    """Have a dialog opened, about a run or about no run in particular."""
    st.session_state[_ASKED] = _Asked(name, run_id)


def close() -> None:
    """Have no dialog open any more."""
    st.session_state.pop(_ASKED, None)


def redraw_if_asked() -> None:
    """Within a part of the page that refreshes: have the whole page drawn if a dialog was asked for there."""
    asked: _Asked | None = st.session_state.get(_ASKED)
    if asked is not None and not asked.drawn:
        st.rerun(scope="app")


def show_asked(dialogs: Mapping[str, tuple[str, Callable[[str], None]]]) -> None:
    """Draw the dialog that was asked for, from `{name: (title, what draws its content, given the run's id)}`."""
    asked: _Asked | None = st.session_state.get(_ASKED)
    if asked is None or asked.name not in dialogs:
        return
    asked.drawn = True
    title, content = dialogs[asked.name]
    st.dialog(title, on_dismiss=close)(_draw)(asked, content)


def _draw(asked: _Asked, content: Callable[[str], None]) -> None:
    # The button that ends a dialog closes it in its callback, and the page has to follow.
    if st.session_state.get(_ASKED) is not asked:
        st.rerun()
    content(asked.run_id)
