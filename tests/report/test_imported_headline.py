"""The head of an imported run's page says what its log has, and of the rest that it is not known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bcecore.report.imported_headline import Headline, headline
from bcecore.report.summary import At
from bcecore.store.columns import Columns
from bcecore.store.trainer_log import TrainerLog, merged, read_trainer_log


def of(*records: dict[str, Any]) -> Headline:
    columns = Columns()
    columns.add(merged([TrainerLog(list(records), {})]))
    return headline(columns)


def test_losses_and_checks() -> None:
    head = of(
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0, "eval_loss": 2.5},
        {"step": 3, "loss": 2.25, "eval_loss": 2.75},
    )
    assert (head.learning.title, head.learning.last, head.learning.best) == ("Training loss", At(2.25, 3), None)
    assert (head.check.title, head.check.last, head.check.best) == ("Check loss (eval)", At(2.75, 3), At(2.5, 2))
    assert head.learning.trend == (3.0, 2.0, 2.25)


def test_the_language_loss_is_worked_out_where_it_can_be() -> None:
    card = of({"step": 1, "loss": 3.0, "bce_weight": 0.5, "bce_loss": -0.5}).learning
    assert (card.title, card.unit, card.last) == ("CE (language loss)", "nats per token", At(3.25, 1))
    assert "this is what is left without it" in card.about
    assert "what is left" not in of({"step": 1, "ce": 3.0, "loss": 2.0}).learning.about


def test_a_check_that_has_no_loss_has_its_own_measure() -> None:
    card = of({"step": 1, "eval_accuracy": 0.5}, {"step": 2, "eval_accuracy": 0.75}, {"step": 3, "eval_accuracy": 0.7})
    assert (card.check.title, card.check.best) == ("Accuracy (eval)", At(0.75, 2))


def test_what_is_not_there_is_none() -> None:
    head = of({"step": 1, "grad_norm": 1.0})
    assert (head.learning.last, head.check.last, head.check.trend) == (None, None, ())


def test_a_check_that_was_never_finite_has_no_best() -> None:
    card = of({"step": 1, "eval_loss": math.nan}).check
    assert card.last is not None and math.isnan(card.last.value)
    assert card.best is None


def test_what_the_log_says_of_bce() -> None:
    assert of({"step": 1, "loss": 1.0}).bce.headline == "BCE: not in this log"
    assert of({"step": 1, "bce_weight": 0.0}).bce.headline == "BCE: weight 0 at every logged step"
    known = of({"step": 50, "bce_weight": 0.25, "bce_grad_ratio": 0.05}).bce
    assert (known.light, known.headline) == ("acting", "BCE: on, weight 0.25 at the end, adds 5 % to the gradient")
    assert of({"step": 50, "bce_weight": 0.25, "bce_grad_ratio": 0.0}).bce.light == "idle"
    assert of({"step": 1, "bce_loss": -0.4, "bce_rl": 0.5}).bce.headline == "BCE: on, effect not known"


def test_binary_cross_entropy_is_not_taken_for_bce() -> None:
    bce = of({"step": 1, "loss": 1.0, "bce_loss": 0.3, "dice_loss": 0.7}).bce
    assert (bce.light, bce.headline) == ("off", "BCE: not in this log")
    assert "binary cross-entropy" in bce.explanation and "Behavioral Consciousness Engine" in bce.explanation
    assert "binary" not in of({"step": 1, "loss": 1.0}).bce.explanation


def test_the_report_s_log(shared_data: Path) -> None:
    columns = Columns()
    columns.add(merged([read_trainer_log(shared_data / "report" / "trainer_state.json")]))
    head = headline(columns)
    assert head.bce.headline == "BCE: on, weight 0.44 at the end, effect not known"
    assert head.learning.last is not None
    assert (head.learning.last.step, round(head.learning.last.value, 4)) == (2000, 0.6261)
    assert head.check.last is None
