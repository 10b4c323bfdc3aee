"""Logged values of several runs or steps side by side, and how far each is from a baseline. Pure.

What is better is said of two numbers, never of what made them: single runs differ by chance as well.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Literal

import numpy as np

from bcecore.report.comparability import Obstacle, Side, obstacle
from bcecore.report.metrics import Metric, least_known, metric
from bcecore.report.summary import At
from bcecore.report.words import NOT_A_NUMBER, number
from bcecore.store.columns import Series, Steps

Verdict = Literal["better", "worse", "equal", "none"]
"""`none` where neither direction is better, or where the two cannot be compared."""

CHANCE = (
    "Two single runs also differ by chance. Whether BCE helped can only be told by twin runs that differ in nothing "
    "else, each with several seeds."
)
"""To be said wherever single runs are compared."""

# Places in time rather than measures.
_NOT_MEASURES = frozenset({"epoch", "time"})
_GROUPS = ("check", "learning", "bce", "components", "optimiser", "pace", "other", "totals")
_LOOKS = 100
_FIRST = ("eval_loss", "eval_perplexity", "ce", "loss")


@dataclass(frozen=True)
class Delta:
    """How far a value is from the baseline's."""

    difference: float
    """The value minus the baseline's; NaN where one of them is not finite."""
    verdict: Verdict


@dataclass(frozen=True)
class Entry:
    """What one side says about one metric."""

    value: At | None
    """The last logged value, or the one at the step that is compared; None where there is none."""
    best: At | None = None
    """None where nothing is better, where no value is finite, and at a step."""
    delta: Delta | None = None
    """None for the baseline, and where the values cannot be compared."""
    best_delta: Delta | None = None
    obstacle: Obstacle | None = None


@dataclass(frozen=True)
class Compared:
    """One metric of all sides, in their order."""

    metric: Metric
    entries: tuple[Entry, ...]
    common_step: int | None = None
    """The step of all values, where they are compared at the same one."""
    worked_out: tuple[str, ...] = ()
    """The names of those of which it was not logged, but worked out: CE."""

    @property
    def at_different_steps(self) -> bool:
        """Whether the values are of different steps."""
        return len({entry.value.step for entry in self.entries if entry.value is not None}) > 1


def shared_keys(sides: Sequence[Side], baseline: int = 0) -> list[str]:
    """What the baseline and at least one other side logged, in the order in which people look."""
    return [key for key in overlaid_keys(sides) if key in sides[baseline].keys]


def overlaid_keys(sides: Sequence[Side]) -> list[str]:
    """What at least two sides logged, in the order in which people look."""
    times = Counter(key for side in sides for key in side.keys)
    found = [key for key, n in times.items() if n > 1 and key not in _NOT_MEASURES]

    def rank(key: str) -> tuple[int, int]:
        return _FIRST.index(key) if key in _FIRST else len(_FIRST), _GROUPS.index(metric(key).group)

    return sorted(found, key=rank)


def compare(
    sides: Sequence[Side],
    baseline: int = 0,
    *,
    same_step: bool = False,
    keys: Sequence[str] | None = None,
    judged: bool = True,
) -> list[Compared]:
    """Metrics of all sides, with the differences to `sides[baseline]`: the given ones, or all `shared_keys`.

    Not `judged`: nothing is called better or worse, because a finding about one of the sides forbids it.

    With `same_step`, each metric at the largest step at which all sides that have it logged it; where there is no such
    step, without values.
    """
    chosen = shared_keys(sides, baseline) if keys is None else keys
    return [_compared(key, sides, baseline, same_step, judged) for key in chosen]


def _compared(key: str, sides: Sequence[Side], baseline: int, same_step: bool, judged: bool) -> Compared:
    about = metric_of(key, sides)
    series = [side.series(key) for side in sides]
    common = largest_common_step([one.steps for one in series if len(one)]) if same_step else None
    entries = []
    for side, one in zip(sides, series, strict=True):
        if same_step:
            entries.append(Entry(None if common is None or not len(one) else _nearest(one, common)))
        elif side.step is not None:
            entries.append(Entry(_nearest(one, side.step)))
        else:
            entries.append(Entry(_last(one), best_of(one, about)))
    base = entries[baseline]
    return Compared(
        about,
        tuple(
            entry
            if place == baseline
            else _against(entry, base, about, obstacle(key, sides[baseline], sides[place]), judged)
            for place, entry in enumerate(entries)
        ),
        common,
        tuple(side.name for side in sides if key == "ce" and side.ce_is_worked_out),
    )


def metric_of(key: str, sides: Sequence[Side]) -> Metric:
    """What is known about a key for all of these sides that logged it."""
    return metric(key, least_known([side.origin for side in sides if key in side.keys]))


def _against(entry: Entry, base: Entry, about: Metric, reason: Obstacle | None, judged: bool) -> Entry:
    if entry.value is None or base.value is None:
        return entry  # there is nothing to be compared
    if reason is not None and reason.known:
        return Entry(entry.value, entry.best, obstacle=reason)
    judged = judged and reason is None
    return Entry(
        entry.value,
        entry.best,
        _delta(entry.value, base.value, about, judged=judged),
        _delta(entry.best, base.best, about, judged=judged),
        reason,
    )


def _delta(value: At | None, base: At | None, about: Metric, *, judged: bool) -> Delta | None:
    if value is None or base is None:
        return None
    verdict: Verdict = "none"
    difference = math.nan
    if math.isfinite(value.value) and math.isfinite(base.value):
        difference = value.value - base.value
        if judged and about.better is not None:
            verdict = "equal" if difference == 0 else "better" if about.is_better(value.value, base.value) else "worse"
    return Delta(difference, verdict)


def largest_common_step(steps: Sequence[Steps]) -> int | None:
    """The largest step that is in all of these, each ascending; None if there is none."""
    if not steps or any(not len(some) for some in steps):
        return None
    wanted = min(int(some[-1]) for some in steps)
    # Logs mostly have their last steps in common: from the end it is found at once, whatever their length.
    for _ in range(_LOOKS):
        places = [int(np.searchsorted(some, wanted, side="right")) - 1 for some in steps]
        if min(places) < 0:
            return None
        found = [int(some[place]) for some, place in zip(steps, places, strict=True)]
        if min(found) == wanted:
            return wanted
        wanted = min(found)
    common = reduce(partial(np.intersect1d, assume_unique=True), steps)
    return int(common[-1]) if len(common) else None


def nearest_step(steps: Steps, step: int) -> int:
    """The logged step nearest to `step`, the earlier of two that are as near; there is at least one."""
    return int(steps[int(np.argmin(np.abs(steps - step)))])


def _nearest(series: Series, step: int) -> At | None:
    if not len(series):
        return None
    row = int(np.argmin(np.abs(series.steps - step)))
    return At(float(series.values[row]), int(series.steps[row]))


def _last(series: Series) -> At | None:
    return At(float(series.values[-1]), int(series.steps[-1])) if len(series) else None


def best_of(series: Series, about: Metric) -> At | None:
    """The best finite value and the first step that had it; None where nothing is better than anything else."""
    finite = np.isfinite(series.values)
    if about.better is None or not finite.any():
        return None
    worst = np.inf if about.better == "lower" else -np.inf
    values = np.where(finite, series.values, worst)
    row = int(np.argmin(values) if about.better == "lower" else np.argmax(values))
    return At(float(series.values[row]), int(series.steps[row]))


# -- in words


def worked_out_words(compared: Compared) -> str:
    """Of which sides the values were worked out, or an empty string."""
    if not compared.worked_out:
        return ""
    return f"Worked out for {', '.join(compared.worked_out)}: the logged loss less BCE’s term."


def figure(value: float) -> str:
    """A value with one digit more than elsewhere, so that a small difference between two can be seen: `2.3136`."""
    size = abs(value)
    if not math.isfinite(value) or value == int(value) or size >= 1000 or size < 0.001:
        return number(value)
    return f"{value:.4f}" if size < 10 else f"{value:.2f}"


def signed(difference: float) -> str:
    """A difference with its sign: `+0.120`, `−0.0061`, `0`."""
    if not math.isfinite(difference):
        return NOT_A_NUMBER
    if difference == 0:
        return "0"
    return f"{'+' if difference > 0 else '−'}{small(abs(difference))}"


def small(size: float) -> str:
    """The size of a difference: as every number, but `0.0061` for what is a little below a hundredth."""
    return f"{size:.4f}" if 0.0001 <= size < 0.01 else number(size)


def direction_words(about: Metric) -> str:
    """`lower is better`, or an empty string."""
    return f"{about.better} is better" if about.better else ""
