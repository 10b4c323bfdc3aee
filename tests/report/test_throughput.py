from datetime import timedelta
from pathlib import Path

import pytest

from bcecore.report.throughput import throughput
from bcecore.store.imported import Imported
from bcecore.store.record import now
from tests.report.logs import a_record, course, imported_material, logged


def test_the_reports_pace_comes_from_the_wall_clock_that_was_given(shared_data: Path) -> None:
    pace = imported_material(shared_data / "report" / "trainer_state.json", wall_clock=106.96).pace
    assert pace.steps_per_second is not None
    assert f"{pace.steps_per_second:.1f}" == "18.7"
    assert (pace.steps, pace.seconds, pace.steady) == (2000, 106.96, None)


def test_without_a_clock_nothing_is_known(shared_data: Path) -> None:
    pace = imported_material(shared_data / "report" / "trainer_state.json").pace
    assert (pace.seconds, pace.steps_per_second) == (None, None)


def test_a_trainer_that_logged_its_runtime_is_believed(shared_data: Path) -> None:
    pace = imported_material(shared_data / "trainer_states" / "t5-summarization.json").pace
    assert (pace.steps, pace.seconds, pace.steps_per_second) == (215_337, 54713.1806, 3.936)


def test_times_in_a_log_tell_the_pace() -> None:
    log = course(loss=[1.0] * 11, time=[100 + 0.5 * step for step in range(11)])
    pace = throughput(log, a_record("imported"), Imported(), now())
    assert (pace.seconds, pace.steps_per_second) == (5.0, 2.0)


def test_our_own_runs() -> None:
    began = now() - timedelta(seconds=60)
    record = a_record(started=began, ended=now(), facts={"train_steps_per_second": 18.7})
    pace = throughput(course(loss=[1.0], tokens_per_second=[4000.0]), record, None, now())
    assert (pace.steps_per_second, pace.tokens_per_second) == (18.7, 4000.0)
    assert pace.seconds == pytest.approx(60, abs=1)


def test_a_run_that_slows_down_is_not_steady() -> None:
    steps = range(200)
    even = course(loss=[1.0] * 200, time=[float(step) for step in steps])
    slowing = course(loss=[1.0] * 200, time=[float(step) if step < 100 else 100 + 2.0 * (step - 100) for step in steps])
    assert throughput(even, a_record(), None, now()).steady is True
    found = throughput(slowing, a_record(), None, now())
    assert found.steady is False
    assert found.slowest == pytest.approx(0.5, rel=0.05)
    assert found.fastest == pytest.approx(1.0)


def test_a_clock_that_was_set_back_says_nothing_of_the_pace() -> None:
    log = course(loss=[1.0] * 200, time=[float(step % 100) for step in range(200)])
    assert throughput(log, a_record(), None, now()).steady is None


def test_an_empty_log() -> None:
    assert throughput(logged([]), a_record("queued"), None, now()).steps == 0


def test_times_of_a_log_with_a_rhythm_tell_steps_and_not_rows() -> None:
    log = logged([(step, {"loss": 1.0, "time": 100.0 + step}) for step in range(10, 1001, 10)])
    assert throughput(log, a_record("imported"), Imported(), now()).steps_per_second == 1.0


@pytest.mark.parametrize(
    ("state", "last", "steps"),
    [
        ({"global_step": 500, "max_steps": 1000}, 500, 1000),  # from the middle of the run
        ({"global_step": 2000, "max_steps": 2000}, 200, 2000),  # cut off
        ({"global_step": 2000}, 200, 2000),
        ({}, 200, 200),
    ],
)
def test_the_time_of_a_whole_run_is_not_that_of_a_part(state: dict[str, int], last: int, steps: int) -> None:
    known = Imported(facts={"wall_clock": 100.0}, state=state)
    pace = throughput(course(loss=[1.0] * last), a_record("imported"), known, now())
    assert pace.steps_per_second == steps / 100
    assert pace.source == f"if the wall clock that was given is that of {steps:,} steps"
    assert not pace.certain
