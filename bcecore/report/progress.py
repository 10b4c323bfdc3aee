"""How far a run is and how long it will still take, in words. Pure."""

from __future__ import annotations

import math
from datetime import datetime

from bcecore.report.words import count, duration, number, roughly
from bcecore.store.record import RunRecord

# The record is rewritten about every two seconds while steps are made; a long step or a check takes longer.
_SILENCE_SECONDS = 20


def done_share(record: RunRecord) -> float:
    """The share of the steps that are done, from 0 to 1."""
    progress = record.progress
    if progress is None or progress.total_steps <= 0:
        return 1.0 if record.status == "finished" else 0.0
    return min(1.0, progress.step / progress.total_steps)


def seconds_left(record: RunRecord) -> float | None:
    """Seconds to the last step at the pace of the present process; None while that is not known."""
    progress = record.progress
    if not record.is_active or progress is None or not progress.steps_per_second:
        return None
    return max(0, progress.total_steps - progress.step) / progress.steps_per_second


def step_words(record: RunRecord) -> str:
    """`Step 1,312 of 2,000`, or what comes before the first step."""
    progress = record.progress
    if progress is None or progress.step == 0:
        return "The model is being loaded" if record.is_active else "No step was made"
    return f"Step {progress.step:,} of {progress.total_steps:,}"


def pace_words(record: RunRecord, now: datetime, tokens_per_second: float | None = None) -> list[str]:
    """What stands beside the progress bar: epoch, pace, time taken and time left, as far as they are known."""
    progress = record.progress
    parts = []
    if progress is not None and progress.step:
        parts.append(f"epoch {progress.epoch:.1f}")
        pace = progress.steps_per_second if record.is_active else record.facts.get("train_steps_per_second")
        if pace:
            parts.append(f"{number(pace)} steps/s")
        if record.is_active and tokens_per_second is not None and math.isfinite(tokens_per_second):
            parts.append(f"{tokens_per_second:,.0f} tokens/s")
    elapsed = record.elapsed_seconds(now)
    if elapsed is not None:
        parts.append(f"{duration(elapsed)} {'so far' if record.is_active else 'in all'}")
    left = seconds_left(record)
    if silent_for := _silence(record, now):
        parts.append(f"no news for {duration(silent_for)}")
    elif left is not None and record.status != "stopping":
        parts.append(f"about {duration(left)} left" if left >= 1 else "nearly done")
    return parts


def checkpoint_words(steps: list[int]) -> str:
    """Which checkpoints of a run there are, given their steps in order."""
    if not steps:
        return "No checkpoint had been saved yet."
    return f"The checkpoint of step {steps[-1]:,} is kept{_others(len(steps) - 1)}."


def unsaved_words(record: RunRecord, steps: list[int]) -> str:
    """What is lost if a run ends now, given the steps of its whole checkpoints in order."""
    progress = record.progress
    since = steps[-1] if steps else 0
    done = progress.step - since if progress is not None else 0
    if progress is None or done <= 0:
        return "Nothing is lost: no step was made since the last checkpoint." if steps else "No step was made yet."
    pace = progress.steps_per_second
    took = f", about {roughly(done / pace)}," if pace else ""
    if not steps:
        return f"All of its work so far{took} is lost: no checkpoint was saved yet."
    return f"The work since step {since:,}{took} is lost."


def place_words(place: int | None) -> str:
    """Where a waiting job stands among those that will start, counted from 1: `2nd in the queue`; None: held."""
    if place is None:
        return "On hold: keeps its place in the queue, and starts only after it is released"
    return "Next in the queue" if place == 1 else f"{_ordinal(place)} in the queue"


def expected_words(start: float | None, finish: float | None) -> str:
    """When a waiting job will start and be done, in seconds from now; None for what cannot be said."""
    if start is None:
        return "starts after those before it"
    begins = "starts in a moment" if start < 1 else f"starts in about {roughly(start)}"
    return begins if finish is None else f"{begins}, done in about {roughly(finish)}"


def _ordinal(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"


def _others(n: int) -> str:
    return f", and {count(n, 'earlier one')}" if n else ""


def _silence(record: RunRecord, now: datetime) -> float | None:
    if not record.is_active or record.progress is None:
        return None
    seconds = (now - record.progress.updated).total_seconds()
    return seconds if seconds > _SILENCE_SECONDS else None
