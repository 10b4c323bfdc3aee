"""Small tables of figures as HTML: words wrap, figures line up, and BCE on and off have their two colours.

A table that is wider than a narrow screen scrolls within itself. Everything in it is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from bcecore.report.palette import BCE_OFF, BCE_ON

ON, OFF = "BCE on", "BCE off"
_MARKS = {ON: "on", OFF: "off"}
_STYLE = f"""<style>
.bce-table {{ overflow-x: auto; margin-bottom: 0.25rem; }}
.bce-table table {{ border-collapse: collapse; width: 100%; font-size: 0.93rem; line-height: 1.45; }}
.bce-table th, .bce-table td {{ padding: 0.4rem 0.9rem 0.4rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 16%, transparent); }}
.bce-table thead th {{ font-weight: 600; vertical-align: bottom; }}
.bce-table tbody th {{ font-weight: 600; overflow-wrap: anywhere; min-width: 6rem; }}
.bce-table .number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.bce-table td.number, .bce-table .side {{ white-space: nowrap; }}
.bce-table td:not(.number, .side) {{ min-width: 10rem; }}
.bce-table .number:last-child {{ padding-right: 0.2rem; }}
.bce-table .mark {{ display: inline-block; width: 0.7em; height: 0.7em; border-radius: 2px; margin-right: 0.45em; }}
.bce-table .mark.on {{ background: {BCE_ON}; }}
.bce-table .mark.off {{ background: {BCE_OFF}; border-radius: 50%; }}
</style>"""


def show_table(rows: pd.DataFrame, titles: Mapping[str, str], alt: str, *, words: Sequence[str] = ()) -> None:
    """A table of words that are written already: the columns named in `titles`, under these titles, in this order.

    The first column names the row; it is left empty where it says the same as the row above. `words` are the other
    columns that hold words; the rest are figures and line up on the right. `alt` says what the table is.
    """
    st.html(_STYLE + table_html(rows, titles, alt, words=words))


def table_html(rows: pd.DataFrame, titles: Mapping[str, str], alt: str, *, words: Sequence[str] = ()) -> str:
    """The table that `show_table` shows."""
    first = next(iter(titles))
    head = "".join(
        f'<th scope="col"{_kind(name, first, words, title)}>{_marked(title)}</th>' for name, title in titles.items()
    )
    body = []
    before: Any = None
    for row in rows[list(titles)].to_dict("records"):
        name = row[first]
        cells = [f'<th scope="row">{"" if name == before else _marked(str(name))}</th>']
        cells += [
            f"<td{_kind(column, first, words, value)}>{_marked(str(value))}</td>"
            for column, value in row.items()
            if column != first
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
        before = name
    label = escape(alt, quote=True)
    return (
        f'<div class="bce-table" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _kind(column: Any, first: str, words: Sequence[str], value: Any = None) -> str:
    kinds = [] if column == first or column in words else ["number"]
    if value in _MARKS:
        kinds.append("side")
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _marked(text: str) -> str:
    """BCE on and off with a mark of their colour, and of their own shape."""
    side = _MARKS.get(text)
    mark = f'<span class="mark {side}" aria-hidden="true"></span>' if side else ""
    return f"{mark}{escape(text)}"
