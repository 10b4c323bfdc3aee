import math

from bcecore.report.best_and_last import best_and_last
from bcecore.report.summary import At
from tests.report.logs import course, logged


def test_each_metric_has_its_own_better() -> None:
    rows = {
        row.metric.key: row
        for row in best_and_last(course(loss=[3.0, 1.0, 2.0], eval_accuracy=[0.1, 0.4, 0.2], grad_norm=[1.0, 2.0, 3.0]))
    }
    assert (rows["loss"].last, rows["loss"].best) == (At(2.0, 3), At(1.0, 2))
    assert rows["eval_accuracy"].best == At(0.4, 2)
    assert rows["grad_norm"].best is None
    assert (rows["grad_norm"].lowest, rows["grad_norm"].highest) == (At(1.0, 1), At(3.0, 3))


def test_values_that_are_not_finite_are_never_best() -> None:
    (row,) = best_and_last(course(loss=[2.0, -math.inf, math.nan]))
    assert math.isnan(row.last.value) and row.last.step == 3
    assert row.best == At(2.0, 1)
    assert row.values == 3
    (nothing,) = best_and_last(course(loss=[math.nan, math.nan]))
    assert nothing.best is None and nothing.lowest is None


def test_what_tells_how_well_it_learns_comes_first() -> None:
    log = logged([(1, {"train_runtime": 3.0, "learning_rate": 1.0, "epoch": 1.0, "bce_loss": -0.4, "loss": 1.0})])
    assert [row.metric.key for row in best_and_last(log)] == ["loss", "learning_rate", "bce_loss", "train_runtime"]


def test_ce_that_is_worked_out_says_so() -> None:
    first, *others = best_and_last(course(loss=[1.0, 0.5], bce_weight=[0.0, 1.0], bce_loss=[-0.5, -0.5]))
    assert (first.metric.key, first.worked_out, first.last) == ("ce", True, At(1.0, 2))
    assert not any(row.worked_out for row in others)


def test_a_log_from_elsewhere_is_named_as_it_was_logged() -> None:
    log = course(loss=[1.0, 0.5], bce_loss=[0.4, 0.2], eval_loss=[1.0, 0.7])
    found = {row.metric.key: (row.metric.name, row.metric.unit) for row in best_and_last(log, ours=False)}
    assert found == {"loss": ("loss", ""), "bce_loss": ("bce loss", ""), "eval_loss": ("check loss (eval)", "")}
