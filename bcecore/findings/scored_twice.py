"""scored-twice (W): what is shown as "with BCE" and "without" is one checkpoint, scored twice. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bcecore.findings.finding import Finding, Severity, counted


def scored_twice(
    subject: str,
    on: Sequence[float],
    off: Sequence[float],
    where: str = "",
    *,
    names: tuple[str, str] = ("“On”", "“off”"),
    severity: Severity = "W",
) -> list[Finding]:
    """The finding about two sides, if there is one; `on` and `off` are the CE of each text in the same order.

    Fires when there are some and every one is the same on both sides, in every bit: two different models agree on all
    digits of one text now and then, on all texts never. `where` names the texts: `“val_small”`, `names` the sides.
    `severity` is N where the page itself says that this is no comparison of two models.
    """
    if not len(on) or len(on) != len(off) or any(a != b for a, b in zip(on, off, strict=True)):
        return []  # a loss that is no number equals nothing, itself included
    place = f" on {where}" if where else ""
    return [
        Finding(
            id="scored-twice",
            severity=severity,
            subject=subject,
            numbers={"texts": len(on), "where": where},
            sentence=(
                f"{names[0]} and {names[1]} are one model, scored twice{place}: {_all(len(on))} the same CE on both "
                "sides. At most BCE's own term differs, so this cannot say whether BCE helped."
            ),
            what_to_do=(
                "To find out whether BCE helped, train twins that differ in nothing but BCE: that is what a study does."
            ),
        )
    ]


def _all(texts: int) -> str:
    return "the text has" if texts == 1 else f"all {counted(texts, 'text')} have"
