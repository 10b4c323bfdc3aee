from __future__ import annotations

import math
import statistics

import pytest

from bcecore.report.spread import Measured, reach_words, spreads
from bcecore.store.record import Progress, now
from tests.report.sides import side

KEYS = ["ce", "learning_rate"]
SEEDS = ({1: 4.0, 2: 2.0, 3: 3.0}, {1: 4.5, 2: 2.4}, {1: 4.2, 2: 2.5, 4: 1.0})


def test_mean_and_deviation_at_the_largest_common_step_and_of_the_best() -> None:
    (found,) = spreads([side(f"seed {n}", {"ce": values}) for n, values in enumerate(SEEDS)], ["ce"])
    assert found.step == 2 and found.at_step is not None and found.best is not None
    assert found.at_step == Measured(pytest.approx(2.3), pytest.approx(statistics.stdev([2.0, 2.4, 2.5])), 3)  # type: ignore[arg-type]
    assert found.best.mean == pytest.approx((2.0 + 2.4 + 1.0) / 3)
    assert Measured(2.31356, 0.0123, 3).words == "2.3136 ± 0.012 (n = 3)"


def test_no_best_of_a_learning_rate_and_nothing_of_what_one_did_not_log() -> None:
    (found,) = spreads(
        [side("a", {"learning_rate": {1: 1.0}, "ce": {1: 1.0}}), side("b", {"learning_rate": {1: 2.0}})], KEYS
    )
    assert found.metric.key == "learning_rate" and found.best is None and found.at_step is not None


def test_no_common_step() -> None:
    (found,) = spreads([side("a", {"ce": {1: 1.0}}), side("b", {"ce": {2: 2.0}})], KEYS)
    assert found.step is None and found.at_step is None and found.best is not None


def test_a_run_that_diverged_makes_the_mean_no_number() -> None:
    (found,) = spreads([side("a", {"ce": {1: math.inf}}), side("b", {"ce": {1: 2.0}})], KEYS)
    assert found.at_step is not None and math.isnan(found.at_step.deviation) and found.best is None


def test_equal_values_have_no_spread() -> None:
    (found,) = spreads([side(f"seed {n}", {"ce": {1: 3.2489}}) for n in range(3)], KEYS)
    assert found.at_step == found.best == Measured(3.2489, 0.0, 3)


def test_how_far_each_is_where_they_differ() -> None:
    done = {n: Progress(step=n, total_steps=300, epoch=1.0, updated=now()) for n in (120, 300)}
    a, b = (side(f"seed {n}", {"ce": {1: 2.0, n: 1.0}}, progress=done[n]) for n in (300, 120))
    assert reach_words([a, b]) == "seed 300: step 300, seed 120: step 120 of 300"
    assert reach_words([a, a]) == ""
    assert reach_words([b, side("c", {})]).endswith("c: nothing logged")
