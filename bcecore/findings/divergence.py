"""divergence (W): the language loss has risen well above its lowest level and stays there. Pure.

The level is the median of the medians of the last three buckets of ten rows. Fires when it is above the lowest level so
far by more than three times the usual spread of the rows (the median of the spreads of the last nine buckets), by more
than a tenth of it, and by more than 0.2 nats. Three spreads of single rows are a dozen times the error of a level over
thirty of them, so that the lowest of many levels, which is low by chance as well, does not matter.

Until there is a level, the median of the first three rows stands for it, so that a loss is found, too, that climbs from
the start, as at a learning rate far too high.

It ends as a warning when the level has come back to less than half of that limit above its lowest; then it is a note
of what happened. Until then nothing is taken back.
"""

from __future__ import annotations

import statistics
from collections import deque

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.findings.rows import CE, Buckets, Logged, finite, lower_learning_rate, noticed, number, spread

FIRST_ROWS = 3
LEVEL_BUCKETS = 3
SPREAD_BUCKETS = 9
DEVIATIONS = 3.0
LEAST_SHARE = 0.1
LEAST_RISE = 0.2


def divergence(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `ce`."""
    return noticed(Divergence(), subject, logged, config)


class Divergence:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._buckets = Buckets()
        self._medians: deque[float] = deque(maxlen=LEVEL_BUCKETS)
        self._spreads: deque[float] = deque(maxlen=SPREAD_BUCKETS)
        self._is_ce = True
        self._lowest: tuple[int, float] | None = None  # step and level
        self._level = 0.0
        self._since: int | None = None
        self._back: int | None = None
        self._top = 0.0

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        steps, values = finite(new.get(CE))
        self._is_ce &= not (values < 0).any()
        full_steps, full = self._buckets.feed(steps, values)
        if not len(full):
            return
        medians, spreads = np.median(full, axis=1).tolist(), spread(full).tolist()
        for step, median, apart in zip(full_steps[:, -1].tolist(), medians, spreads, strict=True):
            if self._lowest is None:
                self._lowest = int(full_steps[0, 0]), statistics.median(full[0, :FIRST_ROWS].tolist())
            self._medians.append(median)
            self._spreads.append(apart)
            if len(self._medians) == LEVEL_BUCKETS:
                self._judge(step, statistics.median(self._medians))

    def _judge(self, step: int, level: float) -> None:
        assert self._lowest is not None
        self._level = level
        if level < self._lowest[1]:
            self._lowest = step, level
        rise = level - self._lowest[1]
        usual = statistics.median(self._spreads)
        limit = max(DEVIATIONS * usual, LEAST_SHARE * self._lowest[1], LEAST_RISE)
        is_up = self._since is not None and self._back is None
        if not is_up and rise > limit:
            self._since, self._back, self._top = step, None, level
        elif is_up and rise < limit / 2:
            self._back = step
        elif is_up:
            self._top = max(self._top, level)

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far. A loss that was ever below 0 is no language loss, and nothing is said of it."""
        if self._since is None or self._lowest is None or not self._is_ce:
            return []
        step, lowest = self._lowest
        numbers = {
            "since": self._since,
            "lowest": lowest,
            "lowest_step": step,
            "level": self._level,
            "highest": self._top,
            "came_back": self._back,
        }
        if self._back is not None:
            return [
                Finding(
                    id="divergence",
                    severity="N",
                    subject=subject,
                    numbers=numbers,
                    sentence=(
                        f"At step {self._since:,} the language loss had risen to {number(self._top)} for a while; by "
                        f"step {self._back:,} it had come back."
                    ),
                    what_to_do="A lower learning rate or a longer warm-up would have saved the steps in between.",
                    field="training.learning_rate",
                    steps=(self._since, self._back),
                    keys=("loss", CE),
                    fix=lower_learning_rate(config, 3),
                )
            ]
        return [
            Finding(
                id="divergence",
                severity="W",
                subject=subject,
                numbers=numbers,
                sentence=(
                    f"The model is unlearning: its language loss was {number(lowest)} at step {step:,} and is "
                    f"{number(self._level)} now. It has been that high since step {self._since:,}."
                ),
                what_to_do=(
                    "Stop, and train again with a tenth of the learning rate. A checkpoint from before the rise can "
                    "still be of use."
                ),
                field="training.learning_rate",
                steps=(self._since,),
                keys=("loss", CE),
                fix=lower_learning_rate(config, 10),
            )
        ]
