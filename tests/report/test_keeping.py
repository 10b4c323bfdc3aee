from __future__ import annotations

import math
from typing import Any

from bcecore.config import RunConfig
from bcecore.report.keeping import Advice, which_to_keep
from bcecore.settings import with_values
from tests.report.sides import side

HELD_OUT = {100: 3.0, 150: 2.4, 200: 2.5, 300: 2.8}


def run(values: dict[int, float], config: RunConfig | None = None, **given: Any) -> Any:
    logged = {"ce": {1: 1.0}} | ({"eval_loss": values} if values else {})
    return side("a", logged, config=config or RunConfig(), **given)


def test_the_saved_checkpoint_with_the_lowest_held_out_ce() -> None:
    assert which_to_keep(run(HELD_OUT), [100, 200, 300]) == Advice(
        200,
        "Its held-out CE of 2.5000 is the lowest of the saved checkpoints: 0.300 lower than at the last check, step "
        "300. It was lower still at step 150 (2.4000), which was not saved.",
    )


def test_the_last_one() -> None:
    advice = which_to_keep(run({100: 3.0, 200: 2.5}), [100, 200])
    assert advice.step == 200
    assert advice.reason.endswith("is the lowest of the saved checkpoints, and it is the last check.")


def test_a_last_check_that_was_better_but_not_saved() -> None:
    advice = which_to_keep(run({100: 3.0, 200: 2.5}), [100])
    assert advice == Advice(
        100,
        "Its held-out CE of 3 is the lowest of the saved checkpoints. It was lower still at step 200 (2.5000), which "
        "was not saved.",
    )


def test_a_run_without_checkpoints() -> None:
    advice = which_to_keep(run(HELD_OUT), [])
    assert advice.step == 150 and "the lowest of all checks" in advice.reason and "not saved" not in advice.reason


def test_a_last_check_that_is_not_finite() -> None:
    advice = which_to_keep(run({100: 3.0, 200: math.nan}), [100, 200])
    assert advice.step == 100 and advice.reason.endswith("at the last check, step 200, it was not finite.")


def test_nothing_logged_can_tell() -> None:
    rows = with_values(RunConfig(), {"data.validation": "first_rows_of_training"})
    leaks = {"leak_probe": {"leaks": True, "largest_change": 3.2}}
    for given, words in (
        (run({}), "was not checked on held-out text"),
        (run(HELD_OUT, rows), "lines that it also learns from"),
        (run(HELD_OUT, facts=leaks), "sees the words that it has to predict"),
        (run({100: math.nan}), "gave a finite number"),
        (run(HELD_OUT), "no saved checkpoint was checked at its own step"),
    ):
        advice = which_to_keep(given, [120])
        assert advice.step is None and words in advice.reason


def test_a_run_from_elsewhere_is_not_vouched_for() -> None:
    elsewhere = side("a", {"eval_loss": HELD_OUT})
    assert "its log does not say" in which_to_keep(elsewhere, []).reason


def test_the_check_of_a_run_from_elsewhere_is_not_called_held_out() -> None:
    elsewhere = side("a", {"eval_loss": HELD_OUT}, status="imported")
    for advice in (which_to_keep(elsewhere, []), which_to_keep(elsewhere, [120])):
        assert "oss of the check" in advice.reason and "eld-out" not in advice.reason
    unchecked = which_to_keep(side("a", {"ce": {1: 1.0}}, status="imported"), [])
    assert unchecked.step is None and "eld-out" not in unchecked.reason
