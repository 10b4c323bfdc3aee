"""The quality filter: what it drops, for which reason, and how it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.text.quality import REPEATED, SYMBOLS, TOO_SHORT, fault, repeated_share, sift, symbol_share

OFF = {"min_characters": 1, "max_repeated_share": 1.0, "max_symbol_share": 1.0}


@pytest.mark.parametrize(
    ("text", "repeated", "symbols"),
    [
        ("abcd", 0.25, 0.0),
        ("aaab", 0.75, 0.0),
        ("a a a b", 0.75, 0.0),  # white space is not what repeats
        ("aA", 0.5, 0.0),
        ("!!!!", 1.0, 1.0),
        ("a!b?", 0.25, 0.5),
        ("ab 12", 0.25, 0.0),
        ("ığüşöç", 1 / 6, 0.0),
        ("हिन्दी", 1 / 6, 0.0),  # vowel signs are marks on letters
        ("e\u0301a", 1 / 3, 0.0),
        ("🎉🎉", 1.0, 1.0),
        ("", 0.0, 0.0),
        ("   ", 0.0, 0.0),
    ],
)
def test_shares(text: str, repeated: float, symbols: float) -> None:
    assert repeated_share(text) == pytest.approx(repeated)
    assert symbol_share(text) == pytest.approx(symbols)


def test_every_reason_is_counted_and_the_rest_keeps_its_order() -> None:
    texts = ["a good line", "ab", "zzzzzzzzz!", "=> ## $$ %%", "xy", "another good line"]
    kept, dropped = sift(texts, min_characters=3, max_repeated_share=0.5, max_symbol_share=0.4)
    assert kept == ["a good line", "another good line"]
    assert dropped == {TOO_SHORT: 2, REPEATED: 1, SYMBOLS: 1}


def test_only_more_than_the_limit_is_too_much() -> None:
    limits = {"min_characters": 4, "max_repeated_share": 0.5, "max_symbol_share": 0.25}
    assert fault("aab.", **limits) is None
    assert fault("aab", **limits) == TOO_SHORT
    assert fault("aaab", **limits) == REPEATED
    assert fault("ab..", **limits) == SYMBOLS


def test_the_first_reason_counts() -> None:
    assert fault("!!", min_characters=3, max_repeated_share=0.1, max_symbol_share=0.0) == TOO_SHORT
    assert fault("!!", min_characters=1, max_repeated_share=0.1, max_symbol_share=0.0) == REPEATED
    assert fault("!!", min_characters=1, max_repeated_share=1.0, max_symbol_share=0.0) == SYMBOLS


@given(st.lists(st.text(min_size=1)))
def test_as_it_comes_the_filter_keeps_everything(texts: list[str]) -> None:
    assert sift(texts, **OFF) == (texts, {})


@given(st.lists(st.text()), st.integers(1, 20), st.floats(0.01, 1), st.floats(0, 1))
def test_nothing_is_lost_without_being_counted(texts: list[str], least: int, repeated: float, symbols: float) -> None:
    limits = {"min_characters": least, "max_repeated_share": repeated, "max_symbol_share": symbols}
    kept, dropped = sift(texts, **limits)
    assert len(kept) + sum(dropped.values()) == len(texts)
    assert kept == [text for text in texts if fault(text, **limits) is None]
    assert set(dropped) <= {TOO_SHORT, REPEATED, SYMBOLS}
    assert 0 not in dropped.values()


@given(st.text())
def test_shares_are_shares(text: str) -> None:
    assert 0 <= symbol_share(text) <= 1
    assert 0 <= repeated_share(text) <= 1
