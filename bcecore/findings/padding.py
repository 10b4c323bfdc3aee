"""padding (W): what fills up short texts in a batch is scored as if it were text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bcecore.findings.finding import Finding, counted


def padding(subject: str, probe: Mapping[str, Any] | None) -> list[Finding]:
    """The finding about a run's batches, if there is one; `probe` is its `facts["loss_probe"]` (`training.loss_probe`).

    Fires when a batch of texts of different lengths has labels (other than −100, which stands for "not scored") that
    none of its texts has alone.
    """
    if not probe or not probe["scored_pads"]:
        return []
    scored, pads = probe["scored_pads"], probe["pads"]
    return [
        Finding(
            id="padding",
            severity="W",
            subject=subject,
            numbers={"scored_pads": scored, "pads": pads, "lengths": list(probe["lengths"])},
            sentence=(
                f"What fills up short texts is scored as if it were text: in a batch of "
                f"{counted(len(probe['lengths']), 'text')}, {scored:,} of {counted(pads, 'empty place')} have a label. "
                "The model learns to predict padding, which is easy, and its loss comes out too low."
            ),
            what_to_do="Set the labels of padding to −100, which leaves them out of the loss, and train again.",
        )
    ]
