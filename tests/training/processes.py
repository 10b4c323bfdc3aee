"""Training processes for tests: real ones, which something may befall at an exact moment."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file

from bcecore.jobs import local
from bcecore.jobs.submit import submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.history import History
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from tests.loaded import run_program

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

# What a patch may use: the process's own end, and the Trainer's step.
_PRELUDE = """
import os, signal, sys
from pathlib import Path
from bcecore.store.requests import StopRequest, write_stop
from bcecore.store.runs import RunStore
from bcecore.training import callbacks, trainer, worker

directory = Path(sys.argv[1])

def before(owner, name, action):
    original = getattr(owner, name)
    def replaced(self, *args, **kwargs):
        action(self, *args, **kwargs)
        return original(self, *args, **kwargs)
    setattr(owner, name, replaced)

def after_step(number, action):
    before(callbacks.LiveLog, "on_log", lambda _, args, state, *__, **___: state.global_step == number and action())

def send(name):
    os.kill(os.getpid(), getattr(signal, name))
"""


def submit_small(store: RunStore, **changes: Any) -> str:
    """A queued run of half a minute's steps, with `section__name=value` changed."""
    values = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    return submit(store, with_values(load_recipe("quick-look").config, values), name="worker test")


def run_worker(store: RunStore, run_id: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Carry out a run in a process of its own and wait for it."""
    return run_patched(store, run_id, "", *arguments)


def run_patched(store: RunStore, run_id: str, patch: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Like `run_worker`, after the statements of `patch`, for which see `_PRELUDE`."""
    status = store.record(run_id).status
    if status in ("stopped", "failed", "crashed"):
        store.transition(run_id, "queued")
    if status != "starting":
        store.transition(run_id, "starting")
    program = f"{_PRELUDE}\n{patch}\nsys.exit(worker.main(sys.argv[1:]))"
    return run_program(program, str(store.directory(run_id)), *arguments)


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until `condition` holds, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def over(store: RunStore, run_id: str) -> RunRecord:
    """Wait for the end of a run; its record."""
    wait_for(lambda: local.reconciled(store, store.record(run_id)).is_over)
    return store.record(run_id)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def history(store: RunStore, run_id: str) -> pd.DataFrame:
    """All logged values of a run but those that tell how long something took."""
    log = History(store.directory(run_id))
    log.refresh()
    timing = [name for name in log.frame.columns if name == "time" or name.endswith(("per_second", "runtime"))]
    return log.frame.drop(columns=timing)


def assert_same_end(store: RunStore, first: str, second: str) -> None:
    """Both runs are finished with the same weights, the same log and the same record of both, to the last bit."""
    assert {store.record(run_id).status for run_id in (first, second)} == {"finished"}
    one, other = (load_file(store.directory(run_id) / "model" / "model.safetensors") for run_id in (first, second))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    twins = [store.record(run_id).facts["twin"] for run_id in (first, second)]
    assert twins[0] == twins[1] and None not in twins[0].values()
    pd.testing.assert_frame_equal(history(store, first), history(store, second), check_exact=True)
