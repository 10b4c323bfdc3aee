"""What pages say: numbers and times (from `report.words`, which reports share) and the status of a run.

A status is always an icon, a word and a colour together, so that none of them has to carry the meaning alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bcecore.report.words import age, count, duration, moment, number, percent, roughly, scientific, size
from bcecore.store.record import Status

__all__ = [
    "STATUS_WORDS",
    "StatusWords",
    "age",
    "count",
    "duration",
    "moment",
    "number",
    "percent",
    "plain",
    "roughly",
    "scientific",
    "size",
]

BadgeColor = Literal["red", "orange", "blue", "green", "gray", "violet"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$:&])")


def plain(text: str) -> str:
    """Somebody's text as it may stand in a label or a sentence: nothing in it is taken for Markdown."""
    return _MARKDOWN.sub(r"\\\1", text)


@dataclass(frozen=True)
class StatusWords:
    """How a status looks."""

    icon: str
    """For Streamlit's labels."""
    sign: str
    """The same as one character, for table cells."""
    word: str
    color: BadgeColor


STATUS_WORDS: dict[Status, StatusWords] = {
    "queued": StatusWords(":material/schedule:", "○", "Waiting", "gray"),
    "held": StatusWords(":material/pause_circle:", "‖", "On hold", "gray"),
    "removed": StatusWords(":material/remove_circle:", "–", "Taken out", "gray"),
    "starting": StatusWords(":material/hourglass_top:", "◔", "Starting", "violet"),
    "running": StatusWords(":material/play_circle:", "▶", "Running", "violet"),
    "stopping": StatusWords(":material/pending:", "◑", "Stopping", "orange"),
    "finished": StatusWords(":material/check_circle:", "✓", "Finished", "green"),
    "stopped": StatusWords(":material/stop_circle:", "■", "Stopped", "orange"),
    "failed": StatusWords(":material/error:", "✕", "Failed", "red"),
    "crashed": StatusWords(":material/power_off:", "✕", "Crashed", "red"),
    "imported": StatusWords(":material/download_done:", "↓", "Imported", "gray"),
}
