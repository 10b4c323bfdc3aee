"""A report as Markdown, in the dialect that GitHub and most editors read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from bcecore.report.document import Block, Code, Document, Item, Items, Paragraph, Picture, Table

# An underscore within a word marks nothing, and a colon only where it could begin an emoji's name.
_MARKUP = re.compile(r"[\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)|:(?=[\w+/-]+[:\[])|&(?=#?\w+;)")
_AT_THE_START = re.compile(r"^(\s*)([#+>-]|\d+(?=[.)]))")


def escaped(text: str) -> str:
    """A text in which Markdown finds nothing to mark up, on one line."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def as_markdown(document: Document) -> str:
    """The whole report. Charts are named only: Markdown has no place for them that every reader shows."""
    lines = [f"# {escaped(document.title)}", "", escaped(document.lead), ""]
    for section in document.sections:
        pictures = [block for block in section.blocks if isinstance(block, Picture)]
        lines += [f"## {escaped(section.title)}", ""]
        for block, following in zip_longest(section.blocks, section.blocks[1:]):
            lines += _block(block, section.title)
            if isinstance(block, Picture) and not isinstance(following, Picture):
                lines.append("")  # or what follows would belong to the last one's line
        if pictures:
            lines += ["They are drawn in `report.html`, beside this file.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _block(block: Block, under: str) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield _AT_THE_START.sub(r"\1\\\2", escaped(text))
            yield ""
        case Items(items):
            yield from map(_item, items)
            yield ""
        case Table():
            yield from _table(block, under)
        case Code(text, language):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            yield from (f"{fence}{language}", text, fence, "")
        case Picture(title, _, alt):
            yield f"- {escaped(title)}: {escaped(alt)}"


def _item(item: Item) -> str:
    title = f"**{escaped(item.title)}.** " if item.title else ""
    command = f" `{item.command}`" if item.command else ""
    return f"- {title}{escaped(item.text)}{command}"


def _table(table: Table, under: str) -> Iterator[str]:
    if table.caption != under:
        yield f"**{escaped(table.caption)}**"
        yield ""
    yield _row(map(escaped, table.columns))
    yield _row(["---"] * len(table.columns))
    yield from (_row(map(escaped, row)) for row in table.rows)
    yield ""
    if table.note:
        yield _AT_THE_START.sub(r"\1\\\2", escaped(table.note))
        yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
