"""off-not-off (B): an arm that is called off had a BCE weight above 0 at some step. Pure.

Off means weight 0 at every step. A base weight of 0 is not enough: with a boost the weight rises after the warm-up all
the same, which is how the report's "off" came to end at 0.44 of a weight that nobody saw.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bcecore.config import BCEConfig
from bcecore.findings.finding import Finding, listed
from bcecore.store.columns import Series


def off_not_off(subject: str, bce: BCEConfig | None, total_steps: int, logged: Series | None = None) -> list[Finding]:
    """The finding about an arm that is called off, if there is one.

    Fires when the schedule of `bce` gives a weight above 0 at any of the steps 1 to `total_steps`, or when a logged
    weight (`logged`: the series `bce_weight`) is above 0. `bce` is None where the settings are not known.
    """
    scheduled = _scheduled(bce, total_steps) if bce is not None else None
    measured = _measured(logged) if logged is not None else None
    found = measured or scheduled
    if found is None:
        return []
    first, last, weight = found
    how = "as logged" if measured is not None else "by its settings"
    return [
        Finding(
            id="off-not-off",
            severity="B",
            subject=subject,
            numbers={
                "first_step": first,
                "step": last,
                "weight": weight,
                "logged": measured is not None,
                "scheduled": scheduled is not None,
            },
            sentence=(
                f"BCE is called off here, but it was not: {how}, its weight is above 0 from step "
                f"{first:,} on and reaches {weight:.4g} at step {last:,}."
            ),
            what_to_do=(
                "Switch “Use BCE” off for this arm and train it again: then the weight is 0 at every step, which a "
                "base weight of 0 alone does not do."
            ),
        )
    ]


def off_had_weight(subject: str, weights: Mapping[str, float]) -> list[Finding]:
    """The finding about somebody else's scores with BCE "off": `weights` are those they had, by the text's name."""
    wrong = {name: weight for name, weight in weights.items() if weight != 0}
    if not wrong:
        return []
    largest = max(wrong.values(), key=abs)
    return [
        Finding(
            id="off-not-off",
            severity="B",
            subject=subject,
            numbers={"weight": largest, "weights": wrong, "logged": True, "scheduled": False},
            sentence=(
                f"BCE is called off here, but it was not: the scores of {listed(list(wrong))} were taken with a weight "
                f"of {largest:.4g}, where off is 0."
            ),
            what_to_do="Score again with weight 0. What is there now compares two weights, and not on with off.",
        )
    ]


def _scheduled(bce: BCEConfig, total_steps: int) -> tuple[int, int, float] | None:
    """First step above 0, step of the largest weight, that weight; None where it is 0 throughout."""
    if total_steps < 1:
        return None
    # The weight is made of straight pieces, so that it is largest at one of their ends.
    ends = {1, bce.warmup_steps, bce.warmup_steps + 1, bce.warmup_steps + bce.boost_span, total_steps}
    weights = {step: bce.weight(step) for step in sorted(ends) if 1 <= step <= total_steps}
    largest = max(weights.values())
    if largest <= 0:
        return None
    # It never falls to 0 again before the boost, so the first is at the beginning of a piece.
    first = min(step for step, weight in weights.items() if weight > 0)
    return first, next(step for step, weight in weights.items() if weight == largest), largest


def _measured(logged: Series) -> tuple[int, int, float] | None:
    above = np.flatnonzero(logged.values > 0)
    if not len(above):
        return None
    largest = above[int(np.argmax(logged.values[above]))]
    return int(logged.steps[above[0]]), int(logged.steps[largest]), float(logged.values[largest])
