from __future__ import annotations

from typing import Any

from bcecore.config import RunConfig
from bcecore.report.logged import Logged
from bcecore.report.next_steps import next_steps
from tests.examples import example_config
from tests.report.logs import RUN_ID, a_record, course, logged

FALLING = course(eval_loss=[3.0, 2.0, 1.0])


def commands(config: RunConfig | None, log: Logged = FALLING, steps: tuple[int, ...] = (), **fields: Any) -> list[str]:
    return [step.command for step in next_steps(a_record(**fields), config, log, steps)]


def test_a_sound_run() -> None:
    assert commands(example_config(), steps=(100, 200, 300)) == [
        f"python -m bcecore extend {RUN_ID} --epochs 1",
        f"python -m bcecore compare {RUN_ID}@100 {RUN_ID}@300",
        f"python -m bcecore clone {RUN_ID} --set bce.enabled=false",
        "",
    ]


def test_the_reports_run() -> None:
    probe = {"leak_probe": {"leaks": True, "largest_change": 3.27}}
    assert commands(example_config("report-10-epoch-offline"), facts=probe)[:3] == [
        f"python -m bcecore clone {RUN_ID} --set model.causal=true",
        f"python -m bcecore clone {RUN_ID} --set data.validation=fraction",
        f"python -m bcecore clone {RUN_ID} --set bce.profile=active",
    ]


def test_a_run_that_learnt_by_heart_is_not_extended() -> None:
    step = next_steps(a_record(), example_config(), course(eval_loss=[3.0, 1.0, 2.0]), ())[0]
    assert step.text.startswith("Held-out CE was best at step 2")
    assert not any("extend" in command for command in commands(example_config(), course(eval_loss=[3.0, 1.0, 2.0])))


def test_a_run_that_did_not_finish_is_not_extended() -> None:
    assert not any("extend" in command for command in commands(example_config(), status="stopped"))


def test_a_run_whose_length_was_set_in_steps_is_extended_in_steps() -> None:
    config = example_config(training__max_steps=200)
    assert commands(config)[0] == f"python -m bcecore extend {RUN_ID} --steps 3"


def test_without_a_check() -> None:
    log = logged([(1, {"loss": 1.0})])
    config = example_config(data__validation="none", bce__enabled=False)
    assert commands(config, log) == [f"python -m bcecore clone {RUN_ID} --set data.validation=fraction", ""]
    assert commands(None, log, status="imported") == ["", ""]
