import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.thinning import bin_width, thin

numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)
series = st.lists(numbers, max_size=600)
limits = st.integers(min_value=4, max_value=80)


@given(series, limits)
def test_kept_points_are_in_order_and_all_that_must_stay_stays(values: list[float], limit: int) -> None:
    kept = thin(values, limit).tolist()
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(len(values)))
    if values:
        assert {0, len(values) - 1} <= set(kept)
    strange = {i for i, value in enumerate(values) if not math.isfinite(value)}
    assert strange <= set(kept)
    assert len(kept) <= limit + len(strange)


@given(series, limits)
def test_the_highest_and_the_lowest_point_survive(values: list[float], limit: int) -> None:
    finite = [value for value in values if math.isfinite(value)]
    shown = [values[i] for i in thin(values, limit) if math.isfinite(values[i])]
    if finite:
        assert (min(shown), max(shown)) == (min(finite), max(finite))


@given(series, limits)
def test_a_short_series_is_kept_whole(values: list[float], limit: int) -> None:
    if len(values) <= limit:
        assert thin(values, limit).tolist() == list(range(len(values)))


@given(series, st.lists(numbers, min_size=1, max_size=50), limits)
def test_what_is_shown_of_whole_bins_stays_while_points_arrive(
    before: list[float], more: list[float], limit: int
) -> None:
    after = before + more
    width = bin_width(len(after), limit)
    if len(before) <= limit or bin_width(len(before), limit) != width:
        return
    settled = len(before) // width * width
    old = [i for i in thin(before, limit) if i < settled and i != len(before) - 1]
    new = [i for i in thin(after, limit) if i < settled and i != len(before) - 1]
    assert old == new


def test_the_width_of_a_bin_is_a_power_of_two_and_no_wider_than_needed() -> None:
    for length in (401, 1000, 14_000, 1_000_000):
        width = bin_width(length, 400)
        assert width & (width - 1) == 0
        assert 2 * math.ceil(length / width) + 2 <= 400
        assert width == 1 or 2 * math.ceil(length / (width // 2)) + 2 > 400


def test_one_spike_in_a_million_is_seen() -> None:
    values = np.zeros(1_000_000)
    values[123_457] = 50.0
    assert 123_457 in thin(values, 400)


def test_a_limit_without_room_for_what_must_stay_is_refused() -> None:
    with pytest.raises(ValueError, match="limit was 3"):
        thin([1.0, 2.0], 3)
