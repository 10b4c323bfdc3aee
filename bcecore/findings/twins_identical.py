"""twins-identical (N): training with BCE and without ended with the same model. Pure."""

from __future__ import annotations

from bcecore.findings.finding import Finding, counted


def twins_identical(
    subject: str, arm: str, seeds: int, *, weights: bool, losses: bool, gradient: float | None = None
) -> list[Finding]:
    """The finding about the twins of one arm and the reference, if there is one.

    Fires when the trained weights of every seed's twins are the same in every bit (`weights`), or every document has
    the very same loss in both (`losses`). `gradient` is the largest norm of BCE's own gradient that was measured; None
    where none was.
    """
    if not (weights or losses):
        return []
    same = "end with the same weights, in every bit" if weights else "give every document the same loss, in every digit"
    why = ""
    if gradient == 0:
        why = " BCE added nothing to the gradient, so it could not change the model."
    return [
        Finding(
            id="twins-identical",
            severity="N",
            subject=subject,
            numbers={"arm": arm, "seeds": seeds, "weights": weights, "losses": losses, "gradient": gradient},
            sentence=f"At {counted(seeds, 'seed')}, the twins of the arm “{arm}” {same}.{why}",
            what_to_do=(
                "Nothing is wrong with the measurement. For BCE to act on the model, use the active profile with a "
                "weight above 0."
                if weights
                else "See whether both evaluations measured the same model."
            ),
        )
    ]
