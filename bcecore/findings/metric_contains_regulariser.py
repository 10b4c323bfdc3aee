"""metric-contains-regulariser (B): what is labelled a language loss or a perplexity has BCE's own term in it. Pure.

The objective CE + w·R is lower than CE where R is negative, whatever the model learnt: two such figures that were taken
with different weights differ by Δw·R and by nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bcecore.findings.finding import Finding

TOLERANCE = 1e-5
"""What a loss may differ from CE, in nats a token, without its meaning anything else: two ways to sum up the same
numbers in single precision agree to about 1e-6."""
_SINGLE_PRECISION = 2.0**-23
"""Losses are computed in single precision, so that a figure printed with more digits is still only so exact."""

_WHAT_TO_DO = (
    "Compare CE, in which the regulariser is not, and the perplexity exp(CE). A difference of the objective says how "
    "the weight was set, not how well the model predicts."
)


@dataclass(frozen=True)
class Figure:
    """A value that is labelled a loss or a perplexity, beside the CE of the same model on the same text."""

    label: str
    """`eval_loss`, or anything that ends in `perplexity` or is `ppl`."""
    value: float
    ce: float
    half_unit: float = 0.0
    """Half a unit of the last digit that `value` was rounded to; 0 where it was not."""

    @property
    def is_perplexity(self) -> bool:
        return self.label == "ppl" or self.label.endswith("perplexity")


@dataclass(frozen=True)
class OnOff:
    """A loss that was measured with BCE on and with it off, and what the term makes of two such weights."""

    label: str
    on: float
    off: float
    weight_on: float
    weight_off: float
    r: tuple[float, float]
    """The smallest and the largest that R can be here; twice the same where it is known."""
    half_unit: float = 0.0
    """Half a unit of the last digit of the coarser of the two; 0 where neither was rounded."""


def metric_contains_regulariser(
    subject: str, figures: Sequence[Figure] = (), on_off: Sequence[OnOff] = ()
) -> list[Finding]:
    """One finding for each figure that is not what its label says, and each difference that is nothing but the term."""
    return [
        *(_not_ce(subject, figure) for figure in figures if _differs(figure)),
        *(_is_term(subject, pair) for pair in on_off if _equals_term(pair)),
    ]


def _differs(figure: Figure) -> bool:
    if not (math.isfinite(figure.value) and math.isfinite(figure.ce)):
        return False  # `non-finite` speaks of those
    if not figure.is_perplexity:
        return abs(figure.value - figure.ce) > TOLERANCE + figure.half_unit
    if figure.ce > 700:
        return False  # exp(CE) is beyond the largest number
    truth = math.exp(figure.ce)
    return abs(figure.value - truth) > truth * TOLERANCE + figure.half_unit


def _not_ce(subject: str, figure: Figure) -> Finding:
    truth, name = (math.exp(figure.ce), "exp(CE)") if figure.is_perplexity else (figure.ce, "CE")
    return Finding(
        id="metric-contains-regulariser",
        severity="B",
        subject=subject,
        numbers={"label": figure.label, "value": figure.value, "ce": figure.ce, "should_be": truth},
        sentence=(
            f"What is labelled {figure.label} is {figure.value:#.6g}, but {name} is {truth:#.6g} here: something else, "
            "such as BCE’s own term, is in it."
        ),
        what_to_do=_WHAT_TO_DO,
    )


def _rounding(pair: OnOff) -> float:
    """How far the difference of the two may be from what it would be without rounding."""
    single = _SINGLE_PRECISION * (abs(pair.on) + abs(pair.off))
    return max(2 * pair.half_unit, single)


def _term(pair: OnOff) -> tuple[float, float]:
    """The smallest and the largest that Δw·R can be."""
    change = pair.weight_on - pair.weight_off
    products = [change * r for r in pair.r]
    return min(products), max(products)


def _equals_term(pair: OnOff) -> bool:
    low, high = _term(pair)
    rounding, difference = _rounding(pair), pair.on - pair.off
    if not math.isfinite(difference) or min(abs(low), abs(high)) <= rounding or low * high <= 0:
        return False  # a term that rounding hides says nothing
    return low - rounding <= difference <= high + rounding


def _is_term(subject: str, pair: OnOff) -> Finding:
    change, difference = pair.weight_on - pair.weight_off, pair.on - pair.off
    # Of rounded figures the difference is too coarse to work R out from.
    r, within = (sum(pair.r) / 2, ", within rounding,") if pair.half_unit else (difference / change, "")
    numbers: dict[str, Any] = {
        "label": pair.label,
        "on": pair.on,
        "off": pair.off,
        "difference": difference,
        "weight_difference": change,
        "r": r,
        "rounding": _rounding(pair),
    }
    return Finding(
        id="metric-contains-regulariser",
        severity="B",
        subject=subject,
        numbers=numbers,
        sentence=(
            f"{pair.label} is {pair.on:#.6g} with BCE on and {pair.off:#.6g} with it off. The difference of "
            f"{difference:.3g} is{within} BCE’s own term, a weight of {change:.4g} times a BCE loss of "
            f"{r:.3f}: it says nothing about the model."
        ),
        what_to_do=_WHAT_TO_DO,
    )
