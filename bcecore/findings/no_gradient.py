"""no-gradient (W): BCE is in the loss that is logged, but nothing of it reaches the weights. Pure.

Fires for one of three reasons, the first that holds:
- the settings take the seed profile, whose R is computed from detached states: it needs no gradient, at any weight;
- the exact gradient that is measured at step 1 and every 50 steps (`bce_grad_ratio`) was 0 each time that the weight
  was above 0, at the first measurement and since;
- BCE is logged, and its weight is 0 in all of at least twenty rows, where settings that are known leave it 0 for good.
  A weight that is 0 during a warm-up and rises later is no fault.

In healthy runs with the active profile the first measured ratio is 1e-4 or more, at a weight of 0.003.

It holds until a measured gradient, or a weight, is above 0; the seed profile's stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bcecore.config import BCEConfig, RunConfig
from bcecore.findings.finding import Finding, Fix
from bcecore.findings.rows import Logged, finite, fix_of, noticed

RATIO = "bce_grad_ratio"
WEIGHT = "bce_weight"
R = "bce_loss"
FEWEST_ROWS = 20


def no_gradient(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `bce_grad_ratio`, `bce_weight` and `bce_loss`."""
    return noticed(NoGradient(), subject, logged, config)


class NoGradient:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._measured = self._zero = 0
        self._first_zero: int | None = None
        self._weighted = self._rows = 0

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        r_steps, _ = finite(new.get(R))
        steps, weights = finite(new.get(WEIGHT))
        # A run with BCE off logs a weight of 0, too, but no R.
        self._rows += len(r_steps)
        self._weighted += int((weights > 0).sum())
        probes, ratios = finite(new.get(RATIO))
        if not len(probes):
            return
        weighted = np.isin(probes, steps[weights > 0]) if len(steps) else np.ones(len(probes), dtype=bool)
        probes, ratios = probes[weighted], ratios[weighted]
        zero = ratios == 0
        if zero.any() and self._first_zero is None:
            self._first_zero = int(probes[np.argmax(zero)])
        self._measured += len(probes)
        self._zero += int(zero.sum())

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        why = self._why(config)
        if why is None or (config is not None and not config.bce.enabled):
            return []
        reason, sentence, what, fix = why
        numbers: dict[str, Any] = {
            "reason": reason,
            "rows": self._rows,
            "measured": self._measured,
            "measured_zero": self._zero,
        }
        return [
            Finding(
                id="no-gradient",
                severity="W",
                subject=subject,
                numbers=numbers,
                sentence=sentence,
                what_to_do=what,
                field="bce.base_weight" if reason == "weight" else "bce.profile",
                steps=() if self._first_zero is None else (self._first_zero,),
                keys=(WEIGHT,) if reason == "weight" else (RATIO, R),
                fix=fix,
            )
        ]

    def _why(self, config: RunConfig | None) -> tuple[str, str, str, Fix | None] | None:
        seed = config is not None and config.bce.enabled and config.bce.profile == "seed"
        if seed and not _stays_zero(config.bce):  # type: ignore[union-attr]
            return (
                "seed profile",
                "BCE changes the number that is logged here, but not the model: the seed profile has no gradient, so "
                "that training ends with the same weights with it and without.",
                "To let BCE act on the model, take the active profile. To repeat the report, leave it, and compare CE.",
                fix_of(config, "Take the active profile", {"bce.profile": "active"}),
            )
        if self._measured and self._zero == self._measured:
            times = f"all {self._measured:,} times" if self._measured > 1 else "at the first step"
            return (
                "gradient",
                f"Nothing of BCE reaches the weights: its gradient was measured and was exactly 0 {times}.",
                "Judge this run as one without BCE. To let it act, take the active profile without limits.",
                fix_of(
                    config,
                    "Take the active profile without limits",
                    {"bce.profile": "active", "bce.clamp_min": None, "bce.clamp_max": None},
                ),
            )
        stays = config is None or _stays_zero(config.bce)
        if stays and self._rows >= FEWEST_ROWS and not self._weighted:
            return (
                "weight",
                f"BCE is switched on, but its weight is 0 in all {self._rows:,} logged rows: it does nothing.",
                "Give it a weight, or switch it off.",
                fix_of(config, "Switch BCE off", {"bce.enabled": False}),
            )
        return None


def _stays_zero(bce: BCEConfig) -> bool:
    """Whether the schedule never gives a weight above 0."""
    return min(bce.base_weight, bce.target_weight) == 0 and bce.max_weight <= 0
