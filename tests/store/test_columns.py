"""Logged values as columns: whatever the order and the pieces they come in, the later value counts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.store.columns import Columns, block_of

numbers = st.floats(-9, 9) | st.just(math.nan) | st.just(math.inf)
lines = st.lists(
    st.tuples(st.integers(0, 20), st.dictionaries(st.sampled_from("abc"), numbers, max_size=3)), max_size=40
)


def filled(*given: tuple[int, dict[str, float]]) -> Columns:
    columns = Columns()
    columns.add(block_of(given))
    return columns


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def test_one_row_a_step() -> None:
    columns = filled((2, {"a": 1.0}), (2, {"b": 2.0}), (3, {"a": 3.0}))
    assert columns.steps.tolist() == [2, 3]
    assert columns.keys == ("a", "b")
    assert columns.column("a").tolist() == [1.0, 3.0]
    assert columns.series("b").steps.tolist() == [2]
    assert columns.series("b").values.tolist() == [2.0]
    assert len(columns.series("unknown")) == 0


def test_a_step_before_the_end_gets_its_place() -> None:
    columns = filled((1, {"a": 1.0}), (5, {"a": 5.0}))
    columns.add(block_of([(3, {"a": 3.0, "b": 0.5}), (5, {"a": 6.0})]))
    assert columns.steps.tolist() == [1, 3, 5]
    assert columns.column("a").tolist() == [1.0, 3.0, 6.0]
    assert columns.series("b").steps.tolist() == [3]


def test_a_value_that_is_not_a_number_is_not_a_missing_one() -> None:
    columns = filled((1, {"a": math.nan}), (2, {"b": 1.0}), (3, {"a": 4.0}))
    assert columns.series("a").steps.tolist() == [1, 3]
    columns.add(block_of([(0, {"b": 0.0})]))  # moves all rows
    assert columns.series("a").steps.tolist() == [1, 3]
    columns.add(block_of([(1, {"a": 2.0}), (4, {"a": math.nan})]))
    assert columns.series("a").values.tolist()[:2] == [2.0, 4.0]
    assert math.isnan(columns.last("a"))
    columns.truncate(3)
    assert columns.last("a") == 4.0


def test_truncating_forgets_keys_without_values() -> None:
    columns = filled((1, {"a": 1.0}), (2, {"b": 2.0}))
    columns.truncate(1)
    assert columns.keys == ("a",)
    columns.add(block_of([(2, {"a": 3.0})]))
    assert columns.column("b").tolist() == pytest.approx([math.nan, math.nan], nan_ok=True)
    assert columns.column("a").tolist() == [1.0, 3.0]


@pytest.mark.parametrize("places", [np.array([True, False, True]), np.array([0, 2])])
def test_some_values_of_a_series(places: np.ndarray) -> None:
    series = filled((1, {"a": 1.0, "epoch": 0.1}), (2, {"a": 2.0}), (3, {"a": 3.0, "time": 9.0})).series("a").at(places)
    assert len(series) == 2
    assert series.steps.tolist() == [1, 3]
    assert series.epochs.tolist() == pytest.approx([0.1, math.nan], nan_ok=True)
    assert series.times.tolist() == pytest.approx([math.nan, 9.0], nan_ok=True)


@given(lines, st.lists(st.integers(0, 40), max_size=4), st.none() | st.integers(0, 20))
def test_it_is_a_table_of_the_latest_values(
    given_lines: list[tuple[int, dict[str, float]]], cuts: list[int], beyond: int | None
) -> None:
    columns = Columns()
    edges = [0, *sorted(cuts), len(given_lines)]
    for start, end in itertools.pairwise(edges):
        columns.add(block_of(given_lines[start:end]))
    expected: dict[int, dict[str, float]] = {}
    for step, values in given_lines:
        expected.setdefault(step, {}).update(values)
    if beyond is not None:
        columns.truncate(beyond)
        expected = {step: row for step, row in expected.items() if step <= beyond}
    assert columns.steps.tolist() == sorted(expected)
    again = Columns()
    again.add(columns.block())
    for key in "abc":
        wanted = [(step, expected[step][key]) for step in sorted(expected) if key in expected[step]]
        for table in (columns, again):
            series = table.series(key)
            assert series.steps.tolist() == [step for step, _ in wanted]
            assert all(map(same, series.values.tolist(), [value for _, value in wanted]))
            assert not wanted or same(table.last(key), wanted[-1][1])
        assert (key in columns.keys) == bool(wanted)


def test_a_series_from_some_row_on() -> None:
    columns = filled((1, {"a": 1.0}), (2, {"a": math.nan}), (3, {"b": 1.0}), (4, {"a": 4.0}), (5, {"a": math.nan}))
    for start in range(6):
        whole, rest = columns.series("a"), columns.series("a", start)
        later = whole.at(whole.steps > start)
        assert rest.steps.tolist() == later.steps.tolist()
        assert rest.values.tolist() == pytest.approx(later.values.tolist(), nan_ok=True)
    assert len(columns.series("nothing", 3)) == 0
