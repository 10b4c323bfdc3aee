"""overlap (B or W): documents that check the model are in its training text, as they are or nearly. Pure.

What the same and nearly the same mean, and how they are found among a million lines, stands in `text.overlap` and
`text.near`.
"""

from __future__ import annotations

from bcecore.findings.finding import Finding, counted
from bcecore.findings.sample_size import EXPLORATORY_DOCUMENTS
from bcecore.text.overlap import Overlap, Pair, find_overlap

__all__ = ["Overlap", "Pair", "find_overlap", "overlap"]


def overlap(subject: str, found: Overlap) -> list[Finding]:
    """The finding about a held-out text, if there is one. Blocks where fewer than 30 clean documents remain."""
    if not found.pairs:
        return []
    exact = sum(pair.exact for pair in found.pairs)
    near, clean = len(found.pairs) - exact, len(found.clean)
    parts = [f"{number:,} {how}" for number, how in ((exact, "word for word"), (near, "nearly")) if number]
    too_few = clean < EXPLORATORY_DOCUMENTS
    rest = f"{clean:,} remain{'s' * (clean == 1)} that the model has not seen" if clean else "None remains"
    if too_few and clean:
        rest += f", fewer than {EXPLORATORY_DOCUMENTS}"
    return [
        Finding(
            id="overlap",
            severity="B" if too_few else "W",
            subject=subject,
            numbers={
                "documents": found.documents,
                "overlapping": len(found.pairs),
                "exact": exact,
                "near": near,
                "clean": clean,
                "pairs": [[pair.held_out, pair.train, pair.jaccard] for pair in found.pairs[:100]],
            },
            sentence=(
                f"Of {counted(found.documents, 'document')} that check the model, {len(found.pairs):,} "
                f"{'is' if len(found.pairs) == 1 else 'are'} in its training text ({' and '.join(parts)}). {rest}."
            ),
            what_to_do=(
                "Check on other text, or set a share of the lines aside before training."
                if too_few
                else "Judge by the documents that are not in the training text, and leave the others out."
            ),
        )
    ]
