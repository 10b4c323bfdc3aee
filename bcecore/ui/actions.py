"""Doing what a button says: a run that changed in the meantime, or a second click, gives a sentence, never worse."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable

import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.jobs.queue import Job
from bcecore.store.evaluations import store_of
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs, news

_MADE = "actions:made"
# The second click of a double click arrives while the first one's run is being prepared.
_SAME_CLICK_SECONDS = 5.0


def attempt(store: RunStore, key: str, action: Callable[[], object], done: str | None = None) -> None:
    """Do it to a run or an evaluation; say `done`, or why it could not be done. For callbacks: it draws nothing."""
    try:
        action()
    except BceError as error:
        news.say(sentence(store, key, error), icon=":material/error:")
        return
    except OSError as error:
        reason = error.strerror or str(error)
        news.say(
            f"The files of the {store_of(store, key).noun} cannot be changed now: {reason}.", icon=":material/error:"
        )
        return
    if done is not None:
        news.say(done, icon=":material/check:")


def attempt_and_close(store: RunStore, key: str, action: Callable[[], object], done: str | None = None) -> None:
    """The same from a dialog, which has served its purpose either way."""
    attempt(store, key, action, done)
    dialogs.close()


def sentence(store: RunStore, key: str, error: BceError) -> str:
    """What went wrong, as a page says it: the job by its name, and nothing about the command line."""
    records = store_of(store, key)
    try:
        record = records.record(key)
    except RunError:
        return f"This {records.noun} is not here any more: it was deleted, here or in another window."
    return by_name(record, str(error))


def by_name(record: Job, message: str) -> str:
    """A message about a run or an evaluation with names in place of ids."""
    named = re.sub(rf"\b({record.noun.capitalize()} )?{re.escape(record.key)}\b", f"“{record.name}”", message)
    return named if record.key == record.run_id else re.sub(rf"\b(Run )?{re.escape(record.run_id)}\b", "the run", named)


def once(what: Hashable, make: Callable[[], str]) -> str:
    """The id of the run that `make` makes; for the second click of a double click, of the one that was made before.

    `make` draws nothing: the second click interrupts the first one's script wherever that draws or asks its session.
    """
    made: dict[Hashable, tuple[str, float]] = st.session_state.setdefault(_MADE, {})
    earlier = made.get(what)
    if earlier is not None and time.monotonic() - earlier[1] < _SAME_CLICK_SECONDS:
        return earlier[0]
    run_id = make()
    made[what] = (run_id, time.monotonic())
    return run_id
