"""exploding-grad (W): the gradient has become many times as long as it was, and stays so. Pure.

Fires when `grad_norm`, which is logged before clipping, is above ten times the median of the thirty rows before
(`jumps`), and above 1, at three rows in succession. Exploding gradients grow by orders of magnitude (Pascanu, Mikolov
and Bengio 2013, who proposed clipping against them); a single long one is common and harmless: a public summarisation
run has one of 15 times the median among 430 rows. A gradient below 1 is not shortened by the Trainer's default clipping
and cannot harm, whatever it was before.

In healthy runs the median of ten rows was 0.76 to 1.26 times that of the ten before, at batch size 1 0.44 to 2.5 times;
the report's run, at batch size 1, never went above 5 times its median.

What is found stays, with its severity: it tells what happened, and the sentence says whether the gradient is still that
long.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.findings.jumps import Jumps
from bcecore.findings.loss_spike import clip_or_slow_down
from bcecore.findings.rows import Logged, finite, noticed, number

KEY = "grad_norm"
TIMES = 10.0
LEAST = 1.0
ROWS = 3


def exploding_grad(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `grad_norm`."""
    return noticed(ExplodingGrad(), subject, logged, config)


class ExplodingGrad:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._jumps = Jumps(_limit, ROWS)

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        self._jumps.feed(*finite(new.get(KEY)))

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        jumps = self._jumps
        if jumps.largest is None:
            return []
        top = jumps.largest
        start = jumps.first[0].start
        now = "It has not come down since." if jumps.is_on else "It came down again afterwards."
        return [
            Finding(
                id="exploding-grad",
                severity="W",
                subject=subject,
                numbers={
                    "times": jumps.count,
                    "step": top.top_step,
                    "grad_norm": top.top,
                    "usual": top.usual,
                    "going_on": jumps.is_on,
                    "starts": [jump.start for jump in jumps.first],
                },
                sentence=(
                    f"From step {start:,} on the gradient grew to {number(top.top)}, where it had been about "
                    f"{number(top.usual)}. {now}"
                ),
                what_to_do=(
                    "Train again with gradient clipping at 1, a longer warm-up or a lower learning rate; steps this "
                    "large undo what was learnt."
                ),
                field="training.max_grad_norm",
                steps=tuple(jump.start for jump in jumps.first),
                keys=(KEY,),
                fix=clip_or_slow_down(config),
            )
        ]


def _limit(before: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    limits: npt.NDArray[np.float64] = np.maximum(TIMES * np.median(before, axis=1), LEAST)
    return limits
