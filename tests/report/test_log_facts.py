import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore import schedule
from bcecore.report.log_facts import Extent, extent_of, rate_seen, rate_words, weight_seen, weight_words
from bcecore.store.columns import Series
from tests.report.logs import course, imported_material, logged


def rates(
    name: schedule.LearningRateSchedule, peak: float, warmup: int, total: int, steps: range, lag: int = 0
) -> Series:
    rows = [
        (
            step,
            {
                "learning_rate": schedule.learning_rate(
                    step + lag, peak=peak, warmup_steps=warmup, total_steps=total, schedule=name
                )
            },
        )
        for step in steps
    ]
    return logged(rows).series("learning_rate")


def weights(base: float, maximum: float, warmup: int, span: int, steps: range) -> Series:
    rows = [
        (
            step,
            {
                "bce_weight": schedule.bce_weight(
                    step, base=base, target=base, maximum=maximum, warmup_steps=warmup, boost_span=span
                )
            },
        )
        for step in steps
    ]
    return logged(rows).series("bce_weight")


def test_the_schedules_of_the_report(shared_data: Path) -> None:
    log = imported_material(shared_data / "report" / "trainer_state.json").logged
    rate = rate_seen(log.series("learning_rate"), 2000)
    assert rate is not None
    assert (rate.peak, rate.schedule, rate.warmup_steps, rate.lag, rate.checked) == (5e-05, "linear", 400, 0, 2000)
    assert rate_words(rate) == "5.0e-5 (linear decay, warm-up over 400 steps; as in all 2,000 logged values)"
    weight = weight_seen(log.series("bce_weight"))
    assert weight is not None
    assert (weight.warmup_steps, weight.boost_end) == (400, None)
    assert weight.cap == pytest.approx(0.2)
    assert weight.slope == pytest.approx(0.00015)
    assert weight_words(weight).startswith("0 to 0.2 over 400 steps, then 0.00015 more a step; 0.44 at step 2,000")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            "cpt-generation",
            "2.0e-5 if there was no warm-up (linear decay; a warm-up before step 500 is not in this log",
        ),
        ("multi-eval-groups", "1.0e-5 (constant; a warm-up before step 401 is not in this log"),
        ("rl-two-cadences", "3.0e-5 (cosine decay, warm-up over 100 steps; as in all 1,000 logged values)"),
        ("t5-summarization", "5.0e-5 if there was no warm-up (linear decay; "),
    ],
)
def test_the_schedules_of_other_peoples_logs(shared_data: Path, file: str, words: str) -> None:
    material = imported_material(shared_data / "trainer_states" / f"{file}.json")
    assert material.imported is not None
    seen = rate_seen(material.logged.series("learning_rate"), material.imported.state["max_steps"])
    assert seen is not None
    assert rate_words(seen).startswith(words)


@given(
    name=st.sampled_from(["linear", "cosine", "constant_with_warmup"]),
    peak=st.sampled_from([5e-5, 1e-3, 3e-4]),
    warmup=st.integers(1, 60),
    total=st.integers(80, 200),
    lag=st.sampled_from([0, 1]),
)
def test_a_rate_that_was_logged_at_every_step_is_recognised(
    name: schedule.LearningRateSchedule, peak: float, warmup: int, total: int, lag: int
) -> None:
    seen = rate_seen(rates(name, peak, warmup, total, range(1, total), lag), total)
    assert seen is not None and seen.schedule is not None
    assert seen.peak == pytest.approx(peak, rel=1e-6)
    for step in range(1, total):  # whatever it is called, it gives the same rates
        expected = schedule.learning_rate(step + lag, peak=peak, warmup_steps=warmup, total_steps=total, schedule=name)
        given_again = schedule.learning_rate(
            step + seen.lag,
            peak=seen.peak,
            warmup_steps=seen.warmup_steps or 0,
            total_steps=total,
            schedule=seen.schedule,
        )
        assert given_again == pytest.approx(expected, abs=1e-5 * peak)


def test_a_coarse_log_gives_away_the_peak_between_its_steps() -> None:
    seen = rate_seen(rates("linear", 5e-5, 430, 2000, range(100, 2001, 100)), 2000)
    assert seen is not None
    assert (seen.schedule, seen.warmup_steps) == ("linear", 430)
    assert seen.peak == pytest.approx(5e-5)


def test_a_rate_that_follows_no_formula_is_not_named() -> None:
    seen = rate_seen(course(learning_rate=[1e-3, 5e-4, 9e-4, 1e-4, 8e-4]).series("learning_rate"), 5)
    assert seen is not None and seen.schedule is None
    assert rate_words(seen) == "at most 1.0e-3, at step 1; its course fits none of the known curves"


def test_a_log_with_one_wrong_rate_is_not_claimed_to_follow_the_schedule() -> None:
    right = rates("linear", 5e-5, 10, 100, range(1, 101))
    right.values[70] *= 1.001
    seen = rate_seen(right, 100)
    assert seen is not None and seen.schedule is None


def test_without_values_nothing_is_said() -> None:
    empty = course(loss=[1.0]).series("learning_rate")
    assert rate_seen(empty, 10) is None
    assert weight_seen(empty) is None


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (weights(0.2, 0.5, 400, 2000, range(1, 3001)), "0 to 0.2 over 400 steps, then to 0.5 over 2,000 steps"),
        (weights(0.2, 0.5, 400, 2000, range(10, 3001, 10)), "0 to 0.2 over 400 steps, then to 0.5 over 2,000 steps"),
        (weights(0.2, 0.5, 405, 200, range(10, 3001, 10)), "0 to 0.2 over 405 steps, then to 0.5 over 200 steps"),
        (weights(0.2, 0.0, 400, 1, range(1, 801)), "0 to 0.2 over 400 steps, then level; 0.2 at step 800"),
        (weights(0.2, 0.0, 0, 1, range(1, 50)), "0.2 at every step"),
        (weights(0.0, 0.0, 0, 1, range(1, 50)), "0 at every step"),
        (weights(0.0, 0.5, 400, 2000, range(1, 2001)), "0 for 400 steps, then 0.00025 more a step; 0.4 at step 2,000"),
        (weights(0.2, 0.5, 400, 2000, range(1, 101)), "0.0005 at step 1, 0.05 at step 100"),
    ],
)
def test_the_weight_in_words(series: Series, words: str) -> None:
    seen = weight_seen(series)
    assert seen is not None
    assert weight_words(seen).startswith(words)


def test_a_weight_that_follows_no_formula_is_given_by_its_ends() -> None:
    seen = weight_seen(course(bce_weight=[0.1, 0.4, 0.2, 0.3]).series("bce_weight"))
    assert seen is not None and seen.cap is None
    assert weight_words(seen) == "0.1 at step 1, 0.3 at step 4"


@pytest.mark.parametrize(
    ("state", "total", "ended"),
    [
        ({}, None, False),
        ({"global_step": 100, "max_steps": 100}, 100, True),
        ({"global_step": 100, "max_steps": -1}, None, False),
        ({"global_step": 100, "max_steps": 300}, 300, False),
        ({"global_step": 105, "max_steps": 105}, 105, True),  # it logs every tenth step
        ({"global_step": 300, "max_steps": 300}, 300, False),  # cut off
        ({"global_step": "100", "max_steps": "100"}, 100, True),
        ({"global_step": math.nan, "max_steps": [7]}, None, False),
    ],
)
def test_how_much_of_its_run_a_log_holds(state: dict[str, Any], total: int | None, ended: bool) -> None:
    found = extent_of(logged([(step, {"loss": 1.0}) for step in range(10, 101, 10)]), state)
    assert (found.last, found.total, found.ended) == (100, total, ended)


def test_a_trainer_that_logged_its_closing_figures_had_ended() -> None:
    rows: list[tuple[int, dict[str, float]]] = [(10, {"loss": 1.0}), (20, {"loss": 1.0, "train_runtime": 3.0})]
    early = extent_of(logged(rows), {"global_step": 20, "max_steps": 100})
    assert (early.total, early.ended) == (20, True)
    gone_on = extent_of(logged([*rows, (30, {"loss": 1.0})]), {"global_step": 30, "max_steps": 100})
    assert (gone_on.total, gone_on.ended) == (100, False)


def test_an_empty_log_holds_nothing() -> None:
    assert extent_of(logged([]), {}) == Extent(0, 0, None, False)
