"""accumulation (W): a step over several batches is not the step over one batch with the same texts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bcecore.findings.finding import Finding


def accumulation(subject: str, probe: Mapping[str, Any] | None) -> list[Finding]:
    """The finding about a run's steps, if there is one; `probe` is its `facts["loss_probe"]` (`training.loss_probe`).

    Fires when the run accumulates gradients and they are not those of one batch. Silent where padding is scored: then
    what a batch holds decides about its loss in any case, which is `padding`'s to say.
    """
    if not probe or probe["scored_pads"] or probe["accumulated"] is None:
        return []
    share, batches = probe["accumulated"], probe["micro_batches"]
    if share <= probe["tolerance"]:
        return []
    return [
        Finding(
            id="accumulation",
            severity="W",
            subject=subject,
            numbers={"share": share, "micro_batches": batches, "lengths": list(probe["lengths"])},
            sentence=(
                f"Accumulating gradients changes the step: the same texts in {batches} small batches give a gradient "
                f"that is {_percent(share)} away from the one that they give as one batch."
            ),
            what_to_do=(
                "Train with one batch a step (gradient accumulation 1), or divide each small batch's summed loss by "
                "the predicted tokens of the whole step; then train again."
            ),
            field="training.gradient_accumulation_steps",
        )
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:,.0f} %"
