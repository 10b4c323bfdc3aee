"""A list of examples, a page at a time, of which one is chosen: by clicking it, by its number, or one after the other.

What is chosen is in the address, so that a link leads to the same example, on the page of the list that it is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from bcecore.ui.words import count

PAGE_ROWS = 10


@dataclass(frozen=True)
class Listing:
    """Examples in the order in which they are listed, and the one that is chosen."""

    key: str
    """Beginning of the names of its widgets, and of its parameters in the address."""
    examples: npt.NDArray[np.int64]
    """Their rows in the split's file, at least one."""
    chosen: int
    """The chosen one; it need not be in the list."""

    @property
    def place(self) -> int | None:
        """The place of the chosen example in the list, from 0; None where a filter leaves it out."""
        found = np.flatnonzero(self.examples == self.chosen)
        return int(found[0]) if len(found) else None


def restart(key: str) -> None:
    """Begin at the top of the list again, for when its order or what is in it changes."""
    st.session_state[_example_key(key)] = None
    _turn(key)


def choose(key: str, examples: npt.NDArray[np.int64], rows: int, of: str) -> Listing:
    """Draw the way from example to example, and return the list with the chosen one, at first the one at its top.

    `rows` is the number of rows of the split's file, some of which may not be listed. `of` names the texts that the
    list is of; with others it begins at the top.
    """
    name = _example_key(key)
    before_of = st.session_state.get(f"{key}-of")
    if before_of is not None and before_of != of:
        restart(key)
    st.session_state[f"{key}-of"] = of
    asked = st.session_state.get(name)
    if asked is not None and not 1 <= asked <= rows:
        st.session_state[name] = None  # of another text, which had more rows
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        before, after = st.container(width="content"), st.container(width="content")
        number = st.number_input(
            "Text number",
            min_value=1,
            max_value=rows,
            value=None,
            step=1,
            key=name,
            bind="query-params",
            persist_state="page",
            placeholder=f"1 to {rows:,}",
            width=140,
        )
    listing = Listing(key, examples, int(examples[0]) if number is None else number - 1)
    place = listing.place
    last = len(examples) - 1
    with before:
        _way(listing, "Previous", ":material/arrow_back:", None if not place else place - 1)
    with after:
        following = 0 if place is None else place + 1
        _way(listing, "Next", ":material/arrow_forward:", following if following <= last else None)
    return listing


def _way(listing: Listing, label: str, icon: str, place: int | None) -> None:
    st.button(
        label,
        icon=icon,
        key=f"{listing.key}-{label.lower()}",
        disabled=place is None,
        on_click=_go,
        args=(listing.key, 0 if place is None else int(listing.examples[place])),
    )


def _go(key: str, example: int) -> None:
    st.session_state[_example_key(key)] = example + 1
    _turn(key)


def show_list(listing: Listing, table: pd.DataFrame, columns: Mapping[str, Any], alt: str) -> None:
    """The page of the list that is open, as a table; choosing a row chooses its example.

    `table` has one row for each listed example, in the order of the list; `columns` are those to show, in this order,
    with how each looks (`st.column_config`). The number of the text comes first by itself.
    """
    total = len(listing.examples)
    pages = -(-total // PAGE_ROWS)
    slot = st.container()
    page = 1
    if pages > 1:
        page_of_chosen = (listing.place or 0) // PAGE_ROWS + 1
        with st.container(horizontal_alignment="center"):
            page = st.pagination(pages, default=page_of_chosen, key=f"{listing.key}-page-{_turns(listing.key)}")
    first = (page - 1) * PAGE_ROWS
    here = listing.examples[first : first + PAGE_ROWS]
    shown = table.iloc[first : first + PAGE_ROWS][list(columns)]
    shown.insert(0, "number", here + 1)
    rows_key = f"{listing.key}-rows"
    chosen = [int(row) for row in np.flatnonzero(here == listing.chosen)]
    # The table marks what is shown beside it, however that was chosen; a cell with the keyboard's focus keeps it.
    before = st.session_state.get(rows_key, {}).get("selection", {}).get("cells", [])
    cells = [cell for cell in before if cell[0] in chosen]
    st.session_state[rows_key] = {"selection": {"rows": chosen, "columns": [], "cells": cells}}
    with slot:
        st.dataframe(
            shown,
            hide_index=True,
            height="content",
            column_config={"number": st.column_config.NumberColumn("No.", width=56, format="%d"), **columns},
            key=rows_key,
            on_select=lambda: _picked(listing.key, here),
            selection_mode=["single-row", "single-cell"],
            alt=alt,
        )
        if pages > 1:
            st.caption(f"{first + 1:,} to {first + len(here):,} of {count(total, 'text')}.")


def _picked(key: str, here: npt.NDArray[np.int64]) -> None:
    selection = st.session_state[f"{key}-rows"]["selection"]
    shown = st.session_state.get(_example_key(key))
    # The row of the cell that was clicked, or reached with the arrow keys; the row that was ticked.
    rows = [*(cell[0] for cell in selection["cells"]), *selection["rows"]]
    wanted = [int(here[row]) + 1 for row in rows if row < len(here)]
    changed = [number for number in wanted if number != shown]
    # A second click on the chosen row takes its mark away; the example stays.
    if changed:
        st.session_state[_example_key(key)] = changed[0]


def _example_key(key: str) -> str:
    return f"{key}-text"


def _turns(key: str) -> int:
    """How often the list was turned to the page of the chosen example; the pager is a new one each time."""
    turns: int = st.session_state.get(f"{key}-turns", 0)
    return turns


def _turn(key: str) -> None:
    st.session_state[f"{key}-turns"] = _turns(key) + 1
