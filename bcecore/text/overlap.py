"""Which texts of one file are in another, as they are or nearly.

The same means: the same after case, white space, punctuation and Unicode form are set aside (`text.splitting`). What
nearly means stands in `text.near`. Neither file has to be in memory twice: of the one that is searched, only the lines
that may be near to something are kept. No torch, no disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bcecore.text import near
from bcecore.text.near import NearPairs, Places
from bcecore.text.splitting import identity

Progress = Callable[[int], None]
"""Called now and then with the number of lines that were read. What it raises ends the search."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A held-out document and a training line that is the same, or nearly; both counted from 0."""

    held_out: int
    train: int
    jaccard: float
    """1 for the same."""
    exact: bool
    """Whether they are the same after normalisation."""


@dataclass(frozen=True)
class Overlap:
    """Which held-out documents are in a training text."""

    documents: int
    """Held-out documents, clean or not."""
    pairs: tuple[Pair, ...]
    """One for each that is: its first match, the very same before the nearly same."""
    complete: bool = True
    """Whether every candidate for a near pair was compared. Only texts with thousands of lines of one pattern have too
    many for that; then there may be more nearly the same ones."""

    @property
    def clean(self) -> tuple[int, ...]:
        """The held-out documents that are not in the training text."""
        found = {pair.held_out for pair in self.pairs}
        return tuple(number for number in range(self.documents) if number not in found)


def find_overlap(train: Iterable[str], held_out: Sequence[str], progress: Progress | None = None) -> Overlap:
    """Which of the `held_out` documents are among the `train` lines, which are read once, a part at a time."""
    documents, grams = _hashed(held_out, progress)
    order = np.argsort(documents, kind="stable")
    ordered = documents[order]
    known = np.unique(grams.hashes)
    exact: dict[int, int] = {}
    kept: list[near.Grams] = []
    lines: list[int] = []
    texts: list[str] = []
    seen: set[int] = set()
    for start, chunk in near.chunks(train):
        same = list(map(identity, chunk))
        _find_same(same, start, ordered, order, held_out, exact)
        own = near.hashed(list(map(near.words_of_identity, same)))
        # The very same lines are among them: what is the same as one document can be near to another.
        fresh = []
        for place in near.may_be_near(own, known).tolist():
            name = hash(same[place])
            if name not in seen:  # else it is the same line again
                seen.add(name)
                fresh.append(place)
                lines.append(start + place)
                texts.append(same[place])
        kept.append(own.only(np.array(fresh, np.int64)))
        if progress is not None:
            progress(len(held_out) + start + len(chunk))
    candidates = near.joined(kept)
    left = np.setdiff1d(near.may_be_near(grams, np.unique(candidates.hashes)), list(exact), assume_unique=True)
    search = NearPairs(candidates, grams.only(left))
    nearest: dict[int, int] = {}
    for places, numbers in search:
        # Candidates are in the order of their lines.
        first = np.lexsort((places, numbers))
        different, at = np.unique(numbers[first], return_index=True)
        for number, place in zip(different.tolist(), places[first][at].tolist(), strict=True):
            nearest[number] = min(nearest.get(number, place), place)
    pairs = [Pair(number, line, 1.0, exact=True) for number, line in exact.items()]
    for number, place in nearest.items():
        document = int(left[number])
        jaccard = near.similarity(texts[place], held_out[document])
        if jaccard >= near.THRESHOLD:
            pairs.append(Pair(document, lines[place], jaccard, exact=False))
    return Overlap(len(held_out), tuple(sorted(pairs, key=lambda pair: pair.held_out)), search.complete)


def _hashed(texts: Sequence[str], progress: Progress | None) -> tuple[Places, near.Grams]:
    """A hash of what each text has in common with those that count as the same, and the hashed 5-grams of all."""
    identities: list[Places] = []
    grams: list[near.Grams] = []
    for start, chunk in near.chunks(texts):
        same = list(map(identity, chunk))
        identities.append(np.fromiter(map(hash, same), np.int64, len(same)))
        grams.append(near.hashed(list(map(near.words_of_identity, same))))
        if progress is not None:
            progress(start + len(chunk))
    return np.concatenate(identities) if identities else np.empty(0, np.int64), near.joined(grams)


def _find_same(
    same: Sequence[str],
    start: int,
    ordered: Places,
    order: Places,
    held_out: Sequence[str],
    found: dict[int, int],
) -> None:
    """Enter for every document its first line among these that is the very same."""
    names = np.fromiter(map(hash, same), np.int64, len(same))
    low, high = np.searchsorted(ordered, names, "left"), np.searchsorted(ordered, names, "right")
    for place in np.flatnonzero(high > low).tolist():
        for document in order[low[place] : high[place]].tolist():
            if document not in found and identity(held_out[document]) == same[place]:
                found[document] = start + place
