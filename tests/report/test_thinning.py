import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.thinning import LEAST, bin_width, strange_room, thin, thin_for_logarithm

numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)
series = st.lists(numbers, max_size=600)
mostly_finite = st.lists(st.one_of(*[st.floats(-9, 9)] * 20, st.just(math.nan)), max_size=600)
limits = st.integers(min_value=LEAST, max_value=80)


@given(st.one_of(series, mostly_finite), limits)
def test_kept_points_are_in_order_and_never_more_than_there_is_room_for(values: list[float], limit: int) -> None:
    kept = thin(values, limit).tolist()
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(len(values)))
    assert len(kept) <= limit
    if values:
        assert {0, len(values) - 1} <= set(kept)


@given(st.one_of(series, mostly_finite), limits)
def test_the_highest_and_the_lowest_point_survive(values: list[float], limit: int) -> None:
    finite = [value for value in values if math.isfinite(value)]
    shown = [values[i] for i in thin(values, limit) if math.isfinite(values[i])]
    if finite:
        assert (min(shown), max(shown)) == (min(finite), max(finite))


@given(st.one_of(series, mostly_finite), limits)
def test_every_point_that_is_not_finite_survives_while_they_are_few(values: list[float], limit: int) -> None:
    strange = [i for i, value in enumerate(values) if not math.isfinite(value)]
    kept = set(thin(values, limit).tolist())
    if len(strange) <= strange_room(limit):
        assert set(strange) <= kept
    else:  # then the first and one of every stretch
        assert strange[0] in kept
        assert sum(i in kept for i in strange) >= min(strange_room(limit) // 2, len(strange))


@given(series, limits)
def test_a_short_series_is_kept_whole(values: list[float], limit: int) -> None:
    if len(values) <= limit:
        assert thin(values, limit).tolist() == list(range(len(values)))


@given(st.lists(st.floats(-9, 9), max_size=600), st.lists(st.floats(-9, 9), min_size=1, max_size=50), limits)
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


def test_bins_widen_by_doubling_and_only_now_and_then() -> None:
    widths = [bin_width(length, 400) for length in range(401, 200_000, 7)]
    assert widths == sorted(widths)
    assert len(set(widths)) <= 11
    assert all(width & (width - 1) == 0 for width in widths)


def test_the_width_of_a_bin_is_no_wider_than_needed() -> None:
    for length in (401, 1000, 14_000, 1_000_000):
        width, room = bin_width(length, 400), 400 - strange_room(400) - 2
        assert 2 * math.ceil(length / width) <= room
        assert width == 1 or 2 * math.ceil(length / (width // 2)) > room


def test_one_spike_in_a_million_is_seen() -> None:
    values = np.zeros(1_000_000)
    values[123_457] = 50.0
    assert 123_457 in thin(values, 400)


def test_hundreds_of_thousands_of_strange_points_do_not_flood_the_chart() -> None:
    values = np.linspace(9, 1, 1_000_000)
    values[300_000:700_000] = np.nan
    kept = thin(values, 400)
    assert len(kept) <= 400
    strange = kept[~np.isfinite(values[kept])]
    assert strange[0] == 300_000
    assert np.diff(strange).max() < 100_000  # they are marked over the whole stretch


def test_on_a_logarithmic_axis_early_points_get_as_much_room_as_late_ones() -> None:
    values = np.sin(np.arange(100_000))
    kept = thin_for_logarithm(values, 400)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert {0, 1, 2, 3, 99_999} <= set(kept.tolist())
    assert (kept < 1000).sum() > 100 > (thin(values, 400) < 1000).sum()
    assert len(kept) <= 400
    assert thin_for_logarithm(values[:100], 400).tolist() == list(range(100))


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=600), limits)
def test_on_a_logarithmic_axis_no_extreme_is_lost(values: list[float], limit: int) -> None:
    kept = thin_for_logarithm(values, limit).tolist()
    assert kept == sorted(set(kept))
    assert len(kept) <= limit
    assert {0, len(values) - 1} <= set(kept)
    assert min(values[i] for i in kept) == min(values)
    assert max(values[i] for i in kept) == max(values)


def test_a_limit_without_room_for_what_must_stay_is_refused() -> None:
    with pytest.raises(ValueError, match="limit was 5"):
        thin([1.0, 2.0], 5)
