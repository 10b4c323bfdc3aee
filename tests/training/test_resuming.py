"""Resuming: whatever ended a run, it goes on to the same weights and the same log as one that nothing befell."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from bcecore.store.checkpoints import checkpoint_steps, last_complete
from bcecore.store.record import Status
from bcecore.store.runs import RunStore
from tests.training.processes import assert_same_end, lines, run_patched, run_worker, submit_small

# Saving between two records of the log, and within an epoch.
CADENCE = {"logging__save_steps": 8, "logging__logging_steps": 3, "logging__save_total_limit": 2}
# The sample has 413 training lines: two epochs and a bit of six long steps each.
LENGTH = {"training__max_steps": 29, "training__batch_size": 8}


def submitted(store: RunStore) -> str:
    return submit_small(store, **CADENCE, **LENGTH)


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a store with one run that nothing befell."""
    store = RunStore(tmp_path_factory.mktemp("finished") / "runs")
    run_id = submitted(store)
    assert run_worker(store, run_id).returncode == 0
    assert checkpoint_steps(store.directory(run_id))[-1] == 29
    return store.root


@pytest.fixture
def whole(store: RunStore, finished_runs: Path) -> str:
    shutil.copytree(finished_runs, store.root)
    return store.ids()[0]


def set_status(store: RunStore, run_id: str, status: Status) -> None:
    """What the supervisor writes when a process is gone, whatever the record said before."""
    path = store.directory(run_id) / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": status, "process": None}))


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        # Any step but those whose end is told by another of the cases.
        (f"before(callbacks.RunProgress, 'on_step_end', lambda _, args, state, *__, **___: state.global_step == "
         f"{random.Random().choice([9, 11, 13, 14, 15])} and send('SIGKILL'))", 8),
        ("before(trainer.BCETrainer, '_save_rng_state', lambda self, _: self.state.global_step == 16 and "
         "send('SIGKILL'))", 8),
        ("before(callbacks.WholeCheckpoints, 'on_save', lambda _, args, state, *__, **___: state.global_step == 24 and "
         "send('SIGKILL'))", 16),
        ("before(worker._Session, '_finish', lambda *_: send('SIGKILL'))", 29),
    ],
    ids=["at a step", "while a checkpoint is written", "before its marker", "after the last step"],
)  # fmt: skip
def test_a_killed_run_ends_like_one_that_was_not(store: RunStore, whole: str, moment: str, last: int) -> None:
    run_id = submitted(store)
    assert run_patched(store, run_id, moment).returncode == -9
    found = last_complete(store.directory(run_id))
    assert found is not None and found.step == last
    set_status(store, run_id, "crashed")
    assert run_worker(store, run_id, "--resume", "last").returncode == 0
    assert_same_end(store, whole, run_id)


def test_a_checkpoint_that_was_cut_off_is_passed_over(store: RunStore, whole: str) -> None:
    run_id = submitted(store)
    assert run_patched(store, run_id, "after_step(27, lambda: send('SIGKILL'))").returncode == -9
    newest = store.directory(run_id) / "checkpoints" / "checkpoint-24"
    with (newest / "optimizer.pt").open("rb+") as file:
        file.truncate(1000)
    set_status(store, run_id, "crashed")
    assert run_worker(store, run_id, "--resume", "last").returncode == 0
    assert {"event": "resume", "from": 16} in lines(store.directory(run_id) / "metrics.jsonl")
    assert_same_end(store, whole, run_id)
    aside = store.directory(run_id) / "checkpoints" / "superseded"
    assert [path.name for path in aside.iterdir()] == ["checkpoint-24"]


def test_a_chosen_checkpoint_is_gone_on_from(store: RunStore, whole: str) -> None:
    run_id = submitted(store)
    assert run_worker(store, run_id).returncode == 0
    directory = store.directory(run_id)
    earlier = checkpoint_steps(directory)[0]
    set_status(store, run_id, "crashed")
    missing = run_worker(store, run_id, "--resume", "7")
    failure = store.record(run_id).failure
    assert missing.returncode == 1 and failure is not None and "no whole checkpoint at step 7" in failure.message
    assert run_worker(store, run_id, "--resume", str(earlier)).returncode == 0
    assert_same_end(store, whole, run_id)
