"""What a study can see, against statsmodels' own power of a t test, analysis of variance by hand, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from statsmodels.stats.power import TTestPower

from bcecore.evaluation.comparable import NotComparable
from bcecore.evaluation.planning import (
    Components,
    components,
    fewest_seeds,
    plan,
    power,
    predicted_error,
    smallest_likely_seen,
    spread,
)
from bcecore.evaluation.statistics import Cells, levels
from tests.benchmarks.protocol_simulation import World, as_cells, closed_form, draw

PARTS = Components(4e-5, 9e-4, 2e-3, seeds=5, documents=100)


def normal(x: float) -> float:
    return float(special.ndtr(x))


@pytest.mark.parametrize("freedom", [2, 4, 7, 19, 99])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.99])
def test_the_smallest_difference_is_statsmodels(freedom: int, level: float) -> None:
    found = smallest_likely_seen(1, freedom, level)
    # Its effect is in standard deviations: δ/√n.
    theirs = TTestPower().power(found / math.sqrt(freedom + 1), freedom + 1, 1 - level, alternative="two-sided")
    assert theirs == pytest.approx(0.8, abs=1e-9)
    assert power(found, 1, freedom, level) == pytest.approx(0.8, abs=1e-9)


@given(st.floats(0, 30), st.integers(1, 30), st.sampled_from([0.9, 0.95, 0.975]))
@settings(max_examples=40, deadline=None)
def test_power_is_what_its_definition_integrates_to(effect: float, freedom: int, level: float) -> None:
    """|Z + δ| beyond the quantile times an independent χ/√ν."""
    edge = stats.t.ppf(0.5 + level / 2, freedom)

    def found_with(error: float) -> float:
        beyond = normal(effect - edge * error) + normal(-effect - edge * error)
        return beyond * stats.chi.pdf(error * math.sqrt(freedom), freedom) * math.sqrt(freedom)

    middle = effect / edge
    whole = sum(
        integrate.quad(found_with, low, high, epsabs=1e-12, limit=200)[0]
        for low, high in ((0, middle / 2), (middle / 2, 1 + middle), (1 + middle, 12 + 4 * middle))
    )
    assert power(effect, 1, freedom, level) == pytest.approx(whole, abs=1e-8)


def test_check_values() -> None:
    # Normal quantiles (1.96 + 0.84) find 56 % at five seeds, as DESIGN §11 says.
    assert power(stats.norm.ppf(0.975) + stats.norm.ppf(0.8), 1, 4) == pytest.approx(0.564, abs=5e-4)
    assert smallest_likely_seen(0.002, 4) == pytest.approx(0.002 * 3.76106, abs=1e-7)
    assert power(0, 1, 4) == pytest.approx(0.05)
    assert power(1, 1e-3, 4) == power(-1, 1e-3, 4) == 1
    assert (power(0, 0, 4), power(0.1, 0, 4)) == (0, 1)
    assert smallest_likely_seen(0, 4) == 0
    assert math.isnan(smallest_likely_seen(1, 0))
    assert math.isnan(smallest_likely_seen(math.nan, 4))
    assert math.isnan(power(1, math.nan, 4))


# -- components


def test_documents_of_one_length_give_the_analysis_of_variance() -> None:
    many = draw(World(Components(4e-4, 9e-4, 2e-3), 6, 20), 1, np.random.default_rng(0))
    table = many.sums[0] / many.tokens[0]
    found = components(Cells(np.arange(6), np.arange(20), np.full(20, 7), 7 * table))
    mean, rows, columns = table.mean(), table.mean(axis=1), table.mean(axis=0)
    seeds = 20 * ((rows - mean) ** 2).sum() / 5
    documents = 6 * ((columns - mean) ** 2).sum() / 19
    residual = sum((table[s, d] - rows[s] - columns[d] + mean) ** 2 for s in range(6) for d in range(20)) / (5 * 19)
    assert found.residual == pytest.approx(residual, rel=1e-9)
    assert found.seed == pytest.approx((seeds - residual) / 20, rel=1e-9)
    assert found.document == pytest.approx((documents - residual) / 6, rel=1e-9)
    assert (found.seeds, found.documents, found.assumed) == (6, 20, False)


@pytest.mark.parametrize("lengths", ["paragraphs", "very unequal"])
def test_components_are_right_on_average(lengths: str) -> None:
    true = Components(5e-3, 9e-3, 2e-2)  # so large that none has to be raised to 0
    many = draw(World(true, 6, 25, lengths=lengths), 600, np.random.default_rng(1))
    found = [components(as_cells(many, number)) for number in range(600)]
    for part in ("seed", "document", "residual"):
        values = np.array([getattr(each, part) for each in found])
        assert abs(values.mean() - getattr(true, part)) < 4 * stats.sem(values)


def test_no_variance_is_below_zero() -> None:
    many = draw(World(Components(0, 0, 1e-3), 3, 10), 40, np.random.default_rng(2))
    found = [components(as_cells(many, number)) for number in range(40)]
    assert min(each.seed for each in found) == 0
    assert min(each.document for each in found) == 0


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_a_pilot_of_one_cannot_tell_the_parts_apart(shape: tuple[int, int]) -> None:
    with pytest.raises(NotComparable, match="at least 2 seeds and 2 documents"):
        components(Cells(np.arange(shape[0]), np.arange(shape[1]), np.full(shape[1], 9), np.ones(shape)))


# -- plans


def test_how_far_results_spread_by_hand() -> None:
    # h = (100 + 400 + 900) / 3600
    expected = 4e-5 / 5 + 1400 / 3600 * (9e-4 + 2e-3 / 5)
    assert spread(PARTS, 5, [10, 20, 30]) == pytest.approx(math.sqrt(expected), rel=1e-12)


@pytest.mark.parametrize("lengths", ["paragraphs", "very unequal"])
def test_results_spread_as_foreseen(lengths: str) -> None:
    world = World(PARTS, 5, 60, lengths=lengths)
    many = draw(world, 4000, np.random.default_rng(3))
    foreseen = np.array([spread(PARTS, 5, tokens) for tokens in many.tokens])
    # A variance from 4,000 draws is good to 2 %.
    assert ((closed_form(many).value / foreseen) ** 2).mean() == pytest.approx(1, abs=0.09)


@pytest.mark.parametrize("seeds", [2, 5, 20])
@pytest.mark.parametrize(
    "parts",
    [PARTS, Components(1e-4, 0, 0), Components(0, 1e-3, 0), Components(0, 0, 1e-3), Components(1e-4, 1e-3, 0)],
)
def test_the_error_foreseen_is_the_largest_of_three(parts: Components, seeds: int) -> None:
    """The mean of what the estimate takes the largest of, over the χ² of the seeds, integrated numerically."""
    held = 1400 / 3600
    of_seeds, of_documents = (
        (parts.seed + held * parts.residual) / seeds,
        held * (parts.document + parts.residual / seeds),
    )
    of_cells = held * (parts.seed + parts.document + parts.residual) / seeds
    freedom = seeds - 1

    def largest(chi: float) -> float:
        x = chi**2 / freedom
        parts = (x * of_seeds + of_documents - of_cells, x * of_seeds, of_documents)
        return max(parts) * stats.chi.pdf(chi, freedom)

    mean = sum(integrate.quad(largest, at / 4, (at + 1) / 4, epsabs=0, epsrel=1e-10)[0] for at in range(56))
    assert predicted_error(parts, seeds, [10, 20, 30]) == pytest.approx(math.sqrt(mean), rel=1e-6)


@pytest.mark.parametrize("parts", [PARTS, Components(1e-4, 0, 0), Components(0, 1e-3, 0), Components(0, 0, 1e-3)])
def test_studies_report_the_error_foreseen(parts: Components) -> None:
    many = draw(World(parts, 5, 100), 3000, np.random.default_rng(4))
    foreseen = np.array([predicted_error(parts, 5, tokens) for tokens in many.tokens])
    assert ((closed_form(many).error / foreseen) ** 2).mean() == pytest.approx(1, abs=0.06)


def test_a_plan_is_the_error_and_what_it_lets_one_see() -> None:
    tokens = np.full(300, 60)
    found = plan(PARTS, 8, tokens)
    assert (found.seeds, found.documents) == (8, 300)
    assert found.error == predicted_error(PARTS, 8, tokens)
    assert found.mde == smallest_likely_seen(found.error, 7)
    # Five pilot seeds: 80 % of χ² with 4 degrees of freedom.
    assert found.mde_low == pytest.approx(found.mde * math.sqrt(4 / stats.chi2.ppf(0.9, 4)), rel=1e-9)
    assert found.mde_high == pytest.approx(found.mde * math.sqrt(4 / stats.chi2.ppf(0.1, 4)), rel=1e-9)
    assumed = plan(Components(4e-5, 9e-4, 2e-3), 8, tokens)
    assert math.isnan(assumed.mde_low)
    assert math.isnan(plan(PARTS, 1, tokens).mde)
    assert assumed.mde == found.mde


def test_more_of_anything_sees_more_and_more_looks_see_less() -> None:
    tokens = np.full(100, 60)
    mde = plan(PARTS, 5, tokens).mde
    assert plan(PARTS, 6, tokens).mde < mde
    assert plan(PARTS, 5, np.full(101, 60)).mde < mde
    assert plan(PARTS, 5, tokens, levels(2).difference).mde > mde


def test_the_fewest_seeds_are_just_enough() -> None:
    tokens = np.full(300, 60)
    wished = 0.01
    seeds = fewest_seeds(PARTS, tokens, wished)
    assert seeds is not None
    assert plan(PARTS, seeds, tokens).mde <= wished < plan(PARTS, seeds - 1, tokens).mde
    # A verdict takes five, however little they vary; and no number of seeds makes documents alike.
    assert fewest_seeds(PARTS, tokens, 1.0) == 5
    assert fewest_seeds(PARTS, tokens, 0.004) is None
