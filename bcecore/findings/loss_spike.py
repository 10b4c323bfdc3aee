"""loss-spike (W): the language loss jumps far above where it was, and not at one odd text only. Pure.

Fires when the CE of two logged rows in succession lies above the median of the thirty rows before (`jumps`) by more
than seven standard deviations of those thirty. Seven deviations from a moving average is how the spike score of OLMo 2
counts spikes ("2 OLMo 2 Furious", 2024, §3.1, after a suggestion of A. Karpathy); it takes a thousand values, which
runs of a few hundred steps do not have, and the median and the robust deviation here do the same with thirty. One row
alone can be a text unlike the others, which at a batch size of 1 happens all the time; weights that jumped away take
steps to come back. Large runs of others were set back and given other batches at such places (PaLM, Chowdhery et al.
2022, §5.1).

A rise of less than 0.2 nats is none, however quiet the rows before: at the end of a run that learnt its text by heart,
the deviation is a hundredth.

What is found stays: a spike does not become undone by the loss coming back, and the sentence says whether it did.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, Fix, counted
from bcecore.findings.jumps import Jumps
from bcecore.findings.rows import CE, Logged, finite, fix_of, lower_learning_rate, noticed, number, spread

DEVIATIONS = 7.0
LEAST_RISE = 0.2
"""Nats. Healthy runs move by less from row to row once they are quiet: their deviation is 0.01 to 0.5."""
ROWS = 2


def loss_spike(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `ce`."""
    return noticed(LossSpike(), subject, logged, config)


class LossSpike:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._jumps = Jumps(_limit, ROWS)
        self._is_ce = True

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        steps, values = finite(new.get(CE))
        self._is_ce &= not (values < 0).any()
        self._jumps.feed(steps, values)

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far. A loss that was ever below 0 is no language loss, and nothing is said of it."""
        jumps = self._jumps
        if jumps.largest is None or not self._is_ce:
            return []
        top = jumps.largest
        came_back = "It has not come back since." if jumps.is_on else "It came back afterwards."
        times = "" if jumps.count == 1 else f" {counted(jumps.count, 'such jump')} in all."
        return [
            Finding(
                id="loss-spike",
                severity="W",
                subject=subject,
                numbers={
                    "spikes": jumps.count,
                    "step": top.top_step,
                    "ce": top.top,
                    "usual": top.usual,
                    "going_on": jumps.is_on,
                    "starts": [jump.start for jump in jumps.first],
                },
                sentence=(
                    f"The language loss jumped from about {number(top.usual)} to {number(top.top)} at step "
                    f"{top.top_step:,}. {came_back}{times}"
                ),
                what_to_do=(
                    "Look at what was learnt there; if it happens again, train with a lower learning rate, a longer "
                    "warm-up or gradient clipping."
                ),
                field="training.learning_rate",
                steps=tuple(jump.start for jump in jumps.first),
                keys=("loss", CE),
                fix=clip_or_slow_down(config),
            )
        ]


def clip_or_slow_down(config: RunConfig | None) -> Fix | None:
    """Gradient clipping at 1, the Trainer's default, where it is off or loose; else a third of the learning rate."""
    if config is not None and not 0 < config.training.max_grad_norm <= 1:
        return fix_of(config, "Clip the gradient at 1", {"training.max_grad_norm": 1.0})
    return lower_learning_rate(config, 3)


def _limit(before: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    limits: npt.NDArray[np.float64] = np.median(before, axis=1) + np.maximum(DEVIATIONS * spread(before), LEAST_RISE)
    return limits
