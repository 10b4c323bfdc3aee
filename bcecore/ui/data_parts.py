"""The detail of the Data page, one part at a time: overlap, lines, lengths, copies, scripts, filter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from bcecore.config import DataConfig
from bcecore.errors import RunError
from bcecore.jobs.looking import AboutFilter
from bcecore.report.facts import DROPPED_WORDS
from bcecore.report.text_charts import lengths_chart
from bcecore.store.runs import RunStore
from bcecore.text.looking import SHOWN_PAIRS, Between, Line, Look, Sifted, Twice
from bcecore.ui.data_asking import answer
from bcecore.ui.data_files import Chosen
from bcecore.ui.data_words import alike, share
from bcecore.ui.words import count, moment, number

_PART = "data:part"
_BLOCK, _TOKENIZER = "data:block-size", "data:tokenizer"
_SHORTEST, _REPEATED, _SYMBOLS = "data:min-characters", "data:max-repeated", "data:max-symbols"
_SHOWN_RUNS = 30
_HEIGHT = 420


def lengths_settings(store: RunStore) -> tuple[int, Path | None]:
    """The block size and the tokenizer's folder that were chosen among the lengths; drawn there."""
    block_size: int = st.session_state.setdefault(_BLOCK, DataConfig().block_size)
    run_id = st.session_state.get(_TOKENIZER)
    return block_size, None if run_id is None else _tokenizers(store).get(run_id, (None, ""))[0]


def show(store: RunStore, chosen: Chosen, look: Look, between: Between | None) -> None:
    """Choose a part, and see it."""
    parts = ["Lines", "Lengths", "Copies", "Scripts", "Filter"]
    if between is not None:
        parts.insert(0, "In both")
    if st.session_state.get(_PART) not in parts:
        st.session_state[_PART] = parts[0]
    part = st.segmented_control("Look at", parts, key=_PART, required=True, persist_state="session")
    with st.container(key="data-part"):
        if part == "In both" and between is not None:
            _both(between)
        elif part == "Lines":
            _lines(look.preview, "The first lines of the text")
        elif part == "Lengths":
            _lengths(store, look)
        elif part == "Copies":
            _copies(look)
        elif part == "Scripts":
            _scripts(look)
        else:
            _filter(store, chosen)


def _both(between: Between) -> None:
    if not between.pairs:
        st.markdown("No line of the text to check on is in the text to learn from, neither as it is nor nearly.")
        return
    _more(len(between.pairs), between.exact + between.near)
    _pairs(between.pairs, ("Checked line", "Text to check on"), ("Learnt line", "Text to learn from"))
    st.caption(
        "Nearly: of all runs of five words in the two lines, at least four fifths are in both. Upper and lower case, "
        "spaces and punctuation make no difference."
    )


def _pairs(pairs: Sequence[Twice], left: tuple[str, str], right: tuple[str, str]) -> None:
    table = pd.DataFrame(
        [(pair.line.number, pair.line.text, pair.other.number, pair.other.text, alike(pair)) for pair in pairs],
        columns=[*left, *right, "The same"],
    )
    _table(table, f"{left[1]} beside {right[1].lower()}")


def _lines(lines: Sequence[Line], alt: str) -> None:
    table = pd.DataFrame([(line.number, line.text) for line in lines], columns=["Row", "Text"])
    _table(table, alt)


def _table(table: pd.DataFrame, alt: str) -> None:
    config = {
        name: st.column_config.NumberColumn(width="small", format="localized")
        if table[name].dtype.kind == "i"
        else st.column_config.TextColumn(width="small" if name == "The same" else "large")
        for name in table.columns
    }
    rows = min(_HEIGHT, 38 + 35 * len(table))
    st.dataframe(table, hide_index=True, height=rows, column_config=config, alt=alt)


def _more(shown: int, all_of_them: int) -> None:
    if all_of_them > shown:
        st.caption(f"Showing the first {SHOWN_PAIRS:,} of {all_of_them:,}.")


def _lengths(store: RunStore, look: Look) -> None:
    tokenizers = _tokenizers(store)
    with st.grid(2, min_column_width=260) as grid:
        with grid.cell():
            st.number_input(
                "Longest example, in tokens",
                min_value=2,
                max_value=8192,
                key=_BLOCK,
                help="The setting of the same name on the Launch page. Longer lines are cut there.",
                persist_state="session",
            )
        with grid.cell():
            st.selectbox(
                "Cut into tokens by",
                list(tokenizers),
                index=None,
                format_func=lambda run_id: tokenizers[run_id][1] if run_id in tokenizers else "",
                key=_TOKENIZER,
                placeholder="A vocabulary learnt from this text",
                help="As a run whose model is built here does it, or as a run that is there already did.",
                persist_state="session",
            )
    half = f"Half of the lines have at most {number(look.median_tokens)} tokens, the longest {look.longest_tokens:,}."
    short = ""
    if look.too_short:
        short = f" {count(look.too_short, 'line')} of a single token would be left out: nothing is there to predict."
    st.markdown(half + short)
    st.vega_lite_chart(
        lengths_chart(look.lengths, look.block_size),
        alt=f"How many lines have how many tokens. {half} {look.cut:,} are longer than {look.block_size:,}.",
    )
    if look.cut_examples:
        st.markdown(
            f"**{count(look.cut, 'line')} would be cut**, and {count(look.cut_tokens, 'token')} never read. The first:"
        )
        _lines(look.cut_examples, "Lines that would be cut")


def _tokenizers(store: RunStore) -> dict[str, tuple[Path, str]]:
    """Runs whose tokenizer is here: its folder, and what to call it."""
    found = {}
    for record in store.records()[:_SHOWN_RUNS]:
        try:
            folder = store.directory(record.id) / "data" / "tokenizer"
        except RunError:
            continue
        if folder.is_dir():
            found[record.id] = (folder, f"The tokenizer of “{record.name}”, {moment(record.created)}")
    return found


def _copies(look: Look) -> None:
    copies = look.exact_copies + look.near_copies
    if not copies:
        st.markdown("Every line is there once: none repeats an earlier one, neither as it is nor nearly.")
        return
    st.markdown(
        f"{count(look.exact_copies, 'line')} the same as an earlier one, {look.near_copies:,} nearly: "
        f"{share(copies, look.lines)} of all."
        + ("" if look.complete else " Not every line could be compared with every other: there may be more.")
    )
    _more(len(look.copies), copies)
    _pairs(look.copies, ("Row", "Text"), ("Earlier row", "Earlier text"))


def _scripts(look: Look) -> None:
    letters = sum(look.scripts.values())
    if not letters:
        st.markdown("There is no letter in this text.")
        return
    table = pd.DataFrame(
        [(name, f"{times:,}", share(times, letters)) for name, times in look.scripts.items()],
        columns=["Script", "Letters", "Share"],
    )
    st.table(table.set_index("Script"), border="horizontal", alt="Letters of each script")


def _filter(store: RunStore, chosen: Chosen) -> None:
    assert chosen.main is not None
    st.markdown("The quality filter of a run can leave lines out. Try here what it would take; nothing is changed.")
    for key, value in ((_SHORTEST, 10), (_REPEATED, 50), (_SYMBOLS, 50)):
        st.session_state.setdefault(key, value)
    with st.grid(3, min_column_width=220) as grid:
        with grid.cell():
            shortest = st.number_input(
                "Shortest line kept, in characters", min_value=1, key=_SHORTEST, persist_state="session"
            )
        with grid.cell():
            repeated = st.number_input(
                "Most repetition allowed, in %",
                min_value=1,
                max_value=100,
                key=_REPEATED,
                help="The share of a line that one character may make up.",
                persist_state="session",
            )
        with grid.cell():
            symbols = st.number_input(
                "Most symbols allowed, in %",
                min_value=0,
                max_value=100,
                key=_SYMBOLS,
                help="The share of a line that is neither letters, digits nor spaces.",
                persist_state="session",
            )
    data = DataConfig(
        column=chosen.column,
        min_characters=int(shortest),
        max_repeated_share=int(repeated) / 100,
        max_symbol_share=int(symbols) / 100,
    )
    found = answer(store, AboutFilter(path=chosen.main.path, data=data), Sifted, chosen.main, "Trying the filter …")
    if found is None:
        return
    lost = sum(part.lines for part in found.left_out)
    if not lost:
        st.markdown(f"**It would keep all {count(found.lines, 'line')}.**")
        return
    st.markdown(f"**It would leave out {lost:,} of {count(found.lines, 'line')}** ({share(lost, found.lines)}).")
    for part in found.left_out:
        st.markdown(f"{count(part.lines, 'line')}: {DROPPED_WORDS[part.reason]}. The first:")
        _lines(part.examples, f"Lines left out: {DROPPED_WORDS[part.reason]}")
