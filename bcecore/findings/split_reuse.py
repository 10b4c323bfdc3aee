"""split-reuse (B): the rows that check the model are rows that it learns from, by their place. Pure.

Not a matter of chance, as one line that occurs twice (that is `overlap`), but of how the split was made: some rows were
taken for checking and left in the training text.
"""

from __future__ import annotations

from collections.abc import Sequence

from bcecore.findings.finding import Finding

_FEWEST = 2
"""A single line that is in both can be a duplicate."""


def split_reuse(
    subject: str, train: Sequence[str], held_out: Sequence[str], *, re_used_by_setting: bool = False
) -> list[Finding]:
    """The finding about a split, if there is one.

    Fires when the settings re-use training rows (`re_used_by_setting`), or when all of `held_out`, at least two rows,
    stand in `train` one behind the other in the same order.
    """
    if not held_out:
        return []
    start = _start(train, held_out)
    if start is None and not re_used_by_setting:
        return []
    rows = len(held_out)
    if start is None:
        where = "by its settings, the first training lines are used again"
    elif start == 0:
        where = f"they are the first {rows:,} training lines"
    else:
        where = f"they are the training lines {start + 1:,} to {start + rows:,}"
    which = {1: "The line", 2: "Both lines"}.get(rows, f"All {rows:,} lines")
    return [
        Finding(
            id="split-reuse",
            severity="B",
            subject=subject,
            numbers={"rows": rows, "first_row": start, "training_rows": len(train), "by_setting": re_used_by_setting},
            sentence=(
                f"{which} that the model is checked on "
                f"{'is one' if rows == 1 else 'are lines'} that it learns from: {where}. "
                "The result tells how well it remembers, not what it learnt."
            ),
            what_to_do="Set a share of the lines aside, or check on another file; then train again.",
        )
    ]


def _start(train: Sequence[str], held_out: Sequence[str]) -> int | None:
    """Where all of `held_out` begins in `train`, as one block in the same order."""
    rows = len(held_out)
    if rows < _FEWEST:
        return None
    first = held_out[0]
    for start in range(len(train) - rows + 1):
        if train[start] == first and all(train[start + row] == held_out[row] for row in range(1, rows)):
            return start
    return None
