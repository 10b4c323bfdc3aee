"""What a log says of a run when nothing else is known: how much of it the log holds, and its schedules. Pure.

Schedules are found in its values and checked by formula: one is named only if `bcecore.schedule` gives every logged
value again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bcecore import schedule
from bcecore.report.logged import Logged, training_steps
from bcecore.report.words import count, scientific
from bcecore.settings import readable_number
from bcecore.store.columns import Series, Steps, Values
from bcecore.store.trainer_log import as_number

# Shares of the largest value: what rounding in a log may change, and what counts as the same straight line.
_SAME = 1e-6
_STRAIGHT = 1e-9
# A shape that is claimed from fewer values is a guess.
_FEWEST = 3
_CHECKED_VALUES = 4000
_SHAPES: dict[schedule.LearningRateSchedule, str] = {
    "constant": "constant",
    "constant_with_warmup": "constant",
    "linear": "linear decay",
    "cosine": "cosine decay",
    "polynomial": "polynomial decay",
    "inverse_sqrt": "inverse square root decay",
}


@dataclass(frozen=True)
class Extent:
    """How much of its run a log from elsewhere holds, in steps."""

    last: int
    """The last step of which anything was logged; 0 for an empty log."""
    reached: int
    """Where the run was when the log was written: beyond `last` where a file was cut off."""
    planned: int | None
    """How many steps the run was to have; None where the log does not say."""
    ended: bool
    """Whether the log is known to go to the end of its run."""

    @property
    def total(self) -> int | None:
        """The steps of the whole run; None where that is not known."""
        if self.ended:
            return self.reached
        return max(self.planned, self.reached) if self.planned is not None else None


def extent_of(logged: Logged, state: Mapping[str, Any]) -> Extent:
    """How much of its run a log holds, by what its Trainer's state says besides."""
    last = int(logged.steps[-1]) if len(logged.steps) else 0
    reached, planned = max(last, _steps(state.get("global_step")) or 0), _steps(state.get("max_steps"))
    closing = logged.series("train_runtime").steps  # a Trainer logs it when it is done, if need be before its last step
    if len(closing) and closing[-1] >= last:
        return Extent(last, reached, planned, True)
    steps = training_steps(logged)
    # The steps behind the last multiple of its rhythm are not logged by any Trainer.
    rhythm = float(np.median(np.diff(steps))) if len(steps) > 1 else float(last)
    ended = planned is not None and last > 0 and reached >= planned and reached - last <= rhythm
    return Extent(last, reached, planned, ended)


def _steps(value: Any) -> int | None:
    number = as_number(value)
    return int(number) if number is not None and math.isfinite(number) and number >= 1 else None


@dataclass(frozen=True)
class RateSeen:
    """The learning rate of a log."""

    peak: float
    """The highest logged value, or where the schedule was found, its peak."""
    peak_step: int
    """The step at which the highest value was logged."""
    schedule: schedule.LearningRateSchedule | None
    """None: the values follow none of the known schedules."""
    warmup_steps: int | None
    """None where the log begins too late, or too coarse, to tell."""
    lag: int
    """1 where each step was logged with the rate of the next one, as older Trainers do."""
    values: int
    """How many values were logged."""
    checked: int
    """How many of them, spread over the log, the schedule was found to give again."""
    first_step: int


def rate_seen(rates: Series, total_steps: int) -> RateSeen | None:
    """What can be said of a log's learning rates; None if there are none. `total_steps`: where a decay would end."""
    finite = rates.at(np.isfinite(rates.values))
    if not len(finite):
        return None
    top = int(np.argmax(finite.values))
    peak, first = float(finite.values[top]), int(finite.steps[0])
    seen = RateSeen(peak, int(finite.steps[top]), None, None, 0, len(finite), 0, first)
    if len(finite) < _FEWEST or peak <= 0:
        return seen
    some = finite.at(np.union1d(_spread(len(finite)), [top]))
    fits = []
    for lag in (0, 1):
        for name, guess_peak, warmup in _guesses(some, total_steps, lag):
            if _gives(some, name, guess_peak, warmup, total_steps, lag):
                # Without a rise in the log, any warm-up that was over before its first step fits as well.
                known = warmup if some.values[0] < some.values[-1] or warmup or first <= 2 - lag else None
                fits.append(RateSeen(guess_peak, seen.peak_step, name, known, lag, len(finite), len(some), first))
    # Where a log begins at its highest rate, several may fit: people choose round numbers.
    return min(fits, key=lambda fit: len(f"{fit.peak:.9g}"), default=seen)


def _guesses(rates: Series, total: int, lag: int) -> Iterator[tuple[schedule.LearningRateSchedule, float, int]]:
    done, values = rates.steps - 1 + lag, rates.values
    top = int(np.argmax(values))
    peak = float(values[top])
    yield "constant", peak, 0
    rising = values[: top + 1]
    warmups = {0, int(done[0])} if rates.steps[0] == 1 else {0}
    if len(rising) > 1:
        warmups.add(int(done[top]))
        rise = (rising[-2] - rising[0]) / (done[top - 1] - done[0]) if top >= 2 else peak / done[top]
        if rise > 0:
            warmups.add(round(peak / rise))
    for name in ("constant_with_warmup", "linear", "cosine", "polynomial", "inverse_sqrt"):
        for warmup in sorted(warmups):
            if 0 <= warmup < total:
                yield name, peak, warmup
    # The straight lines of a coarse log, up and down, meet where the warm-up ended.
    last = len(values) - 1
    if last - top >= 1 and values[top] > values[last]:
        fall = (values[top] - values[last]) / (done[last] - done[top])
        end = done[last] + values[last] / fall
        if abs(end - total) <= 1:
            yield "linear", _round(fall * total), 0
            if top >= 1 and (done[top - 1] > 0) and values[top - 1] > 0:
                rise = values[top - 1] / done[top - 1]
                warmup = round(fall * total / (rise + fall))
                if 0 < warmup < total:
                    yield "linear", _round(rise * warmup), warmup


def _spread(length: int) -> npt.NDArray[np.intp]:
    """Positions from the first to the last, all of them where they are not too many."""
    return np.unique(np.linspace(0, length - 1, min(length, _CHECKED_VALUES)).round().astype(np.intp))


def _round(value: float) -> float:
    """A peak that was worked out, without the dust of the working-out."""
    return float(f"{value:.9g}")


def _gives(rates: Series, name: schedule.LearningRateSchedule, peak: float, warmup: int, total: int, lag: int) -> bool:
    try:
        for step, value in zip(rates.steps.tolist(), rates.values.tolist(), strict=True):
            given = schedule.learning_rate(
                max(1, step + lag), peak=peak, warmup_steps=warmup, total_steps=total, schedule=name
            )
            if abs(given - value) > _SAME * peak:
                return False
    except (ValueError, ZeroDivisionError):
        return False
    return True


def rate_words(seen: RateSeen) -> str:
    """`5.0e-5 (linear decay, warm-up over 400 steps; so in all 2,000 logged values)`."""
    if seen.schedule is None:
        few = " of one logged value" if seen.values == 1 else f", at step {seen.peak_step:,}"
        return f"at most {scientific(seen.peak)}{few}; its course fits none of the known curves"
    words, peak = _SHAPES[seen.schedule], scientific(seen.peak)
    if seen.warmup_steps:
        words += f", warm-up over {count(seen.warmup_steps, 'step')}"
    elif seen.warmup_steps is None:
        words += f"; a warm-up before step {seen.first_step:,} is not in this log"
        if seen.schedule not in ("constant", "constant_with_warmup"):
            peak += " if there was no warm-up"
    every = "all " if seen.checked == seen.values else ""
    return f"{peak} ({words}; as in {every}{count(seen.checked, 'logged value')})"


@dataclass(frozen=True)
class WeightSeen:
    """The BCE weight of a log, as its straight pieces."""

    first: float
    last: float
    first_step: int
    last_step: int
    warmup_steps: int | None
    """Where the rise from 0 ends; 0 if there is none, None if the log does not tell."""
    cap: float | None
    """The weight there."""
    slope: float | None
    """How much it rises a step in the boost; 0 without one."""
    boost_end: int | None
    """Where the boost ends; None if the log ends before."""
    values: int


def weight_seen(weights: Series) -> WeightSeen | None:
    """What can be said of a log's BCE weights; None if there are none.

    A warm-up and a boost are named only if `schedule.bce_weight` gives every logged value again.
    """
    finite = weights.at(np.isfinite(weights.values))
    if not len(finite):
        return None
    steps, values = finite.steps, finite.values
    bare = WeightSeen(
        float(values[0]), float(values[-1]), int(steps[0]), int(steps[-1]), None, None, None, None, len(finite)
    )
    found = _pieces(steps, values)
    if found is None:
        return bare
    warmup, cap, slope, end = found
    span = (end if end is not None else int(steps[-1])) - warmup
    maximum = cap + slope * span if slope > 0 else 0.0
    for place in _spread(len(steps)).tolist():
        given = schedule.bce_weight(
            int(steps[place]), base=cap, target=cap, maximum=maximum, warmup_steps=warmup, boost_span=max(1, span)
        )
        if abs(given - float(values[place])) > _SAME * max(cap, maximum, 1e-12):
            return bare
    return WeightSeen(bare.first, bare.last, bare.first_step, bare.last_step, warmup, cap, slope, end, len(finite))


def _pieces(steps: Steps, values: Values) -> tuple[int, float, float, int | None] | None:
    """Warm-up, weight after it, rise a step after that, and where that ends; None if it is nothing of the kind."""
    largest = float(np.abs(values).max())
    if float(values.max() - values.min()) <= _STRAIGHT * largest:
        return 0, float(values[0]), 0.0, None
    if len(steps) < _FEWEST or values[0] < 0:
        return None
    lines: list[tuple[float, float]] = []
    start = 0
    while start < len(steps) - 1:
        slope = (values[start + 1] - values[start]) / (steps[start + 1] - steps[start])
        off = np.abs(values[start:] - (values[start] + slope * (steps[start:] - steps[start]))) > _STRAIGHT * largest
        end = start + (int(np.argmax(off)) if off.any() else len(off))
        if end - start > 2 or not lines:  # two values make a line of any corner
            lines.append((float(slope), float(values[start] - slope * steps[start])))
        start = max(end, start + 1)
    warmup, cap = 0, 0.0
    if abs(lines[0][1]) <= _STRAIGHT * largest and lines[0][0] >= 0:
        if len(lines) == 1:
            return None  # still rising from 0 where the log ends
        (rise, _), (slope, offset) = lines[0], lines[1]
        if rise == slope:
            return None
        warmup = round((offset - lines[0][1]) / (rise - slope))
        cap = rise * warmup
        lines = lines[1:]
    else:
        cap = lines[0][1]
    slope, offset = lines[0]
    if abs(slope) * (steps[-1] - steps[0]) <= _STRAIGHT * largest:
        return warmup, cap, 0.0, None
    if len(lines) == 1:
        return warmup, cap, slope, None
    flat, level = lines[1]
    if len(lines) > 2 or abs(flat) > _STRAIGHT * largest:
        return None
    return warmup, cap, slope, round((level - offset) / slope)


def weight_words(seen: WeightSeen) -> str:
    """`0 to 0.2 over 400 steps, then 0.00015 more a step; 0.44 at step 2,000, where this log ends`."""
    ends = f"{_short(seen.last)} at step {seen.last_step:,}"
    if seen.cap is None or seen.warmup_steps is None or seen.slope is None:
        return f"{_short(seen.first)} at step {seen.first_step:,}, {ends}"
    if seen.first == seen.last == 0 and seen.cap == 0:
        return "0 at every step"
    words = _short(seen.cap)
    if seen.warmup_steps:
        words = f"{f'0 to {words} over' if seen.cap else '0 for'} {count(seen.warmup_steps, 'step')}"
    if seen.slope > 0 and seen.boost_end is not None:
        span = seen.boost_end - seen.warmup_steps
        return f"{words}, then to {_short(seen.cap + seen.slope * span)} over {count(span, 'step')}; {ends}"
    if seen.slope > 0:
        return f"{words}, then {_short(seen.slope)} more a step; {ends}, where this log ends"
    return f"{words}, then level; {ends}" if seen.warmup_steps else f"{words} at every step"


def _short(value: float) -> str:
    return readable_number(float(f"{value:.4g}"))
