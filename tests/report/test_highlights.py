import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.highlights import Milestones, highlights, milestones, nearest, snapshot, stages
from bcecore.report.log_facts import extent_of
from tests.examples import example_config
from tests.report.logs import course, imported_material, logged


def test_the_highlights_of_the_report_are_the_logs_true_values(shared_data: Path) -> None:
    material = imported_material(shared_data / "report" / "trainer_state.json")
    rows = {row.step: row for row in material.highlights}
    assert list(rows) == [1, 400, 500, 1000, 1200, 1500, 2000]
    # Where the report is right, to its printed digits.
    first, last = rows[1].values, rows[2000].values
    assert [f"{first['loss']:.4f}", f"{first['grad_norm']:.2f}", first["learning_rate"]] == ["10.7678", "85.84", 0]
    assert [first["bce_weight"], f"{first['bce_loss']:.4f}"] == [0.0005, "-0.4642"]
    assert [f"{last['loss']:.4f}", f"{last['grad_norm']:.2f}", last["epoch"]] == ["0.4224", "16.25", 10.0]
    assert [f"{last['learning_rate']:.4g}", last["bce_weight"], f"{last['bce_loss']:.4f}"] == [
        "3.125e-08",
        0.44,
        "-0.4630",
    ]
    # Where it is wrong, what the log says.
    assert [rows[step].values["loss"] for step in (400, 1000, 1500)] == [2.8085, 2.2964, 0.9295]
    assert [f"{rows[step].values['learning_rate']:.7g}" for step in (400, 1000, 1500)] == [
        "4.9875e-05",
        "3.128125e-05",
        "1.565625e-05",
    ]
    assert [round(rows[step].values["bce_weight"], 9) for step in (400, 1000, 1500)] == [0.2, 0.29, 0.365]
    assert rows[400].names == ("End of both warm-ups",)
    assert math.isclose(last["ce"], 0.4224 + 0.44 * 0.46303758, rel_tol=1e-6)


def test_milestones_from_settings() -> None:
    config = example_config("report-10-epoch-offline", training__warmup_steps=300)
    assert milestones(course(loss=[1.0] * 1000), config) == Milestones(1, 1000, 1000, 300, 400, 1000)
    going_on = milestones(course(loss=[1.0] * 1000), config, 4000, over=False)
    assert going_on == Milestones(1, 1000, 4000, 300, 400, 2400, "Last step so far")
    off = milestones(course(loss=[1.0] * 1000), example_config(bce__enabled=False, training__warmup_steps=0))
    assert off == Milestones(1, 1000, 1000)
    assert milestones(logged([]), config) is None


def test_stages_are_in_order_and_each_step_once() -> None:
    turns = Milestones(1, 1000, 1000, rate_warmup=250, weight_warmup=500, boost_end=1000)
    assert [(stage.step, stage.names) for stage in stages(turns, [750, 3000, 0])] == [
        (1, ("First step",)),
        (250, ("End of the learning rate’s warm-up", "A quarter")),
        (500, ("End of BCE’s warm-up", "Half")),
        (750, ("Three quarters", "Middle of BCE’s boost", "Asked for")),
        (1000, ("Last step",)),
    ]


def test_what_has_not_been_reached_is_left_out() -> None:
    turns = Milestones(1, 300, 1000, weight_warmup=400, boost_end=1000, last_name="Last step so far")
    assert [stage.names for stage in stages(turns)] == [("First step",), ("A quarter",), ("Last step so far",)]


def test_a_step_that_was_not_logged_takes_the_nearest_and_says_so() -> None:
    log = logged([(step, {"loss": float(step)}) for step in range(100, 1001, 100)])
    turns = milestones(log, None)
    assert turns is not None
    rows = highlights(log, turns, [140])
    asked = next(row for row in rows if row.asked == 140)
    assert (asked.step, asked.values["loss"]) == (100, 100.0)
    assert asked.stage == "Asked for (step 140 was not logged; the nearest is)"
    quarter = next(row for row in rows if "A quarter" in row.names)
    assert (quarter.asked, quarter.step) == (250, 200)


def test_a_value_that_is_not_finite_is_there_and_a_missing_one_is_not() -> None:
    log = logged([(1, {"loss": 1.0, "grad_norm": math.nan}), (2, {"loss": 2.0})])
    turns = milestones(log, None)
    assert turns is not None
    first, last = highlights(log, turns)
    assert math.isnan(first.values["grad_norm"])
    assert "grad_norm" not in last.values


@given(steps=st.sets(st.integers(1, 500), min_size=1), wanted=st.integers(-5, 600))
def test_nearest_is_as_near_as_any(steps: set[int], wanted: int) -> None:
    found = nearest(np.array(sorted(steps)), wanted)
    assert found in steps
    assert abs(found - wanted) == min(abs(step - wanted) for step in steps)


def test_the_snapshot_has_the_values_of_the_last_step() -> None:
    found = snapshot(logged([(1, {"loss": 2.0, "ce": 2.1}), (2, {"loss": 1.0, "ce": 1.1, "eval_loss": 1.5})]))
    assert found is not None
    assert (found.step, found.values) == (2, {"loss": 1.0, "ce": 1.1, "eval_loss": 1.5})
    assert snapshot(logged([])) is None


def names_of(last: int, every: int, state: dict[str, int]) -> list[tuple[int, str]]:
    log = logged([(step, {"loss": 1.0}) for step in range(every, last + 1, every)])
    turns = milestones(log, None, extent=extent_of(log, state))
    assert turns is not None
    return [(stage.step, *stage.names) for stage in stages(turns)]


def test_the_milestones_of_a_log_from_the_middle_of_a_run_are_those_of_the_run() -> None:
    assert names_of(500, 1, {"global_step": 500, "max_steps": 1000}) == [
        (1, "First step"),
        (250, "A quarter"),
        (500, "Half", "Last step of this log"),
    ]
    assert names_of(200, 1, {"global_step": 2000, "max_steps": 2000})[-1] == (200, "Last step of this log")


def test_of_a_run_of_unknown_length_there_are_the_quarters_of_its_log_only() -> None:
    assert names_of(400, 100, {}) == [
        (100, "First step", "A quarter of this log"),
        (200, "Half of this log"),
        (300, "Three quarters of this log"),
        (400, "Last step of this log"),
    ]


def test_a_run_may_end_behind_the_last_step_that_its_rhythm_logs() -> None:
    assert names_of(5000, 500, {"global_step": 5490, "max_steps": 5490})[-1] == (5000, "Last logged step")


def test_a_boost_whose_end_is_not_in_the_log_has_no_known_middle() -> None:
    log = course(
        loss=[1.0] * 500, bce_weight=[0.2 * min(step, 100) / 100 + 1e-4 * max(0, step - 100) for step in range(1, 501)]
    )
    cut = milestones(log, None, extent=extent_of(log, {"global_step": 500, "max_steps": 1000}))
    whole = milestones(log, None, extent=extent_of(log, {"global_step": 500, "max_steps": 500}))
    assert cut is not None and whole is not None
    assert (cut.weight_warmup, cut.boost_end, whole.boost_end) == (100, None, 500)
