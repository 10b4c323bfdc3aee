"""overlap (B or W): documents that check the model are in its training text, as they are or nearly.

The same means: the same after case, white space, punctuation and Unicode form are set aside (`text.splitting`).
Nearly the same means: of all runs of five words that occur in either of the two, at least four fifths occur in both
(Jaccard of word 5-grams; Lee et al., "Deduplicating Training Data Makes Language Models Better", ACL 2022, look for
near-duplicates by word 5-grams with the same limit). Words and not tokens, because what is the same text must not
depend on a model's vocabulary; in scripts that are written without spaces each character counts as a word. A text of
fewer than five words has no 5-gram, so that only the very same counts: “Yes, a war.” is not nearly “Yes, a warning.”

Fast for millions of lines: what cannot be near is left out by counting first. Of a line that is near to some document,
at least four fifths of its own 5-grams occur in the documents; hashes of all 5-grams tell, in numpy, and few lines of
an ordinary text pass. Among those that do, MinHash finds the pairs (datasketch), each of which is then verified by its
exact Jaccard. No torch, no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from bcecore.findings.finding import Finding, counted
from bcecore.findings.sample_size import EXPLORATORY_DOCUMENTS
from bcecore.text.splitting import identity

WORDS = 5
THRESHOLD = 0.8

_CHUNK_LINES = 20_000
# With 20 bands of 5 rows a pair at the threshold is missed with probability (1 − 0.8⁵)²⁰ = 0.04 %, one at 0.9 never.
_BANDS, _ROWS = 20, 5
_MULTIPLIERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5, 0xD6E8FEB86659FD93],
    dtype=np.uint64,
)
"""Odd numbers with mixed bits, one for each place in a 5-gram, so that the order of the words counts."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese characters."""

_Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
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

    @property
    def clean(self) -> tuple[int, ...]:
        """The held-out documents that are not in the training text."""
        found = {pair.held_out for pair in self.pairs}
        return tuple(number for number in range(self.documents) if number not in found)


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


# -- finding them


def words_of(text: str) -> list[str]:
    """The words of a text as they are compared."""
    return _words(identity(text))


def _words(same: str) -> list[str]:
    return (same if same.isascii() else _UNSPACED.sub(r" \g<0> ", same)).split()


def grams(words: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """The runs of five words in a text; none in one that has fewer."""
    return frozenset(tuple(words[start : start + WORDS]) for start in range(len(words) - WORDS + 1))


def jaccard(first: frozenset[Any], second: frozenset[Any]) -> float:
    """Shared over all; 0 where there is nothing."""
    either = len(first | second)
    return len(first & second) / either if either else 0.0


def find_overlap(train: Iterable[str], held_out: Sequence[str]) -> Overlap:
    """Which of the `held_out` documents are among the `train` lines, which are read once, a part at a time."""
    ids: dict[str, list[int]] = {}
    identities = [identity(text) for text in held_out]
    for number, same in enumerate(identities):
        ids.setdefault(same, []).append(number)
    documents = [_words(same) for same in identities]
    _, hashes = _gram_hashes(documents)
    known = np.unique(hashes)
    pairs: dict[int, Pair] = {}
    candidates: list[tuple[int, list[str]]] = []
    for start, chunk in _chunks(train):
        texts = []
        for line, text in enumerate(chunk, start):
            same = identity(text)
            texts.append(_words(same))
            for number in ids.get(same, ()):
                pairs.setdefault(number, Pair(number, line, 1.0, exact=True))
        # The very same lines are among them: what is the same as one document can be near to another.
        candidates += [(start + place, texts[place]) for place in _may_be_near(texts, known)]
    left = {number: words for number, words in enumerate(documents) if number not in pairs}
    for pair in _near(candidates, left):
        pairs[pair.held_out] = pair
    return Overlap(len(held_out), tuple(pairs[number] for number in sorted(pairs)))


def _chunks(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    remaining, start = iter(lines), 0
    while chunk := list(islice(remaining, _CHUNK_LINES)):
        yield start, chunk
        start += len(chunk)


def _gram_hashes(texts: Sequence[Sequence[str]]) -> tuple[npt.NDArray[np.int64], _Hashes]:
    """For every 5-gram the place of its text, and a hash; each 5-gram of a text once, ordered by text."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    # Python's own hash of a word: it differs from process to process, but only equality counts here.
    words = np.fromiter(map(hash, chain.from_iterable(texts)), np.int64, int(lengths.sum())).view(np.uint64)
    of_text = np.repeat(np.arange(len(texts)), lengths)
    count = len(words) - WORDS + 1
    if count <= 0:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    hashes = np.zeros(count, np.uint64)
    for place, multiplier in enumerate(_MULTIPLIERS):
        mixed = words[place : place + count] * multiplier
        hashes += mixed ^ (mixed >> np.uint64(29))
    whole = of_text[:count] == of_text[WORDS - 1 :]
    of_gram, hashes = of_text[:count][whole], hashes[whole]
    order = np.lexsort((hashes, of_gram))
    of_gram, hashes = of_gram[order], hashes[order]
    fresh = np.ones(len(hashes), np.bool_)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (of_gram[1:] != of_gram[:-1])
    return of_gram[fresh], hashes[fresh]


def _may_be_near(texts: Sequence[Sequence[str]], known: _Hashes) -> list[int]:
    """The places of texts of whose 5-grams at least four fifths are `known` (sorted): no other can be near to any.

    The shared ones are at most all the known ones of a text, and all of either at least its own; so their ratio is at
    most this share. (Counted in whole numbers: 0.8 has no exact value.)
    """
    of_gram, hashes = _gram_hashes(texts)
    if not len(known) or not len(hashes):
        return []
    found = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    own = np.bincount(of_gram, minlength=len(texts))
    shared = np.bincount(of_gram[known[found] == hashes], minlength=len(texts))
    return [int(place) for place in np.flatnonzero((own > 0) & (5 * shared >= 4 * own))]


def _near(candidates: Sequence[tuple[int, list[str]]], documents: dict[int, list[str]]) -> Iterator[Pair]:
    """For each document that is near to one of the candidates its first such pair."""
    numbers = list(documents)
    _, hashes = _gram_hashes([words for _, words in candidates])
    kept = [numbers[place] for place in _may_be_near(list(documents.values()), np.unique(hashes))]
    if not kept:
        return
    # Imported here: it brings scipy, which takes half a second, and most texts have no near-duplicates.
    from datasketch import MinHash, MinHashLSH

    permutations = _BANDS * _ROWS
    index = MinHashLSH(num_perm=permutations, params=(_BANDS, _ROWS))
    left = {number: grams(documents[number]) for number in kept}
    for number, sketch in zip(left, MinHash.bulk(map(_as_bytes, left.values()), num_perm=permutations), strict=True):
        index.insert(number, sketch)
    seen: set[tuple[str, ...]] = set()
    for line, words in candidates:
        if tuple(words) in seen:  # the same line again
            continue
        seen.add(tuple(words))
        own = grams(words)
        (sketch,) = MinHash.bulk([_as_bytes(own)], num_perm=permutations)
        for number in sorted(index.query(sketch)):
            similarity = jaccard(own, left[number])
            if similarity >= THRESHOLD:
                index.remove(number)
                yield Pair(number, line, similarity, exact=False)


def _as_bytes(of_text: frozenset[tuple[str, ...]]) -> list[bytes]:
    return [" ".join(gram).encode() for gram in of_text]
