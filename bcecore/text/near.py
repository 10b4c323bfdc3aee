"""Texts that are nearly the same: of all runs of five words in either of the two, at least four fifths are in both.

That is the Jaccard similarity of their word 5-grams (Lee et al., "Deduplicating Training Data Makes Language Models
Better", ACL 2022, look for near-duplicates by word 5-grams with the same limit). Words and not tokens, because what is
the same text must not depend on a model's vocabulary; in scripts that are written without spaces each character counts
as a word. A text of fewer than five words has no 5-gram, so that it is never nearly the same as another: “Yes, a war.”
is not nearly “Yes, a warning.”

Made for a million lines, in numpy, on hashes of the 5-grams:

1. Of a text that is near to another, at least four fifths of its own 5-grams occur elsewhere. Few texts of an ordinary
   file pass that (`may_be_near`).
2. If two texts are near, then they share one of the rarest 5-grams of each: a ninth of the shorter one's, a fifth of
   the longer one's (prefix filtering: Chaudhuri et al., ICDE 2006; Bayardo et al., "Scaling Up All Pairs Similarity
   Search", WWW
   2007). So boilerplate that differs in a name or a number meets nothing, however much of it there is. Nothing is
   missed up to here, and every pair is compared by its whole sets of hashes.
3. Where so many texts share even their rarest 5-grams that the pairs are too many to be listed, MinHash (datasketch)
   says which of them to compare.

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

# All of these bound work and memory, not what counts as near.
_MOST_PAIRS = 100_000_000
_PAIRS_AT_ONCE = 2_000_000
_GRAMS_AT_ONCE = 4_000_000
# With 20 bands of 5 rows a pair at the threshold is missed with probability (1 − 0.8⁵)²⁰ = 0.04 %, one at 0.9 never.
_BANDS, _ROWS = 20, 5
_NEIGHBOURS = 16
"""How many texts of the same band, at most, a text is compared with on either side."""
_BITMAP_WORDS = 16

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


def may_be_near(texts: Grams, known: Hashes) -> Places:
    """The places of texts of whose 5-grams at least four fifths are `known` (sorted): no other can be near to any.

    The shared ones are at most all the known ones of a text, and all of either at least its own; so their ratio is at
    most this share. (Counted in whole numbers: 0.8 has no exact value.)
    """
    if not len(known) or not len(texts.hashes):
        return np.empty(0, np.int64)
    found = np.minimum(np.searchsorted(known, texts.hashes), len(known) - 1)
    shared = np.bincount(texts.of_text[known[found] == texts.hashes], minlength=len(texts))
    return np.flatnonzero((texts.sizes > 0) & (5 * shared >= 4 * texts.sizes))


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
    """Whether every pair was compared that can be near; known at the end."""

    def __init__(self, first: Grams, second: Grams | None = None) -> None:
        self.complete = True
        self._among = second is None
        self._first, self._second = _sides(first, second)

    def __iter__(self) -> Iterator[tuple[Places, Places]]:
        # The shorter of two near texts has more than four ninths of both together, so that fewer of its rarest do.
        few, more = self._first.rarest(8, 9), self._first.rarest(4, 5)
        yield from self._sharing(few, self._second.rarest(4, 5))
        if not self._among:
            yield from self._sharing(more & ~few, self._second.rarest(8, 9))

    def _sharing(self, of_first: Marked, of_second: Marked) -> Iterator[tuple[Places, Places]]:
        """The near pairs among those that share one of the marked 5-grams of both sides."""
        first, second = self._first, self._second
        by_rank = np.argsort(first.ranks[of_first], kind="stable")
        ranks, texts = first.ranks[of_first][by_rank], first.of_text[of_first][by_rank]
        own_ranks, own = second.ranks[of_second], second.of_text[of_second]
        low = np.searchsorted(ranks, own_ranks, "left")
        counts = np.searchsorted(ranks, own_ranks, "right") - low
        shared = counts > 0
        own_ranks, own, low, counts = (array[shared] for array in (own_ranks, own, low, counts))
        crowded = _crowded(own_ranks, counts)
        if crowded.any():
            members, others = np.unique(texts[np.isin(ranks, own_ranks[crowded])]), np.unique(own[crowded])
            yield from self._sketched(np.union1d(members, others) if self._among else members, others)
            own, low, counts = (array[~crowded] for array in (own, low, counts))
        # All of one text together, so that a pair that shares several rare 5-grams is compared once.
        ends = np.append(np.flatnonzero(own[1:] != own[:-1]) + 1, len(own))
        before = _starts(counts)
        start = 0
        while start < len(own):
            enough = int(np.searchsorted(before[ends], before[start] + _PAIRS_AT_ONCE))
            stop = int(ends[min(enough, len(ends) - 1)])
            several = counts[start:stop]
            entry = np.repeat(np.arange(start, stop), several)
            within = np.arange(len(entry)) - np.repeat(before[start:stop] - before[start], several)
            yield from self._verified(texts[low[entry] + within], own[entry])
            start = stop

    def _verified(self, one: Places, other: Places) -> Iterator[tuple[Places, Places]]:
        """Those of the pairs that are near, each once."""
        first, second = self._first, self._second
        if self._among:
            one, other = np.minimum(one, other), np.maximum(one, other)
        sizes, others = first.sizes[one], second.sizes[other]
        possible = 5 * np.minimum(sizes, others) >= 4 * np.maximum(sizes, others)
        if self._among:
            possible &= one < other
        one, other = one[possible], other[possible]
        # What the bitmaps differ in, the texts differ in; near ones differ in at most a ninth of their 5-grams.
        apart = np.bitwise_count(first.bitmaps[one] ^ second.bitmaps[other]).sum(axis=1, dtype=np.int64)
        possible = 9 * apart <= first.sizes[one] + second.sizes[other]
        keys = np.unique(one[possible] * len(second) + other[possible])
        one, other = np.divmod(keys, max(len(second), 1))
        before = _starts(second.sizes[other])
        start = 0
        while start < len(one):
            stop = max(int(np.searchsorted(before, before[start] + _GRAMS_AT_ONCE, "right")) - 1, start + 1)
            a, b = one[start:stop], other[start:stop]
            # 9 shared >= 4 of all that both have is the same as a ratio of 4/5, in whole numbers.
            near = 9 * self._shared(a, b) >= 4 * (first.sizes[a] + second.sizes[b])
            if near.any():
                yield a[near], b[near]
            start = stop

    def _shared(self, one: Places, other: Places) -> Places:
        """How many 5-grams each pair has in common."""
        first, second = self._first, self._second
        sizes = second.sizes[other]
        pair = np.repeat(np.arange(len(other)), sizes)
        within = np.arange(len(pair)) - np.repeat(_starts(sizes)[:-1], sizes)
        wanted = one[pair] * first.different + second.ranks[second.starts[other][pair] + within]
        found = np.minimum(np.searchsorted(first.keys, wanted), len(first.keys) - 1)
        return np.bincount(pair[first.keys[found] == wanted], minlength=len(other))

    def _sketched(self, ones: Places, others: Places) -> Iterator[tuple[Places, Places]]:
        """Near pairs among many texts: compared are those that agree in a band of their MinHash, and stand together."""
        # In one order with the texts of both sides; among one list, those of the second are those of the first.
        sketches = self._first.sketches(ones)
        is_first = np.ones(len(ones), np.bool_)
        texts = ones
        if not self._among:
            sketches = np.concatenate([sketches, self._second.sketches(others)])
            is_first = np.concatenate([is_first, np.zeros(len(others), np.bool_)])
            texts = np.concatenate([ones, others])
        keys = _band_keys(sketches)
        for band in range(_BANDS):
            key = keys[:, band]
            # Those that agree in the next band too stand side by side.
            order = np.lexsort((keys[:, (band + 1) % _BANDS], key))
            ordered, first_here, text = key[order], is_first[order], texts[order]
            fresh = np.concatenate([[True], ordered[1:] != ordered[:-1]])
            begins = np.flatnonzero(fresh)
            group = np.cumsum(fresh) - 1
            before = _starts(first_here.astype(np.int64))
            low, high = before[begins][group], before[np.append(begins[1:], len(order))][group]
            asking = np.arange(len(order)) if self._among else np.flatnonzero(~first_here)
            here = before[asking]
            start = np.maximum(here - _NEIGHBOURS, low[asking])
            stop = np.minimum(here + _NEIGHBOURS, high[asking])
            self.complete &= bool(((stop - start) == (high - low)[asking]).all())
            several = stop - start
            entry = np.repeat(np.arange(len(asking)), several)
            within = np.arange(len(entry)) - np.repeat(_starts(several)[:-1], several)
            yield from self._verified(text[first_here][start[entry] + within], text[asking][entry])


@dataclass(frozen=True)
class _Side:
    """Texts with their 5-grams by rank, the rarest of all first."""

    starts: Places
    hashes: Hashes
    ranks: Places
    """Ascending within each text; as many as hashes, which are in an order of their own."""
    different: int
    """How many ranks there are."""
    sizes: Places
    of_text: Places
    keys: Places
    """Text and rank as one number, ascending."""
    bitmaps: Hashes
    """(texts, 16): one bit of 1,024 for each 5-gram."""

    def __len__(self) -> int:
        return len(self.sizes)

    def rarest(self, share: int, of: int) -> Marked:
        """Marks so many of the rarest 5-grams of each text that one of them is in every text that shares at least this
        share of all of them."""
        within = np.arange(len(self.ranks)) - np.repeat(self.starts[:-1], self.sizes)
        at_most = self.sizes - -(-share * self.sizes // of) + 1
        return within < np.repeat(at_most, self.sizes)

    def sketches(self, places: Places) -> npt.NDArray[np.uint32]:
        """The MinHash of the texts at these places: (texts, 100)."""
        # Imported here: it brings scipy, which takes half a second, and few files need it.
        from datasketch import MinHash

        found = np.empty((len(places), _BANDS * _ROWS), np.uint32)
        shortened = self.hashes >> np.uint64(32)
        of_texts = (shortened[self.starts[place] : self.starts[place + 1]].tolist() for place in places.tolist())
        for row, sketch in enumerate(MinHash.generator(of_texts, num_perm=_BANDS * _ROWS, hashfunc=int)):
            found[row] = sketch.hashvalues
        return found


def _sides(first: Grams, second: Grams | None) -> tuple[_Side, _Side]:
    both = first.hashes if second is None else np.concatenate([first.hashes, second.hashes])
    _, place, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = np.empty(len(counts), np.int64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    of_gram = ranks[place]
    one = _side(first, of_gram[: len(first.hashes)], len(counts))
    return one, one if second is None else _side(second, of_gram[len(first.hashes) :], len(counts))


def _side(texts: Grams, ranks: Places, different: int) -> _Side:
    of_text, sizes = texts.of_text, texts.sizes
    keys = np.sort(of_text * different + ranks)
    bitmaps = np.zeros((len(texts), _BITMAP_WORDS), np.uint64)
    some = np.flatnonzero(sizes)
    if len(some):
        bit = np.uint64(1) << (texts.hashes & np.uint64(63))
        word = (texts.hashes >> np.uint64(6)) % np.uint64(_BITMAP_WORDS)
        for number in range(_BITMAP_WORDS):
            own = np.where(word == number, bit, np.uint64(0))
            bitmaps[some, number] = np.bitwise_or.reduceat(own, texts.starts[some])
    return _Side(texts.starts, texts.hashes, keys - of_text * different, different, sizes, of_text, keys, bitmaps)


def _crowded(ranks: Places, counts: Places) -> Marked:
    """Which entries belong to 5-grams that so many texts share that their pairs would be too many."""
    if counts.sum() <= _MOST_PAIRS:
        return np.zeros(len(ranks), np.bool_)
    different, place = np.unique(ranks, return_inverse=True)
    pairs = np.bincount(place, counts, len(different))
    order = np.argsort(pairs, kind="stable")
    too_many = np.zeros(len(different), np.bool_)
    too_many[order[np.cumsum(pairs[order]) > _MOST_PAIRS]] = True
    return too_many[place]


def _band_keys(sketches: npt.NDArray[np.uint32]) -> Hashes:
    """(texts, bands): a number that is the same for two texts whose MinHashes agree in the band."""
    rows = sketches.reshape(len(sketches), _BANDS, _ROWS).astype(np.uint64)
    keys = np.zeros((len(sketches), _BANDS), np.uint64)
    for row, multiplier in enumerate(_MULTIPLIERS):
        mixed = (rows[:, :, row] + np.uint64(1)) * multiplier
        keys += mixed ^ (mixed >> np.uint64(31))
    return keys
