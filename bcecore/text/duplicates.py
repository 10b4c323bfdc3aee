"""Lines that a file holds more than once, as they are or nearly. No torch, no disk.

The same means: the same after case, white space, punctuation and Unicode form are set aside (`text.splitting`). What
nearly means stands in `text.near`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bcecore.text import near
from bcecore.text.near import NearPairs, Places
from bcecore.text.overlap import Progress
from bcecore.text.splitting import identity


@dataclass(frozen=True, slots=True)
class Copy:
    """A line that is the same as an earlier one, or nearly; both counted from 0."""

    again: int
    first: int
    """The first line that it is the same as, or without one the first that it is nearly the same as."""
    jaccard: float
    """1 for the same."""
    exact: bool
    """Whether they are the same after normalisation."""


@dataclass(frozen=True)
class Duplicates:
    """What a file holds more than once."""

    lines: int
    """All lines, those that occur once too."""
    copies: tuple[Copy, ...]
    """One for each line that is the same as an earlier one, or nearly, in their order."""
    most_frequent: tuple[int, int] | None
    """The line that is there most often after normalisation, from 0, and how often; None where none is there twice."""
    complete: bool = True
    """As in `text.overlap.Overlap`."""

    @property
    def exact(self) -> int:
        """Lines that are the same as an earlier one."""
        return sum(copy.exact for copy in self.copies)

    @property
    def near(self) -> int:
        """Lines that are only nearly the same as an earlier one."""
        return len(self.copies) - self.exact

    @property
    def share(self) -> float:
        """Copies over lines."""
        return len(self.copies) / self.lines if self.lines else 0.0


def find_duplicates(texts: Sequence[str], progress: Progress | None = None) -> Duplicates:
    """Which of the texts are there more than once."""
    found = grouped(texts, progress)
    copies = [Copy(line, first, 1.0, exact=True) for line, first in enumerate(found.first_same) if first != line]
    nearest = np.arange(len(found.distinct))
    search = NearPairs(found.grams)
    for ones, others in search:
        np.minimum.at(nearest, others, ones)
    for other in np.flatnonzero(nearest < np.arange(len(nearest))):
        again, first = int(found.distinct[other]), int(found.distinct[nearest[other]])
        jaccard = near.similarity(texts[again], texts[first])
        if jaccard >= near.THRESHOLD:
            copies.append(Copy(again, first, jaccard, exact=False))
    times = Counter(copy.first for copy in copies if copy.exact)
    most = max(times, key=lambda line: (times[line], -line), default=None)
    return Duplicates(
        len(texts),
        tuple(sorted(copies, key=lambda copy: copy.again)),
        None if most is None else (most, times[most] + 1),
        search.complete,
    )


@dataclass(frozen=True)
class Grouped:
    """Texts with each that is the very same as an earlier one put to that."""

    first_same: list[int]
    """For every text the first one that is the very same: itself, where it is the first."""
    distinct: Places
    """The places of the texts that are first, and may be near to another of these."""
    grams: near.Grams
    """Their 5-grams."""


def grouped(texts: Sequence[str], progress: Progress | None = None) -> Grouped:
    """Put the very same texts together, and hash what is left."""
    first_of: dict[int, int] = {}
    first_same: list[int] = []
    parts: list[near.Grams] = []
    distinct: list[int] = []
    for start, chunk in near.chunks(texts):
        same = list(map(identity, chunk))
        fresh: list[list[str]] = []
        for place, text in enumerate(same, start):
            first = first_of.setdefault(hash(text), place)
            if first != place and identity(texts[first]) != text:
                first = place  # two texts with one hash
            first_same.append(first)
            if first == place:
                distinct.append(place)
                fresh.append(near.words_of_identity(text))
        parts.append(near.hashed(fresh))
        if progress is not None:
            progress(start + len(chunk))
    all_grams = near.joined(parts)
    left = near.may_be_near(all_grams, near.known_elsewhere(all_grams))
    return Grouped(first_same, np.array(distinct, np.int64)[left], all_grams.only(left))
