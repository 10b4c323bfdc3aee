"""One example with its tokens coloured by their loss, and the same as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from bcecore.report.evaluation_tables import token_table
from bcecore.report.token_html import legend_html, spans, tokens_html
from bcecore.ui.words import count


def show_colours(example: Mapping[str, Any], *, key: str) -> None:
    """The text of an example (a row of `examples_schema`), coloured, and what is to know about how it was read."""
    with st.container(border=True, key=key):
        try:
            st.html(tokens_html(example["text"], example["token_starts"], example["token_ends"], example["token_nll"]))
        except ValueError:
            # A tokenizer that counts in something else than characters must not hide the text.
            st.text(example["text"])
            st.caption("The places of the tokens do not fit this text, so it is shown without colours.")
    notes = []
    if example["cut"]:
        notes.append("Its end was cut off, as the block size says, and is not scored.")
    if example["windows"] > 1:
        notes.append(f"It was read in {count(example['windows'], 'window')}.")
    if notes:
        st.caption(" ".join(notes))


def show_legend() -> None:
    """What the colours mean."""
    st.html(legend_html())


def show_token_table(example: Mapping[str, Any], *, key: str) -> None:
    """The tokens of an example one by one, for those who want numbers or see no colours."""
    with st.expander("Its tokens as a table", icon=":material/table_rows:", key=key, on_change="rerun") as expander:
        if not expander.open:
            return
        try:
            pieces = spans(example["text"], example["token_starts"], example["token_ends"], example["token_nll"])
        except ValueError:
            st.caption("The places of the tokens do not fit this text.")
            return
        table = token_table(pieces)
        st.dataframe(
            table.assign(chance=100 * table["chance"]),
            hide_index=True,
            column_config={
                "token": "Token",
                "nats": st.column_config.NumberColumn("Loss (nats)", format="%.3f"),
                "chance": st.column_config.NumberColumn("Chance that it was given", format="%.3g %%"),
            },
            alt="The predicted tokens of this text with their losses",
        )
