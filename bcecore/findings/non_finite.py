"""non-finite (B): a loss or a gradient in the log is not a finite number. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bcecore.findings.finding import Finding, counted, listed
from bcecore.store.columns import Series

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


def non_finite(subject: str, logged: Mapping[str, Series], *, scales_loss: bool = False) -> list[Finding]:
    """The finding about a log, if there is one. `logged` holds the series of KEYS, as far as they were logged.

    `scales_loss`: the run used fp16, whose loss scaler finds its scale by steps at which the gradient overflows and
    skips them; a gradient that was finite again later is then no fault.
    """
    places: dict[str, tuple[int, int]] = {}
    for key in KEYS:
        if key not in logged:
            continue
        values, steps = logged[key].values, logged[key].steps
        wrong = np.flatnonzero(~np.isfinite(values))
        if key == GRADIENT and scales_loss and len(values) and np.isfinite(values[-1]):
            continue
        if len(wrong):
            places[key] = int(steps[wrong[0]]), len(wrong)
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
                "Nothing after that step counts. Train again with a lower learning rate, a longer warm-up or gradient "
                "clipping."
            ),
        )
    ]


def non_finite_texts(subject: str, where: str, step: int, broken: int, texts: int) -> list[Finding]:
    """The finding about an evaluation, if there is one: so many of its texts have a loss that is no finite number.

    `where` names the texts, `step` the checkpoint.
    """
    if not broken:
        return []
    return [
        Finding(
            id="non-finite",
            severity="B",
            subject=subject,
            numbers={"where": where, "step": step, "broken": broken, "texts": texts},
            sentence=(
                f"On {where}, the model of step {step:,} has a loss that is no finite number on {broken:,} of "
                f"{counted(texts, 'text')}."
            ),
            what_to_do="Use an earlier checkpoint, and find out at which step of training the model broke.",
        )
    ]
