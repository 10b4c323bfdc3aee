"""WikiText-2's validation text, split by article: to learn from and to measure on, and no article in both."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import SHARED_DATA

_TITLE = re.compile(r"^ = [^=].*[^=] = $")
FEWEST_CHARACTERS = 40
"""Shorter lines are headings and scraps."""


def documents() -> list[list[str]]:
    """The paragraphs of each article, headings left out."""
    articles: list[list[str]] = [[]]
    for line in (SHARED_DATA / "wikitext-2" / "valid.txt").read_text(encoding="utf-8").split("\n"):
        if _TITLE.match(line):
            articles.append([])
        elif len(line.strip()) >= FEWEST_CHARACTERS and not line.startswith(" ="):
            articles[-1].append(line.strip())
    return [article for article in articles if article]


def wikitext(folder: Path, training: int | None = None, held_out: int | None = None) -> tuple[Path, Path]:
    """Two files in `folder` with so many paragraphs at most: every fourth article is measured on, the others teach."""
    articles = documents()
    files = []
    for name, number, chosen in (
        ("train.txt", training, [article for place, article in enumerate(articles) if place % 4]),
        ("held_out.txt", held_out, articles[::4]),
    ):
        paragraphs = [paragraph for article in chosen for paragraph in article][:number]
        files.append(folder / name)
        files[-1].write_text("".join(paragraph + "\n" for paragraph in paragraphs), encoding="utf-8")
    return files[0], files[1]
