"""Dividing texts into those to learn from and those to check against. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence


def normalised(text: str) -> str:
    """`text` as it counts when two lines are compared: case, white space and punctuation make no difference."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # In Turkish, I is the capital of ı and İ that of i, and a line does not say which language it is in.
    folded = folded.replace("i\N{COMBINING DOT ABOVE}", "i").replace("ı", "i")
    return " ".join(folded.translate(_SEPARATORS).split())


class _Separators(dict[int, int | str]):
    """A space for every character that is no part of a word, looked up once: texts may have a million lines."""

    def __missing__(self, code: int) -> int | str:
        character = chr(code)
        is_part = character.isalnum() or unicodedata.category(character)[0] == "M"
        found = self[code] = code if is_part else " "
        return found


_SEPARATORS = _Separators()


def identity(text: str) -> str:
    """What two lines have in common that count as the same."""
    return normalised(text) or text  # of lines that are all punctuation, only the very same are


def split_fraction(texts: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices of the training and the validation texts, each in order: disjoint, and the same for the same seed.

    Lines that differ only in case, white space or punctuation stay on one side, so that the model is never checked
    against a line it has learnt. Which side a line is on depends on the line and the seed alone through a hash: the
    lines with the smallest hashes are set aside, as many as come nearest to `fraction` of all (at least one, and at
    least one stays for training). With a single distinct line, the validation side is empty.
    """
    return split_by([identity(text) for text in texts], fraction, seed)


def split_by(keys: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """The same for texts of which those with the same key stay on one side."""
    groups: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    wanted = max(1, round(fraction * len(keys)))
    validation: list[int] = []
    ranked = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}\n{key}".encode()).digest())
    for key in ranked[:-1]:  # one group always stays for training
        group = groups[key]
        over = len(validation) + len(group) - wanted
        if over > 0 and over >= wanted - len(validation):
            continue  # a large group of duplicates would overshoot by more than it is short now
        validation.extend(group)
        if len(validation) >= wanted:
            break
    if not validation and len(groups) > 1:  # every line has many duplicates
        validation = groups[min(ranked, key=lambda key: len(groups[key]))]
    chosen = set(validation)
    return [index for index in range(len(keys)) if index not in chosen], sorted(chosen)


def shared_texts(train: Sequence[str], validation: Sequence[str]) -> int:
    """How many validation texts are, after normalisation, also training texts."""
    known = {identity(text) for text in train}
    return sum(identity(text) in known for text in validation)
