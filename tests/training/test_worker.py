"""The training process: real processes on real run directories, to their end, whatever the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from bcecore.jobs import local
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.identity import is_alive
from bcecore.store.requests import EVALUATE_REQUEST, SAMPLE_REQUEST, SAVE_REQUEST, ask
from bcecore.store.runs import RunStore
from bcecore.store.weights import weights_hash
from tests.training.processes import lines, over, run_patched, run_worker, submit_small, wait_for


@pytest.fixture
def submitted(store: RunStore) -> Callable[..., str]:
    return lambda **changes: submit_small(store, **changes)


def test_a_finished_run_leaves_everything_the_design_lists(store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    directory = store.directory(run_id)
    for request in (SAVE_REQUEST, EVALUATE_REQUEST, SAMPLE_REQUEST):
        ask(directory, request)  # left over from an earlier session
    local.start(store, run_id)
    record = over(store, run_id)
    assert record.status == "finished", (directory / "train.log").read_text()
    assert record.process is None and record.failure is None
    assert record.started is not None and record.ended is not None
    assert record.progress is not None and record.progress.step == record.progress.total_steps == 30
    assert record.facts["leak_probe"] == {"leaks": False, "largest_change": 0.0, "positions": 8}
    assert record.facts["train_loss"] > 0 and record.facts["weights"] > 0
    twin = record.facts["twin"]
    assert (twin["first_step"], twin["steps"], twin["bce_gradient"]["measured"]) == (0, 30, 1)
    assert twin["final_weights"] == weights_hash(directory / "model") != twin["initial_weights"]
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
    assert not list(directory.glob("*.request")) and not (directory / "samples.jsonl").exists()
    assert not (directory / "model" / "training_args.bin").exists()


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
    assert record.failure.kind == "non-finite"
    last = lines(store.directory(run_id) / "metrics.jsonl")[-1]
    assert last["step"] == record.failure.step and last["nonfinite"]
    assert last[last["nonfinite"][0]] is None
    good = checkpoint_steps(store.directory(run_id))
    assert good and good[-1] < record.failure.step
    weights = load_file(store.directory(run_id) / "checkpoints" / f"checkpoint-{good[-1]}" / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_full_disk_fails_the_run_in_words(tiny_disk: Callable[[int], Path]) -> None:
    store = RunStore(tiny_disk(2500))
    run_id = submit_small(
        store, training__max_steps=200, logging__save_total_limit=None, model__vocab_size=1000
    )  # fmt: skip
    # Somebody else fills the disk after the run began: it had room when it looked.
    finished = run_patched(store, run_id, "worker.check_room = lambda *_: None")
    record = store.record(run_id)
    assert (finished.returncode, record.status) == (1, "failed"), finished.stdout + finished.stderr
    assert (
        record.failure is not None and "full" in record.failure.message and "Free some space" in record.failure.message
    )
    directory = store.directory(run_id)
    whole = checkpoint_steps(directory)
    assert {p.name for p in (directory / "checkpoints").iterdir()} == {f"checkpoint-{step}" for step in whole}
    assert lines(directory / "metrics.jsonl")


def test_a_disk_that_is_too_small_fails_the_run_before_its_first_step(tiny_disk: Callable[[int], Path]) -> None:
    store = RunStore(tiny_disk(2500))
    run_id = submit_small(store)
    assert run_worker(store, run_id).returncode == 1
    record = store.record(run_id)
    assert record.status == "failed" and record.failure is not None
    assert record.failure.kind == "disk"
    assert "0.00 GB free" in record.failure.message and "Keep fewer checkpoints" in record.failure.message
    directory = store.directory(run_id)
    assert not (directory / "metrics.jsonl").read_bytes() and not list((directory / "checkpoints").iterdir())


def test_a_second_process_leaves_the_run_to_the_first(store: RunStore, submitted: Callable[..., str]) -> None:
    run_id = submitted()
    directory = store.directory(run_id)
    store.transition(run_id, "starting")
    before = (directory / "run.json").read_bytes()
    with filelock.FileLock(directory / "worker.lock"):
        assert run_worker(store, run_id).returncode == 3
        assert run_worker(store, run_id, "--resume", "last").returncode == 3
    assert (directory / "run.json").read_bytes() == before
    assert not (directory / "metrics.jsonl").exists()


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
