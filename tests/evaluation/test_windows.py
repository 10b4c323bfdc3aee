"""How long texts are divided: every token once, each with context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.windows import Window, windows


def test_a_short_text_is_one_window() -> None:
    assert windows(5, 8, None) == windows(5, 8, 3) == [Window(0, 5, 1)]
    assert windows(8, 8, None) == [Window(0, 8, 1)]


def test_a_long_text_is_read_in_full_windows() -> None:
    assert windows(15, 8, 4) == [Window(0, 8, 1), Window(4, 12, 8), Window(7, 15, 12)]


@given(st.integers(2, 300), st.integers(2, 40), st.data())
def test_every_token_but_the_first_is_scored_once_with_context(length: int, block: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, block - 1))
    found = windows(length, block, stride)
    assert [position for window in found for position in range(window.first, window.end)] == list(range(1, length))
    for window in found:
        assert 0 <= window.begin < window.first < window.end <= length
        assert window.end - window.begin <= block
        # As much context as the stride leaves, or all there is.
        assert window.first - window.begin >= min(block - stride, window.first) or window.first == 1
    assert all(window.end - window.begin == block for window in found) or len(found) == 1


@pytest.mark.parametrize(
    ("length", "stride", "words"),
    [(1, None, "needs two tokens"), (9, None, "do not fit"), (9, 8, "between 1 and 7"), (9, 0, "between 1 and 7")],
)
def test_what_cannot_be_divided_is_refused(length: int, stride: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        windows(length, 8, stride)
