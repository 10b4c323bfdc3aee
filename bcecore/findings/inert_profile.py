"""no-gradient (N), known before a run: the seed profile adds nothing to the gradient, whatever its weight. Pure.

A note and no warning, because it is what that profile is for: to see what the report saw. What is measured in a run
that was meant to act is another matter.
"""

from __future__ import annotations

from bcecore.config import BCEConfig
from bcecore.findings.finding import Finding, Fix


def inert_profile(subject: str, bce: BCEConfig) -> list[Finding]:
    """Fires where BCE is on with the seed profile, all of which is detached."""
    if not bce.enabled or bce.profile != "seed":
        return []
    return [
        Finding(
            id="no-gradient",
            severity="N",
            subject=subject,
            numbers={"profile": bce.profile},
            sentence=(
                "This kind of BCE adds nothing to the gradient: the model learns the same with and without it, and "
                "only the logged loss differs."
            ),
            what_to_do="Leave it so to see what the report saw; choose BCE that acts to see what BCE does.",
            field="bce.profile",
            fix=Fix(label="Let BCE act", changes={"bce.profile": "active"}),
        )
    ]
