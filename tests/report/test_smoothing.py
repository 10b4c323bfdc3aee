import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.smoothing import smooth

series = st.lists(st.floats(-100, 100), min_size=1, max_size=80)
weights = st.floats(0, 0.99)


def plainly(values: list[float], weight: float) -> list[float]:
    """The definition, step by step."""
    average, averages = 0.0, []
    for t, value in enumerate(values, start=1):
        average = weight * average + (1 - weight) * value
        averages.append(average / (1 - weight**t))
    return averages


@given(series, weights)
def test_it_is_the_debiased_moving_average(values: list[float], weight: float) -> None:
    assert smooth(np.array(values), weight) == pytest.approx(plainly(values, weight), rel=1e-6, abs=1e-6)


@given(series, weights)
def test_it_stays_between_the_lowest_and_the_highest_value_so_far(values: list[float], weight: float) -> None:
    smoothed = smooth(np.array(values), weight)
    assert (smoothed >= np.minimum.accumulate(values) - 1e-9).all()
    assert (smoothed <= np.maximum.accumulate(values) + 1e-9).all()


def test_points_that_are_not_finite_stay_and_do_not_count() -> None:
    smoothed = smooth(np.array([2.0, math.nan, 4.0, math.inf, 6.0]), 0.5)
    assert math.isnan(smoothed[1]) and smoothed[3] == math.inf
    assert smoothed[[0, 2, 4]] == pytest.approx(plainly([2.0, 4.0, 6.0], 0.5))


def test_no_smoothing_changes_nothing() -> None:
    values = np.array([3.0, 1.0, math.nan])
    assert smooth(values, 0) is values


@pytest.mark.parametrize("weight", [-0.1, 1.0, math.nan])
def test_a_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 0"):
        smooth(np.array([1.0, 2.0]), weight)
