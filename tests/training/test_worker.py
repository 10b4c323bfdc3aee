"""The training process: real processes on real run directories, to their end, whatever the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from bcecore.jobs import local
from bcecore.jobs.submit import submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.history import History
from bcecore.store.identity import is_alive
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore

SMALL: dict[str, Any] = {
    "model.hidden_size": 32,
    "model.intermediate_size": 64,
    "model.vocab_size": 300,
    "data.block_size": 32,
    "training.batch_size": 4,
    "training.max_steps": 30,
    "training.warmup_steps": 2,
    "training.device": "cpu",
    "bce.warmup_steps": 5,
    "logging.save_steps": 10,
    "logging.eval_steps": 10,
}


@pytest.fixture
def submitted(store: RunStore) -> Callable[..., str]:
    def make(**changes: Any) -> str:
        values = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
        return submit(store, with_values(load_recipe("quick-look").config, values), name="worker test")

    return make


def run_worker(store: RunStore, run_id: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Carry out a run in a process of its own and wait for it."""
    if store.record(run_id).status == "queued":
        store.transition(run_id, "starting")
    return subprocess.run(
        [sys.executable, "-m", "bcecore.training.worker", str(store.directory(run_id)), *arguments],
        env=local.training_environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until `condition` holds, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def over(store: RunStore, run_id: str) -> RunRecord:
    wait_for(lambda: local.reconciled(store, store.record(run_id)).is_over)
    return store.record(run_id)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_finished_run_leaves_everything_the_design_lists(store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    local.start(store, run_id)
    record = over(store, run_id)
    directory = store.directory(run_id)
    assert record.status == "finished", (directory / "train.log").read_text()
    assert record.process is None and record.failure is None
    assert record.started is not None and record.ended is not None
    assert record.progress is not None and record.progress.step == record.progress.total_steps == 30
    assert record.facts["leak_probe"] == {"leaks": False, "largest_change": 0.0, "positions": 8}
    assert record.facts["train_loss"] > 0 and record.facts["weights"] > 0
    assert record.device == "cpu" and record.versions["torch"].startswith("2.13.0")

    logged = lines(directory / "metrics.jsonl")
    steps = [line["step"] for line in logged if "loss" in line]
    assert steps == list(range(1, 31))
    assert [line["step"] for line in logged if "eval_loss" in line] == [10, 20, 30]
    state = json.loads((directory / "trainer_state.json").read_text())
    from_state = [r for r in state["log_history"] if "loss" in r]
    assert [{k: v for k, v in line.items() if k != "time"} for line in logged if "loss" in line] == from_state

    assert checkpoint_steps(directory) == [10, 20, 30]
    assert (directory / "checkpoints" / "checkpoint-30" / "bce_memory.safetensors").is_file()
    tokenizer = AutoTokenizer.from_pretrained(directory / "model")
    model = AutoModelForCausalLM.from_pretrained(directory / "model")
    assert model.config.is_decoder
    assert model(**tokenizer("Translate to Turkish", return_tensors="pt")).logits.isfinite().all()
    assert not list(directory.rglob("*.tmp")) and not (directory / ".ballast").exists()
    assert not (directory / "model" / "training_args.bin").exists()


def test_resuming_from_a_checkpoint_ends_with_the_same_weights_and_values(
    store: RunStore, submitted: Callable[..., str]
) -> None:
    whole, cut = submitted(logging__save_steps=12), submitted(logging__save_steps=12)
    assert run_worker(store, whole).returncode == 0
    assert run_worker(store, cut).returncode == 0
    store.update(cut, notes="resumed")
    # What a crash after step 12 leaves: the record of a run that was at work, and its log up to some later step.
    path = store.directory(cut) / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "starting"}))
    assert run_worker(store, cut, "--resume", "12").returncode == 0
    for name in ("model.safetensors",):
        first, second = (load_file(store.directory(run) / "model" / name) for run in (whole, cut))
        assert all(torch.equal(first[key], second[key]) for key in first)
    kept = {p.name for p in (store.directory(cut) / "checkpoints" / "superseded").iterdir()}
    assert kept == {"checkpoint-24", "checkpoint-30"}
    frames = []
    for run in (whole, cut):
        history = History(store.directory(run))
        history.refresh()
        timing = [c for c in history.frame.columns if c == "time" or c.endswith(("per_second", "runtime"))]
        frames.append(history.frame.drop(columns=timing))
    assert frames[0].equals(frames[1])


def test_a_loss_that_is_not_a_number_fails_the_run_and_keeps_the_last_good_checkpoint(
    store: RunStore, submitted: Callable[..., str]
) -> None:
    run_id = submitted(
        training__optimizer="sgd", training__learning_rate=10.0, training__max_grad_norm=0.0,
        training__warmup_steps=25, logging__save_steps=2,
        bce__scale=1000.0, bce__base_weight=1000.0, bce__target_weight=1000.0, bce__max_weight=0.0,
    )  # fmt: skip
    assert run_worker(store, run_id).returncode == 1
    record = store.record(run_id)
    assert record.status == "failed" and record.failure is not None
    assert record.failure.step is not None
    assert f"at step {record.failure.step}," in record.failure.message
    assert "Traceback" in record.failure.detail and "Traceback" not in record.failure.message
    last = lines(store.directory(run_id) / "metrics.jsonl")[-1]
    assert last["step"] == record.failure.step and last["nonfinite"]
    assert last[last["nonfinite"][0]] is None
    good = checkpoint_steps(store.directory(run_id))
    assert good and good[-1] < record.failure.step
    weights = load_file(store.directory(run_id) / "checkpoints" / f"checkpoint-{good[-1]}" / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_full_disk_fails_the_run_in_words(tiny_disk: Callable[[int], Path], submitted: Callable[..., str]) -> None:
    store = RunStore(tiny_disk(2500))
    values = SMALL | {"training.max_steps": 200, "logging.save_total_limit": None, "model.vocab_size": 1000}
    run_id = submit(store, with_values(load_recipe("quick-look").config, values), name="full disk")
    finished = run_worker(store, run_id)
    record = store.record(run_id)
    assert (finished.returncode, record.status) == (1, "failed"), finished.stdout + finished.stderr
    assert (
        record.failure is not None and "full" in record.failure.message and "Free some space" in record.failure.message
    )
    directory = store.directory(run_id)
    whole = checkpoint_steps(directory)
    assert {p.name for p in (directory / "checkpoints").iterdir()} == {f"checkpoint-{step}" for step in whole}
    assert lines(directory / "metrics.jsonl")


@pytest.mark.parametrize("how", ["file", "signal"])
def test_a_stop_request_saves_a_checkpoint_and_ends_stopped(
    store: RunStore, submitted: Callable[..., str], how: str
) -> None:
    run_id = submitted(training__max_steps=100_000, logging__save_steps=100_000)
    local.start(store, run_id)
    wait_for(lambda: (progress := store.record(run_id).progress) is not None and progress.step > 3)
    record = store.record(run_id)
    assert record.process is not None
    if how == "file":
        local.request_stop(store, run_id)
    else:
        os.kill(record.process.pid, signal.SIGTERM)
    record = over(store, run_id)
    assert record.status == "stopped"
    assert record.progress is not None and checkpoint_steps(store.directory(run_id)) == [record.progress.step]
    assert not (store.directory(run_id) / "stop.request").exists()


def test_a_killed_run_is_found_crashed_and_keeps_its_checkpoints(
    store: RunStore, submitted: Callable[..., str]
) -> None:
    run_id = submitted(training__max_steps=100_000, logging__save_steps=5, logging__save_total_limit=1)
    local.start(store, run_id)
    wait_for(lambda: bool(checkpoint_steps(store.directory(run_id))))
    record = store.record(run_id)
    assert record.process is not None and is_alive(record.process)
    os.kill(record.process.pid, signal.SIGKILL)
    record = over(store, run_id)
    assert record.status == "crashed" and record.failure is not None
    assert checkpoint_steps(store.directory(run_id))


def test_the_run_goes_on_when_its_starter_is_killed(store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    script = (
        "import sys, time; from pathlib import Path; from bcecore.jobs import local; "
        "from bcecore.store.runs import RunStore; "
        "local.start(RunStore(Path(sys.argv[1])), sys.argv[2]); time.sleep(100)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script, str(store.root), run_id], start_new_session=True)
    try:
        wait_for(lambda: store.record(run_id).process is not None)
    finally:
        os.killpg(starter.pid, signal.SIGKILL)  # the whole group, as a closing terminal does
        starter.wait()
    assert over(store, run_id).status == "finished"


def test_old_checkpoints_are_deleted_but_never_the_best(store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted(
        logging__save_steps=5, logging__eval_steps=5, logging__save_total_limit=1, training__learning_rate=0.5,
        training__warmup_steps=0, training__optimizer="adamw_torch", training__max_grad_norm=0.0,
    )  # fmt: skip
    assert run_worker(store, run_id).returncode == 0
    state = json.loads((store.directory(run_id) / "trainer_state.json").read_text())
    assert checkpoint_steps(store.directory(run_id)) == sorted({state["best_global_step"], 30})


def test_a_device_that_is_not_there_fails_in_words(store: RunStore, submitted: Callable[..., str]) -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device that the test asks for in vain")
    run_id = submitted(training__device="mps")
    assert run_worker(store, run_id).returncode == 1
    failure = store.record(run_id).failure
    assert failure is not None and "this machine has no 'mps' device" in failure.message
