"""The facts of a run that was trained elsewhere, as the same table that our own runs have. Pure.

There are no settings to read them from: they are what the Trainer's state says, what the log itself shows, and what
somebody gave along with it. A missing one says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bcecore.report.facts import UNKNOWN, Fact
from bcecore.report.log_facts import Extent, extent_of, rate_seen, rate_words, weight_seen, weight_words
from bcecore.report.logged import Logged, check_losses, language_loss, training_steps, written
from bcecore.report.throughput import Throughput
from bcecore.report.words import count, duration, moment, number
from bcecore.settings import readable_number
from bcecore.store.columns import Series
from bcecore.store.imported import Imported
from bcecore.store.record import RunRecord

NOT_IN_LOG = "not in this log"


def imported_facts(record: RunRecord, imported: Imported, logged: Logged, pace: Throughput) -> list[Fact]:
    """The rows of the report's table for a run that was trained elsewhere; what is not known says so."""
    facts, state = imported.facts, imported.state
    extent = extent_of(logged, state)
    rates = rate_seen(logged.series("learning_rate"), extent.planned or extent.reached)
    weights = weight_seen(logged.series("bce_weight"))
    ce = language_loss(logged)
    steps = training_steps(logged)
    return [
        Fact("Model", _given(facts, "model")),
        Fact("Text", _given(facts, "text")),
        Fact("Epochs", _given(facts, "epochs", _logged_epochs(state, logged))),
        Fact("Batch size", _given(facts, "batch_size", _state_batch(state))),
        Fact("Longest example (block size)", _given(facts, "block_size")),
        Fact("Learning rate", _rate(facts, rate_words(rates) if rates is not None else None)),
        Fact("BCE weight", _given(facts, "bce_weight", weight_words(weights) if weights is not None else None)),
        Fact("Steps", _steps(extent)),
        Fact("Wall clock", _known_wall_clock(facts, pace)),
        Fact("Pace", _known_pace(pace)),
        Fact("Final training loss" if extent.ended else "Training loss", _logged_loss(logged)),
        Fact("Last CE", _last_ce(ce.series, ce.worked_out)),
        Fact("Loss of the checks", _logged_checks(logged)),
        Fact(
            "Logged", f"{count(len(steps), 'step')}, from {steps[0]:,} to {steps[-1]:,}" if len(steps) else NOT_IN_LOG
        ),
        Fact("Seed", _given(facts, "seed")),
        Fact("Device", _given(facts, "device")),
        Fact("Read from", ", ".join(source.name for source in imported.sources) or UNKNOWN),
        Fact("Imported", moment(record.created)),
    ]


def _given(facts: Mapping[str, str | int | float], name: str, seen: str | None = None) -> str:
    """What somebody gave, marked as such, beside what the log shows."""
    if name not in facts:
        return seen if seen is not None else NOT_IN_LOG
    value = facts[name]
    words = f"{value if isinstance(value, str) else readable_number(value)} (as given)"
    return words if seen is None else f"{words}; the log: {seen}"


def _rate(facts: Mapping[str, str | int | float], seen: str | None) -> str:
    words = _given(facts, "learning_rate", seen)
    return f"{words}; warm-up {_given(facts, 'warmup_steps')}" if "warmup_steps" in facts else words


def _logged_epochs(state: Mapping[str, Any], logged: Logged) -> str | None:
    epochs = logged.series("epoch").values
    done = float(epochs[-1]) if len(epochs) else None
    asked = state.get("num_train_epochs")
    if isinstance(asked, (int, float)) and asked > 0:
        unfinished = done is not None and done < asked * 0.999
        return f"{written('epoch', done)} of {readable_number(asked)}" if unfinished else readable_number(asked)
    return written("epoch", done) if done is not None else None


def _state_batch(state: Mapping[str, Any]) -> str | None:
    batch = state.get("train_batch_size")
    return f"{batch:,} on each device" if isinstance(batch, int) and batch > 0 else None


def _known_wall_clock(facts: Mapping[str, str | int | float], pace: Throughput) -> str:
    if pace.seconds is None:
        return NOT_IN_LOG
    words = f"{duration(pace.seconds)} ({readable_number(float(f'{pace.seconds:.6g}'))} s"
    return f"{words}, as given)" if "wall_clock" in facts else f"{words})"


def _steps(extent: Extent) -> str:
    """How far the run was, of how many steps, and where the log stops short of that."""
    words = f"{extent.reached:,}"
    if extent.planned is not None and extent.planned > extent.reached:
        words += f" of {extent.planned:,}"
    return words if extent.ended or extent.last == extent.reached else f"{words}; the log ends at step {extent.last:,}"


def _known_pace(pace: Throughput) -> str:
    if not pace.steps_per_second:
        return NOT_IN_LOG
    words = f"{number(pace.steps_per_second)} steps/s"
    return words if pace.certain else f"{words}, {pace.source}"


def _logged_loss(logged: Logged) -> str:
    """The mean over the run, as the Trainer's own aggregate is, and the last value."""
    losses, own = logged.series("loss"), logged.series("train_loss").values
    finite = losses.values[np.isfinite(losses.values)]
    if not len(finite):
        return NOT_IN_LOG
    last = f"{written('loss', float(losses.values[-1]))} at step {losses.steps[-1]:,}"
    if len(own):
        return f"{written('loss', float(own[-1]))} (mean over the run, by the Trainer), {last}"
    return f"{written('loss', float(finite.mean()))} (mean of {count(len(finite), 'logged value')}), {last}"


def _last_ce(series: Series, worked_out: bool) -> str:
    if not len(series):
        return NOT_IN_LOG
    words = written("ce", float(series.values[-1]))
    return f"{words} (worked out: the loss less BCE’s term)" if worked_out else words


def _logged_checks(logged: Logged) -> str:
    keys = check_losses(logged)
    if not keys:
        return NOT_IN_LOG
    shown = logged.series(keys[0])
    words = f"{written(keys[0], float(shown.values[-1]))} at step {shown.steps[-1]:,}"
    return words if len(keys) == 1 else f"{words} ({keys[0]}; and {count(len(keys) - 1, 'other')})"
