"""Evaluations in the queue and under the supervisor: real processes, stopped, killed, gone on with, deleted."""

from __future__ import annotations

import json
import os
import queue as queue_module
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bcecore.errors import RunError
from bcecore.jobs import control, evaluations, queue, supervisor
from bcecore.jobs.election import is_supervised, wake
from bcecore.jobs.local import reconciled
from bcecore.jobs.submit import submit as submit_run
from bcecore.jobs.warm import WarmParent
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitTexts
from bcecore.store.examples import parts
from bcecore.store.identity import ProcessIdentity, identity_of, own_identity
from bcecore.store.preferences import save_preferences
from bcecore.store.record import Status
from bcecore.store.requests import read_stop
from bcecore.store.runs import RunStore
from bcecore.store.trash import take_back, trash
from tests.examples import devices_known, example_run
from tests.jobs.test_supervisor import SECONDS, small, supervisors, wait

GONE = ProcessIdentity(pid=2**22 - 3, started=1.0, boot="elsewhere")


def texts(name: str = "val", lines: int = 3) -> SplitTexts:
    return SplitTexts(name, "file", "val.txt", [f"Line {n}: some words." for n in range(lines)], block_size=32)


@pytest.fixture
def asleep(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A store without any supervisor: what is put into its queue stays there."""
    for module in (control, evaluations):
        monkeypatch.setattr(module, "wake", lambda _store: None)
    return store


def finished(store: RunStore, name: str = "a run") -> str:
    run_id = example_run(store, "finished", name=name, steps=120, checkpoints=(50, 100))
    (store.directory(run_id) / "model").mkdir()
    return run_id


def queued(store: RunStore, run_id: str) -> str:
    return evaluations.submit(store, run_id, [texts()]).key


# What can be evaluated


def test_checkpoints_and_the_end_of_a_finished_run_can_be_evaluated(store: RunStore) -> None:
    run_id = finished(store)
    assert evaluations.evaluable_steps(store, run_id) == [50, 100, 120]
    assert evaluations.chosen_steps(store, run_id) == (120,)
    assert evaluations.chosen_steps(store, run_id, [100, 50, 100]) == (50, 100)
    assert evaluations.chosen_steps(store, run_id, [evaluations.FINAL, 120]) == (120,)
    (store.directory(run_id) / "checkpoints" / "checkpoint-100" / "complete").unlink()
    assert evaluations.evaluable_steps(store, run_id) == [50, 120]


@pytest.mark.parametrize("status", ["running", "stopped", "crashed"])
def test_a_run_at_work_or_cut_short_can_be_evaluated_at_its_checkpoints(store: RunStore, status: Status) -> None:
    run_id = example_run(store, status, checkpoints=(50,))
    assert evaluations.chosen_steps(store, run_id) == (50,)
    with pytest.raises(RunError, match=r"is not finished, so it has no final model\. It can be evaluated at: 50\."):
        evaluations.chosen_steps(store, run_id, [evaluations.FINAL])


def test_what_cannot_be_evaluated_is_told_why(asleep: RunStore) -> None:
    run_id = finished(asleep)
    with pytest.raises(RunError, match=r"has no checkpoint at step 2,000\. It can be evaluated at: 50, 100, 120\."):
        evaluations.submit(asleep, run_id, [texts()], steps=[50, 2000])
    with pytest.raises(RunError, match=r"\(queued\) has no whole checkpoint"):
        evaluations.submit(asleep, example_run(asleep, "queued"), [texts()])
    imported = example_run(asleep, "queued", name="imported")
    path = asleep.directory(imported) / "run.json"
    path.write_text(path.read_text().replace('"queued"', '"imported"'))
    with pytest.raises(RunError, match="was imported: its log is here, but no model"):
        evaluations.submit(asleep, imported, [texts()])
    with pytest.raises(RunError, match="nothing to evaluate on"):
        evaluations.submit(asleep, run_id, [])
    with pytest.raises(RunError, match="Two texts have the name 'val'"):
        evaluations.submit(asleep, run_id, [texts(), texts("other"), texts()])
    with pytest.raises(RunError, match=r"batch_tokens: .*greater than or equal to 1") as caught:
        evaluations.submit(asleep, run_id, [texts()], batch_tokens=0)
    assert caught.value.field == "batch_tokens"
    assert list((asleep.directory(run_id) / "evaluations").iterdir()) == []


def test_an_evaluation_is_frozen_and_named_by_what_it_measures(asleep: RunStore) -> None:
    run_id = finished(asleep)
    record = evaluations.submit(asleep, run_id, [texts("a"), texts("b", lines=5)], steps=[50, 100], batch_tokens=99)
    assert (record.name, record.status) == ("2 checkpoints on a, b", "queued")
    assert record.request is not None
    assert record.request.model_dump(include={"checkpoints", "batch_tokens", "seed"}) == {
        "checkpoints": (50, 100),
        "batch_tokens": 99,
        "seed": asleep.config(run_id).training.seed,
    }
    assert [(split.file, split.rows) for split in record.request.splits] == [("data/0.jsonl", 3), ("data/1.jsonl", 5)]
    directory = EvaluationStore(asleep).directory(record.key)
    lines = (directory / "data" / "1.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"text": text} for text in texts(lines=5).texts]
    assert evaluations.submit(asleep, run_id, [texts()], name="my own").name == "my own"
    many = [texts(f"a text with a long name {number}") for number in range(9)]
    assert evaluations.submit(asleep, run_id, many).name == "step 120 on 9 texts"


# In the queue


def test_runs_and_evaluations_wait_in_one_queue(asleep: RunStore) -> None:
    run_id = finished(asleep)
    a = queued(asleep, run_id)
    b = example_run(asleep, "queued", name="waits")
    c = queued(asleep, run_id)

    def order() -> list[str]:
        return [job.key for job in queue.waiting_jobs(asleep)]

    assert order() == [a, b, c]
    assert [record.id for record in queue.waiting(asleep)] == [b]
    queue.move(asleep, c, "first")
    queue.move(asleep, a, "down")
    assert order() == [c, b, a]
    assert json.loads((asleep.root / ".supervisor" / "queue.json").read_text()) == [c, b, a]
    queue.hold(asleep, b)
    queue.hold(asleep, c)
    assert order() == [c, b, a]
    control.release(asleep, c)
    queue.remove(asleep, c)
    assert order() == [b, a]
    assert EvaluationStore(asleep).record(c).status == "removed"
    assert evaluations.resume(asleep, c).status == "queued"
    assert order() == [b, a, c]
    queue.move(asleep, b, "last")
    assert order() == [a, c, b]
    for act in (queue.hold, queue.release, queue.remove, lambda store, key: queue.move(store, key, "up")):
        queue.remove(asleep, a)
        if act is not queue.remove:
            with pytest.raises(RunError, match=f"Evaluation {a} is removed: it is not in the queue"):
                act(asleep, a)


def test_a_damaged_record_stops_nobody_in_the_queue(asleep: RunStore) -> None:
    run_id = finished(asleep)
    a, b = queued(asleep, run_id), queued(asleep, run_id)
    for name in ("job.json", "job.copy.json"):
        (EvaluationStore(asleep).directory(a) / name).write_text("{")
    assert [job.key for job in queue.waiting_jobs(asleep)] == [b]
    assert [record.status for record in evaluations.current_evaluations(asleep, run_id)] == ["queued", "crashed"]
    with pytest.raises(RunError, match="damaged"):
        evaluations.resume(asleep, a)


def started(store: RunStore, run_id: str, status: Status, process: ProcessIdentity) -> str:
    key = queued(store, run_id)
    jobs = EvaluationStore(store)
    jobs.transition(key, "starting", process=process)
    if status != "starting":
        jobs.transition(key, "running")
    return key


def test_one_whose_process_is_gone_has_crashed_and_can_be_resumed(asleep: RunStore) -> None:
    run_id = finished(asleep)
    key = started(asleep, run_id, "running", GONE)
    alive = started(asleep, run_id, "running", own_identity())
    found = {record.key: record for record in evaluations.current_evaluations(asleep)}
    assert found[alive].status == "running"
    assert found[key].status == "crashed"
    failure = found[key].failure
    assert failure is not None and failure.message.startswith("The evaluation process ended without a word")
    record = evaluations.resume(asleep, key)
    assert (record.status, record.failure, record.ended) == ("queued", None, None)
    assert evaluations.resume(asleep, key) == record
    with pytest.raises(RunError, match="is running: there is nothing to resume"):
        evaluations.resume(asleep, alive)


def test_a_resume_needs_its_checkpoints(asleep: RunStore) -> None:
    run_id = finished(asleep)
    key = evaluations.submit(asleep, run_id, [texts()], steps=[50]).key
    queue.remove(asleep, key)
    shutil.rmtree(asleep.directory(run_id) / "checkpoints" / "checkpoint-50")
    with pytest.raises(RunError, match="has no checkpoint at step 50"):
        evaluations.resume(asleep, key)
    assert EvaluationStore(asleep).record(key).status == "removed"


def test_a_run_does_not_go_back_behind_a_checkpoint_that_is_needed(asleep: RunStore) -> None:
    run_id = example_run(asleep, "stopped", checkpoints=(50, 100))
    key = evaluations.submit(asleep, run_id, [texts()], steps=[100]).key
    with pytest.raises(
        RunError, match=r"cannot go on from step 50 now: an evaluation needs its checkpoint at step 100"
    ):
        control.resume(asleep, run_id, 50)
    assert asleep.record(run_id).status == "stopped"
    queue.remove(asleep, key)
    control.resume(asleep, run_id, 50)
    assert evaluations.evaluable_steps(asleep, run_id) == [50]
    with pytest.raises(RunError, match="has no checkpoint at step 100"):
        evaluations.resume(asleep, key)


def test_a_stop_is_asked_for_once(asleep: RunStore) -> None:
    run_id = finished(asleep)
    waits = queued(asleep, run_id)
    with pytest.raises(RunError, match=f"Evaluation {waits} is queued and not at work yet"):
        control.stop(asleep, waits)
    key = started(asleep, run_id, "running", own_identity())
    directory = EvaluationStore(asleep).directory(key)
    assert control.stop(asleep, key).status == "stopping"
    asked = read_stop(directory)
    assert control.stop(asleep, key).status == "stopping" and read_stop(directory) == asked
    EvaluationStore(asleep).transition(key, "finished")
    assert control.stop(asleep, key).status == "finished"


def test_deleting_one_deletes_its_folder_alone(asleep: RunStore) -> None:
    run_id = finished(asleep)
    key, other = queued(asleep, run_id), queued(asleep, run_id)
    with pytest.raises(RunError, match=r"is queued and cannot be deleted\. Take it out of the queue first"):
        evaluations.delete(asleep, key)
    queue.remove(asleep, key)
    evaluations.delete(asleep, key)
    running = started(asleep, run_id, "running", own_identity())
    with pytest.raises(RunError, match=r"is running and cannot be deleted\. Stop it first"):
        evaluations.delete(asleep, running)
    assert {record.key for record in evaluations.current_evaluations(asleep)} == {other, running}
    dead = started(asleep, run_id, "running", GONE)
    evaluations.delete(asleep, dead)
    with pytest.raises(RunError, match=f"There is no evaluation {dead}"):
        evaluations.delete(asleep, dead)
    damaged = queued(asleep, run_id)
    for name in ("job.json", "job.copy.json"):
        (EvaluationStore(asleep).directory(damaged) / name).write_text("{")
    evaluations.delete(asleep, damaged)
    assert len(list((asleep.directory(run_id) / "evaluations").iterdir())) == 2


def test_a_deleted_run_takes_its_evaluations_with_it(asleep: RunStore) -> None:
    run_id = finished(asleep)
    waits, running = queued(asleep, run_id), started(asleep, run_id, "running", own_identity())
    with pytest.raises(RunError, match=f"cannot be deleted: its evaluation {running} is running. Stop that first"):
        control.delete(asleep, run_id)
    assert [job.key for job in queue.waiting_jobs(asleep)] == [waits]
    EvaluationStore(asleep).transition(running, "finished")
    control.delete(asleep, run_id)
    assert evaluations.current_evaluations(asleep) == [] and queue.waiting_jobs(asleep) == []
    assert len(EvaluationStore(trash(asleep)).records(run_id)) == 2
    take_back(asleep, run_id)
    assert EvaluationStore(asleep).record(waits).status == "removed"  # nothing starts by itself
    assert evaluations.resume(asleep, waits).status == "queued"


# Under a supervisor


def test_its_end_is_told(asleep: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    told: queue_module.Queue[EvaluationRecord] = queue_module.Queue()
    monkeypatch.setattr(supervisor, "notify", lambda _preferences, job, _say: told.put(job))
    save_preferences(asleep, notify_command="true")
    key = started(asleep, finished(asleep), "running", GONE)
    supervisor.Supervisor(asleep, print)._look_at_all()
    record = told.get(timeout=SECONDS)
    assert (record.key, record.status) == (key, "crashed")


def test_leftovers_of_unfinished_ones_are_cleaned_up(asleep: RunStore) -> None:
    run_id = finished(asleep)
    queued(asleep, run_id)
    folder = asleep.directory(run_id) / "evaluations"
    for name, age in ((".new-old", 7200), (".new-young", 60)):
        (folder / name / "data").mkdir(parents=True)
        os.utime(folder / name, (time.time() - age,) * 2)
    half = asleep.root / "studies" / ".new-a-study"
    half.mkdir(parents=True)
    os.utime(half, (time.time() - 7200,) * 2)
    supervisor.Supervisor(asleep, print)._clean_up()
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [".new-young"]
    assert not half.exists()


def test_one_in_a_copied_folder_is_held(asleep: RunStore, tmp_path: Path) -> None:
    run_id = finished(asleep)
    key = queued(asleep, run_id)
    running = started(asleep, run_id, "running", own_identity())
    copied = RunStore(tmp_path / "copy")
    shutil.copytree(asleep.root, copied.root)
    said: list[str] = []
    supervisor.Supervisor(copied, said.append)._look_at_all()
    assert EvaluationStore(copied).record(key).status == "held"
    assert EvaluationStore(copied).record(running).status == "crashed"  # its process is another one's
    assert EvaluationStore(asleep).record(running).status == "running"
    assert f"{key} was queued in another folder, of which this one is a copy: it is held." in said


def test_without_room_none_is_started(asleep: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    key = queued(asleep, finished(asleep))
    monkeypatch.setattr(supervisor, "disk_problem", lambda _store: "The disk is full.")
    monkeypatch.setattr(WarmParent, "is_possible", staticmethod(lambda: False))
    at_work = supervisor.Supervisor(asleep, print)
    at_work._look_at_all()
    at_work._start_waiting()
    record = EvaluationStore(asleep).record(key)
    assert record.status == "failed" and record.failure is not None
    assert (record.failure.message, record.failure.kind) == ("The disk is full.", "disk")


def test_a_process_that_cannot_be_started_is_told(asleep: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from bcecore.jobs import local

    def fails(*_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(local, "spawn", fails)
    key = queued(asleep, finished(asleep))
    with pytest.raises(RunError, match=f"The evaluation process of {key} could not be started"):
        local.start_evaluation(EvaluationStore(asleep), key)
    failure = EvaluationStore(asleep).record(key).failure
    assert failure is not None and "Resource temporarily unavailable" in failure.message


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    store = RunStore(tmp_path_factory.mktemp("evaluated") / "runs")
    devices_known(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BCE_SUPERVISOR_IDLE_SECONDS", "20")
        yield store
    for process in supervisors(store):
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def trained(supervised: RunStore) -> str:
    """A run that is really trained, with two checkpoints."""
    save_preferences(supervised, slots={}, keep_free_gb=0, notify_command="")
    run_id = submit_run(supervised, small(logging__save_steps=4), name="trained")
    wake(supervised)
    wait(lambda: supervised.record(run_id).status == "finished", "the run")
    return run_id


@pytest.fixture
def at_work(supervised: RunStore, trained: str) -> Iterator[RunStore]:
    save_preferences(supervised, slots={}, keep_free_gb=0, notify_command="")
    yield supervised
    for record in EvaluationStore(supervised).records():
        if not record.is_over and not record.is_active:
            queue.remove(supervised, record.key)
        if record.process is not None and identity_of(record.process.pid) == record.process:
            psutil.Process(record.process.pid).kill()


def wait_for(store: RunStore, key: str, *statuses: Status) -> EvaluationRecord:
    jobs = EvaluationStore(store)
    wait(lambda: jobs.record(key).status in statuses, f"{statuses} within {SECONDS} s; it is {jobs.record(key)}")
    return jobs.record(key)


def ran(record: EvaluationRecord) -> tuple[float, float]:
    assert record.started is not None and record.ended is not None
    return record.started.timestamp(), record.ended.timestamp()


def test_runs_and_evaluations_share_the_places_and_go_in_order(at_work: RunStore, trained: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluations, "wake", lambda _store: None)
        first = evaluations.submit(at_work, trained, [texts()], steps=[4, 8]).key
        run_id = submit_run(at_work, small(), name="in between")
        second = evaluations.submit(at_work, trained, [texts()]).key
        queue.move(at_work, second, "first")
    wake(at_work)
    wait(lambda: at_work.record(run_id).status == "finished", "the run in between")
    one, two = wait_for(at_work, first, "finished"), wait_for(at_work, second, "finished")
    run = at_work.record(run_id)
    assert run.started is not None and run.ended is not None
    assert ran(two)[1] <= ran(one)[0] <= ran(one)[1] <= run.started.timestamp()
    jobs = EvaluationStore(at_work)
    table = jobs.examples(first, columns=["checkpoint", "example"])
    assert table.to_pylist() == [{"checkpoint": step, "example": n} for step in (4, 8) for n in range(3)]
    result = jobs.result(first)
    assert result is not None and set(result["splits"]["val"]["checkpoints"]) == {"4", "8"}
    log = (at_work.root / ".supervisor" / "supervisor.log").read_text()
    assert f"{first} is started." in log and f"{first} has finished." in log


def test_a_run_at_work_is_evaluated_beside_it(at_work: RunStore) -> None:
    save_preferences(at_work, slots={"cpu": 2})
    run_id = submit_run(at_work, small(max_steps=100_000, logging__save_steps=10), name="long")
    wake(at_work)
    wait(lambda: len(evaluations.evaluable_steps(at_work, run_id)) > 0, "its first checkpoint")
    step = evaluations.evaluable_steps(at_work, run_id)[-1]
    key = evaluations.submit(at_work, run_id, [texts()], steps=[step]).key
    # The run makes many checkpoints and deletes the older ones meanwhile, but not this one.
    record = wait_for(at_work, key, "finished", "failed")
    assert (record.status, record.failure) == ("finished", None)
    assert at_work.record(run_id).status == "running"
    wait(
        lambda: step not in evaluations.evaluable_steps(at_work, run_id), "its deletion when it is not needed any more"
    )
    control.stop(at_work, run_id, save=False)
    wait(lambda: at_work.record(run_id).is_over, "the end of the run")


def test_killed_with_its_supervisor_it_is_resumed_where_it_was(at_work: RunStore, trained: str) -> None:
    jobs = EvaluationStore(at_work)
    key = evaluations.submit(at_work, trained, [texts(lines=6000)], steps=[4, 8]).key
    directory = jobs.directory(key)
    wait(lambda: len(parts(directory)) > 0, "the first part")
    (supervisor_process,) = supervisors(at_work)
    supervisor_process.kill()
    supervisor_process.wait(timeout=30)
    record = jobs.record(key)
    assert record.status == "running" and record.process is not None  # it outlives its supervisor
    if WarmParent.is_possible():
        assert "bcecore.training.warm" in psutil.Process(record.process.pid).cmdline()
    assert reconciled(jobs, record) == record
    psutil.Process(record.process.pid).kill()
    wake(at_work)
    crashed = wait_for(at_work, key, "crashed")
    assert crashed.failure is not None and "without a word" in crashed.failure.message
    before = parts(directory)
    kept = {path.name: path.stat().st_mtime_ns for path in before}
    assert before
    evaluations.resume(at_work, key)
    wait(lambda: jobs.record(key).status == "running", "its going on")
    control.stop(at_work, key)
    stopped = wait_for(at_work, key, "stopped", "finished")
    if stopped.status == "stopped":  # unless it was faster
        assert {path.name: path.stat().st_mtime_ns for path in parts(directory) if path.name in kept} == kept
        evaluations.resume(at_work, key)
    wait_for(at_work, key, "finished")
    rows = jobs.examples(key, columns=["checkpoint", "example"]).to_pylist()
    assert rows == [{"checkpoint": step, "example": n} for step in (4, 8) for n in range(6000)]
    progress = jobs.record(key).progress
    assert progress is not None and (progress.done, progress.total) == (12_000, 12_000)
    with pytest.raises(RunError, match=r"is finished\. To measure once more, evaluate anew"):
        evaluations.resume(at_work, key)


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_one_that_does_not_stop_is_ended_and_has_stopped(
    at_work: RunStore, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = EvaluationStore(at_work)
    key = evaluations.submit(at_work, trained, [texts(lines=6000)]).key
    wait(lambda: jobs.record(key).status == "running", "its beginning")
    process = jobs.record(key).process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)  # it hangs
    control.stop(at_work, key, save=False)
    record = wait_for(at_work, key, "stopped")
    assert record.failure is None
    assert identity_of(process.pid) != process


def test_a_supervisor_comes_by_itself_and_finds_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCE_SUPERVISOR_IDLE_SECONDS", "2")
    store = RunStore(tmp_path / "runs")
    save_preferences(store, keep_warm=False)
    key = queued(store, finished(store))  # nothing but an evaluation waits, and its model cannot be loaded
    record = wait_for(store, key, "failed")
    assert record.failure is not None
    wait(lambda: not is_supervised(store), "its going when there is nothing to do")


# An evaluation of the end of a run that is not there yet


def test_one_for_the_end_of_a_run_waits_for_it(asleep: RunStore) -> None:
    run_id = example_run(asleep, "queued")
    record = evaluations.submit_for_the_end(asleep, run_id, [texts()], name="at the end")
    last = asleep.config(run_id).total_steps(413)
    assert record.after_run and record.request is not None and record.request.checkpoints == (last,)
    assert [job.key for job in queue.waiting_jobs(asleep)] == [run_id, record.key]
    assert [job.key for job in queue.startable_jobs(asleep)] == [run_id]
    assert queue.reason_to_wait(asleep, record) == "waits until its run is finished"
    assert queue.reason_to_wait(asleep, asleep.record(run_id)) is None
    asleep.transition(run_id, "starting", process=own_identity())
    asleep.transition(run_id, "failed")
    assert queue.reason_to_wait(asleep, record) == (
        f"waits for its run, which is failed and not finished: resume {run_id}"
    )
    assert queue.startable_jobs(asleep) == []
    # Taken out and put back before there is anything to measure.
    queue.remove(asleep, record.key)
    record = evaluations.resume(asleep, record.key)
    for status in ("queued", "starting", "running", "finished"):
        assert queue.startable_jobs(asleep) == ([asleep.record(run_id)] if status == "starting" else [])
        asleep.transition(run_id, status)
    assert [job.key for job in queue.startable_jobs(asleep)] == [record.key]
    assert queue.reason_to_wait(asleep, record) is None
    queue.hold(asleep, record.key)
    assert queue.startable_jobs(asleep) == []


def test_a_run_that_never_ends_well_keeps_no_supervisor_awake(
    asleep: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WarmParent, "is_possible", staticmethod(lambda: False))
    run_id = example_run(asleep, "stopped")
    key = evaluations.submit_for_the_end(asleep, run_id, [texts()]).key
    said: list[str] = []
    assert supervisor.serve(asleep, said.append, idle_seconds=0.2)
    assert said == ["Supervising the runs.", "Nothing to do: the supervisor goes."]
    assert EvaluationStore(asleep).record(key).status == "queued"


@pytest.mark.skipif(os.name == "nt", reason="kills")
def test_the_end_of_a_run_is_measured_though_run_and_supervisor_were_killed(at_work: RunStore) -> None:
    run_id = submit_run(at_work, small(max_steps=300, logging__save_steps=5), name="killed")
    key = evaluations.submit_for_the_end(at_work, run_id, [texts()]).key
    wake(at_work)
    wait(lambda: (at_work.directory(run_id) / "metrics.jsonl").exists(), "its first step")
    for process in supervisors(at_work):
        process.kill()
        process.wait(timeout=30)
    trainer = at_work.record(run_id).process
    assert trainer is not None
    psutil.Process(trainer.pid).kill()
    wake(at_work)
    wait(lambda: at_work.record(run_id).status == "crashed", "the notice of its end")
    assert EvaluationStore(at_work).record(key).status == "queued"
    control.resume(at_work, run_id)
    record = wait_for(at_work, key, "finished", "failed")
    assert (record.failure, at_work.record(run_id).status) == (None, "finished")
    result = EvaluationStore(at_work).result(key)
    assert result is not None and set(result["splits"]["val"]["checkpoints"]) == {"300"}
