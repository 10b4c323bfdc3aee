"""overfit (W): the held-out loss rises while the model goes on learning its training text. Pure.

Fires when the newest check lies more than 5 % above the best one so far, at least three checks came since and all of
them are above it, and the training CE between the last two checks is below what it was up to the best. 5 % above the
best is the largest limit of the generalisation loss in Prechelt, "Early Stopping - But When?" (1998), GL5; together
with three checks in succession it is also that paper's criterion of strips (UP3). Where a log has several held-out
texts, each is judged for itself.

Measured: in healthy runs the newest check was the best one, or as good; a public run of ten epochs ends 1.4 % above its
best, and is silent. Forty lines learnt by heart: 9 % after 200 steps, 13 % after 400; the quick look made four times as
long: 6 %. Another public log, thirty passes over its text, ends with 2.5 times its best held-out loss: found in all of
its six groups, and rightly.

It ends when a check is below 5 % again, or is a new best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, counted
from bcecore.findings.rows import CE, Logged, check_keys, finite, fix_of, noticed, number

ABOVE_BEST = 0.05
CHECKS = 3


def overfit(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `ce` and at every held-out loss."""
    return noticed(Overfit(), subject, logged, config)


@dataclass
class _Text:
    """The checks on one held-out text."""

    best: float
    best_step: int
    last: float
    last_step: int
    seen: tuple[float, int]
    """Sum and number of training losses up to the last check."""
    trained: float | None
    """Their mean between the last check and the one before."""
    trained_at_best: float | None
    since: int = 0
    """Checks since the best."""

    @property
    def is_overfit(self) -> bool:
        rose = self.since >= CHECKS and self.last > (1 + ABOVE_BEST) * self.best
        known = self.trained is not None and self.trained_at_best is not None
        # A training loss that rises as well is a divergence.
        return rose and not (known and self.trained > self.trained_at_best)  # type: ignore[operator]


class Overfit:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._texts: dict[str, _Text] = {}
        self._sum, self._count = 0.0, 0

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        steps, losses = finite(new.get(CE))
        # One after the other, so that the sum does not depend on where a piece ends.
        sums = np.cumsum(np.concatenate([[self._sum], losses]))
        for key in check_keys(new.keys()):
            checks, values = finite(new[key])
            behind = np.searchsorted(steps, checks, side="right")
            for step, value, place in zip(checks.tolist(), values.tolist(), behind.tolist(), strict=True):
                self._check(key, step, value, (float(sums[place]), self._count + place))
        self._sum, self._count = float(sums[-1]), self._count + len(losses)

    def _check(self, key: str, step: int, value: float, seen: tuple[float, int]) -> None:
        text = self._texts.get(key)
        if text is None:
            trained = seen[0] / seen[1] if seen[1] else None
            self._texts[key] = _Text(value, step, value, step, seen, trained, trained)
            return
        rows = seen[1] - text.seen[1]
        text.trained = (seen[0] - text.seen[0]) / rows if rows else None
        text.last, text.last_step, text.seen = value, step, seen
        if value <= text.best:
            text.best, text.best_step, text.since, text.trained_at_best = value, step, 0, text.trained
        else:
            text.since += 1

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        found = {key: text for key, text in self._texts.items() if text.is_overfit}
        if not found:
            return []
        worst = max(found.values(), key=lambda text: text.last / text.best)
        others = f", and so it is on {len(found)} of {counted(len(self._texts), 'text')}" if len(found) > 1 else ""
        return [
            Finding(
                id="overfit",
                severity="W",
                subject=subject,
                numbers={
                    key: {
                        "best": text.best,
                        "best_step": text.best_step,
                        "last": text.last,
                        "last_step": text.last_step,
                        "checks_since": text.since,
                    }
                    for key, text in found.items()
                },
                sentence=(
                    f"The model learns its text by heart: on held-out text its loss was lowest at step "
                    f"{worst.best_step:,}, {number(worst.best)}, and has risen to {number(worst.last)} since{others}, "
                    "while it still falls on the training text."
                ),
                what_to_do=(
                    f"Use the checkpoint nearest to step {worst.best_step:,}, or train again and stop there; more text "
                    "helps more than anything else."
                ),
                field="training.max_steps",
                steps=tuple(sorted({text.best_step for text in found.values()})),
                keys=tuple(found),
                fix=fix_of(
                    config, f"Stop after {worst.best_step:,} steps", {"training.max_steps": max(worst.best_step, 1)}
                ),
            )
        ]
