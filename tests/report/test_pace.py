from typing import Any

import pytest

from bcecore.config import RunConfig
from bcecore.report.pace import seconds_expected
from bcecore.store.record import Progress, RunRecord, now
from tests.examples import DATASET, example_config

PACE = 10.0


def record(name: str, **changes: Any) -> RunRecord:
    moment = now()
    values: dict[str, Any] = {"id": name, "name": name, "created": moment, "status_since": moment, "dataset": DATASET}
    return RunRecord(**(values | changes))


def past(name: str = "past", pace: float | None = PACE, **changes: Any) -> RunRecord:
    progress = Progress(step=312, total_steps=312, epoch=6, updated=now(), steps_per_second=pace)
    return record(name, status="finished", progress=progress, **changes)


def expected(waiting: RunRecord, config: RunConfig, other: RunRecord, other_config: RunConfig) -> float | None:
    return seconds_expected(waiting, config, [waiting, other], {waiting.id: config, other.id: other_config})


def test_a_run_like_it_tells_the_pace() -> None:
    longer = example_config(training__epochs=12, training__learning_rate=1e-4)
    assert expected(record("new"), longer, past(), example_config()) == 624 / PACE


@pytest.mark.parametrize(
    "changes",
    [
        {"training__batch_size": 4},
        {"training__gradient_accumulation_steps": 2},
        {"data__block_size": 32},
        {"model__num_hidden_layers": 3},
        {"bce__enabled": False},
        {"training__device": "cpu"},
    ],
)
def test_a_run_of_another_kind_tells_nothing(changes: dict[str, Any]) -> None:
    assert expected(record("new"), example_config(**changes), past(), example_config()) is None


def test_another_text_tells_nothing() -> None:
    other = past(dataset=DATASET | {"fingerprints": {"train": "another"}})
    assert expected(record("new"), example_config(), other, example_config()) is None


def test_a_run_without_a_pace_or_readable_settings_tells_nothing() -> None:
    config = example_config()
    assert expected(record("new"), config, past(pace=None), config) is None
    assert seconds_expected(record("new"), config, [past()], {"new": config}) is None


@pytest.mark.parametrize(("resume_from", "left"), [(None, 312), ("100", 212), ("last", 112)])
def test_a_run_that_goes_on_has_less_to_do(resume_from: str | None, left: int) -> None:
    progress = Progress(step=200, total_steps=312, epoch=4, updated=now(), steps_per_second=1.0)
    waiting = record("new", resume_from=resume_from, progress=progress)
    assert expected(waiting, example_config(), past(), example_config()) == left / PACE
