"""Batches by length within a budget of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.batching import batches


def test_neighbours_in_length_go_together_longest_first() -> None:
    assert batches([3, 9, 4, 9, 1], 18) == [[1, 3], [2, 0, 4]]


def test_a_piece_beyond_the_budget_goes_alone() -> None:
    assert batches([5, 100, 5], 10) == [[1], [0, 2]]


@given(st.lists(st.integers(1, 60), max_size=50), st.integers(1, 200))
def test_every_piece_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    found = batches(lengths, budget)
    assert sorted(position for batch in found for position in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= budget
    flat = [lengths[position] for batch in found for position in batch]
    assert flat == sorted(lengths, reverse=True)
