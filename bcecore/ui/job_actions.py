"""What can be done with a run and with an evaluation alike: the buttons of what waits in the queue.

Every click is a callback, so that what is drawn next already shows what it did.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from bcecore.jobs import control, queue
from bcecore.jobs.queue import Job, Move
from bcecore.store.runs import RunStore
from bcecore.ui.actions import attempt

_MOVES: dict[Move, str] = {"up": "Earlier", "down": "Later"}


def action_button(
    label: str,
    icon: str,
    store: RunStore,
    job: Job,
    action: Callable[[RunStore, str], Any],
    *,
    about: str | None = None,
    primary: bool = False,
    disabled: bool = False,
) -> None:
    """A button that does `action` to the job, or says why it could not be done."""
    st.button(
        label,
        icon=icon,
        type="primary" if primary else "secondary",
        key=f"{action.__name__}-{job.id}",
        help=about,
        disabled=disabled,
        on_click=attempt,
        args=(store, job.key, partial(action, store, job.key)),
    )


def queue_buttons(store: RunStore, job: Job, *, primary: bool = False) -> None:
    """Hold, release, remove."""
    if job.status == "held":
        action_button("Release", ":material/play_arrow:", store, job, control.release, primary=primary)
    else:
        action_button("Hold", ":material/pause:", store, job, queue.hold, about="Keeps its place, but does not start.")
    about = "Takes it out of the queue. It stays in the list and can be put back."
    action_button("Remove", ":material/playlist_remove:", store, job, queue.remove, about=about)


def mover(store: RunStore, job: Job, to: Move, *, disabled: bool) -> None:
    """A button that lets the job start earlier or later."""
    st.button(
        _MOVES[to],
        icon=f":material/arrow_{to}ward:",
        key=f"{to}-{job.id}",
        disabled=disabled,
        on_click=attempt,
        args=(store, job.key, partial(queue.move, store, job.key, to)),
    )
