"""cut-lines (W or N): the model never sees the ends of lines, because they are longer than the longest example. Pure.

How many lines are cut the Launch page says anyway. The finding is about the text that is lost with them, in tokens: a
note from a twentieth of a text on, and a warning from half of it on, where more is thrown away than read. In between
lies what is ordinary: a paragraph a line, of which the beginning is read (WikiText-2 loses 29 % at 128 tokens, the
report's text 2 % at 128, the sample 3 % at the 64 of a quick look). That cutting hurts at all, and most where it is
most: Ding et al., "Fewer Truncations Improve Language Modeling", ICML 2024.
"""

from __future__ import annotations

from bcecore.findings.finding import Finding, Fix, Severity, counted
from bcecore.text.tokenizing import Encoded

NOTED = 0.05
WARNED = 0.5
_MULTIPLE = 8
"""Lengths that are multiples of this suit the arithmetic of every device."""


def cut_lines(
    subject: str, train: Encoded, held_out: Encoded, block_size: int, longest_possible: int | None
) -> list[Finding]:
    """The finding about a text, what is learnt and what is checked together, if there is one.

    `longest_possible` is how many tokens the model can hold; None where that is not known.
    """
    cut_off = train.cut_off + held_out.cut_off
    share = cut_off / (train.tokens + held_out.tokens + cut_off) if cut_off else 0.0
    if share < NOTED:
        return []
    severity: Severity = "W" if share > WARNED else "N"
    cut, longest = train.cut + held_out.cut, max(train.longest, held_out.longest)
    enough = -(-longest // _MULTIPLE) * _MULTIPLE
    wanted = enough if longest_possible is None else min(enough, longest_possible)
    held = counted(block_size, "token")
    what_to_do = f"The longest line has {longest:,} tokens"
    if wanted <= block_size:
        what_to_do += ", more than the model can hold: divide long lines into shorter ones."
    elif wanted < longest:
        what_to_do += f", the model holds {wanted:,}: read more of each line, or divide long lines into shorter ones."
    else:
        what_to_do += ": read them whole, for which it needs more time and memory."
    return [
        Finding(
            id="cut-lines",
            severity=severity,
            subject=subject,
            numbers={"cut": cut, "share": share, "longest": longest, "block_size": block_size},
            sentence=(
                f"{counted(cut, 'line')} {'is' if cut == 1 else 'are'} longer than {held}, and what is behind is cut "
                f"off: {share:.0%} of the text is never seen."
            ),
            what_to_do=what_to_do,
            field="data.block_size",
            fix=Fix(label=f"Read up to {wanted:,} tokens", changes={"data.block_size": wanted})
            if wanted > block_size
            else None,
        )
    ]
