"""Values that stand far above those before them, several rows in succession: what spikes and explosions share. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bcecore.findings.rows import BUCKET, MOST_STEPS
from bcecore.store.columns import Steps, Values

REFERENCE_BUCKETS = 3
"""Values are compared with the thirty of the three full buckets before their own. Fewer make a poor median and spread,
more are out of date while a loss is falling."""
_REFERENCE = REFERENCE_BUCKETS * BUCKET

Limit = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""From thirty earlier values, shape (n, 30), the value above which a later one is a jump, shape (n,)."""


class Jump(NamedTuple):
    """Values above the limit, in succession."""

    start: int
    """The step of the first."""
    top_step: int
    top: float
    """The largest of them, and its step."""
    usual: float
    """The median of the thirty values that the first was compared with."""


class Jumps:
    """Finds jumps in values that come in pieces. Keeps at most 39 values and the first jumps."""

    def __init__(self, limit: Limit, lasting: int) -> None:
        """A jump is `lasting` values in succession, or more, that are above the `limit`."""
        self._limit, self._lasting = limit, lasting
        self._kept: Values = np.empty(0)
        self._dropped = 0  # values that came before the kept ones; a multiple of BUCKET
        self._known: tuple[int, float, float] | None = None  # a bucket, its limit and its median
        self._streak = 0
        self._now = Jump(0, 0, 0.0, 0.0)
        self._start_limit = 0.0
        self.first: list[Jump] = []
        """The first of them, at most as many as are marked on a chart."""
        self.largest: Jump | None = None
        self.count = 0
        self.is_on = False
        """Whether no value has come back yet to the limit that the newest jump went beyond. The limit that later values
        are judged by rises with them, so that it alone would call a loss that stays high a usual one."""

    def feed(self, steps: Steps, values: Values) -> None:
        """Further values, finite ones only."""
        if not len(values):
            return
        count = self._dropped + len(self._kept)  # values seen before
        kept = np.concatenate([self._kept, values])
        end = count + len(values)
        first_bucket = max(count // BUCKET, REFERENCE_BUCKETS)
        last_bucket = (end - 1) // BUCKET
        skipped = max(0, min(first_bucket * BUCKET, end) - count)  # the first thirty have nothing to be compared with
        if last_bucket >= first_bucket:
            limits, medians = self._limits(kept, first_bucket, last_bucket)
            which = np.arange(count + skipped, end) // BUCKET - first_bucket
            self._judge(steps[skipped:], values[skipped:], limits[which], medians[which])
        keep_from = max(0, end // BUCKET - REFERENCE_BUCKETS) * BUCKET
        self._kept, self._dropped = kept[keep_from - self._dropped :].copy(), keep_from

    def _limits(self, kept: Values, first: int, last: int) -> tuple[Values, Values]:
        """The limits and the medians of the references of buckets `first` to `last`."""
        if first == last and self._known is not None and self._known[0] == first:
            return np.array([self._known[1]]), np.array([self._known[2]])
        start = (first - REFERENCE_BUCKETS) * BUCKET - self._dropped
        windows = np.lib.stride_tricks.sliding_window_view(kept[start:], _REFERENCE)[::BUCKET][: last - first + 1]
        limits, medians = self._limit(windows), np.median(windows, axis=1)
        self._known = last, float(limits[-1]), float(medians[-1])
        return limits, medians

    def _judge(self, steps: Steps, values: Values, limits: Values, medians: Values) -> None:
        above = values > limits
        if not self.is_on and not above.any():
            self._streak = 0
            return
        for place, (value, is_above) in enumerate(zip(values.tolist(), above.tolist(), strict=True)):
            if self.is_on:
                self._go_on(int(steps[place]), value)
            elif is_above:
                step = int(steps[place])
                if self._streak == 0:
                    self._now = Jump(step, step, value, float(medians[place]))
                    self._start_limit = float(limits[place])
                elif value > self._now.top:
                    self._now = self._now._replace(top_step=step, top=value)
                self._streak += 1
                if self._streak == self._lasting:
                    self._begin()
            else:
                self._streak = 0

    def _begin(self) -> None:
        self.is_on = True
        self.count += 1
        if self.count <= MOST_STEPS:
            self.first.append(self._now)
        self._keep_largest()

    def _go_on(self, step: int, value: float) -> None:
        if value <= self._start_limit:
            self.is_on, self._streak = False, 0
        elif value > self._now.top:
            self._now = self._now._replace(top_step=step, top=value)
            if self.count <= MOST_STEPS:
                self.first[-1] = self._now
            self._keep_largest()

    def _keep_largest(self) -> None:
        if self.largest is None or self._now.top >= self.largest.top:
            self.largest = self._now
