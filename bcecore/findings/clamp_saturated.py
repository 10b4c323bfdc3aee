"""clamp-saturated (W): R is held at a limit at most steps, so that it is constant and has no gradient. Pure.

Fires when, of at least twenty logged rows with BCE, more than half have R at one of the run's limits (`bce.clamp_min`,
`bce.clamp_max`; R is minus the value that they limit). A row is a mean over the texts of its steps, so that it equals
the limit only where all of them do; a limit that is met now and then is what it is there for. Where the settings are
not known, as in an imported log, R that is the same as in the row before, to the last digit, stands for it: unclamped,
R is made of the states of other texts at each step.

Once found, it holds until fewer than a quarter of the rows are at a limit.
"""

from __future__ import annotations

import numpy as np

from bcecore.config import BCEConfig, RunConfig
from bcecore.findings.finding import Finding
from bcecore.findings.rows import Logged, finite, fix_of, noticed, number
from bcecore.store.columns import Mask, Values

KEY = "bce_loss"
FEWEST_ROWS = 20
SHARE = 0.5
ENDS_BELOW = 0.25
_SINGLE_PRECISION = 1e-6
"""What single precision leaves of a limit after a mean over some texts, relative to it."""


def clamp_saturated(subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """The finding about a log, if there is one; looks at `bce_loss`."""
    return noticed(ClampSaturated(config), subject, logged, config)


class ClampSaturated:
    """The rule, fed row by row. It has to know the settings from the beginning."""

    def __init__(self, config: RunConfig | None) -> None:
        self._limits = None if config is None else _limits(config.bce)
        self._rows = self._at_limit = 0
        self._before: float | None = None
        self._first: int | None = None
        self._value = 0.0
        self._found = False

    def feed(self, new: Logged) -> None:
        """Take note of further rows."""
        if self._limits == {}:
            return
        steps, values = finite(new.get(KEY))
        if not len(values):
            return
        held = self._held(values)
        self._before = float(values[-1])
        if not held.any() and not self._found:
            self._rows += len(held)
            return
        for step, value, is_held in zip(steps.tolist(), values.tolist(), held.tolist(), strict=True):
            self._rows += 1
            if is_held:
                self._at_limit += 1
                self._first = self._first or step
                self._value = value
            share = self._at_limit / self._rows
            self._found = share > SHARE if not self._found else share >= ENDS_BELOW
            self._found &= self._rows >= FEWEST_ROWS

    def _held(self, values: Values) -> Mask:
        if self._limits is None:
            before = np.concatenate([[np.nan if self._before is None else self._before], values[:-1]])
            same: Mask = values == before
            return same
        held = np.zeros(len(values), dtype=bool)
        for limit in self._limits.values():
            held |= np.abs(values - limit) <= _SINGLE_PRECISION * max(abs(limit), _SINGLE_PRECISION)
        return held

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far."""
        if not self._found:
            return []
        name = self._limit_at(self._value)
        share = self._at_limit / self._rows
        where = {
            "bce.clamp_min": " by its smallest value allowed",
            "bce.clamp_max": " by its largest value allowed",
        }.get(name or "", "")
        return [
            Finding(
                id="clamp-saturated",
                severity="W",
                subject=subject,
                numbers={"rows": self._rows, "at_limit": self._at_limit, "value": self._value, "first": self._first},
                sentence=(
                    f"The BCE loss is held at {number(self._value)}{where} in {share:.0%} of {self._rows:,} logged "
                    "rows. What is constant has no gradient: BCE does nothing there."
                ),
                what_to_do="Take the limit away, or set it outside of the range in which BCE moves.",
                field=name or "bce.clamp_max",
                steps=() if self._first is None else (self._first,),
                keys=(KEY,),
                fix=None if name is None else fix_of(config, "Take the limit away", {name: None}),
            )
        ]

    def _limit_at(self, value: float) -> str | None:
        if not self._limits:
            return None
        return min(self._limits, key=lambda name: abs(self._limits[name] - value))  # type: ignore[index]


def _limits(bce: BCEConfig) -> dict[str, float]:
    """What R is at the limits, by the names of their settings; empty where there are none or BCE is off."""
    if not bce.enabled:
        return {}
    given = {"bce.clamp_min": bce.clamp_min, "bce.clamp_max": bce.clamp_max}
    return {name: -limit for name, limit in given.items() if limit is not None}
