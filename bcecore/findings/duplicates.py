"""duplicates (W or N): the training text holds lines more than once, as they are or nearly. Pure.

A model learns lines that are there often by heart, and its loss on them says little: Lee et al. ("Deduplicating
Training Data Makes Language Models Better", ACL 2022) find near-duplicates in collections that are in common use, and
that models trained without them repeat less of their text; Hernandez et al. ("Scaling Laws and Interpretability of
Learning from Repeated Data", 2022) that repeating a small part of the data can make a model worse as a whole.

Neither gives a limit for a file of one's own. Chosen are a tenth, because ordinary text stays below it (of the 2,461
lines of WikiText-2's validation file 157 are copies, 6.4 %, nearly all of them headings such as “History”), and one in
a hundred, because files of sentences have fewer (the sample file and the report's two texts have none).

How they are found stands in `text.duplicates`.
"""

from __future__ import annotations

from bcecore.findings.finding import Finding, counted
from bcecore.text.duplicates import Copy, Duplicates, find_duplicates

__all__ = ["Copy", "Duplicates", "duplicates", "find_duplicates"]

WARNING_SHARE = 0.1
NOTE_SHARE = 0.01
_FEWEST = 2
"""A single copy can be a mistake of the hand."""


def duplicates(subject: str, found: Duplicates) -> list[Finding]:
    """The finding about a training text, if there is one.

    A warning from a tenth of the lines on, a note from one in a hundred, from two copies on.
    """
    copies, lines = len(found.copies), found.lines
    if copies < _FEWEST or copies < NOTE_SHARE * lines:
        return []
    warns = copies >= WARNING_SHARE * lines
    parts = [f"{number:,} {how}" for number, how in ((found.exact, "word for word"), (found.near, "nearly")) if number]
    sentence = (
        f"Of {counted(lines, 'training line')}, {copies:,} repeat an earlier line ({' and '.join(parts)}), "
        f"{100 * copies / lines:.2g} %."
    )
    if found.most_frequent is not None and found.most_frequent[1] > _FEWEST:
        line, times = found.most_frequent
        sentence += f" Line {line + 1:,} is there {times:,} times."
    return [
        Finding(
            id="duplicates",
            severity="W" if warns else "N",
            subject=subject,
            numbers={
                "lines": lines,
                "copies": copies,
                "exact": found.exact,
                "near": found.near,
                "share": copies / lines,
                "most_frequent": None if found.most_frequent is None else list(found.most_frequent),
                "complete": found.complete,
                "pairs": [[copy.again, copy.first, copy.jaccard] for copy in found.copies[:100]],
            },
            sentence=sentence,
            what_to_do=(
                "Take the copies out, unless the model is to learn them by heart; the Data page writes a file without "
                "them."
                if warns
                else "Nothing has to be done. Take the copies out if the model is not to prefer them."
            ),
            field="data.train_file",
        )
    ]
