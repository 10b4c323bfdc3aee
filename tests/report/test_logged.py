import math

import pytest

from bcecore.report.logged import bce_term, check_losses, language_loss, training_steps, written
from tests.report.logs import course, logged


def test_ce_is_taken_as_it_was_logged() -> None:
    found = language_loss(course(ce=[3.0, 2.0], loss=[2.9, 1.8], bce_weight=[0.2, 0.4], bce_loss=[-0.5, -0.5]))
    assert not found.worked_out
    assert found.series.values.tolist() == [3.0, 2.0]


def test_ce_is_worked_out_where_the_log_has_the_objective_and_bce() -> None:
    rows = [(1, {"loss": 2.9, "bce_weight": 0.2, "bce_loss": -0.5}), (2, {"loss": 1.8}), (3, {"bce_weight": 0.4})]
    found = language_loss(logged(rows))
    assert found.worked_out
    assert found.series.steps.tolist() == [1]
    assert found.series.values.tolist() == pytest.approx([3.0])


def test_a_loss_alone_is_not_taken_for_ce() -> None:
    found = language_loss(course(loss=[2.9, 1.8]))
    assert not found.worked_out
    assert len(found.series) == 0


def test_the_term_is_logged_or_worked_out_or_unknown() -> None:
    assert bce_term(course(bce_term=[-0.1])).values.tolist() == [-0.1]
    assert bce_term(course(bce_weight=[0.5], bce_loss=[-0.4])).values.tolist() == pytest.approx([-0.2])
    assert len(bce_term(course(loss=[1.0]))) == 0


def test_steps_of_checks_are_no_training_steps() -> None:
    rows = [(1, {"loss": 2.0}), (2, {"loss": 1.5}), (3, {"eval_loss": 1.9})]
    assert training_steps(logged(rows)).tolist() == [1, 2]


def test_the_losses_of_checks() -> None:
    rows = [(1, {"eval_b_loss": 1.0, "eval_loss": 1.0, "eval_bce_loss": -0.4, "eval_accuracy": 0.5, "loss": 1.0})]
    assert check_losses(logged([(1, rows[0][1] | {"bce_weight": 0.1})])) == ["eval_loss", "eval_b_loss"]
    # Without BCE it is binary cross-entropy: a loss like others.
    assert check_losses(logged(rows)) == ["eval_loss", "eval_b_loss", "eval_bce_loss"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("loss", 10.7678, "10.7678"),
        ("loss", 0.00001234, "1.234e-5"),
        ("loss", -0.0, "0"),
        ("loss", None, "–"),
        ("loss", math.nan, "not a number"),
        ("epoch", 0.005, "0.005"),
        ("epoch", 10.0, "10.00"),
        ("grad_norm", 85.84219360351562, "85.84"),
        ("grad_norm", 1234.567, "1,234.57"),
        ("learning_rate", 3.128125e-05, "3.128125e-5"),
        ("learning_rate", 3.1250000000000005e-08, "3.125e-8"),
        ("learning_rate", 5e-05, "5e-5"),
        ("bce_weight", 0.29000000000000004, "0.29"),
        ("bce_weight", 0.0005, "0.0005"),
        ("bce_loss", -0.46424549, "-0.4642"),
        ("tokens", 150_000.0, "150,000"),
        ("eval_runtime", 0.0379, "0.0379"),
        ("tokens_per_second", 4100.4, "4,100"),
    ],
)
def test_values_as_tables_show_them(key: str, value: float | None, words: str) -> None:
    assert written(key, value) == words
