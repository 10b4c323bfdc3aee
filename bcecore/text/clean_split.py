"""Dividing a file so that the model is never checked on what it has learnt: not on the same line, nor on a near one.

No torch. Writes the two files that it is asked to write, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bcecore.errors import TextError
from bcecore.files import write_bytes_atomically
from bcecore.text.duplicates import find_duplicates, grouped
from bcecore.text.near import NearPairs, Places
from bcecore.text.overlap import Progress, find_overlap
from bcecore.text.splitting import identity, split_by


@dataclass(frozen=True)
class CleanSplit:
    """Which lines to learn from and which to check on: places in the file, ascending."""

    train: list[int]
    held_out: list[int]
    left_out: list[int]
    """Lines that are on neither side."""


def clean_split(texts: Sequence[str], fraction: float, seed: int, progress: Progress | None = None) -> CleanSplit:
    """Set about a `fraction` of the texts aside. What is the same or nearly the same stays on one side.

    Near to near counts as together: of three lines of which the first is near to the second and that to the third, all
    stay on one side. Otherwise as `splitting.split_fraction`. Raises TextError where there are not two sides to make.
    """
    found = grouped(texts, progress)
    keys = [identity(texts[first]) for first in found.first_same]
    search = NearPairs(found.grams)
    firsts = _together(len(found.distinct), search)
    for place, first in enumerate(firsts.tolist()):  # a group of near texts goes by the key of its first
        keys[int(found.distinct[place])] = keys[int(found.distinct[first])]
    train, held_out = split_by([keys[first] for first in found.first_same], fraction, seed)
    if not train or not held_out:
        raise TextError(
            f"The {len(texts):,} lines cannot be divided: all of them are the same, or nearly. Add other lines."
        )
    if search.complete:
        return CleanSplit(train, held_out, [])
    # Some pairs were never compared: what is found across after all is on neither side.
    across = find_overlap((texts[line] for line in train), [texts[line] for line in held_out])
    clean = [held_out[place] for place in across.clean]
    return CleanSplit(train, clean, sorted(set(held_out) - set(clean)))


def without(texts: Sequence[str], held_out: Sequence[str], progress: Progress | None = None) -> CleanSplit:
    """All of `texts` but those that are in `held_out`, as they are or nearly; `held_out` in the result is empty.

    Raises TextError where nothing remains.
    """
    clean = list(find_overlap(held_out, texts, progress).clean)
    if not clean:
        raise TextError("No line would be left to learn from: all of them are also in the text to check on.")
    return CleanSplit(clean, [], sorted(set(range(len(texts))) - set(clean)))


def without_copies(texts: Sequence[str], progress: Progress | None = None) -> CleanSplit:
    """Each of `texts` once: those that are the same as an earlier one, or nearly, are left out."""
    copies = [copy.again for copy in find_duplicates(texts, progress).copies]
    return CleanSplit(sorted(set(range(len(texts))) - set(copies)), [], copies)


def written(path: Path, texts: Sequence[str]) -> Path:
    """Write texts to `path` with a suffix of their own, and return that: .txt, or .jsonl where one has line breaks.

    Raises DiskFullError. An older file of that name is replaced.
    """
    # `read_texts` takes carriage returns for line breaks too.
    if any("\n" in text or "\r" in text for text in texts):
        path = path.with_name(f"{path.name}.jsonl")
        content = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    else:
        path = path.with_name(f"{path.name}.txt")
        content = "".join(f"{text}\n" for text in texts)
    write_bytes_atomically(path, content.encode(), durable=False)
    return path


def _together(texts: int, search: NearPairs) -> Places:
    """For each text the first of the group that it is in by way of the pairs."""
    parent = np.arange(texts)
    for one, other in search:
        while True:
            low, high = np.minimum(parent[one], parent[other]), np.maximum(parent[one], parent[other])
            if (low == high).all():
                break
            np.minimum.at(parent, high, low)
            while (parent[parent] != parent).any():
                parent = parent[parent]
    return parent
