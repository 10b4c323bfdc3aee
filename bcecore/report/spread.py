"""Mean and standard deviation of logged values over runs that differ in their seed only. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bcecore.report.comparability import Side
from bcecore.report.comparison import best_of, figure, largest_common_step, small
from bcecore.report.metrics import Metric, metric


@dataclass(frozen=True)
class Measured:
    """A mean over runs."""

    mean: float
    deviation: float
    """Sample standard deviation (n − 1)."""
    n: int

    @property
    def words(self) -> str:
        """`2.3136 ± 0.012 (n = 3)`."""
        return f"{figure(self.mean)} ± {small(self.deviation)} (n = {self.n})"


@dataclass(frozen=True)
class Spread:
    """How one metric is spread over runs."""

    metric: Metric
    step: int | None
    """The largest step at which all of them logged it; None if there is none."""
    at_step: Measured | None
    best: Measured | None
    """Of the best value of each; None where nothing is better."""


def spreads(sides: Sequence[Side], keys: Sequence[str]) -> list[Spread]:
    """Those of these metrics that all the sides logged."""
    found = []
    for key in keys:
        series = [side.series(key) for side in sides]
        if not all(len(one) for one in series):
            continue
        step = largest_common_step([one.steps for one in series])
        at_step = None
        if step is not None:
            at_step = _measured([float(one.values[int(np.searchsorted(one.steps, step))]) for one in series])
        bests = [best.value for one in series if (best := best_of(one, metric(key))) is not None]
        found.append(Spread(metric(key), step, at_step, _measured(bests) if len(bests) == len(series) else None))
    return found


def reach_words(sides: Sequence[Side]) -> str:
    """How far each side is, where they are not equally far: `a: step 300, b: step 120 of 300`; else an empty string."""
    reached = [int(side.steps[-1]) if len(side.steps) else 0 for side in sides]
    if len(set(reached)) < 2:
        return ""
    return ", ".join(f"{side.name}: {_reach(side, step)}" for side, step in zip(sides, reached, strict=True))


def _reach(side: Side, step: int) -> str:
    words = f"step {step:,}" if step else "nothing logged"
    done = side.record.progress
    return f"{words} of {done.total_steps:,}" if done is not None and step < done.total_steps else words


def _measured(values: Sequence[float]) -> Measured:
    array = np.asarray(values)
    if (array == array[0]).all():  # whose mean need not be equal to them in the last bit
        return Measured(float(array[0]), 0.0, len(array))
    with np.errstate(invalid="ignore"):  # a run that diverged makes the mean what it is: not a number
        return Measured(float(array.mean()), float(array.std(ddof=1)), len(array))
