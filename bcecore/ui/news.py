"""What a session is told in passing: that a run has ended, and what became of something that was asked for.

Streamlit takes a toast away when the script that showed it runs again without it, so all of them are shown here: they
wait in the session until a page, or the part of it that refreshes, has time for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import streamlit as st

from bcecore.store.record import JobRecord, Status, now
from bcecore.ui.words import STATUS_WORDS, plain

_NEWS = "news"
_ENDED: dict[Status, str] = {
    "finished": "has finished.",
    "stopped": "has stopped.",
    "failed": "has failed. Its page says why.",
    "crashed": "has ended unexpectedly. Its page says what is safe.",
}


@dataclass
class _News:
    began: datetime
    told: set[tuple[str, datetime]] = field(default_factory=set)
    """Runs, and when they ended: a run that is resumed ends again."""
    waiting: list[tuple[str, str]] = field(default_factory=list)


def _news() -> _News:
    found: _News = st.session_state.setdefault(_NEWS, _News(now()))
    return found


def say(words: str, icon: str = ":material/info:") -> None:
    """Have a sentence shown as soon as something is drawn. May be called where nothing is, as in a callback."""
    _news().waiting.append((plain(words), icon))


def tell(records: Iterable[JobRecord]) -> None:
    """Show what waits to be said, and which jobs have ended since the last time; those from before are no news."""
    news = _news()
    for record in records:
        ending = (record.id, record.status_since)
        if record.status in _ENDED and record.status_since > news.began and ending not in news.told:
            news.told.add(ending)
            news.waiting.append((f"{plain(record.name)} {_ENDED[record.status]}", STATUS_WORDS[record.status].icon))
    while news.waiting:
        words, icon = news.waiting.pop(0)
        st.toast(words, icon=icon, duration="long")
