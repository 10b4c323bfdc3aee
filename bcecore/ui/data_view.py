"""The Data page: choose a text, see what is in it, and divide it cleanly."""

from __future__ import annotations

import streamlit as st

from bcecore.config import DataConfig
from bcecore.findings.duplicates import WARNING_SHARE
from bcecore.jobs.looking import AboutFile, AboutTwo
from bcecore.store.runs import RunStore
from bcecore.text.looking import Between, Look
from bcecore.ui import data_parts, data_split, data_words
from bcecore.ui.data_asking import answer
from bcecore.ui.data_files import Chosen, choose
from bcecore.ui.words import plain


def show(store: RunStore) -> None:
    """The whole page."""
    st.title("Your text", anchor=False)
    with st.container(border=True, key="data-files"):
        chosen = choose(store)
    if chosen.main is None:
        st.markdown(
            "What is in a text is shown here: how much there is of it, how long its lines are, what is there twice, "
            "and whether the text to check on is really new. **Drop a file above, or choose one.**"
        )
        return
    # The answer stands above the parts, whichever of them is being looked at.
    block_size, folder = data_parts.lengths_settings(store)
    data = DataConfig(column=chosen.column, block_size=block_size)
    about = AboutFile(path=chosen.main.path, data=data, tokenizer_folder=folder)
    look = answer(store, about, Look, chosen.main, "Reading the text and counting …")
    between = None
    if chosen.check is not None:
        two = AboutTwo(path=chosen.main.path, held_out=chosen.check.path, column=chosen.column)
        between = answer(store, two, Between, chosen.main, "Looking for the checking lines …", chosen.check)
    if look is None or (chosen.check is not None and between is None):
        return
    _answer(chosen, look, between)
    data_split.show(store, chosen, look, between)
    data_parts.show(store, chosen, look, between)


def _answer(chosen: Chosen, look: Look, between: Between | None) -> None:
    assert chosen.main is not None
    with st.container(key="data-answer"):
        st.header(plain(chosen.main.name), anchor=False)
        if between is not None:
            words = data_words.overlap_words(between)
            if between.clean < between.held_out_lines:
                st.error(words, icon=":material/block:")
            else:
                st.success(words, icon=":material/check_circle:")
        if look.lines and (look.exact_copies + look.near_copies) >= WARNING_SHARE * look.lines:
            st.warning(data_words.copies_words(look), icon=":material/warning:")
        with st.container(horizontal=True, key="data-figures"):
            for label, value, help in data_words.figures(look):
                st.metric(label, value, help=help, width="content")
