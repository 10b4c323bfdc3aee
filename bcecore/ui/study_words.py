"""How the Study page names what it shows: a study's state, the state of one of its runs, and a verdict. Pure.

Each is an icon, a word and a colour together, as everywhere.
"""

from __future__ import annotations

import re

from bcecore.evaluation.study.progress import CellProgress, CellStatus, StudyProgress, StudyStatus
from bcecore.evaluation.verdict import Kind
from bcecore.report.words import count, percent, roughly
from bcecore.store.studies import StudyPlan
from bcecore.ui.words import StatusWords

STUDY_WORDS: dict[StudyStatus, StatusWords] = {
    "at work": StatusWords(":material/play_circle:", "▶", "Running", "violet"),
    "stopped": StatusWords(":material/stop_circle:", "■", "Stopped", "orange"),
    "needs somebody": StatusWords(":material/error:", "✕", "Needs you", "red"),
    "look due": StatusWords(":material/visibility:", "◉", "Result ready", "blue"),
    "complete": StatusWords(":material/check_circle:", "✓", "Finished", "green"),
}
DAMAGED = StatusWords(":material/broken_image:", "✕", "Cannot be read", "red")

CELL_WORDS: dict[CellStatus, StatusWords] = {
    "waiting": StatusWords(":material/schedule:", "○", "Waiting", "gray"),
    "training": StatusWords(":material/play_circle:", "▶", "Training", "violet"),
    "to measure": StatusWords(":material/hourglass_top:", "◔", "To be measured", "violet"),
    "measuring": StatusWords(":material/fact_check:", "◑", "Being measured", "violet"),
    "done": StatusWords(":material/check_circle:", "✓", "Measured", "green"),
    "stopped": StatusWords(":material/stop_circle:", "■", "Stopped", "orange"),
    "broken": StatusWords(":material/error:", "✕", "Broke", "red"),
    "failed": StatusWords(":material/error:", "✕", "Failed", "red"),
    "missing": StatusWords(":material/remove_circle:", "–", "Missing", "orange"),
}

VERDICT_WORDS: dict[Kind, StatusWords] = {
    "blocked": StatusWords(":material/block:", "✕", "No valid comparison", "red"),
    "nothing-changed": StatusWords(":material/drag_handle:", "=", "Nothing changed", "gray"),
    "exploratory": StatusWords(":material/explore:", "◌", "A first look", "orange"),
    "better": StatusWords(":material/trending_down:", "↓", "Better", "green"),
    "worse": StatusWords(":material/trending_up:", "↑", "Worse", "red"),
    "no-meaningful-difference": StatusWords(":material/balance:", "≈", "No meaningful difference", "blue"),
    "better-size-uncertain": StatusWords(":material/trending_down:", "↓", "Better, size uncertain", "green"),
    "worse-size-uncertain": StatusWords(":material/trending_up:", "↑", "Worse, size uncertain", "red"),
    "inconclusive": StatusWords(":material/help:", "?", "Inconclusive", "gray"),
}

MOVING: frozenset[CellStatus] = frozenset({"waiting", "training", "to measure", "measuring"})
"""Statuses that change by themselves."""

# A page has a button for what the command line has a command for.
_COMMAND = re.compile(r"Resume the study(: python -m bcecore study resume [\w-]+)?(?=\.|$)\.?")


def is_moving(found: StudyProgress) -> bool:
    """Whether something of a study goes on by itself, so that a page has to look again."""
    return any(each.status in MOVING and not each.trouble for each in found.cells)


def done_share(found: StudyProgress) -> float:
    """How much of what was launched is done, from 0 to 1: training counts by its steps."""
    done, total = found.steps
    return min(1.0, done / total) if total else 0.0


def time_left_words(found: StudyProgress) -> str:
    """`about 4 min left`; empty where nothing goes on or no pace is known."""
    return f"about {roughly(found.seconds_left)} left" if found.seconds_left and is_moving(found) else ""


def cell_words(cell: CellProgress) -> str:
    """The state of one run in a word, with its share where it trains."""
    words = CELL_WORDS[cell.status].word
    return f"{words}, {percent(cell.done / cell.total)}" if cell.status == "training" and cell.total else words


def when_words(found: StudyProgress) -> str:
    """When there will be a result: nothing is said of one before."""
    look = next((seeds for seeds in found.plan.looks if seeds >= found.state.launched), found.plan.looks[-1])
    ended = sum(seed in found.seeds_ended() for seed in found.plan.seeds[:look])
    return (
        f"The result comes when all {look} seeds of every arm are trained and measured; {ended} of {look} are. Until "
        "then no loss is compared here: looking early and stopping when it looks good is how chance becomes a finding."
    )


def advice_words(text: str) -> str:
    """What to do, as a page says it: its buttons in place of commands."""
    return _COMMAND.sub("Press “Resume”.", text)


def about_words(plan: StudyPlan) -> str:
    """What a study compares, in a line: `off, active · 5 seeds · 46 documents of “held-out”`."""
    arms = " against ".join((", ".join(arm.name for arm in plan.arms[1:]), plan.reference.name))
    clean = plan.primary.rows - len(plan.overlapping.get(plan.primary.name, ()))
    looks = "" if len(plan.looks) == 1 else f" · looks at {', '.join(map(str, plan.looks))} seeds"
    return f"{arms} · {count(len(plan.seeds), 'seed')}{looks} · {count(clean, 'document')} of “{plan.primary.name}”"
