"""The warm parent: its children are training processes like any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bcecore.jobs import local
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.identity import identity_of, is_alive
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from tests.training.processes import assert_same_end, over, submit_small, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a warm start is possible on Linux only")


class Parent:
    """A warm parent and its pipe."""

    def __init__(self, program: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=local.training_environment(),
            start_new_session=True,
            text=True,
        )
        assert self._answer() == {"ready": True}

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def start(self, store: RunStore, run_id: str, resume: str | None = None) -> int:
        """Start a run as `jobs` does; the pid."""
        record: RunRecord = store.record(run_id)
        if record.status != "queued":
            store.transition(run_id, "queued")
        store.transition(run_id, "starting", process=None)
        directory = store.directory(run_id)
        log = str(directory / "train.log")
        arguments = [str(directory), *([] if resume is None else ["--resume", resume])]
        answer = self.ask(json.dumps({"worker": local.TRAINING_WORKER, "arguments": arguments, "log": log}))
        return int(answer["pid"])

    def end(self) -> int:
        """Close the pipe and wait."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        return status


@pytest.fixture
def parents() -> Iterator[Callable[..., Parent]]:
    """Makes warm parents; ends those that are left."""
    made: list[Parent] = []

    def make(program: list[str] | None = None) -> Parent:
        made.append(Parent(program or ["-m", "bcecore.training.warm", local.TRAINING_WORKER]))
        return made[-1]

    yield make
    for parent in made:
        parent.process.kill()
        parent.process.wait()


def _answers_what_it_cannot_follow(parent: Parent) -> None:
    nowhere = {"worker": local.TRAINING_WORKER, "arguments": ["/nowhere"], "log": "/nowhere/train.log"}
    stranger = nowhere | {"worker": "this", "log": os.devnull}
    for line in ("", "{", "[]", "{}", json.dumps(nowhere), json.dumps(stranger)):
        for _ in range(2):
            assert list(parent.ask(line)) == ["error"], line


def test_a_run_started_warm_ends_like_one_started_cold(store: RunStore, parents: Callable[..., Parent]) -> None:
    cold, *warm = (submit_small(store, model__dropout=0.1) for _ in range(3))
    local.start(store, cold)
    parent = parents()
    over(store, cold)
    _answers_what_it_cannot_follow(parent)  # and is none the worse for it
    for run_id in warm:  # the second in a parent that has forked before
        pid = parent.start(store, run_id)
        identity = identity_of(pid)
        assert identity is not None and os.getsid(pid) == pid
        wait_for(lambda identity=identity: not is_alive(identity))
        assert not Path(f"/proc/{pid}").exists()  # no zombie either
        assert (store.directory(run_id) / "train.log").read_text().endswith("Finished.\n")
        assert_same_end(store, cold, run_id)
    assert parent.end() == 0


def test_it_goes_on_without_its_parent_and_stops_and_resumes_as_usual(
    store: RunStore, parents: Callable[..., Parent]
) -> None:
    run_id = submit_small(store, training__max_steps=100_000, logging__save_steps=100_000)
    parent = parents()
    pid = parent.start(store, run_id)
    os.killpg(parent.process.pid, signal.SIGKILL)
    parent.process.wait()
    wait_for(lambda: (progress := store.record(run_id).progress) is not None and progress.step > 3)
    os.kill(pid, signal.SIGTERM)
    record = over(store, run_id)
    assert record.status == "stopped" and record.progress is not None
    assert checkpoint_steps(store.directory(run_id)) == [record.progress.step]

    parent = parents()
    pid = parent.start(store, run_id, "last")
    assert parent.end() == 0
    wait_for(lambda: (store.directory(run_id) / "train.log").read_text().count("Going on with") == 1)
    wait_for(lambda: store.record(run_id).status == "running")
    os.kill(pid, signal.SIGTERM)
    assert over(store, run_id).status == "stopped"


def test_it_only_imports_and_a_run_imports_nothing_more(store: RunStore, parents: Callable[..., Parent]) -> None:
    run_id = submit_small(store)
    directory = store.directory(run_id)
    # The parent tells what it has done when it is ready; its child, what it has loaded when its run is over.
    program = f"""
import json, os, sys
from pathlib import Path
import torch
from bcecore.training import warm

asked = []
torch.cuda.is_available = lambda: asked.append("cuda") or False
answer, become = warm._answer, warm._become_worker

def ready(values):
    if "ready" in values:
        global loaded
        loaded = set(sys.modules)
        facts = asked, torch.get_num_threads(), torch.cuda.is_initialized()
        Path({str(directory)!r}, "parent.json").write_text(json.dumps(facts))
    answer(values)

def child(log, parent, arguments, work):
    def and_tell(arguments):
        threads = torch.get_num_threads()
        status = work(arguments)
        Path({str(directory)!r}, "child.json").write_text(json.dumps([threads, sorted(set(sys.modules) - loaded)]))
        return status
    become(log, parent, arguments, and_tell)

warm._answer, warm._become_worker = ready, child
sys.exit(warm.main([{local.TRAINING_WORKER!r}, {local.EVALUATION_WORKER!r}]))
"""
    threads = int(os.environ["OMP_NUM_THREADS"])
    parent = parents(["-c", program])
    pid = parent.start(store, run_id)
    assert over(store, run_id).status == "finished"
    wait_for(lambda: identity_of(pid) is None)
    assert json.loads((directory / "parent.json").read_text()) == [[], 1, False]
    assert json.loads((directory / "child.json").read_text()) == [threads, []]
