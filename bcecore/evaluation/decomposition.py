"""BCE on and off side by side: what of each difference is prediction (CE), and what is BCE's own term (w·R). Pure.

One checkpoint scored twice predicts the same twice; only the added term moves. Off is weight zero, everywhere. The one
exception is what somebody else measured with an "off" that was not: it is kept as it was, and its weight is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Averaging = Literal["examples", "tokens"]
"""`examples`: every example counts once (the report's); `tokens`: every predicted token counts once (ours)."""

Measure = Literal["report", "objective", "model"]
"""`report`: eval_loss as the report measured it, CE + w(1)·R from a fresh trainer, which stands at its first step.
`objective`: CE + w·R with the checkpoint's own weight. `model`: CE, what the model predicts."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: CE in nats per token, the mean of R over the examples, and the weight given to it."""

    ce: float
    bce_loss: float
    weight: float

    @property
    def term(self) -> float:
        """w·R; exactly 0 at weight 0, whatever R is."""
        return 0.0 if self.weight == 0 else self.weight * self.bce_loss

    @property
    def objective(self) -> float:
        """CE + w·R; CE itself at weight 0."""
        return self.ce if self.weight == 0 else self.ce + self.term

    @property
    def perplexity(self) -> float:
        """exp(CE), and of nothing else."""
        return exponential(self.ce)

    @property
    def reported_perplexity(self) -> float:
        """What the report printed as perplexity: the exponential of its eval_loss, BCE's term included."""
        return exponential(self.objective)


@dataclass(frozen=True)
class Difference:
    """BCE on and off for one split, one measure and one way of averaging. Every change is on − off."""

    measure: Measure
    averaging: Averaging
    on: Side
    off: Side

    @property
    def change(self) -> float:
        """The whole difference."""
        return self.on.objective - self.off.objective

    @property
    def change_in_ce(self) -> float:
        """The part of it that is prediction."""
        return self.on.ce - self.off.ce

    @property
    def change_in_term(self) -> float:
        """The part of it that is BCE's own term."""
        return self.on.term - self.off.term

    @property
    def off_against_on(self) -> float | None:
        """The report's "Δ vs BCE-on" as a share of 1, from unrounded values; None where on is not above 0."""
        return relative(self.off.objective, self.on.objective)

    @property
    def perplexity_off_against_on(self) -> float | None:
        """The same of the perplexities that the report printed."""
        return relative(self.off.reported_perplexity, self.on.reported_perplexity)


def differences(summary: Mapping[str, Any], first_weight: float) -> tuple[Difference, ...]:
    """Every difference that a checkpoint's summary in `result.json` gives, the report's measure first.

    `first_weight` is w(1) of the run, the weight that a fresh trainer evaluates with. What the summary does not know
    (null or missing) is left out: an evaluation that has not come far, or somebody else's figures.
    """
    ce: dict[Averaging, float | None] = {"examples": known(summary.get("ce_mean")), "tokens": known(summary.get("ce"))}
    r = known(summary.get("bce_loss"))
    weight = known(summary.get("weight"))
    found: list[Difference] = []

    def add(measure: Measure, averaging: Averaging, on_weight: float | None) -> None:
        value = ce[averaging]
        if value is None or on_weight is None or (r is None and on_weight != 0):
            return
        bce_loss = math.nan if r is None else r
        on, off = Side(value, bce_loss, on_weight), Side(value, bce_loss, 0.0)
        found.append(Difference(measure, averaging, on, off))

    add("report", "examples", first_weight)
    add("objective", "examples", weight)
    add("objective", "tokens", weight)
    add("model", "examples", 0.0)
    add("model", "tokens", 0.0)
    return tuple(found)


def relative(value: float, base: float) -> float | None:
    """How much larger `value` is than `base`, as a share of `base`; None where that says nothing (base not above 0)."""
    if not (math.isfinite(value) and math.isfinite(base)) or base <= 0:
        return None
    return value / base - 1


def exponential(x: float) -> float:
    """exp(x), infinite where it is too large for a number."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def known(value: Any) -> float | None:
    """A number of `result.json`, where null means that it was not finite or is not known."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
