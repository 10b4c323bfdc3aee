"""A Markdown report taken apart: its tables and its sentences, each with its line and the headings above it. Pure.

Blocks of code are left out: commands are no claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token


@dataclass(frozen=True)
class Cells:
    """One row of a table."""

    line: int
    """In the file, from 1."""
    cells: tuple[str, ...]


@dataclass(frozen=True)
class WrittenTable:
    """A table, and what it stands under."""

    section: tuple[str, ...]
    """The headings above it, the outermost first; without the report's title."""
    caption: str
    """A line in bold right above it; empty where there is none."""
    header: tuple[str, ...]
    rows: tuple[Cells, ...]

    @property
    def context(self) -> str:
        """Everything that says what it is about, the nearest last."""
        return " · ".join((*self.section, self.caption)).rstrip(" ·")

    @property
    def title(self) -> str:
        """The nearest of it."""
        return self.caption or (self.section[-1] if self.section else "")


@dataclass(frozen=True)
class Passage:
    """A line of running text: of a paragraph, or a point of a list."""

    section: tuple[str, ...]
    line: int
    text: str

    @property
    def title(self) -> str:
        """The nearest heading above it."""
        return self.section[-1] if self.section else ""


@dataclass(frozen=True)
class Written:
    """A report."""

    tables: tuple[WrittenTable, ...]
    passages: tuple[Passage, ...]


def parse(markdown: str) -> Written:
    """Take a report apart. Anything is Markdown; what has no tables and no sentences gives none."""
    from markdown_it import MarkdownIt  # here: only those who check a report need it

    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    tables: list[WrittenTable] = []
    passages: list[Passage] = []
    path: list[tuple[int, str]] = []
    bold: tuple[int, str] | None = None  # a bold line, and where the next block begins
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.type == "heading_open":
            level = int(token.tag[1:])
            path = [*(one for one in path if one[0] < level), (level, _text(tokens[place + 1], code=True))]
            bold = None
        elif token.type == "table_open":
            end = next(at for at in range(place, len(tokens)) if tokens[at].type == "table_close")
            if table := _table(tokens[place:end], _section(path), bold[1] if bold else ""):
                tables.append(table)
            place, bold = end, None
        elif token.type == "paragraph_open":
            inline = tokens[place + 1]
            first = (inline.map or [0])[0] + 1
            lines = list(_lines(inline))
            bold = (first, _text(inline, code=True)) if _is_bold(inline) else None
            passages += [Passage(_section(path), first + offset, text) for offset, text in lines if text.strip()]
        place += 1
    return Written(tuple(tables), tuple(passages))


def _section(path: list[tuple[int, str]]) -> tuple[str, ...]:
    """The headings, without the title of the whole report."""
    return tuple(text for level, text in path if level > 1) or tuple(text for _, text in path)


def _table(tokens: list[Token], section: tuple[str, ...], caption: str) -> WrittenTable | None:
    rows: list[Cells] = []
    cells: list[str] = []
    line = 0
    for token in tokens:
        if token.type == "tr_open":
            cells, line = [], (token.map or [0])[0] + 1
        elif token.type == "inline":
            cells.append(_text(token, code=True))
        elif token.type == "tr_close":
            rows.append(Cells(line, tuple(cells)))
    return WrittenTable(section, caption, rows[0].cells, tuple(rows[1:])) if rows else None


def _text(inline: Token, *, code: bool) -> str:
    """The plain text; `code`: with what is marked as code, which in a cell is a value and in a sentence a name."""
    parts = []
    for child in inline.children or ():
        if child.type == "text" or (child.type == "code_inline" and code):
            parts.append(child.content)
        elif child.type == "code_inline":
            parts.append(f"`{re.sub(r'[0-9]', '_', child.content)}`")
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" " if code else "\n")
    return "".join(parts).strip() if code else "".join(parts)


def _lines(inline: Token) -> Iterator[tuple[int, str]]:
    yield from enumerate(_text(inline, code=False).split("\n"))


def _is_bold(inline: Token) -> bool:
    kinds = [child.type for child in inline.children or () if child.type != "text" or child.content.strip()]
    return kinds[:1] == ["strong_open"] and kinds[-1:] == ["strong_close"] and kinds.count("strong_open") == 1
