"""The protocol keeps what it promises: `bench protocol` in small, with bounds that a broken estimator misses.

The seeds are fixed, so each count is the same every time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtri

from bcecore.evaluation import statistics
from bcecore.evaluation.planning import Components
from tests.benchmarks import protocol, protocol_simulation
from tests.benchmarks.protocol_simulation import SHAPES, Array, Fits, Studies, World, closed_form

WORLDS = list(protocol.WORLDS.items())
SEEDS_ONLY, DOCUMENTS_ONLY = protocol.WORLDS["seeds only"], protocol.WORLDS["documents only"]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("parts", [SEEDS_ONLY, DOCUMENTS_ONLY], ids=["seeds only", "documents only"])
def test_equal_arms_seldom_have_a_winner(parts: Components) -> None:
    """Through the product's own estimate and verdict."""
    row = protocol.a_a(World(parts, documents=40), 500, rng())
    assert row["rate"] <= 0.069
    assert row["false_winners"] <= row["interval_leaves_out_0"] <= 0.069 * 500
    assert sum(row["kinds"].values()) == 500


@pytest.mark.parametrize("documents", [29, 100, 400])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "parts"), WORLDS)
def test_the_interval_holds_the_truth(name: str, parts: Components, shape: str, documents: int) -> None:
    assert protocol.coverage(World(parts, 5, documents, shape), 2000, rng())["rate"] >= 0.931


@pytest.mark.parametrize("seeds", [5, 8])
@pytest.mark.parametrize(("name", "parts"), WORLDS)
def test_a_study_sees_what_it_says_it_sees(name: str, parts: Components, seeds: int) -> None:
    row = protocol.power_at_mde(World(parts, seeds), 1000, rng())
    assert 0.767 <= row["rate"] <= 0.87


@pytest.mark.parametrize(("name", "parts"), WORLDS)
def test_arms_that_differ_by_the_margin_are_seldom_called_equal(name: str, parts: Components) -> None:
    assert 0 < protocol.equivalence(World(parts), 2000, rng())["rate"] <= 0.069


def test_two_planned_looks_are_wrong_as_seldom_as_one() -> None:
    row = protocol.two_looks(World(SEEDS_ONLY, 8, 40), 5000, rng())
    assert row["rate"] <= 0.069 < row["unplanned"]


# -- and what is broken does not pass


def by_seed_alone(studies: Studies) -> Fits:
    return one_way(studies, axis=2)


def by_document_alone(studies: Studies) -> Fits:
    return one_way(studies, axis=1)


def one_way(studies: Studies, axis: int) -> Fits:
    sums, tokens = studies
    whole = sums.shape[1] * tokens.sum(axis=1)
    value = sums.sum(axis=(1, 2)) / whole
    clusters = (sums - value[:, None, None] * tokens[:, None, :]).sum(axis=axis)
    count = clusters.shape[1]
    return Fits(value, np.sqrt(count / (count - 1) * (clusters**2).sum(axis=1)) / whole)


def cells_as_if_independent(studies: Studies) -> Fits:
    sums, tokens = studies
    value, _ = closed_form(studies)
    scores = sums - value[:, None, None] * tokens[:, None, :]
    error: Array = np.sqrt((scores**2).sum(axis=(1, 2))) / (sums.shape[1] * tokens.sum(axis=1))
    return Fits(value, error)


@pytest.mark.parametrize(
    ("broken", "parts"),
    [
        (by_seed_alone, DOCUMENTS_ONLY),
        (by_document_alone, SEEDS_ONLY),
        (cells_as_if_independent, SEEDS_ONLY),
        (cells_as_if_independent, DOCUMENTS_ONLY),
    ],
)
def test_errors_clustered_one_way_would_be_found_out(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[Studies], Fits], parts: Components
) -> None:
    monkeypatch.setattr(protocol, "closed_form", broken)
    assert protocol.coverage(World(parts), 2000, rng())["rate"] < 0.9


def test_normal_quantiles_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "t_quantile", lambda freedom, level: float(ndtri(0.5 + level / 2)))
    assert protocol.coverage(World(SEEDS_ONLY), 2000, rng())["rate"] < 0.9
    assert protocol.equivalence(World(SEEDS_ONLY), 2000, rng())["rate"] > 0.069
    monkeypatch.setattr(statistics, "t_quantile", lambda freedom, level: float(ndtri(0.5 + level / 2)))
    assert protocol.a_a(World(SEEDS_ONLY, documents=40), 500, rng())["rate"] > 0.069


def test_an_mde_by_normal_quantiles_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    delta = float(ndtri(0.975) + ndtri(0.8))
    monkeypatch.setattr(protocol, "smallest_likely_seen", lambda error, freedom: delta * error)
    assert protocol.power_at_mde(World(SEEDS_ONLY), 2000, rng())["rate"] == pytest.approx(0.564, abs=0.03)


def without_a_floor(studies: Studies) -> Fits:
    """The two-way variance as it comes out, and 0 where it is below."""
    sums, tokens = studies
    whole = sums.shape[1] * tokens.sum(axis=1)
    value, _ = closed_form(studies)
    scores = sums - value[:, None, None] * tokens[:, None, :]
    _, seeds, documents = sums.shape
    by_seed = seeds / (seeds - 1) * (scores.sum(axis=2) ** 2).sum(axis=1)
    by_document = documents / (documents - 1) * (scores.sum(axis=1) ** 2).sum(axis=1)
    by_cell = seeds * documents / (seeds * documents - 1) * (scores**2).sum(axis=(1, 2))
    return Fits(value, np.sqrt(np.maximum(0, by_seed + by_document - by_cell)) / whole)


def test_a_missing_floor_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "closed_form", without_a_floor)
    assert protocol.coverage(World(protocol.WORLDS["cells only"], 5, 100), 2000, rng())["rate"] < 0.931


def test_the_floor_is_in_the_products_own_estimate() -> None:
    many = protocol_simulation.draw(World(protocol.WORLDS["cells only"], 2, 5), 100, rng())
    found = [statistics.estimate(protocol_simulation.as_cells(many, number)) for number in range(100)]
    assert any(np.isnan(each.error_two_way) for each in found)
    assert all(each.error >= max(each.error_seeds, each.error_documents) for each in found)


def test_the_bench_prints_every_check() -> None:
    result = protocol.run(50)
    assert result["bench"] == "protocol"
    assert result["largest_gap_to_the_product"] < 1e-9
    checks = ("a_a", "coverage", "power_at_the_mde", "equivalence_at_the_margin", "two_looks", "beyond_the_promise")
    for check in checks:
        assert all(row["studies"] >= 10 and 0 <= row["rate"] <= 1 for row in result[check])
    assert len(result["coverage"]) == 2 * 3 * 3 * len(WORLDS)
    within = [row["within_budget"] for check in checks[:-1] for row in result[check]]
    assert result["within_budget"] == all(within)
