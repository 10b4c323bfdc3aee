"""few-drivers: fires where a handful of documents makes the difference, and seldom by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.paired import token_weighted
from bcecore.findings.few_drivers import few_drivers


def test_five_of_a_hundred_make_all_of_it() -> None:
    totals = np.r_[np.full(5, -4.0), np.full(95, 0.02)]
    (found,) = few_drivers("study", totals, -0.4, -0.01, "“val”")
    assert found.severity == "W" and found.numbers["places"] == [0, 1, 2, 3, 4]
    assert found.numbers["share"] == pytest.approx(-20 / (-20 + 95 * 0.02))
    assert "5 documents of 100 make more than all of the difference on “val”" in found.sentence


def test_just_over_and_just_under_half() -> None:
    assert few_drivers("s", [51.0, *[49 / 19] * 19], 1, 9)[0].sentence.startswith("1 document of 20 makes 51 % of")
    assert few_drivers("s", [50.0, *[50 / 19] * 19], 1, 9) == []


def test_silence_where_0_is_not_excluded_or_there_are_too_few_or_no_numbers() -> None:
    totals = [30.0, *[0.1] * 30]
    assert few_drivers("s", totals, 0.01, 9) and not few_drivers("s", totals, -0.01, 9)
    assert not few_drivers("s", totals, float("nan"), float("nan"))
    assert not few_drivers("s", totals[:19], 0.01, 9)
    assert not few_drivers("s", [*totals, np.inf], 0.01, 9)
    assert not few_drivers("s", np.zeros(50), 0.01, 9)


@pytest.mark.parametrize(("errors", "most"), [(3.0, 0.1), (6.0, 0.02)])
def test_it_is_seldom_chance(errors: float, most: float) -> None:
    """Documents that scatter evenly around a difference of so many standard errors."""
    draw = np.random.default_rng(1)
    apart = fired = 0
    for _ in range(300):
        totals = draw.normal(errors / np.sqrt(200), 1, 200)
        low, high = token_weighted(totals, np.ones(200)).interval()
        apart += low > 0
        fired += bool(few_drivers("s", totals, low, high))
    assert apart > 200 and fired <= most * apart


@given(st.lists(st.floats(-5, 5), min_size=20, max_size=60), st.integers(0, 2**31))
def test_neither_order_nor_sign_matters(totals: list[float], seed: int) -> None:
    values = np.array(totals)
    mixed = np.random.default_rng(seed).permutation(-values)
    first, second = few_drivers("s", values, 0.1, 0.2), few_drivers("s", mixed, -0.2, -0.1)
    shares = [each[0].numbers["share"] if each else None for each in (first, second)]
    sizes = np.sort(np.abs(values))[::-1]
    few = len(values) // 20
    if sizes[few - 1] > sizes[few]:  # else it is open which of two equal ones counts
        assert shares[0] == pytest.approx(shares[1])
