"""Stopping a run: with a checkpoint or without, by file or by signal, at any moment."""

from __future__ import annotations

import pytest

from bcecore.store.checkpoints import checkpoint_steps, checkpoints
from bcecore.store.record import Status
from bcecore.store.requests import StopRequest, read_stop, write_stop
from bcecore.store.runs import RunStore
from tests.training.processes import assert_same_end, lines, run_patched, run_worker, submit_small


@pytest.mark.parametrize(
    ("how", "saved"),
    [
        ("write_stop(directory, StopRequest(kind='save'))", [6]),
        ("(directory / 'stop.request').touch()", [6]),
        ("send('SIGTERM'); send('SIGTERM')", [6]),
        ("write_stop(directory, StopRequest(kind='now'))", []),
    ],
)
def test_it_ends_after_the_present_step(store: RunStore, how: str, saved: list[int]) -> None:
    run_id = submit_small(store)
    # The request comes after step 5, and its second half after the checkpoint of step 6.
    patch = f"""
def stop():
    {how}
    RunStore(directory.parent).transition(directory.name, "stopping")
after_step(5, stop)
"""
    finished = run_patched(store, run_id, patch)
    record, directory = store.record(run_id), store.directory(run_id)
    assert (finished.returncode, record.status) == (0, "stopped"), finished.stderr
    assert record.process is None and record.ended is not None and record.failure is None
    assert record.progress is not None and record.progress.step == 6
    assert lines(directory / "metrics.jsonl")[-1]["step"] == 6
    assert checkpoint_steps(directory) == saved
    assert read_stop(directory) is None and not (directory / "model").exists()


@pytest.mark.parametrize("kind", ["save", "now"])
def test_it_ends_before_the_first_step_when_asked_before(store: RunStore, kind: str) -> None:
    run_id = submit_small(store)
    write_stop(store.directory(run_id), StopRequest(kind=kind))
    assert run_worker(store, run_id).returncode == 0
    assert store.record(run_id).status == "stopped"
    assert checkpoint_steps(store.directory(run_id)) == [] and read_stop(store.directory(run_id)) is None


def test_a_signal_and_now_cut_a_checkpoint_short_and_never_the_record_of_the_end(store: RunStore) -> None:
    whole, cut = submit_small(store), submit_small(store)
    assert run_worker(store, whole).returncode == 0
    patch = """
def stop(*_):
    write_stop(directory, StopRequest(kind="now"))
    send("SIGTERM")
before(trainer.BCETrainer, "_save_scaler", stop)  # when the weights are written but not all the rest
before(RunStore, "transition", lambda self, run_id, status, **_: status == "stopped" and stop())
"""
    finished = run_patched(store, cut, patch)
    record, directory = store.record(cut), store.directory(cut)
    assert (finished.returncode, record.status) == (0, "stopped"), finished.stdout + finished.stderr
    assert record.progress is not None and record.progress.step == 10
    assert [found.complete for found in checkpoints(directory)] == [False]
    # Nothing to go on from: it begins anew, and nothing of the first attempt is left in what is read of it.
    (directory / "stop.request").unlink(missing_ok=True)
    assert run_worker(store, cut, "--resume", "last").returncode == 0
    assert_same_end(store, whole, cut)
    assert {"event": "resume", "from": 0} in lines(directory / "metrics.jsonl")
    assert checkpoint_steps(directory) == [10, 20, 30]
    assert [path.name for path in (directory / "checkpoints" / "superseded").iterdir()] == ["checkpoint-10"]


@pytest.mark.parametrize("kind", ["save", "now"])
def test_asked_after_the_last_step_it_is_finished(store: RunStore, kind: str) -> None:
    run_id = submit_small(store)
    patch = f"after_step(30, lambda: (write_stop(directory, StopRequest(kind='{kind}')), send('SIGTERM')))"
    finished = run_patched(store, run_id, patch)
    status: Status = store.record(run_id).status
    assert (finished.returncode, status) == (0, "finished"), finished.stderr
    directory = store.directory(run_id)
    assert (directory / "model" / "model.safetensors").is_file() and read_stop(directory) is None
    assert checkpoint_steps(directory) == [10, 20, 30]
