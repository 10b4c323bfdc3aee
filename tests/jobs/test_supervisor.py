"""The supervisor with real training processes: it starts, stops, takes over, and writes down how runs ended."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from bcecore.errors import DiskFullError, RunError
from bcecore.jobs import control, queue, supervisor
from bcecore.jobs.election import elected, is_supervised, wake
from bcecore.jobs.submit import submit
from bcecore.store.identity import ProcessIdentity, identity_of
from bcecore.store.preferences import save_preferences
from bcecore.store.record import RunRecord, Status
from bcecore.store.requests import StopRequest, write_stop
from bcecore.store.runs import RunStore
from tests.examples import devices_known, example_config, example_run, suspended

posix = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
SECONDS = 120


def small(max_steps: int = 8, **changes: Any) -> Any:
    settings = {
        "model__hidden_size": 32,
        "model__intermediate_size": 64,
        "model__vocab_size": 300,
        "training__max_steps": max_steps,
        "training__warmup_steps": 2,
        "bce__warmup_steps": 2,
    }
    return example_config(**settings | changes)


def wait(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.05)


def wait_for(store: RunStore, run_id: str, *statuses: Status) -> RunRecord:
    wait(lambda: store.record(run_id).status in statuses, f"{statuses}; it is {store.record(run_id)}")
    return store.record(run_id)


def running(store: RunStore, run_id: str) -> RunRecord | None:
    """The record of a run while it trains."""
    record = store.record(run_id)
    return record if record.status == "running" else None


def supervisors(store: RunStore) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if {"supervise", str(store.root)} <= set(process.info["cmdline"] or [])
    ]


def submitted(store: RunStore, name: str = "a run", **settings: Any) -> str:
    return submit(store, small(**settings), name=name)


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    """One store for all tests here: a supervisor that is warm already starts a run much sooner."""
    store = RunStore(tmp_path_factory.mktemp("supervised") / "runs")
    devices_known(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BCE_SUPERVISOR_IDLE_SECONDS", "20")
        yield store
    for process in supervisors(store):
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def store(supervised: RunStore) -> Iterator[RunStore]:
    save_preferences(supervised, slots={}, keep_free_gb=0, notify_command="")
    yield supervised
    for record in supervised.records():
        if not record.is_over and not record.is_active:
            with suppress(RunError):  # it may have been started since
                queue.remove(supervised, record.id)
    for record in supervised.records():
        if record.process is not None and identity_of(record.process.pid) == record.process:
            psutil.Process(record.process.pid).kill()


def test_runs_start_in_order_one_after_the_other(store: RunStore) -> None:
    ids = [submitted(store, f"run {number}") for number in range(3)]
    queue.move(store, ids[2], "first")
    wake(store)
    for run_id in ids:
        wait_for(store, run_id, "finished")
    records = {run_id: store.record(run_id) for run_id in ids}
    begins = sorted(ids, key=lambda run_id: records[run_id].started or records[run_id].created)
    assert begins == [ids[2], ids[0], ids[1]]
    for before, after in itertools.pairwise(begins):
        assert records[before].ended <= records[after].started  # type: ignore[operator]


def test_two_places_and_a_failure_in_between(store: RunStore) -> None:
    save_preferences(store, slots={"cpu": 2})
    long = submitted(store, "long", max_steps=100_000)
    fails = submitted(store, "fails", training__precision="fp16")
    last = submitted(store, "last")
    wake(store)
    wait_for(store, last, "finished")
    assert store.record(fails).status == "failed"
    assert store.record(long).status == "running"
    control.stop(store, long, save=False)
    wait_for(store, long, "stopped")


def test_a_held_run_waits_until_it_is_released(store: RunStore) -> None:
    held, other = submitted(store, "held"), submitted(store, "other")
    queue.hold(store, held)
    wake(store)
    wait_for(store, other, "finished")
    assert store.record(held).status == "held"
    control.release(store, held)
    wait_for(store, held, "finished")


def test_stop_and_resume_and_a_second_supervisor(store: RunStore) -> None:
    run_id = submitted(store, max_steps=100)
    for _ in range(3):  # everybody wakes, one comes
        wake(store)
    with suspended(store, lambda: running(store, run_id)):
        assert is_supervised(store)
        with elected(store) as mine:
            assert not mine
        control.stop(store, run_id)
        control.stop(store, run_id)
    stopped = wait_for(store, run_id, "stopped")
    assert stopped.progress is not None and 0 < stopped.progress.step < 100
    control.resume(store, run_id)
    finished = wait_for(store, run_id, "finished")
    assert finished.progress is not None and finished.progress.session_start_step == stopped.progress.step


@posix
def test_a_killed_supervisor_loses_nothing(store: RunStore) -> None:
    first, second = submitted(store, "first", max_steps=100), submitted(store, "second")
    wake(store)
    with suspended(store, lambda: running(store, first)):  # so that it ends under the next one
        for process in supervisors(store):
            process.kill()
            process.wait(timeout=30)
        assert not is_supervised(store)
        wake(store)
        wait(lambda: is_supervised(store), "the next supervisor")
    wait_for(store, second, "finished")
    record = store.record(first)
    assert record.status == "finished"
    assert record.progress is not None and record.progress.session_start_step == 0  # by its first process


@posix
def test_whoever_watches_a_waiting_run_sees_to_it_that_it_starts(store: RunStore) -> None:
    long, waiting = submitted(store, "long", max_steps=100_000), submitted(store, "waiting")
    wake(store)
    wait_for(store, long, "running")
    command = [sys.executable, "-m", "bcecore", "resume", waiting, "--runs-dir", str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as watching:
        for process in supervisors(store):
            process.kill()
            process.wait(timeout=30)
        trainer = store.record(long).process
        assert trainer is not None
        os.kill(trainer.pid, signal.SIGKILL)
        assert watching.wait(timeout=SECONDS) == 0
    assert (store.record(long).status, store.record(waiting).status) == ("crashed", "finished")


@posix
@pytest.mark.parametrize("save", [True, False])
def test_a_killed_run_is_crashed_and_can_be_resumed(store: RunStore, save: bool) -> None:
    run_id = submitted(store, max_steps=300, logging__save_steps=5 if save else 1000)
    wake(store)
    wait_for(store, run_id, "running")
    wait(lambda: (store.directory(run_id) / "metrics.jsonl").read_bytes().count(b"\n") > 10, "ten steps")
    process = store.record(run_id).process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    crashed = wait_for(store, run_id, "crashed")
    assert crashed.failure is not None and "ended without a word" in crashed.failure.message
    control.resume(store, run_id)
    finished = wait_for(store, run_id, "finished")
    assert finished.failure is None
    assert finished.progress is not None and (finished.progress.session_start_step > 0) == save


@posix
def test_a_suspended_run_is_still_running_and_can_be_ended(store: RunStore) -> None:
    run_id = submitted(store, max_steps=100_000)
    wake(store)
    wait_for(store, run_id, "running")
    process = store.record(run_id).process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1)  # longer than the supervisor takes to look
    assert store.record(run_id).status == "running"
    control.stop(store, run_id, save=False)
    wait_for(store, run_id, "stopped")  # by force: it cannot follow
    wait(lambda: identity_of(process.pid) != process, "the end of the process")


@posix
def test_a_stranger_with_the_same_pid_is_left_alone(store: RunStore) -> None:
    run_id = example_run(store, "running")
    with psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        identity = identity_of(stranger.pid)
        assert identity is not None
        store.update(run_id, process=identity.model_copy(update={"started": identity.started - 1}))
        write_stop(store.directory(run_id), StopRequest(kind="now"))
        wake(store)
        wait_for(store, run_id, "stopped")
        assert stranger.poll() is None
        stranger.kill()


def test_a_folder_from_another_machine_has_nothing_running(store: RunStore) -> None:
    run_id = example_run(store, "running")
    there = ProcessIdentity(pid=1, started=5.0, boot="another machine")
    store.update(run_id, process=there)
    wake(store)
    wait_for(store, run_id, "crashed")


def test_a_copy_on_the_same_machine_is_not_the_run(store: RunStore) -> None:
    """Neither is its process stopped from the copy, nor does what waits there start by itself."""
    running, queued = submitted(store, "running", max_steps=100_000), submitted(store, "queued")
    wake(store)
    wait_for(store, running, "running")
    copy = RunStore(store.root.parent / "copy")
    shutil.copytree(store.root, copy.root, ignore=shutil.ignore_patterns("lock"))
    control.stop(copy, running, save=False)
    wait_for(copy, running, "stopped", "crashed")
    wait_for(copy, queued, "held")
    process = store.record(running).process
    assert process is not None and identity_of(process.pid) == process
    assert store.record(running).status == "running"
    control.release(copy, queued)
    wait_for(copy, queued, "finished")
    control.stop(store, running, save=False)
    wait_for(store, running, "stopped")
    for process in supervisors(copy):
        process.terminate()
        process.wait(timeout=30)


def test_a_run_that_the_disk_cannot_hold_is_refused_with_the_numbers(store: RunStore) -> None:
    save_preferences(store, keep_free_gb=9_999)
    run_id = submitted(store)
    wake(store)
    failure = wait_for(store, run_id, "failed").failure
    assert failure is not None and "9999 GB are to stay free" in failure.message
    save_preferences(store, keep_free_gb=0)
    control.resume(store, run_id)
    wait_for(store, run_id, "finished")


def test_a_disk_on_which_not_even_that_can_be_written_down_ends_no_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path / "runs")
    save_preferences(store, keep_free_gb=9_999, keep_warm=False)
    run_id = submitted(store)
    refuse, tries = supervisor.refuse_for_disk, []

    def full_at_first(*arguments: Any) -> None:
        tries.append(arguments)
        if len(tries) == 1:
            raise DiskFullError("The disk is full.")
        refuse(*arguments)

    monkeypatch.setattr(supervisor, "refuse_for_disk", full_at_first)
    monkeypatch.setattr(supervisor, "_ALL_SECONDS", 0.2)
    said: list[str] = []
    supervisor.Supervisor(store, said.append).run(idle_seconds=0.5)
    assert "Something went wrong and is tried again: The disk is full." in said
    assert (store.record(run_id).status, len(tries)) == ("failed", 2)


@posix
def test_somebody_is_told(store: RunStore, tmp_path: Path) -> None:
    out = tmp_path / "told"
    save_preferences(store, notify_command=f'echo "$BCE_RUN_NAME $BCE_RUN_STATUS" >> "{out}"')
    submitted(store, "one")
    wake(store)
    wait(lambda: out.exists() and "one finished\n" in out.read_text(), "the command's words")


def test_it_goes_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    save_preferences(store, keep_warm=False)
    wake(store)
    wait(lambda: is_supervised(store), "the supervisor")
    wait(lambda: not is_supervised(store) and not supervisors(store), "its end")
