"""non-finite (B): a loss or a gradient in the log is not a finite number. Pure.

What is found stays; only an overflow at which a loss scaler found its scale is none once the gradient is finite again.
"""

from __future__ import annotations

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, counted, listed
from bcecore.findings.rows import Logged, lower_learning_rate

LOSSES = ("loss", "ce", "bce_loss", "eval_loss")
GRADIENT = "grad_norm"
KEYS = (*LOSSES, GRADIENT)
"""What the rule looks at in a log."""

_NAMES = {
    "loss": "the loss",
    "ce": "the language loss (CE)",
    "bce_loss": "the BCE loss",
    "eval_loss": "the held-out loss",
    GRADIENT: "the gradient",
}


def non_finite(subject: str, logged: Logged, *, scales_loss: bool = False) -> list[Finding]:
    """The finding about a log, if there is one. `logged` holds the series of KEYS, as far as they were logged.

    `scales_loss`: the run used fp16, whose loss scaler finds its scale by steps at which the gradient overflows and
    skips them; a gradient that was finite again later is then no fault.
    """
    rule = NonFinite()
    rule.feed(logged)
    return rule.found(subject, scales_loss=scales_loss)


class NonFinite:
    """The rule, fed row by row."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}  # first step and how often
        self._gradient_is_finite = False

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        for key in KEYS:
            series = new.get(key)
            if series is None or not len(series):
                continue
            good = np.isfinite(series.values)
            if key == GRADIENT:
                self._gradient_is_finite = bool(good[-1])
            if not good.all():
                first, times = self._places.get(key, (int(series.steps[np.argmin(good)]), 0))
                self._places[key] = first, times + int((~good).sum())

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        scales_loss = config is not None and config.training.precision == "fp16"
        return self.found(subject, scales_loss=scales_loss, config=config)

    def found(self, subject: str, *, scales_loss: bool, config: RunConfig | None = None) -> list[Finding]:
        """The finding, if there is one; see `non_finite`."""
        places = {
            key: self._places[key]
            for key in KEYS
            if key in self._places and not (key == GRADIENT and scales_loss and self._gradient_is_finite)
        }
        if not places:
            return []
        first = min(step for step, _ in places.values())
        what = listed([f"{_NAMES[key]} ({counted(times, 'time')})" for key, (_, times) in places.items()])
        return [
            Finding(
                id="non-finite",
                severity="B",
                subject=subject,
                numbers={
                    "first_step": first,
                    "keys": {key: {"first_step": step, "times": times} for key, (step, times) in places.items()},
                },
                sentence=f"From step {first:,} on, values in the log are no finite numbers: {what}.",
                what_to_do=(
                    "Nothing after that step counts. Train again with a lower learning rate, a longer warm-up or "
                    "gradient clipping."
                ),
                field="training.learning_rate",
                steps=tuple(sorted({step for step, _ in places.values()})),
                keys=tuple(places),
                fix=lower_learning_rate(config, 10),
            )
        ]
