"""boost-unfinished (W or N) and weight-zero (W): the BCE weight does not do what its settings seem to say. Pure.

A warm-up that is not over before the run is impossible (`config.check_against_text`), but a boost can be: the weight
then ends below the one that was asked for. A note; a warning where it does less than half of its rise, because what
was tried is then nearer to a run without a boost. (The report's own run does four fifths and ends at 0.44, not 0.5.)
A weight that is 0 at every step although BCE is on is ordinary training under another name.
"""

from __future__ import annotations

from bcecore.config import BCEConfig
from bcecore.findings.finding import Finding, Fix, counted

_HALF = 0.5


def boost_unfinished(subject: str, bce: BCEConfig, total_steps: int) -> list[Finding]:
    """Fires when the weight at the last step of `total_steps` is short of the end of its boost."""
    left = total_steps - bce.warmup_steps
    before = min(bce.base_weight, bce.target_weight)
    if not bce.enabled or left < 1 or bce.max_weight <= before or bce.boost_span <= left:
        return []
    done, ends_at = left / bce.boost_span, bce.weight(total_steps)
    return [
        Finding(
            id="boost-unfinished",
            severity="W" if done < _HALF else "N",
            subject=subject,
            numbers={"boost_span": bce.boost_span, "steps_left": left, "weight": ends_at, "asked": bce.max_weight},
            sentence=(
                f"The BCE weight never reaches {bce.max_weight:g}: its boost takes {counted(bce.boost_span, 'step')}, "
                f"but {left:,} {'is' if left == 1 else 'are'} left after the warm-up. It ends at {ends_at:.3g}."
            ),
            what_to_do="Make the boost shorter, or train longer.",
            field="bce.boost_span",
            fix=Fix(label=f"Boost over {counted(left, 'step')}", changes={"bce.boost_span": left}),
        )
    ]


def weight_zero(subject: str, bce: BCEConfig, total_steps: int) -> list[Finding]:
    """Fires when BCE is on and its weight is 0 at every step: it never falls, so that the last step tells."""
    if not bce.enabled or bce.weight(total_steps) > 0:
        return []
    cause = "base_weight" if bce.base_weight == 0 else "target_weight"
    return [
        Finding(
            id="weight-zero",
            severity="W",
            subject=subject,
            numbers={"base_weight": bce.base_weight, "target_weight": bce.target_weight, "max_weight": bce.max_weight},
            sentence="BCE is on, but its weight is 0 at every step: this is ordinary training.",
            what_to_do="Give it a weight, or switch it off, so that the run is called what it is.",
            field=f"bce.{cause}",
            fix=Fix(label="Switch BCE off", changes={"bce.enabled": False}),
        )
    ]
