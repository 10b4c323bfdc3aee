"""What the Evaluate page says about an evaluation: how far it is, what was left out, and what went wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bcecore.evaluation.splits import EMPTY, NO_LABEL, TOO_SHORT
from bcecore.report.evaluation_words import fixed, nats
from bcecore.report.words import count, duration, number
from bcecore.store.evaluations import EvaluationRecord, SplitSpec

# As of runs: the record is rewritten about every two seconds, and a large batch takes longer.
_SILENCE_SECONDS = 20
_REASONS = {EMPTY: "empty", TOO_SHORT: "too short to predict anything", NO_LABEL: "without a label"}


def done_share(record: EvaluationRecord) -> float:
    """The share of the examples that are done, from 0 to 1."""
    if record.status == "finished":
        return 1.0
    done, total = record.counts or (0, 0)
    return min(1.0, done / total) if total else 0.0


def done_words(record: EvaluationRecord) -> str:
    """`120 of 800 texts`, each counted once for every checkpoint; or what comes before the first."""
    done, total = record.counts or (0, 0)
    if record.status == "finished":
        return f"All {count(total, 'text')} scored" if total else "Done"
    if not done:
        return "The model and the texts are being loaded" if record.is_active else "Nothing was scored yet"
    return f"{done:,} of {count(total, 'text')} scored"


def seconds_left(record: EvaluationRecord) -> float | None:
    """Seconds to the last text at the pace of the process that works on it, or worked last; None while unknown."""
    if record.counts is None or record.progress is None or not record.progress.examples_per_second:
        return None
    done, total = record.counts
    return max(0, total - done) / record.progress.examples_per_second


def pace_words(record: EvaluationRecord, now: datetime) -> list[str]:
    """What stands beside the progress bar: pace, time taken and time left, as far as they are known."""
    progress = record.progress
    parts = []
    pace = progress.examples_per_second if progress is not None and record.is_active else None
    if pace:
        parts.append(f"{number(pace)} texts/s")
    elapsed = record.elapsed_seconds(now)
    if elapsed is not None:
        parts.append(f"{duration(elapsed)} {'so far' if record.is_active else 'in all'}")
    silent_for = (now - progress.updated).total_seconds() if progress is not None and record.is_active else 0
    if silent_for > _SILENCE_SECONDS:
        parts.append(f"no news for {duration(silent_for)}")
    elif pace and (left := seconds_left(record)) is not None and record.status != "stopping":
        parts.append(f"about {duration(left)} left" if left >= 1 else "nearly done")
    return parts


def kept_words(record: EvaluationRecord, result: Mapping[str, Any] | None) -> str:
    """What an evaluation that did not finish has kept: whole pages of texts, which its result counts."""
    splits = result["splits"].values() if result is not None else ()
    kept = sum(summary["examples"] for entry in splits for summary in entry["checkpoints"].values())
    if not kept or record.request is None:
        return "Nothing had been measured yet."
    return f"What it had measured, {kept:,} of {count(record.request.examples, 'text')}, is kept and shown below."


def checkpoint_words(steps: Sequence[int]) -> str:
    """`step 100`, `steps 100 and 200`, `8 checkpoints from step 50 to step 400`."""
    if len(steps) > 4:
        return f"{len(steps)} checkpoints from step {steps[0]:,} to step {steps[-1]:,}"
    return f"step{'s' if len(steps) > 1 else ''} {_joined([f'{step:,}' for step in steps])}"


def about_words(record: EvaluationRecord) -> str:
    """`Steps 100 and 200 on val_small`; of a damaged record nothing is known."""
    if record.request is None:
        return "What it measured cannot be read"
    texts = [split.name for split in record.request.splits]
    words = f"{checkpoint_words(record.request.checkpoints)} on {_joined(texts)}"
    return words[0].upper() + words[1:]


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def perplexity_words(x: float) -> str:
    """A perplexity with as many digits as say something: `1.0600`, `24.91`, `1,423`."""
    return fixed(x, 4) if x < 10 else fixed(x, 2) if x < 1000 else f"{x:,.0f}" if x < 1e12 else nats(x)


def dropped_words(dropped: Mapping[str, int]) -> str:
    """`3 left out: 2 empty, 1 too short to predict anything`; empty where none was."""
    if not dropped:
        return ""
    reasons = ", ".join(f"{n:,} {_REASONS.get(reason, reason)}" for reason, n in dropped.items())
    return f"{sum(dropped.values()):,} left out: {reasons}"


def reading_words(split: SplitSpec, cut: int | None) -> str:
    """What was done with the long texts of a split; `cut` is how many lost their end, None while that is not known."""
    if split.long_texts == "window":
        stride = count(split.stride or 0, "token")
        return f"long texts in windows of {split.block_size:,} tokens, each {stride} behind the one before"
    if cut is None:
        return f"cut after {split.block_size:,} tokens"
    return f"{cut:,} cut after {split.block_size:,} tokens" if cut else f"none longer than {split.block_size:,} tokens"
