"""averaging (W): how much a text counts for depends on the batch that it happens to be in. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bcecore.findings.finding import Finding

_TOLERANCE = 1e-4
"""Of a CE, between two evaluations in single precision: the order of summing makes 1e-7 to 1e-6 of it."""
_COARSE_TOLERANCE = 1e-2
"""The same where the model counts in half precision, which keeps two to three digits."""


def averaging(subject: str, probe: Mapping[str, Any] | None) -> list[Finding]:
    """The finding about a run's loss, if there is one; `probe` is its `facts["loss_probe"]` (`training.loss_probe`).

    Fires when the texts one by one and the same texts as one batch give another mean per token, or either is not the
    mean over the predicted tokens. Silent where padding is scored, which has the same effect and is `padding`'s to say.
    """
    if not probe or probe["scored_pads"]:
        return []
    figures = [probe[key] for key in ("by_token", "alone", "together")]
    if any(figure is None for figure in figures):
        return []  # `non-finite` speaks of those
    truth, alone, together = figures
    largest = max(abs(alone - truth), abs(together - truth), abs(alone - together)) / max(abs(truth), 1e-9)
    if largest <= probe["tolerance"]:
        return []
    return [
        Finding(
            id="averaging",
            severity="W",
            subject=subject,
            numbers={
                "by_token": truth,
                "alone": alone,
                "together": together,
                "share": largest,
                "lengths": list(probe["lengths"]),
            },
            sentence=(
                f"The loss depends on how texts are put into batches: for the same {len(probe['lengths'])} texts it is "
                f"{alone:.4g} one by one and {together:.4g} in one batch, where the mean over their tokens is "
                f"{truth:.4g}."
            ),
            what_to_do=(
                "Do not compare this run's losses with those of another batch size. Divide the summed loss by the "
                "number of predicted tokens of the whole step, and train again."
            ),
        )
    ]


@dataclass(frozen=True)
class Scored:
    """One evaluation of one checkpoint on one text."""

    name: str
    batch_tokens: int
    """Tokens that were scored at a time."""
    ce: float
    exact: bool = True
    """Whether it was computed in single precision, on a model that is kept so."""


def averaging_of_evaluations(subject: str, split: str, first: Scored, second: Scored) -> list[Finding]:
    """The finding about two evaluations of the same weights on the same texts, if there is one.

    Fires when they were made with batches of different sizes and their CE is not the same.
    """
    if first.batch_tokens == second.batch_tokens or not (math.isfinite(first.ce) and math.isfinite(second.ce)):
        return []
    tolerance = _TOLERANCE if first.exact and second.exact else _COARSE_TOLERANCE
    if abs(first.ce - second.ce) <= tolerance * max(abs(first.ce), abs(second.ce)):
        return []
    return [
        Finding(
            id="averaging",
            severity="W",
            subject=subject,
            numbers={
                "split": split,
                "ce": [first.ce, second.ce],
                "batch_tokens": [first.batch_tokens, second.batch_tokens],
                "evaluations": [first.name, second.name],
            },
            sentence=(
                f"On “{split}”, the same checkpoint has a CE of {first.ce:.6g} when {first.batch_tokens:,} tokens are "
                f"scored at a time, and of {second.ce:.6g} with {second.batch_tokens:,} ({second.name}): the result "
                "depends on the batch size."
            ),
            what_to_do="Compare only evaluations that were made with the same batch size, and find out which is right.",
        )
    ]
