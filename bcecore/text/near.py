"""Texts that are nearly the same: of all runs of five words in either of the two, at least four fifths are in both.

That is the Jaccard similarity of their word 5-grams, with the limit by which Lee et al. ("Deduplicating Training Data
Makes Language Models Better", ACL 2022) look for near-duplicates; as there, MinHash finds the pairs to compare (Broder,
"On the Resemblance and Containment of Documents", 1997), here that of datasketch. Words and not tokens, because what is
the same text must not depend on a model's vocabulary; in scripts that are written without spaces each character counts
as a word. A text of fewer than five words has no 5-gram, so that it is never nearly the same as another: “Yes, a war.”
is not nearly “Yes, a warning.”

Made for a million lines, on hashes of the 5-grams:

1. Of a text that is near to another, at least four fifths of its own 5-grams occur elsewhere, and of the shorter of two
   near ones eight ninths. Few texts of an ordinary file pass that (`may_be_near`), none of a boilerplate that differs
   from line to line by more than that, and nothing is missed.
2. What passes is sketched by MinHash, and those that agree in a band of their sketches are candidates. A pair at the
   limit agrees in none with a probability of 5 in 100 million, a nearer one more seldom still.
3. Candidates are compared by their whole sets of hashes.

What is told to people is compared once more by its words (`similarity`). No torch, no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from bcecore.text.splitting import identity

WORDS = 5
THRESHOLD = 0.8
CHUNK_LINES = 20_000

# With 32 bands of 4 rows a pair at the threshold is missed with probability (1 − 0.8⁴)³² = 5e-8.
_BANDS, _ROWS = 32, 4
_OF_SHORTER = (8, 9)
"""How much of the shorter of two near texts is in the longer, at least."""

# These bound work and memory, not what counts as near.
_MOST_PAIRS = 5_000_000
"""Candidates that a single band may give altogether."""
_FEWEST_KEPT = 16
_PAIRS_AT_ONCE = 500_000
_GRAMS_AT_ONCE = 4_000_000

_MULTIPLIERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5, 0xD6E8FEB86659FD93],
    dtype=np.uint64,
)
"""Odd numbers with mixed bits, one for each place in a 5-gram, so that the order of the words counts."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese characters."""

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Marked = npt.NDArray[np.bool_]


# -- by words: the definition


def words_of(text: str) -> list[str]:
    """The words of a text as they are compared."""
    return words_of_identity(identity(text))


def words_of_identity(same: str) -> list[str]:
    """The words of a text of which the identity is known already."""
    return (same if same.isascii() else _UNSPACED.sub(r" \g<0> ", same)).split()


def grams(words: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """The runs of five words in a text; none in one that has fewer."""
    return frozenset(tuple(words[start : start + WORDS]) for start in range(len(words) - WORDS + 1))


def jaccard(first: frozenset[Any], second: frozenset[Any]) -> float:
    """Shared over all; 0 where there is nothing."""
    either = len(first | second)
    return len(first & second) / either if either else 0.0


def similarity(first: str, second: str) -> float:
    """The exact Jaccard similarity of two texts, from 0 to 1."""
    return jaccard(grams(words_of(first)), grams(words_of(second)))


# -- by hashes


@dataclass(frozen=True)
class Grams:
    """The 5-grams of many texts as hashes, each once in a text, one text behind the other."""

    starts: Places
    """Where each text begins, and behind the last of them the end: one more than there are texts."""
    hashes: Hashes

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Places:
        """How many 5-grams each text has."""
        return np.diff(self.starts)

    @property
    def of_text(self) -> Places:
        """For every 5-gram the place of its text."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def only(self, places: Places) -> Grams:
        """Those of the texts at these places, which ascend."""
        chosen = np.zeros(len(self), np.bool_)
        chosen[places] = True
        return Grams(_starts(self.sizes[places]), self.hashes[np.repeat(chosen, self.sizes)])


def _starts(sizes: Places) -> Places:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def hashed(texts: Sequence[Sequence[str]]) -> Grams:
    """The hashed 5-grams of texts, given by their words."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    # Python's own hash of a word: it differs from process to process, but only equality counts here.
    words = np.fromiter(map(hash, chain.from_iterable(texts)), np.int64, int(lengths.sum())).view(np.uint64)
    of_text = np.repeat(np.arange(len(texts)), lengths)
    count = max(len(words) - WORDS + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for place, multiplier in enumerate(_MULTIPLIERS):
        mixed = words[place : place + count] * multiplier
        hashes += mixed ^ (mixed >> np.uint64(29))
    whole = of_text[:count] == of_text[WORDS - 1 :] if count else np.zeros(0, np.bool_)
    of_gram, hashes = of_text[:count][whole], hashes[whole]
    order = np.lexsort((hashes, of_gram))
    of_gram, hashes = of_gram[order], hashes[order]
    fresh = np.ones(len(hashes), np.bool_)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (of_gram[1:] != of_gram[:-1])
    return Grams(_starts(np.bincount(of_gram[fresh], minlength=len(texts))), hashes[fresh])


def joined(parts: Sequence[Grams]) -> Grams:
    """Several of them, one behind the other."""
    if not parts:
        return Grams(np.zeros(1, np.int64), np.empty(0, np.uint64))
    return Grams(_starts(np.concatenate([part.sizes for part in parts])), np.concatenate([p.hashes for p in parts]))


def chunks(lines: Iterable[str], size: int = CHUNK_LINES) -> Iterator[tuple[int, list[str]]]:
    """The lines a part at a time, each part with the number of its first line."""
    remaining, start = iter(lines), 0
    while chunk := list(islice(remaining, size)):
        yield start, chunk
        start += len(chunk)


def may_be_near(texts: Grams, known: Hashes, share: tuple[int, int] = (4, 5)) -> Places:
    """The places of texts of whose 5-grams at least this share is `known` (sorted): no other can be near to any.

    Two near texts share at least 4/9 of what both have, counted one by one: of either at least 4/5, and of the shorter
    8/9. (In whole numbers: neither share has an exact value.)
    """
    if not len(known) or not len(texts.hashes):
        return np.empty(0, np.int64)
    found = np.minimum(np.searchsorted(known, texts.hashes), len(known) - 1)
    shared = np.bincount(texts.of_text[known[found] == texts.hashes], minlength=len(texts))
    return np.flatnonzero((texts.sizes > 0) & (share[1] * shared >= share[0] * texts.sizes))


def known_elsewhere(texts: Grams) -> Hashes:
    """The 5-grams that more than one of the texts has, sorted."""
    ordered = np.sort(texts.hashes)
    again = ordered[1:] == ordered[:-1]
    return np.unique(ordered[1:][again])


class NearPairs:
    """All pairs of near texts, one from `first` and one from `second`; without `second`, among the first.

    To be gone through once: it gives two arrays at a time, the places of the texts of so many pairs; a pair may come
    twice. Among one list of texts the first place is the smaller one.
    """

    complete: bool
    """Whether every candidate was compared; known at the end."""

    def __init__(self, first: Grams, second: Grams | None = None) -> None:
        self.complete = True
        self._first, self._second = first, second

    def __iter__(self) -> Iterator[tuple[Places, Places]]:
        first, second = self._first, self._second
        if second is None:
            short = may_be_near(first, known_elsewhere(first), _OF_SHORTER)
            for one, other in self._near(first, short, first, _sharing(first, first, short)):
                yield np.minimum(one, other), np.maximum(one, other)
            return
        short = may_be_near(first, np.unique(second.hashes), _OF_SHORTER)
        yield from self._near(first, short, second, _sharing(second, first, short))
        # Now those of which the one from `second` is the shorter, and the other has not been known yet.
        others = may_be_near(second, np.unique(first.hashes), _OF_SHORTER)
        asking = np.setdiff1d(_sharing(first, second, others), short, assume_unique=True)
        for other, one in self._near(second, others, first, asking):
            yield one, other

    def _near(self, texts: Grams, known: Places, others: Grams, asking: Places) -> Iterator[tuple[Places, Places]]:
        """Pairs of one of the `known` texts and another, near to it, of those that are `asking`."""
        if not len(known) or not len(asking):
            return
        both = joined([texts, others])
        rows = _rows(both)
        for one, other in self._candidates(texts, known, others, asking):
            if texts is others:  # of two that are both known, each asks for the other
                once = (one < other) | ~np.isin(other, known)
                one, other = one[once], other[once]
            for near in _compared(rows, both.sizes, one, len(texts) + other):
                yield one[near], other[near]

    def _candidates(
        self, texts: Grams, known: Places, others: Grams, asking: Places
    ) -> Iterator[tuple[Places, Places]]:
        """For each of the texts that are asking, the known ones whose MinHash agrees with its own in a band."""
        # Imported here: it brings scipy, which takes half a second, and few files need it.
        from datasketch import MinHashLSH

        index = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
        for place, sketch in _sketches(texts, known):
            index.insert(place, sketch, check_duplication=False)
        # Where very many are alike, the first of them stand for all.
        most = max(_MOST_PAIRS // len(asking), _FEWEST_KEPT)
        for band in index.hashtables:
            for bucket, count in band.itemcounts().items():
                if count > most:
                    self.complete = False
                    first = sorted(band.get(bucket))[:most]
                    band.remove(bucket)
                    band.insert(bucket, *first)
        ones: list[int] = []
        several: list[int] = []
        begun = 0
        for number, (_, sketch) in enumerate(_sketches(others, asking), 1):
            found = index.query(sketch)
            ones += found
            several.append(len(found))
            if len(ones) >= _PAIRS_AT_ONCE or number == len(asking):
                yield np.array(ones, np.int64), np.repeat(asking[begun:number], several)
                ones, several, begun = [], [], number


def _rows(texts: Grams) -> Any:
    """The texts as a sparse matrix: a row for each, a column for each 5-gram."""
    from scipy.sparse import csr_array  # type: ignore[import-untyped]

    _, columns = np.unique(texts.hashes, return_inverse=True)
    return csr_array((np.ones(len(columns), np.bool_), columns, texts.starts))


def _compared(rows: Any, sizes: Places, one: Places, other: Places) -> Iterator[Places]:
    """Which of the pairs of rows are near, a part at a time."""
    both = sizes[one] + sizes[other]
    before = _starts(both)
    start = 0
    while start < len(one):
        stop = max(int(np.searchsorted(before, before[start] + _GRAMS_AT_ONCE, "right")) - 1, start + 1)
        shared = np.diff(rows[one[start:stop]].multiply(rows[other[start:stop]]).indptr)
        # The same as a ratio of 4/5, in whole numbers.
        near = start + np.flatnonzero(9 * shared >= 4 * both[start:stop])
        if len(near):
            yield near
        start = stop


def _sharing(texts: Grams, others: Grams, short: Places) -> Places:
    """The places of texts that may be near to one of the `short` ones of the others."""
    return may_be_near(texts, np.unique(others.only(short).hashes))


def _sketches(texts: Grams, places: Places) -> Iterator[tuple[int, Any]]:
    """The texts at these places, each with its MinHash."""
    from datasketch import MinHash

    shortened = texts.hashes >> np.uint64(32)
    starts = texts.starts.tolist()
    wanted = places.tolist()
    of_texts = (shortened[starts[place] : starts[place + 1]].tolist() for place in wanted)
    return zip(wanted, MinHash.generator(of_texts, num_perm=_BANDS * _ROWS, hashfunc=int), strict=True)
