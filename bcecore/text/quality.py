"""The quality filter: which lines are left out before training, and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

TOO_SHORT = "too_short"
REPEATED = "repeated_characters"
SYMBOLS = "too_many_symbols"


def fault(text: str, *, min_characters: int, max_repeated_share: float, max_symbol_share: float) -> str | None:
    """The reason to leave `text` out, or None to keep it. The first reason that applies counts."""
    if len(text) < min_characters:
        return TOO_SHORT
    if max_repeated_share < 1 and repeated_share(text) > max_repeated_share:
        return REPEATED
    if max_symbol_share < 1 and symbol_share(text) > max_symbol_share:
        return SYMBOLS
    return None


def repeated_share(text: str) -> float:
    """Share of the characters (white space not counted) that are the most frequent one; 0 for no characters."""
    counts = Counter(character for character in text if not character.isspace())
    return max(counts.values()) / counts.total() if counts else 0.0


def symbol_share(text: str) -> float:
    """Share of the characters that are neither letters, digits, combining marks nor white space; 0 for no text."""
    if not text:
        return 0.0
    # str.isalnum is false for the vowel signs of Indic scripts, which are marks on letters, not symbols.
    import unicodedata

    symbols = sum(
        not (character.isalnum() or character.isspace() or unicodedata.category(character).startswith("M"))
        for character in text
    )
    return symbols / len(text)


def sift(
    texts: Iterable[str], *, min_characters: int, max_repeated_share: float, max_symbol_share: float
) -> tuple[list[str], dict[str, int]]:
    """The texts to keep, in order, and how many were left out for each reason (reasons that occurred only)."""
    kept: list[str] = []
    dropped: Counter[str] = Counter()
    for text in texts:
        reason = fault(
            text,
            min_characters=min_characters,
            max_repeated_share=max_repeated_share,
            max_symbol_share=max_symbol_share,
        )
        if reason is None:
            kept.append(text)
        else:
            dropped[reason] += 1
    return kept, dict(dropped)
