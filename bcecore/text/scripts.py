"""In which scripts a text is written: Latin, Cyrillic, Arabic, Han … Pure."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache

_NAMES = {"cjk": "Han (Chinese characters)"}
OTHER = "other"
# Letters that several scripts share, or that stand for none.
_NOT_A_SCRIPT = {"modifier", "masculine", "feminine", "micro", "alef", "double-struck", "script", "planck"}


def letters_by_script(texts: Iterable[str]) -> dict[str, int]:
    """How many letters of each script there are, the most frequent first. Digits, signs and spaces do not count."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    return by_script(characters)


def by_script(characters: Mapping[str, int]) -> dict[str, int]:
    """The same from how often each character occurs."""
    found: Counter[str] = Counter()
    for character, times in characters.items():
        script = script_of(character)
        if script is not None:
            found[script] += times
    return dict(found.most_common())


@cache
def script_of(character: str) -> str | None:
    """The script of a letter; None for what is no letter.

    The standard library does not know scripts, but Unicode names begin with them: CYRILLIC SMALL LETTER A.
    """
    if not unicodedata.category(character).startswith("L"):
        return None
    # Fullwidth, mathematical and ligature letters are forms of plain ones.
    plain = unicodedata.normalize("NFKC", character)[0]
    first = unicodedata.name(plain, "").partition(" ")[0].lower()
    if not first or first in _NOT_A_SCRIPT:
        return OTHER
    return _NAMES.get(first, first.capitalize())
