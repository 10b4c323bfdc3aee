"""too-small and single-run (W): too little text, or too few seeds, to conclude anything from. Pure.

The limits are the protocol's: below 30 documents or 5 seeds a study is exploratory and names no winner.
"""

from __future__ import annotations

from bcecore.findings.finding import Finding, counted

FEW_DOCUMENTS = 100
EXPLORATORY_DOCUMENTS = 30
FEWEST_SEEDS = 5
ADVISED_SEEDS = 8


def too_small(subject: str, clean_documents: int, *, concludes: bool = True) -> list[Finding]:
    """Fires below 100 held-out documents that are not in the training text.

    A warning where a verdict rests on the documents (`concludes`). A single run concludes nothing: 30 are enough to see
    the course of its CE, so that the finding is a note from there on.
    """
    if clean_documents >= FEW_DOCUMENTS:
        return []
    sentence = f"There {'is' if clean_documents == 1 else 'are'} only {counted(clean_documents, 'document')} to check "
    sentence += "the model on"
    if clean_documents < EXPLORATORY_DOCUMENTS:
        sentence += f": below {EXPLORATORY_DOCUMENTS} the result can only be exploratory, without a winner."
    else:
        sentence += ": only large differences can be seen."
    return [
        Finding(
            id="too-small",
            severity="W" if concludes or clean_documents < EXPLORATORY_DOCUMENTS else "N",
            subject=subject,
            numbers={"documents": clean_documents, "advised": FEW_DOCUMENTS, "least": EXPLORATORY_DOCUMENTS},
            sentence=sentence,
            what_to_do=f"Check on a text of at least {FEW_DOCUMENTS} documents that are not in the training text.",
        )
    ]


def single_run(subject: str, seeds: int) -> list[Finding]:
    """Fires below 5 seeds that every arm was trained with."""
    if seeds >= FEWEST_SEEDS:
        return []
    return [
        Finding(
            id="single-run",
            severity="W",
            subject=subject,
            numbers={"seeds": seeds, "least": FEWEST_SEEDS, "advised": ADVISED_SEEDS},
            sentence=(
                f"Each arm was trained {counted(seeds, 'time')}. A difference between runs can be chance; with fewer "
                f"than {FEWEST_SEEDS} seeds the result can only be exploratory, without a winner."
            ),
            what_to_do=f"Train every arm with at least {FEWEST_SEEDS} seeds, better {ADVISED_SEEDS}.",
        )
    ]
