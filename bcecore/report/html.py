"""A report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere. Pure.

It follows the reader's light or dark theme, prints on paper, and reads well on a telephone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from bcecore.report.document import Block, Code, Document, Item, Items, Paragraph, Picture, Section, Table

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #14181f; --soft: #4a5361; --line: #dfe2e7; --shade: #f4f5f7;
  --accent: #4338a0; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --ink: #f1f3f5; --soft: #b6bec9; --line: #333a45;
  --shade: #1b2129; --accent: #b3aefc; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 "Source Sans 3", "Source Sans Pro", "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
p { margin: .6rem 0; max-width: 46rem; }
.lead, .note { color: var(--soft); }
.note { font-size: .9rem; }
nav ul { columns: 16rem; padding-left: 1.1rem; margin: 1rem 0; line-height: 1.9; }
nav li { margin: 0; }
a { color: var(--accent); }
li { margin: .35rem 0; max-width: 46rem; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .93rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
caption.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 400; }
table:not(.two) td { white-space: nowrap; }
table.two th { width: 34%; }
code, pre { font: .86rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; background: var(--shade);
  border-radius: 5px; }
code { padding: .1rem .3rem; overflow-wrap: anywhere; }
pre { padding: .75rem 1rem; overflow-x: auto; }
pre code { padding: 0; background: none; overflow-wrap: normal; }
figure { margin: 1.25rem 0 1.75rem; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; }
figure svg { display: block; width: 100%; height: auto; }
figure svg > rect:first-child { fill: var(--paper); }
figure svg text { fill: var(--ink); }
figure svg .role-axis-grid line, figure svg .role-axis-domain line, figure svg .role-axis-tick line {
  stroke: var(--line); }
footer { margin-top: 3rem; color: var(--soft); font-size: .9rem; }
@media print { :root { --paper: #ffffff; --ink: #000000; --soft: #333333; --line: #bbbbbb; --shade: #f4f5f7;
  --accent: #000000; } body { max-width: none; padding: 0; font-size: 10.5pt; } nav { display: none; }
  figure, tr, li { break-inside: avoid; } h2 { break-after: avoid; } .scroll { overflow: visible; }
  table:not(.two) td { white-space: normal; } pre { white-space: pre-wrap; } }
"""
_SVG_SIZE = re.compile(r'(<svg\b[^>]*?)\s+width="[\d.]+"\s+height="[\d.]+"')
_SVG_IDS = re.compile(r'(\bid="|url\(#|href="#)')


def as_html(document: Document) -> str:
    """The whole report as an HTML document in English."""
    title = escape(document.title)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<header><h1>{title}</h1>",
        f'<p class="lead">{escape(document.lead)}</p></header>',
        _contents(document),
        "<main>",
    ]
    pictures = 0
    for number, section in enumerate(document.sections, 1):
        parts += _section(section, number, pictures)
        pictures += sum(isinstance(block, Picture) for block in section.blocks)
    parts += ["</main>", "</body>", "</html>"]
    return "\n".join(parts) + "\n"


def _contents(document: Document) -> str:
    links = "".join(
        f'<li><a href="#s{number}">{escape(section.title)}</a></li>'
        for number, section in enumerate(document.sections, 1)
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _section(section: Section, number: int, pictures: int) -> Iterator[str]:
    yield f'<section aria-labelledby="s{number}"><h2 id="s{number}">{escape(section.title)}</h2>'
    for block in section.blocks:
        if isinstance(block, Picture):
            pictures += 1
        yield _block(block, section.title, pictures)
    yield "</section>"


def _block(block: Block, under: str, picture: int) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Items(items):
            return f"<ul>{''.join(map(_item, items))}</ul>"
        case Table():
            return _table(block, under)
        case Code(text):
            return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
        case Picture():
            return _figure(block, picture)


def _item(item: Item) -> str:
    title = f"<strong>{escape(item.title)}.</strong> " if item.title else ""
    command = f" <code>{escape(item.command)}</code>" if item.command else ""
    return f"<li>{title}{escape(item.text)}{command}</li>"


def _table(table: Table, under: str) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in table.rows
    )
    two = ' class="two"' if len(table.columns) == 2 else ""
    # A heading that says the same stands above; the name of the table is then for those who hear the page.
    hidden = ' class="hidden"' if table.caption == under else ""
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    # A wide table scrolls by itself, and whoever has no mouse can reach it.
    label = escape(table.caption, quote=True)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table{two}>'
        f"<caption{hidden}>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def _figure(picture: Picture, number: int) -> str:
    about = f"<figcaption>{escape(picture.about)}</figcaption>" if picture.about else ""
    return f"<figure>{_inline(picture.svg, f'c{number}', picture.alt)}{about}</figure>"


def _inline(svg: str, name: str, alt: str) -> str:
    """A picture as part of the page: as wide as there is room, under one name, its inner names its own."""
    drawn = _SVG_SIZE.sub(r"\1", svg, count=1)
    # The clipping paths of all pictures are named alike, and a page has one space of names.
    drawn = _SVG_IDS.sub(lambda found: f"{found[0]}{name}-", drawn)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(alt, quote=True)}" ', 1)
