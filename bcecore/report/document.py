"""A report as data: sections made of paragraphs, tables, pictures. How it looks is for `markdown` and `html` to say.

Every text here is plain: nothing in it is markup, so that a name that somebody chose can stand in it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: str


@dataclass(frozen=True)
class Item:
    """One point of a list."""

    text: str
    title: str = ""
    command: str = ""
    """A command that does what the text says."""


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Cells as they are shown, as many as there are columns."""
    note: str = ""
    """What has to be known to read it."""


@dataclass(frozen=True)
class Code:
    """Lines to copy."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Picture:
    """A chart."""

    title: str
    svg: str
    """A whole SVG document in light colours."""
    alt: str
    """What it shows, for those who cannot see it."""
    about: str = ""


Block = Paragraph | Items | Table | Code | Picture


@dataclass(frozen=True)
class Section:
    """A part of a report under its title."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report."""

    title: str
    lead: str
    """One line below the title."""
    sections: tuple[Section, ...]
