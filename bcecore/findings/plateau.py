"""plateau (W): the language loss has stopped falling though the model could still learn. Pure.

The rows so far, in buckets of ten, are cut into thirds; the last third is compared with the one before it. Fires from
90 rows on when the mean CE fell by less than 0.5 % from one to the other, two standard errors counted in (from the
scatter of the buckets): not when noise merely hides a fall. While a model learns, its loss follows a power of the step
(Kaplan et al. 2020), so that what has to come from one third to the next does not shrink with the length of a run: at
the smallest exponent found there, 0.076, it is 3.8 %. Measured, the least fall at any time while the rate was high:
quick-look 5.7 to 6.8 %, WikiText-2 1.9 to 3.6 %, the same at batch size 1 1.4 %; one with a learning rate of 1e-8
0.01 %.

Where the learning rate is logged, it has to be at least half of its peak at the beginning of the compared thirds, so
that a long warm-up is no plateau; and at their end as well, because where the schedule lets the rate fall the loss is
meant to settle. That is why a public summarisation run is silent, whose loss falls by 0.6 % in the last third of a
linear decay. The second does not count where the loss is still within 0.5 % of the first ten rows: such a model has
learnt nothing, whatever its schedule does now.

It ends as a warning, and is a note of what happened from then on, when the mean of the last five buckets is 2 % below
the level at which it was found.
"""

from __future__ import annotations

import math

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, Fix
from bcecore.findings.rows import CE, Buckets, Logged, finite, fix_of, noticed, number
from bcecore.store.columns import Steps, Values

FEWEST_BUCKETS = 9
LEAST_FALL = 0.005
ERRORS = 2.0
SHARE_OF_PEAK = 0.5
ENDS_BELOW = 0.98
END_BUCKETS = 5
RATE = "learning_rate"


def plateau(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `ce` and `learning_rate`."""
    return noticed(Plateau(), subject, logged, config)


class Plateau:
    """The rule, fed row by row. Of each bucket it keeps four numbers."""

    def __init__(self) -> None:
        self._buckets, self._rates = Buckets(), Buckets()
        self._is_ce = True
        self._peak = 0.0
        self._first_rates: list[float] = []
        # Sums over all buckets before each, so that any third costs two look-ups.
        self._sums, self._squares = [0.0], [0.0]
        self._since: int | None = None
        self._from: int = 0
        self._level = 0.0
        self._fall = 0.0
        self._back: int | None = None
        self._never_learnt = False
        self._bucket_starts: list[int] = []

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        steps, values = finite(new.get(CE))
        self._is_ce &= not (values < 0).any()
        full_steps, full = self._buckets.feed(steps, values)
        _, rates = self._rates.feed(steps, _rates_at(new, steps))
        for place, mean in enumerate(full.mean(axis=1).tolist()):
            self._take(full_steps[place], mean, rates[place])

    def _take(self, steps: Steps, mean: float, rates: Values) -> None:
        self._sums.append(self._sums[-1] + mean)
        self._squares.append(self._squares[-1] + mean * mean)
        self._bucket_starts.append(int(steps[0]))
        known = rates[~np.isnan(rates)]
        if len(known):
            self._peak = max(self._peak, float(known.max()))
        self._first_rates.append(float(rates[0]))
        count = len(self._bucket_starts)
        if self._since is not None and self._back is None:
            if self._mean(count - END_BUCKETS, count) < ENDS_BELOW * self._level:
                self._back = int(steps[-1])
        elif count >= FEWEST_BUCKETS:
            self._judge(count, int(steps[-1]), float(rates[-1]))

    def _judge(self, count: int, step: int, rate: float) -> None:
        width = count // 3
        start, middle = count - 2 * width, count - width
        # A rate that was not logged (NaN) is no reason to be silent.
        if self._first_rates[start] < SHARE_OF_PEAK * self._peak:
            return
        never_learnt = self._mean(middle, count) > (1 - LEAST_FALL) * self._mean(0, 1)
        if rate < SHARE_OF_PEAK * self._peak and not never_learnt:
            return
        before, after = self._mean(start, middle), self._mean(middle, count)
        error = math.sqrt((self._variance(start, middle) + self._variance(middle, count)) / width)
        fall = (before - after + ERRORS * error) / before if before > 0 else 1.0
        if fall < LEAST_FALL:
            self._since, self._back = step, None
            self._from, self._level = self._bucket_starts[start], after
            self._fall = (before - after) / before
            self._never_learnt = never_learnt

    def _mean(self, start: int, end: int) -> float:
        return (self._sums[end] - self._sums[start]) / (end - start)

    def _variance(self, start: int, end: int) -> float:
        count = end - start
        mean = self._mean(start, end)
        square = (self._squares[end] - self._squares[start]) / count
        return max(0.0, square - mean * mean) * count / (count - 1)

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far. A loss that was ever below 0 is no language loss, and nothing is said of it."""
        if self._since is None or not self._is_ce:
            return []
        numbers = {
            "from": self._from,
            "found": self._since,
            "level": self._level,
            "fall": self._fall,
            "never_learnt": self._never_learnt,
            "went_on": self._back,
        }
        if self._back is not None:
            sentence = (
                f"Between steps {self._from:,} and {self._since:,} the language loss stood still at about "
                f"{number(self._level)}; by step {self._back:,} it was falling again."
            )
            what = "Nothing has to be done; a higher learning rate might have shortened the pause."
        elif self._never_learnt:
            sentence = (
                f"The model learns nothing: its language loss is about {number(self._level)}, as it was at the "
                "beginning."
            )
            what = (
                "Check the learning rate, which may be far too low or far too high; 1e-3 suits a small model that "
                "starts from nothing, 5e-5 a trained one."
            )
        else:
            sentence = (
                f"The language loss has stood still at about {number(self._level)} since step {self._from:,}, although "
                "the learning rate is still high."
            )
            what = (
                "Stop here and keep the last checkpoint, or train again with another learning rate: lower if the loss "
                "stands still well above that of other runs, and a curve that falls towards the end."
            )
        return [
            Finding(
                id="plateau",
                severity="N" if self._back is not None else "W",
                subject=subject,
                numbers=numbers,
                sentence=sentence,
                what_to_do=what,
                field="training.learning_rate" if self._never_learnt else "training.max_steps",
                steps=(self._from,) if self._back is None else (self._from, self._back),
                keys=("loss", CE),
                fix=None if self._back is not None else self._fix(config),
            )
        ]

    def _fix(self, config: RunConfig | None) -> Fix | None:
        if config is None:
            return None
        if not self._never_learnt:
            return fix_of(config, f"Stop after {self._since:,} steps", {"training.max_steps": self._since})
        usual = 1e-3 if config.model.kind == "offline" else 5e-5
        return fix_of(config, f"Use a learning rate of {usual:g}", {"training.learning_rate": usual})


def _rates_at(new: Logged, steps: Steps) -> Values:
    """The learning rate at each of the steps; NaN where none was logged."""
    found = np.full(len(steps), np.nan)
    rates = new.get(RATE)
    if rates is not None and len(rates) and len(steps):
        places = np.searchsorted(rates.steps, steps).clip(max=len(rates) - 1)
        same = rates.steps[places] == steps
        found[same] = rates.values[places[same]]
    return found
