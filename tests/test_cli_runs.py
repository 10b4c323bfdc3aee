"""The commands about runs that are there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bcecore.cli import main
from bcecore.jobs import queue
from bcecore.store.record import Failure, Status
from bcecore.store.requests import read_stop
from bcecore.store.runs import RunStore
from bcecore.store.trash import trash
from tests.examples import example_run

Command = Callable[..., str]

SMALL = [
    *("--set", "model.hidden_size=32", "--set", "model.intermediate_size=64", "--set", "model.vocab_size=300"),
    *("--set", "training.warmup_steps=2", "--set", "bce.warmup_steps=2"),
]


def test_stop_in_words(store: RunStore, command: Command) -> None:
    run_id = example_run(store, "running", name="mine")
    assert "saves a checkpoint and stops" in command("stop", "mine")
    assert "what it learnt since its last checkpoint is lost" in command("stop", run_id, "--now")
    request = read_stop(store.directory(run_id))
    assert request is not None and request.kind == "now"
    assert command("stop", example_run(store, "finished")).endswith("is finished.\n")
    waiting = example_run(store, "queued", name="waiting")
    assert "had not started. It is taken out of the queue" in command("stop", waiting)
    assert store.record(waiting).status == "removed"
    assert "There is no run 'nobody'" in command("stop", "nobody")


def test_the_queue(store: RunStore, command: Command) -> None:
    assert command("queue") == "Nothing is waiting.\n"
    ids = [example_run(store, "queued", name=f"run {number}") for number in range(3)]

    def order() -> list[str]:
        return [run["id"] for run in json.loads(command("queue", "--json"))]

    assert sorted(order()) == sorted(ids)
    last = order()[2]
    command("queue", "first", last)
    assert order()[0] == last
    assert "held" in command("queue", "hold", last)
    assert store.record(last).status == "held"
    command("queue", "release", last)
    assert store.record(last).status == "queued"
    command("queue", "remove", last)
    assert last not in order()
    assert "Say which run" in command("queue", "up")
    assert "it is not in the queue" in command("queue", "up", example_run(store, "finished"))


def test_resume(store: RunStore, command: Command) -> None:
    run_id = example_run(store, "stopped", checkpoints=(50, 100))
    assert "Whole ones: 50, 100" in command("resume", run_id, "--from", "7", "--detach")
    assert command("resume", run_id, "--from", "50", "--detach") == f"{run_id}\n"
    assert store.record(run_id).resume_from == "50"
    failed = example_run(store, "failed", failure=Failure(message="Why."))
    command("archive", failed)
    assert command("resume", failed, "--detach") == f"{failed}\n"  # and not why it failed before
    assert failed in command("runs")  # what is at work is listed
    assert "Extend it" in command("resume", example_run(store, "finished"), "--detach")


def test_a_folder_that_cannot_be_used_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a file"
    file.touch()
    for arguments in (["runs"], ["queue"], ["train", *SMALL], ["stop", "x"], ["supervise"]):
        assert main([*arguments, "--runs-dir", str(file)]) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("error: ") and "Traceback" not in printed.err
        assert str(file) in printed.err


def test_archived_runs_are_listed_only_on_request(store: RunStore, command: Command) -> None:
    run_id = example_run(store)
    command("archive", run_id)
    assert run_id not in command("runs")
    assert run_id in command("runs", "--all")
    command("unarchive", run_id)
    assert run_id in command("runs")


def test_the_trash(store: RunStore, command: Command) -> None:
    run_id = example_run(store)
    assert "restore" in command("delete", run_id)
    assert trash(store).ids() == [run_id]
    command("restore", run_id)
    assert store.ids() == [run_id]
    assert "The trash is empty" in command("restore", run_id)
    command("delete", run_id)
    assert f"In it: {run_id} (an example)" in command("restore", "nothing")
    assert "This deletes for good: an example" in command("empty-trash")
    assert trash(store).ids() == [run_id]
    assert command("empty-trash", "--yes") == "1 run deleted for good.\n"
    assert command("empty-trash") == "The trash is empty.\n"
    assert "cannot be deleted. Stop it first" in command("delete", example_run(store, "running"))


@pytest.mark.parametrize("status", ["queued", "running", "finished", "failed"])
def test_the_exact_status_is_there_for_scripts(store: RunStore, command: Command, status: Status) -> None:
    example_run(store, status)
    assert [run["status"] for run in json.loads(command("runs", "--json"))] == [status]


def test_a_run_s_whole_life(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    """With a real supervisor and real training: train, extend, clone with a change, repeat."""

    def run(*arguments: str) -> dict[str, object]:
        assert main([*arguments, "--runs-dir", str(store.root), "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    first = run("train", "--recipe", "quick-look", "--name", "first", *SMALL, "--set", "training.max_steps=6")
    assert first["status"] == "finished"
    longer = run("extend", "first", "--steps", "4")
    assert (longer["status"], longer["parent"], longer["name"]) == ("finished", first["id"], "first, extended")
    directory = Path(str(longer["directory"]))
    steps = [json.loads(line).get("step") for line in (directory / "metrics.jsonl").read_text().splitlines()]
    losses = [step for step in steps if step is not None]
    assert sorted(set(losses)) == list(range(1, 11))
    log = json.loads((directory / "trainer_state.json").read_text())["log_history"]
    rates = {record["step"]: record["learning_rate"] for record in log if "learning_rate" in record}
    config = store.config(str(longer["id"]))
    # From the joint on the rate is that of the whole longer run.
    assert [rates[step] for step in range(7, 11)] == [config.learning_rate(step, 10) for step in range(7, 11)]
    again = run("clone", "first", "--set", "training.max_steps=3", "--name", "short")
    assert (again["status"], again["name"]) == ("finished", "short")
    assert main(["repeat", "short", "--runs-dir", str(store.root)]) == 0
    assert "ended the same: both have the same weights, in every bit." in capsys.readouterr().out
    assert store.record(store.resolve("short, repeated")).repeat_of == again["id"]
    assert len(queue.waiting(store)) == 0
