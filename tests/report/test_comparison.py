from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import RunConfig
from bcecore.report.comparison import (
    Delta,
    Entry,
    best_of,
    compare,
    figure,
    largest_common_step,
    nearest_step,
    overlaid_keys,
    shared_keys,
    signed,
    worked_out_words,
)
from bcecore.report.metrics import metric
from bcecore.report.summary import At
from tests.report.sides import side

CONFIG = RunConfig()
CE_A = {1: 9.0, 2: 5.0, 3: 6.0}
CE_B = {1: 8.0, 2: 4.5, 4: 7.0}


def of(key: str, compared: list) -> tuple[Entry, ...]:  # type: ignore[type-arg]
    return next(one for one in compared if one.metric.key == key).entries


def test_last_best_and_their_differences_to_the_baseline() -> None:
    a, b = (side(name, {"ce": values}, config=CONFIG) for name, values in (("a", CE_A), ("b", CE_B)))
    compared = compare([a, b])
    assert of("ce", compared) == (
        Entry(At(6.0, 3), At(5.0, 2)),
        Entry(At(7.0, 4), At(4.5, 2), Delta(1.0, "worse"), Delta(-0.5, "better")),
    )
    assert compared[0].at_different_steps
    other_way = of("ce", compare([a, b], baseline=1))
    assert other_way[0].delta == Delta(-1.0, "better") and other_way[1].delta is None


def test_at_the_same_step_it_is_the_largest_that_both_logged() -> None:
    a, b = (side(name, {"ce": values}, config=CONFIG) for name, values in (("a", CE_A), ("b", CE_B)))
    (compared,) = compare([a, b], same_step=True)
    assert compared.common_step == 2 and not compared.at_different_steps
    assert compared.entries == (Entry(At(5.0, 2)), Entry(At(4.5, 2), delta=Delta(-0.5, "better")))


def test_without_a_common_step_there_is_no_value() -> None:
    a, b = side("a", {"ce": {1: 1.0}}, config=CONFIG), side("b", {"ce": {2: 1.0}}, config=CONFIG)
    (compared,) = compare([a, b], same_step=True)
    assert compared.common_step is None and [entry.value for entry in compared.entries] == [None, None]


def test_steps_of_one_run_take_the_nearest_value_and_judge_checks_only() -> None:
    values = {"ce": {100: 3.0, 200: 2.0}, "eval_loss": {90: 3.5, 190: 2.5}}
    a, b = (side(f"step {step}", values, config=CONFIG, run_id="run", step=step) for step in (100, 200))
    compared = compare([a, b])
    assert of("eval_loss", compared)[1] == Entry(At(2.5, 190), delta=Delta(-1.0, "better"))
    ce = of("ce", compared)[1]
    assert ce.delta == Delta(-1.0, "none") and ce.obstacle is not None and ce.obstacle.short == "of other lines"


def test_a_metric_without_a_direction_gets_no_verdict_and_an_equal_one_says_so() -> None:
    a = side("a", {"learning_rate": {1: 1e-3}, "eval_accuracy": {1: 0.5}})
    b = side("b", {"learning_rate": {1: 2e-3}, "eval_accuracy": {1: 0.5}})
    compared = compare([a, b])
    assert of("learning_rate", compared)[1] == Entry(At(2e-3, 1), None, Delta(1e-3, "none"))
    assert of("eval_accuracy", compared)[1].delta == Delta(0.0, "equal")


def test_higher_is_better_where_it_is() -> None:
    a, b = side("a", {"eval_accuracy": {1: 0.5, 2: 0.4}}), side("b", {"eval_accuracy": {1: 0.7, 2: 0.3}})
    entry = of("eval_accuracy", compare([a, b]))[1]
    assert entry.best == At(0.7, 1)
    assert (entry.delta and entry.delta.verdict, entry.best_delta and entry.best_delta.verdict) == ("worse", "better")


def test_what_is_not_finite_is_shown_and_not_judged() -> None:
    a = side("a", {"ce": {1: 3.0, 2: 2.0}}, config=CONFIG)
    b = side("b", {"ce": {1: 2.5, 2: math.nan}}, config=CONFIG)
    entry = of("ce", compare([a, b]))[1]
    assert entry.value is not None and math.isnan(entry.value.value) and entry.best == At(2.5, 1)
    assert entry.delta is not None and math.isnan(entry.delta.difference) and entry.delta.verdict == "none"


def test_the_order_of_metrics_and_what_is_none() -> None:
    keys = ("time", "bce_weight", "loss", "ce", "eval_loss", "epoch", "grad_norm")
    a = side("a", {key: {1: 1.0} for key in keys})
    b = side("b", {key: {1: 1.0} for key in (*keys, "mine")})
    c = side("c", {"mine": {1: 1.0}})
    assert shared_keys([a, b, c]) == ["eval_loss", "ce", "loss", "bce_weight", "grad_norm"]
    assert overlaid_keys([a, b, c]) == ["eval_loss", "ce", "loss", "bce_weight", "grad_norm", "mine"]


def test_ce_is_worked_out_where_a_log_has_only_the_objective() -> None:
    values = {"loss": {1: 1.9}, "bce_weight": {1: 0.2}, "bce_loss": {1: -0.5}}
    a, b = side("a", values), side("b", {"ce": {1: 2.5}})
    entries = of("ce", compare([a, b]))
    assert entries[0].value == At(pytest.approx(2.0), 1)  # type: ignore[arg-type]


@given(st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=4))
def test_the_largest_common_step(steps: list[set[int]]) -> None:
    common = set.intersection(*steps)
    found = largest_common_step([np.array(sorted(some), dtype=np.int64) for some in steps])
    assert found == (max(common) if common else None)


def test_a_common_step_that_is_far_from_the_end_is_found_too() -> None:
    odd, even = np.arange(1, 4001, 2), np.arange(2, 4001, 2)
    assert largest_common_step([odd, even]) is None
    assert largest_common_step([np.append(4, odd[odd > 4]), even]) == 4


@given(st.sets(st.integers(0, 1000), min_size=1), st.integers(-10, 1100))
def test_the_nearest_step(logged: set[int], step: int) -> None:
    found = nearest_step(np.array(sorted(logged)), step)
    assert found in logged
    assert abs(found - step) == min(abs(other - step) for other in logged)
    assert not any(other < found and abs(other - step) == abs(found - step) for other in logged)


def test_the_best_is_the_first_of_equal_ones() -> None:
    series = side("a", {"ce": {1: math.inf, 2: 2.0, 3: 2.0, 4: math.nan}}).series("ce")
    assert best_of(series, metric("ce")) == At(2.0, 2)
    assert best_of(series, metric("learning_rate")) is None
    assert best_of(side("a", {"ce": {1: math.nan}}).series("ce"), metric("ce")) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [(2.31356, "2.3136"), (41.442, "41.44"), (4100.0, "4,100"), (3.7e-6, "3.7e-6"), (0.0, "0"), (-0.23, "-0.2300")],
)
def test_figures(value: float, words: str) -> None:
    assert figure(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.12, "+0.120"), (-0.0061, "−0.0061"), (-3.1e-5, "−3.1e-5"), (0.0, "0"), (math.nan, "not a number")],
)
def test_signed(value: float, words: str) -> None:
    assert signed(value) == words


def test_what_was_never_logged_is_not_called_incomparable() -> None:
    base = side("a", {"loss": {1: 2.0}, "bce_weight": {1: 0.1}}, status="imported")
    silent = side("b", {"ce": {1: 1.0}}, status="imported")
    entry = of("loss", [*compare([base, silent], keys=["loss"])])[1]
    assert entry == Entry(None)


def test_worked_out_values_say_so() -> None:
    values = {"loss": {1: 1.9}, "bce_weight": {1: 0.2}, "bce_loss": {1: -0.5}}
    sides = [side("a", values, status="imported"), side("b", values, status="imported"), side("c", {"ce": {1: 2.0}})]
    assert "ce" in shared_keys(sides)
    ce, loss = compare(sides, keys=["ce", "loss"])
    assert (ce.worked_out, loss.worked_out) == (("a", "b"), ())
    assert worked_out_words(ce) == "Worked out for a, b: the logged loss less BCE’s term."
    assert worked_out_words(loss) == ""


def test_a_check_of_a_log_from_elsewhere_is_not_called_held_out() -> None:
    ours = side("a", {"eval_loss": {1: 2.0}, "loss": {1: 2.0}})
    elsewhere = side("b", {"eval_loss": {1: 2.0}, "loss": {1: -0.1}}, status="imported")
    names = {one.metric.name: one.metric.unit for one in compare([ours, elsewhere])}
    assert names == {"check loss (eval)": "", "loss": ""}
    assert [one.metric.name for one in compare([ours, ours])] == ["held-out CE", "loss"]
