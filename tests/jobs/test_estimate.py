"""The estimate: its arithmetic, which settings it survives, and when there is one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import RunConfig
from bcecore.jobs import estimate as estimating
from bcecore.jobs.estimate import (
    Estimate,
    Probe,
    estimate,
    estimate_from,
    estimate_of_run,
    is_probing,
    probe_failure,
    start_probe,
)
from bcecore.jobs.submit import Checked, check, submit
from bcecore.settings import describe, with_values
from bcecore.store.identity import identity_of, own_identity
from bcecore.store.runs import RunStore
from bcecore.text.tokenizing import Encoded

PROBE = Probe(
    startup_seconds=4.0,
    seconds_per_step=0.25,
    seconds_per_evaluation=2.0,
    seconds_per_checkpoint=8.0,
    checkpoint_bytes=1000,
    model_bytes=300,
    weights=77,
)
SIZES = (1000, 300)
"""Of a checkpoint and of the model."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    path.write_text("".join(f"line number {n}\n" for n in range(40)))
    return check(with_values(RunConfig(), {"data.train_file": str(path), "bce.enabled": False}))


def arithmetic(checked: Checked) -> Estimate:
    return estimate_from(PROBE, checked.config, checked.total_steps, evaluates=bool(checked.validation.ids))


def changed(checked: Checked, total_steps: int, **logging: Any) -> Checked:
    config = with_values(checked.config, {f"logging.{key}": value for key, value in logging.items()})
    return replace(checked, config=config, total_steps=total_steps)


@pytest.mark.parametrize(
    ("steps", "logging", "expected"),
    [
        # 4 + 100 x 0.25, checks at 50 and 100, checkpoints at 40, 80 and 100
        (
            100,
            {"eval_steps": 50, "save_steps": 40, "save_total_limit": None},
            Estimate(57.0, 3300, 3300, 3, 77, *SIZES),
        ),
        (
            100,
            {"eval_steps": 60, "save_steps": 100, "save_total_limit": None},
            Estimate(41.0, 1300, 1300, 1, 77, *SIZES),
        ),
        # Fewer are kept than are written: two, and the best beside them.
        (
            100,
            {"eval_steps": 100, "save_steps": 10, "save_total_limit": 2},
            Estimate(111.0, 2300, 4300, 2, 77, *SIZES),
        ),
        (
            100,
            {"eval_steps": 100, "save_steps": 50, "save_total_limit": 9},
            Estimate(47.0, 2300, 2300, 2, 77, *SIZES),
        ),
        # A run that is shorter than any interval still checks and saves at its end.
        (
            1,
            {"eval_steps": 500, "save_steps": 500, "save_total_limit": 1},
            Estimate(14.25, 1300, 1300, 1, 77, *SIZES),
        ),
    ],
)
def test_the_arithmetic(checked: Checked, steps: int, logging: dict[str, Any], expected: Estimate) -> None:
    assert arithmetic(changed(checked, steps, **logging)) == expected


def test_without_checking_text_no_time_goes_into_checks(checked: Checked) -> None:
    blind = replace(changed(checked, 100, save_steps=100), validation=Encoded([], 0, 0))
    assert arithmetic(blind).seconds == 4 + 25 + 8


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_longer_run_never_takes_less(checked: Checked, one: int, other: int) -> None:
    short, long = (arithmetic(changed(checked, steps)) for steps in sorted((one, other)))
    assert short.seconds <= long.seconds
    assert short.disk_bytes <= long.disk_bytes


def test_there_is_an_estimate_once_there_is_a_probe(store: RunStore, checked: Checked) -> None:
    assert estimate(store, checked) is None
    path = estimating._result_file(store, checked.config, checked.text.fingerprints)
    path.parent.mkdir(parents=True)
    for damaged in ("", "{", "{}", "[]"):
        path.write_text(damaged)
        assert estimate(store, checked) is None
    path.write_text(PROBE.model_dump_json())
    assert estimate(store, checked) == arithmetic(checked)
    assert store.ids() == []


def test_a_frozen_run_has_the_estimate_of_its_settings(store: RunStore, checked: Checked) -> None:
    run_id = submit(store, checked.config, name="a")
    record, config = store.record(run_id), store.config(run_id)
    assert estimate_of_run(store, record, config) is None
    path = estimating._result_file(store, checked.config, checked.text.fingerprints)
    path.parent.mkdir(parents=True)
    path.write_text(PROBE.model_dump_json())
    assert estimate_of_run(store, record, config) == arithmetic(checked)


# Changed values of settings; the pace and the sizes stay the same where the probe need not be repeated.
SAME = {
    "training.epochs": 9,
    "training.max_steps": 5,
    "training.learning_rate": 0.1,
    "training.lr_scheduler": "cosine",
    "training.warmup_steps": 1,
    "training.seed": 1,
    "bce.max_weight": 0.9,
    "bce.warmup_steps": 3,
    "logging.eval_steps": 7,
    "logging.save_steps": 7,
    "logging.save_total_limit": None,
}
OTHER = {
    "model.hidden_size": 64,
    "model.num_hidden_layers": 3,
    "model.vocab_size": 100,
    "data.block_size": 8,
    "training.batch_size": 2,
    "training.gradient_accumulation_steps": 2,
    "training.optimizer": "sgd",
    "training.precision": "auto",
    "training.device": "cpu",
    "bce.enabled": True,
    "bce.profile": "seed",
    "bce.memory_size": 32,
    "bce.behavior_dim": 4,
    "logging.logging_steps": 2,
}


def test_only_what_decides_pace_and_size_asks_for_another_probe(store: RunStore, checked: Checked) -> None:
    fingerprints = checked.text.fingerprints
    before = estimating._result_file(store, checked.config, fingerprints)
    for key, value in (SAME | OTHER).items():
        after = estimating._result_file(store, with_values(checked.config, {key: value}), fingerprints)
        assert (after == before) == (key in SAME), key
    other_text = replace(checked, text=replace(checked.text, train=checked.text.train[1:]))
    assert estimating._result_file(store, checked.config, other_text.text.fingerprints) != before


def test_the_settings_that_are_counted_elsewhere_exist() -> None:
    assert {setting.key for setting in describe()} >= estimating._COUNTED_ELSEWHERE


# The probe itself


class _Started:
    """Stands for `spawn`: notes what was asked for and starts a program of the test's instead."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.calls: list[list[str]] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
        self.calls.append(arguments)
        with log.open("ab") as output:
            self.processes.append(subprocess.Popen([sys.executable, "-S", "-c", self.program], stderr=output))
        return self.processes[-1]


def test_a_probe_is_started_once_and_its_failure_is_told(
    store: RunStore, checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = _Started("import time; time.sleep(60)")
    monkeypatch.setattr(estimating, "spawn", started)
    assert not is_probing(store, checked)
    assert probe_failure(store, checked) is None
    start_probe(store, checked)
    start_probe(store, checked)
    result = estimating._result_file(store, checked.config, checked.text.fingerprints)
    module, name, directory, target = started.calls.pop()
    assert (module, name, target) == ("-m", "bcecore.training.probe", str(result))
    assert started.calls == []
    # It tries out a whole run, apart from those that people see.
    assert RunStore(Path(directory).parent).config(Path(directory).name) == checked.config
    assert Path(directory).is_relative_to(store.root / ".probes")
    assert store.ids() == []
    assert is_probing(store, checked)
    assert probe_failure(store, checked) is None

    result.with_suffix(".log").write_text("a warning\nMemoryError: too large\n\n")
    started.processes[0].kill()
    started.processes[0].wait()
    assert not is_probing(store, checked)
    assert probe_failure(store, checked) == "MemoryError: too large"
    start_probe(store, checked)  # it would fail again
    assert started.calls == []
    result.with_suffix(".log").unlink()
    assert probe_failure(store, checked) == "The measurement ended without a word."

    result.write_text(PROBE.model_dump_json())
    assert probe_failure(store, checked) is None
    assert estimate(store, checked) is not None


def test_a_pid_that_somebody_else_got_is_no_probe(store: RunStore, checked: Checked) -> None:
    result = estimating._result_file(store, checked.config, checked.text.fingerprints)
    result.parent.mkdir(parents=True)
    own = own_identity()
    for process, probing in ((own, True), (own.model_copy(update={"started": own.started - 9}), False), (None, False)):
        value = {"process": None if process is None else process.model_dump()}
        result.with_suffix(".pending").write_text(json.dumps(value))
        assert is_probing(store, checked) is probing
    assert identity_of(own.pid) == own
