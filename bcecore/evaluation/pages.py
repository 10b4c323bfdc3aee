"""A split's file as pages: what is scored, and written down, at a time. No torch.

Where pages end depends on the file alone. A resumed evaluation therefore finds the same pages, and puts the same texts
into the same batches, as one that was never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE_ROWS = 256
# About 16,000 tokens: seconds of work for a small model, half a minute for one of 100 million weights on a processor.
PAGE_CHARACTERS = 65_536


@dataclass(frozen=True)
class Row:
    """One line of a split's file."""

    example: int
    """Its number in the file, from 0."""
    text: str
    label: str | None = None


def pages(path: Path) -> Iterator[list[Row]]:
    """The rows of `path` (one `{"text": ..., "label": ...}` a line) in pages, one page in memory at a time."""
    page: list[Row] = []
    characters = 0
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            content = json.loads(line)
            label = content.get("label")
            page.append(Row(number, content["text"], None if label is None else str(label)))
            characters += len(content["text"])
            if len(page) == PAGE_ROWS or characters >= PAGE_CHARACTERS:
                yield page
                page, characters = [], 0
    if page:
        yield page
