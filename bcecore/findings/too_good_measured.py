"""too-good (W): a measured loss on held-out text that no language model reaches. Pure."""

from __future__ import annotations

import math

from bcecore.findings.finding import Finding

TOO_GOOD = 0.1
"""Nats per token. C. E. Shannon (Prediction and Entropy of Printed English, 1951) found that people are left with 0.6
to 1.3 bits of surprise at each character: 0.4 nats even where every character is a token, 1.7 where four are."""


def too_good_measured(subject: str, ce: float, where: str) -> list[Finding]:
    """The finding about a CE on held-out text, if there is one: it fires below 0.1 nats per token.

    `where` says in words which text it is: `the held-out lines`.
    """
    if not math.isfinite(ce) or ce >= TOO_GOOD:
        return []
    return [
        Finding(
            id="too-good",
            severity="W",
            subject=subject,
            numbers={"ce": ce, "perplexity": math.exp(ce), "limit": TOO_GOOD, "where": where},
            sentence=(
                f"A CE of {ce:.3g} on {where} is too good to be true: the model would foresee nearly every token "
                f"(perplexity {math.exp(ce):.3f})."
            ),
            what_to_do=(
                "Look for the reason before you believe it: the model sees the tokens that it has to predict, the text "
                "is also in the training text, or it says the same over and over."
            ),
        )
    ]
