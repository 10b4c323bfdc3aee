"""A study's numbers against formulas written out here, and against statsmodels and scipy by other routes."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from bcecore.evaluation.comparable import NotComparable
from bcecore.evaluation.paired import token_weighted
from bcecore.evaluation.planning import Components
from bcecore.evaluation.statistics import (
    Cells,
    StudyEstimate,
    by_group,
    by_length,
    cells,
    differences,
    estimate,
    holm,
    levels,
    per_document,
    per_seed,
    t_quantile,
)
from tests.benchmarks.protocol_simulation import Studies, World, as_cells, closed_form, draw
from tests.test_rooms import loaded_by

CLOSE = {"rel": 1e-9, "abs": 1e-12}
TOKENS = np.array([10, 20, 30, 40, 50, 60])


def study(sums: list[list[float]], tokens: list[int]) -> Cells:
    """S × D differences, seeds and documents counted from 0."""
    return Cells(np.arange(len(sums)), np.arange(len(tokens)), np.array(tokens), np.array(sums, dtype=float))


def some_study(seeds: int = 5, documents: int = 40, number: int = 0) -> Cells:
    world = World(Components(1e-4, 4e-4, 1e-3), seeds, documents, truth=-0.02)
    return as_cells(draw(world, 1, np.random.default_rng(number)), 0)


def long(each: Cells) -> pd.DataFrame:
    """One row a cell."""
    count, documents = each.sums.shape
    return pd.DataFrame(
        {
            "seed": np.repeat(each.seeds, documents),
            "document": np.tile(each.documents, count),
            "sum": each.sums.ravel(),
            "tokens": np.tile(each.tokens, count),
        }
    )


@st.composite
def studies(draw: st.DrawFn) -> Cells:
    count, documents = draw(st.integers(2, 6)), draw(st.integers(2, 12))
    tokens = draw(arrays(np.int64, documents, elements=st.integers(1, 500)))
    per_token = draw(arrays(np.float64, (count, documents), elements=st.integers(-1000, 1000).map(lambda x: x / 1000)))
    return Cells(np.arange(count), np.arange(documents), tokens, per_token * tokens)


# -- the estimate


def test_an_estimate_by_hand() -> None:
    # Two seeds, three documents of 10 tokens: mean 0.1; scores d − 1.
    found = estimate(study([[2.0, 1.0, 3.0], [1.0, 0.0, -1.0]], [10, 10, 10]))
    assert found.value == pytest.approx(0.1, **CLOSE)
    # by seed: 3, −3; by document: 1, −1, 0; by cell: 1, 0, 2, 0, −1, −2.
    by_seed, by_document, by_cell = 2 / 1 * 18 / 3600, 3 / 2 * 2 / 3600, 6 / 5 * 10 / 3600
    assert found.error_seeds == pytest.approx(math.sqrt(by_seed), **CLOSE)
    assert found.error_documents == pytest.approx(math.sqrt(by_document), **CLOSE)
    assert found.error_two_way == pytest.approx(math.sqrt(by_seed + by_document - by_cell), **CLOSE)
    # The two-way error is the smaller here, so the floor holds.
    assert found.error == found.error_seeds > found.error_two_way
    assert (found.seeds, found.documents, found.tokens, found.freedom) == (2, 3, 30, 1)


@given(studies())
@settings(max_examples=60, deadline=None)
def test_the_estimate_is_the_sum_of_its_clusters(each: Cells) -> None:
    """R's `sandwich::vcovCL` with two clusters, type HC0 and cadjust, row by row."""
    found, rows = estimate(each), long(each)
    mean = rows["sum"].sum() / rows["tokens"].sum()
    variance = {}
    for name, keys in {"seed": ["seed"], "document": ["document"], "cell": ["seed", "document"]}.items():
        meat: dict[tuple, float] = defaultdict(float)
        for row in rows.itertuples():
            # Score of an intercept in a weighted regression: w·(y − mean), with y = d/m and w = m.
            meat[tuple(getattr(row, key) for key in keys)] += row.tokens * (row.sum / row.tokens - mean)
        factor = len(meat) / (len(meat) - 1)
        variance[name] = factor * sum(score**2 for score in meat.values()) / rows["tokens"].sum() ** 2
    two_way = variance["seed"] + variance["document"] - variance["cell"]
    assert found.value == pytest.approx(mean, **CLOSE)
    assert found.error_seeds**2 == pytest.approx(variance["seed"], **CLOSE)
    assert found.error_documents**2 == pytest.approx(variance["document"], **CLOSE)
    assert found.error**2 == pytest.approx(max(two_way, variance["seed"], variance["document"]), **CLOSE)
    if not math.isnan(found.error_two_way):
        assert found.error_two_way**2 == pytest.approx(two_way, **CLOSE)
    else:
        assert two_way < 1e-12


def test_the_closed_form_is_the_same_estimate() -> None:
    """What `bench protocol` uses for its many studies."""
    for shape, seeds, documents in (("normal", 5, 29), ("t3", 3, 8), ("skewed", 8, 100)):
        many = draw(World(Components(1e-5, 4e-4, 1e-3), seeds, documents, shape), 20, np.random.default_rng(3))
        value, error = closed_form(many)
        for number in range(20):
            found = estimate(as_cells(many, number))
            assert (found.value, found.error) == pytest.approx((value[number], error[number]), **CLOSE)


def test_statsmodels_gives_the_same_by_its_front_door() -> None:
    each = some_study()
    found, rows = estimate(each), long(each)
    # Ordinary least squares of √w·y on √w, which is the weighted regression by another route.
    root = np.sqrt(rows["tokens"].to_numpy())
    groups = rows[["seed", "document"]].to_numpy()
    fit = sm.OLS(root * rows["sum"] / rows["tokens"], root).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    assert found.error == found.error_two_way  # the floor does not come into it here
    assert (found.value, found.error) == pytest.approx((fit.params.iloc[0], fit.bse.iloc[0]), **CLOSE)
    # statsmodels too takes its degrees of freedom from the smaller number of clusters.
    assert found.interval(0.95) == pytest.approx(tuple(fit.conf_int(0.05).to_numpy()[0]), **CLOSE)
    assert found.interval(0.90) == pytest.approx(tuple(fit.conf_int(0.10).to_numpy()[0]), **CLOSE)
    assert found.p_value == pytest.approx(fit.pvalues.iloc[0], **CLOSE)


def test_seeds_alone_give_students_t_test() -> None:
    by_seed = np.array([-0.03, -0.01, 0.02, -0.04, -0.02])
    found = estimate(study([list(each * TOKENS) for each in by_seed], list(TOKENS)))
    test = stats.ttest_1samp(by_seed, 0)
    assert (found.value, found.error) == pytest.approx((by_seed.mean(), stats.sem(by_seed)), **CLOSE)
    assert found.p_value == pytest.approx(test.pvalue, **CLOSE)
    assert found.interval() == pytest.approx(tuple(test.confidence_interval(0.95)), **CLOSE)


@pytest.mark.parametrize("shift", [0.0, 0.004, -0.03])
def test_equivalence_is_two_one_sided_t_tests(shift: float) -> None:
    by_seed = np.array([-0.003, 0.001, 0.002, -0.004, 0.001]) + shift
    found = estimate(study([list(each * TOKENS) for each in by_seed], list(TOKENS)))
    p, *_ = DescrStatsW(by_seed).ttost_mean(-0.01, 0.01)
    assert found.equivalence_p_value(0.01) == pytest.approx(p, **CLOSE)
    assert found.equivalent(0.01) == (p < 0.05)
    assert found.equivalent(0.01, 0.95) == (p < 0.025)


@given(st.floats(-0.02, 0.02), st.floats(1e-4, 0.02), st.integers(2, 12), st.sampled_from([0.9, 0.95, 0.98]))
def test_the_interval_and_the_p_value_of_equivalence_agree(
    value: float, error: float, seeds: int, level: float
) -> None:
    found = StudyEstimate(value, error, error, error, error, seeds, 50, 1000)
    p = found.equivalence_p_value(0.01)
    if abs(p - (1 - level) / 2) > 1e-9:
        assert found.equivalent(0.01, level) == (p < (1 - level) / 2)


# -- what must not matter


@given(studies(), st.sampled_from([2.0, 0.125, 100.0]))
@settings(max_examples=30, deadline=None)
def test_scale_and_sign(each: Cells, factor: float) -> None:
    found = estimate(each)
    scaled = estimate(Cells(each.seeds, each.documents, each.tokens, factor * each.sums))
    swapped = estimate(Cells(each.seeds, each.documents, each.tokens, -each.sums))
    assert (scaled.value, scaled.error) == pytest.approx((factor * found.value, factor * found.error), **CLOSE)
    assert (swapped.value, swapped.error) == pytest.approx((-found.value, found.error), **CLOSE)
    low, high = found.interval()
    assert swapped.interval() == pytest.approx((-high, -low), **CLOSE)
    assert swapped.equivalent() == found.equivalent()


@given(studies(), st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_a_shift_of_every_token_moves_the_value_and_nothing_else(each: Cells, shift: float) -> None:
    found = estimate(each)
    moved = estimate(Cells(each.seeds, each.documents, each.tokens, each.sums + shift * each.tokens))
    assert moved.value == pytest.approx(found.value + shift, rel=1e-9, abs=1e-9)
    assert moved.error == pytest.approx(found.error, rel=1e-6, abs=1e-9)


@given(studies(), st.integers(2, 9))
@settings(max_examples=30, deadline=None)
def test_only_the_share_of_the_tokens_counts(each: Cells, times: int) -> None:
    """Cutting every token into several with the same total loss per token changes nothing."""
    found = estimate(each)
    finer = estimate(Cells(each.seeds, each.documents, times * each.tokens, times * each.sums))
    assert (finer.value, finer.error) == pytest.approx((found.value, found.error), **CLOSE)


@given(studies(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_rows_does_not_matter(each: Cells, random: object) -> None:
    rows = long(each)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    mixed = rows.iloc[order]
    back = cells(mixed["seed"], mixed["document"], mixed["sum"], mixed["tokens"])
    assert np.array_equal(back.sums, each.sums)
    assert np.array_equal(back.tokens, each.tokens)
    assert estimate(back) == estimate(each)


# -- what is no study


def test_identical_twins_differ_by_exactly_nothing() -> None:
    each = study([[0.0] * 4] * 5, [10, 20, 30, 40])
    found = estimate(each)
    assert each.identical
    assert (found.value, found.error, found.interval(), found.p_value) == (0, 0, (0, 0), 1)
    assert found.equivalent()
    assert found.equivalence_p_value() == 0
    assert not study([[0.0, 1e-12]], [10, 20]).identical


@pytest.mark.parametrize(("sums", "tokens"), [([[1.0, 2.0]], [10, 10]), ([[1.0], [2.0]], [10]), ([[1.0]], [10])])
def test_one_seed_or_one_document_has_no_interval(sums: list[list[float]], tokens: list[int]) -> None:
    found = estimate(study(sums, tokens))
    assert found.value == pytest.approx(np.sum(sums) / (len(sums) * sum(tokens)))
    assert all(map(math.isnan, (found.error, *found.interval(), found.p_value, found.equivalence_p_value())))
    assert not found.equivalent()
    assert math.isnan(found.error_documents) == (len(tokens) == 1)
    assert math.isnan(found.error_seeds) == (len(sums) == 1)


def test_fewer_documents_than_seeds_are_what_is_few() -> None:
    assert estimate(some_study(seeds=8, documents=3)).freedom == 2


def test_a_two_way_variance_below_zero_falls_back_on_the_larger_of_the_others() -> None:
    found = estimate(study([[1.0, -1.0], [-1.0, 1.0]], [10, 10]))
    assert math.isnan(found.error_two_way)
    assert found.error == max(found.error_seeds, found.error_documents)


ROWS = {"seed": [1, 1, 2, 2], "document": [7, 8, 7, 8], "sum": [0.1, 0.2, 0.3, 0.4], "tokens": [5, 6, 5, 6]}


@pytest.mark.parametrize(
    ("column", "at", "value", "message"),
    [
        ("seed", 2, 3, "2 of 6 results are missing, the first for document 7 at seed 2"),
        ("seed", 2, 1, "Document 7 at seed 1 comes up several times"),
        ("sum", 1, math.nan, "Document 8 at seed 1 has a loss that is not a number, and so have 0 more"),
        ("sum", 3, math.inf, "Document 8 at seed 2 has a loss that is not a number"),
        ("tokens", 3, 9, "Document 8 has 6 to 9 predicted tokens"),
    ],
)
def test_cells_that_make_no_study_are_refused(column: str, at: int, value: float, message: str) -> None:
    rows = {name: list(values) for name, values in ROWS.items()}
    rows[column][at] = value
    with pytest.raises(NotComparable, match=message):
        cells(rows["seed"], rows["document"], rows["sum"], rows["tokens"])


def test_documents_without_tokens_and_no_rows_are_refused() -> None:
    with pytest.raises(NotComparable, match="Document 1 has 0 to 0"):
        cells([1, 2], [1, 1], [0.0, 0.0], [0, 0])
    with pytest.raises(ValueError, match="shapes"):
        cells([], [], [], [])
    with pytest.raises(ValueError, match="shapes"):
        cells([1, 2], [1], [0.0], [3])


def side(nll: list[float], tokens: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"example": range(len(nll)), "tokens": tokens, "nll": nll})


def test_cells_come_from_the_twins_scores() -> None:
    twins = {
        3: (side([5.0, 6.0], [2, 3]), side([4.0, 6.5], [2, 3])),
        1: (side([5.0, 7.0], [2, 3]), side([5.0, 6.0], [2, 3])),
    }
    each = differences(twins)
    assert (list(each.seeds), list(each.documents), list(each.tokens)) == ([1, 3], [0, 1], [2, 3])
    assert each.sums.tolist() == [[0.0, -1.0], [-1.0, 0.5]]
    assert estimate(each).value == pytest.approx(-0.15)


def test_twins_that_saw_other_texts_are_refused() -> None:
    with pytest.raises(NotComparable, match="document 2 has 3 on one side and 4 on the other"):
        differences({1: (side([5.0, 6.0], [2, 3]), side([4.0, 6.5], [2, 4]))})
    with pytest.raises(NotComparable, match="predicted tokens from seed to seed"):
        differences({1: (side([5.0], [2]), side([4.0], [2])), 2: (side([5.0], [3]), side([4.0], [3]))})
    with pytest.raises(ValueError, match="at least one seed"):
        differences({})


# -- levels


def test_one_look_tests_as_the_protocol_says_and_more_share_its_error() -> None:
    assert (levels().difference, levels().equivalence) == (0.95, 0.90)
    assert (levels(2).difference, levels(2).equivalence) == pytest.approx((0.975, 0.95))
    assert levels(2, 3).difference == pytest.approx(1 - 0.05 / 6)
    assert levels(1, 4) == levels(4)
    with pytest.raises(ValueError, match="at least once"):
        levels(0)


@given(st.integers(1, 60), st.floats(0.5, 0.999))
def test_the_quantile_is_students(freedom: int, level: float) -> None:
    assert t_quantile(freedom, level) == pytest.approx(stats.t.ppf(0.5 + level / 2, freedom), **CLOSE)


def test_holm_is_statsmodels_holm() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.5, 0.03, 1.0]
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), **CLOSE)
    assert holm([]) == []
    some = holm([0.01, math.nan, 0.04])
    assert (some[0], some[2]) == pytest.approx((0.02, 0.04))
    assert math.isnan(some[1])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_raises_and_keeps_the_order(p: list[float]) -> None:
    raised = holm(p)
    assert all(each <= more <= 1 for each, more in zip(p, raised, strict=True))
    assert [raised[at] for at in np.argsort(p)] == sorted(raised)


# -- more closely


def test_each_seed_has_the_error_of_its_own_documents() -> None:
    each = some_study()
    assert per_seed(each) == [token_weighted(sums, each.tokens) for sums in each.sums]
    assert np.mean([one.value for one in per_seed(each)]) == pytest.approx(estimate(each).value)


def test_documents_come_with_what_moves_the_result_most_first() -> None:
    table = per_document(study([[1.0, -8.0, 2.0], [3.0, -4.0, -2.0]], [10, 20, 30]))
    assert table.to_dict("list") == {
        "document": [1, 0, 2],
        "tokens": [20, 10, 30],
        "change": [-0.3, 0.2, 0.0],
        "change_total": [-6.0, 2.0, 0.0],
        "lower": [2, 0, 1],
    }
    each = some_study()
    assert per_document(each)["change_total"].sum() / each.tokens.sum() == pytest.approx(estimate(each).value)


def test_kinds_of_documents_are_studies_of_their_own() -> None:
    each = some_study(documents=12)
    kinds = {number: "prose" if number % 3 else "list" for number in range(12)}
    found = by_group(each, kinds)
    assert [group.label for group in found] == ["list", "prose"]
    lists = [0, 3, 6, 9]
    alone = study(each.sums[:, lists].tolist(), each.tokens[lists].tolist())
    assert found[0].estimate == estimate(alone)
    assert [group.p_holm for group in found] == holm([group.estimate.p_value for group in found])
    with pytest.raises(KeyError):
        by_group(each, {0: "list"})


def test_lengths_make_groups_of_about_one_size() -> None:
    each = study([[1.0] * 8, [2.0] * 8], [50, 1, 3, 2, 60, 5, 70, 2000])
    found = by_length(each, 4)
    assert [group.label for group in found] == ["1–2 tokens", "3–5 tokens", "50–60 tokens", "70–2,000 tokens"]
    assert [group.estimate.documents for group in found] == [2, 2, 2, 2]
    same = by_length(study([[1.0] * 3, [2.0] * 3], [1, 1, 1]), 4)
    assert [group.label for group in same] == ["1 token"]


def test_pages_may_load_it_at_no_cost() -> None:
    names = [f"bcecore.evaluation.{name}" for name in ("statistics", "planning", "verdict")]
    assert loaded_by(names, {"scipy", "statsmodels", "torch", "transformers", "pyarrow.parquet"}) == set()


def test_many_studies_are_drawn_as_asked() -> None:
    many: Studies = draw(World(Components(4e-4, 0, 0), documents=3, truth=0.5), 2000, np.random.default_rng(0))
    by_seed = (many.sums / many.tokens[:, None, :])[:, :, 0]
    assert by_seed.mean() == pytest.approx(0.5, abs=4 * 0.02 / 100)
    assert by_seed.std() == pytest.approx(0.02, rel=0.03)
