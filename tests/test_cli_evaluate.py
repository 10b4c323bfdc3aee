"""The commands `evaluate` and `evaluations`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bcecore import cli_runs
from bcecore.cli import main
from bcecore.evaluation import splits
from bcecore.evaluation.hub import WIKITEXT_2, HubTexts
from bcecore.jobs import control, evaluations, queue
from bcecore.jobs.submit import submit as submit_run
from bcecore.store.evaluations import EvaluationProgress, EvaluationRecord, EvaluationStore, write_result
from bcecore.store.identity import own_identity
from bcecore.store.record import Failure, Progress, now
from bcecore.store.requests import read_stop
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run
from tests.jobs.test_supervisor import small

Command = Callable[..., str]


def trained(store: RunStore, name: str = "mine") -> str:
    """A run that looks finished, with its text, tokenizer and two checkpoints."""
    config = example_config(model__vocab_size=300, data__block_size=32)
    run_id = submit_run(store, config, name=name)
    store.transition(run_id, "starting", process=own_identity())
    progress = Progress(step=40, total_steps=40, epoch=1.0, updated=now())
    store.transition(run_id, "running", progress=progress)
    store.transition(run_id, "finished", process=None, ended=now())
    for name in ("checkpoints/checkpoint-20", "checkpoints/checkpoint-40", "model"):
        (store.directory(run_id) / name).mkdir(parents=True)
    for step in (20, 40):
        (store.directory(run_id) / "checkpoints" / f"checkpoint-{step}" / "complete").touch()
    return run_id


def asked(store: RunStore, printed: str) -> EvaluationRecord:
    return EvaluationStore(store).record(printed.strip())


def summed(**changes: Any) -> dict[str, Any]:
    values = {"examples": 1234, "ce": 2.0, "perplexity": 7.38905609893065, "weight": 0.25}
    return values | {"objective_on": 1.885, "objective_off": 2.0} | changes


def end(store: RunStore, key: str, **result: Any) -> None:
    """Let an evaluation finish with this result."""
    jobs = EvaluationStore(store)
    jobs.transition(key, "starting")
    progress = EvaluationProgress(done=5, total=5, updated=now())
    jobs.transition(key, "running", process=own_identity(), progress=progress)
    write_result(jobs.directory(key), {"version": 1, "complete": True, "splits": result})
    jobs.transition(key, "finished", process=None)


# What is asked for


def test_without_a_text_it_is_the_runs_own_and_without_a_step_the_last(store: RunStore, command: Command) -> None:
    run_id = trained(store)
    record = asked(store, command("evaluate", "mine", "--detach"))
    assert record.run_id == run_id and record.request is not None and record.status == "queued"
    assert record.request.checkpoints == (40,)
    assert [(split.name, split.kind, split.long_texts) for split in record.request.splits] == [
        ("held-out", "own", "truncate")
    ]


def test_steps_texts_and_windows(
    store: RunStore, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(store)
    (tmp_path / "val.txt").write_text("bir iki\nüç dört\n")
    (tmp_path / "b.csv").write_text("body\nbeş altı\n")
    monkeypatch.chdir(tmp_path)
    hub: list[Any] = []

    def read(*arguments: Any) -> HubTexts:
        hub.append(arguments)
        return HubTexts(["yedi sekiz"], empty=0)

    monkeypatch.setattr(splits, "read_hub", read)
    options = ["--split", "val=val.txt", "--hub", "wikitext-2:400", "--own", "--long", "window", "--stride", "10"]
    record = asked(store, command("evaluate", "mine@20@final@40", *options, "--name", "all", "--detach"))
    assert record.request is not None and record.name == "all"
    assert record.request.checkpoints == (20, 40)
    found = [(split.name, split.kind, split.rows, split.stride) for split in record.request.splits]
    assert found == [("held-out", "own", 46, 10), ("val", "file", 2, 10), ("wikitext-2", "hub", 1, 10)]
    assert hub == [(WIKITEXT_2, 400)]
    record = asked(store, command("evaluate", "mine", "--split", "b=b.csv", "--text-column", "body", "--detach"))
    assert record.request is not None and record.request.splits[0].rows == 1


def test_labelled_texts(store: RunStore, command: Command, tmp_path: Path) -> None:
    trained(store)
    (tmp_path / "tone.csv").write_text("body,class\ngood,pos\nbad,neg\nwhat,\n")
    columns = ["--text-column", "body", "--label-column", "class"]
    options = ["--labels", str(tmp_path / "tone.csv"), *columns, "--template", "{text} Tone: {label}"]
    record = asked(store, command("evaluate", "mine", *options, "--label-names", "pos,neg,none", "--detach"))
    assert record.request is not None
    (split,) = record.request.splits
    assert (split.name, split.kind, split.rows, split.dropped) == ("tone", "labelled", 2, {"no_label": 1})
    assert (split.template, split.labels) == ("{text} Tone: {label}", ("pos", "neg", "none"))


def test_several_runs_get_an_evaluation_each(store: RunStore, command: Command) -> None:
    a, b = trained(store, "a"), trained(store, "b@c")
    keys = command("evaluate", "a@20", "b@c", f"{a}@40", "--detach").split()
    records = [EvaluationStore(store).record(key) for key in keys]
    assert [record.run_id for record in records] == [a, b]
    assert [record.request.checkpoints for record in records if record.request] == [(20, 40), (40,)]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Say which run"),
        (["nobody"], "There is no run 'nobody'"),
        (["mine@7"], "has no checkpoint at step 7. It can be evaluated at: 20, 40."),
        (["mine@last"], "'last' in 'mine@last' is no step: it takes a number from 1 on, or final"),
        (["mine@0"], "is no step"),
        (["mine@"], "is no step"),
        (["mine", "--split", "val.txt"], "--split takes NAME=FILE"),
        (["mine", "--split", "=val.txt"], "--split takes NAME=FILE"),
        (["mine", "--split", "val=nothing.txt"], "There is no file nothing.txt"),
        (["mine", "--hub", "wikitext-2:many"], "--hub takes NAME:N"),
        (["mine", "--hub", "x"], "'x' does not name a dataset"),
        (["mine", "--stride", "4"], "A stride belongs to windows"),
        (["mine", "--long", "window", "--stride", "32"], "The stride has to lie between 1 and 31"),
        (["mine", "--template", "{text} {label}"], "belong to labelled texts: name their file with --labels"),
        (["mine", "--labels", "nothing.csv"], "There is no file nothing.csv"),
        (["mine", "--labels", "x.csv", "--template", "{text}"], "{label}, where the label goes, is missing"),
        (["mine", "--resume", "x"], "take the evaluation's id alone"),
        (["--resume", "x"], "There is no evaluation 'x'"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_nothing(
    store: RunStore, command: Command, arguments: list[str], why: str
) -> None:
    run_id = trained(store)
    assert why in command("evaluate", *arguments)
    assert EvaluationStore(store).records(run_id) == []


def test_when_one_run_cannot_be_evaluated_none_is(store: RunStore, command: Command) -> None:
    trained(store)
    example_run(store, "failed", name="empty")
    assert "has no whole checkpoint" in command("evaluate", "mine", "empty", "--detach")
    assert EvaluationStore(store).records() == []


# What came of it


def at_once(monkeypatch: pytest.MonkeyPatch, act: Callable[[str], None]) -> None:
    """Let `act(key)` happen in place of the waiting for an evaluation."""

    def follow(store: RunStore, key: str, **_: Any) -> EvaluationRecord:
        act(key)
        return EvaluationStore(store).record(key)

    monkeypatch.setattr(cli_runs, "follow", follow)


def test_the_table(store: RunStore, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(store)
    val = {"40": summed(), "20": summed(ce=None, perplexity=None, objective_on=None, objective_off=1e9)}
    at_once(monkeypatch, lambda key: end(store, key, val={"checkpoints": val}))
    key, *table = command("evaluate", "mine").splitlines()
    assert EvaluationStore(store).record(key).status == "finished"
    assert table == [
        "text  checkpoint  examples          CE  perplexity  BCE weight  objective on  objective off",
        "val           20     1,234  not finite  not finite      0.2500    not finite          1e+09",
        "val           40     1,234      2.0000      7.3891      0.2500        1.8850         2.0000",
    ]


def test_the_table_of_several_runs_names_them(
    store: RunStore, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(store, "a"), trained(store, "b")
    at_once(monkeypatch, lambda key: end(store, key, val={"checkpoints": {"40": summed()}}))
    rows = command("evaluate", "a", "b").splitlines()[2:]
    assert [row.split()[:3] for row in rows] == [["run", "text", "checkpoint"], ["a", "val", "40"], ["b", "val", "40"]]


def test_json(store: RunStore, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = trained(store)
    at_once(monkeypatch, lambda key: end(store, key, val={"checkpoints": {"40": summed()}}))
    (shown,) = json.loads(command("evaluate", "mine", "--json"))["evaluations"]
    assert shown["key"] == f"{run_id}/{shown['id']}" and shown["status"] == "finished"
    assert shown["result"]["splits"]["val"]["checkpoints"]["40"]["ce"] == 2.0
    assert Path(shown["directory"]).is_dir()
    (waits,) = json.loads(command("evaluate", "mine", "--json", "--detach"))["evaluations"]
    assert (waits["status"], waits["result"]) == ("queued", None)


def test_what_limits_the_figures_is_told(store: RunStore, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = trained(store)
    leak = {"leak_probe": {"leaks": True, "largest_change": 3.27, "positions": 8}}
    at_once(monkeypatch, lambda key: end(store, key, val={"checkpoints": {"40": summed()}}))
    assert "Forbids" not in command("evaluate", "mine")
    store.update(run_id, facts=store.record(run_id).facts | leak)
    said = command("evaluate", "mine").splitlines()[-1]
    assert said.startswith("Forbids a conclusion (future-leak): The model sees the words that it has to predict")
    (shown,) = json.loads(command("evaluate", "mine", "--json"))["evaluations"]
    assert [found["id"] for found in shown["findings"]] == ["future-leak"]


def test_a_failure_is_told_and_is_the_exit_status(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(store)
    monkeypatch.setattr(evaluations, "wake", lambda _store: None)
    jobs = EvaluationStore(store)

    def fail(key: str) -> None:
        jobs.transition(key, "starting")
        jobs.transition(key, "failed", failure=Failure(message="The model is gone."))

    at_once(monkeypatch, fail)
    assert main(["evaluate", "mine", "--runs-dir", str(store.root)]) == 1
    assert capsys.readouterr().err == "error: The model is gone.\n"


def test_ctrl_c_stops_keeps_what_is_there_and_takes_the_others_out(
    store: RunStore, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(store, "a"), trained(store, "b")
    jobs = EvaluationStore(store)

    def interrupted(bar: Any, _store: RunStore, record: EvaluationRecord) -> None:
        if record.status == "queued":
            jobs.transition(record.key, "starting")
            jobs.transition(record.key, "running", process=own_identity())
            write_result(jobs.directory(record.key), {"splits": {"val": {"checkpoints": {"40": summed()}}}})
            raise KeyboardInterrupt
        if record.status == "stopping":
            assert read_stop(jobs.directory(record.key)) is not None
            jobs.transition(record.key, "stopped", process=None)

    monkeypatch.setattr(cli_runs, "_draw", interrupted)
    monkeypatch.setattr(cli_runs, "_keep_supervised", lambda *_: 0.0)
    monkeypatch.setattr(control, "wake", lambda _store: None)
    assert main(["evaluate", "a", "b", "--runs-dir", str(store.root)]) == 0
    printed = capsys.readouterr()
    first, second, *table = printed.out.splitlines()
    assert [jobs.record(key).status for key in (first, second)] == ["stopped", "removed"]
    assert "Stopping; what is measured is kept" in printed.err
    assert f"{first} is stopped. Go on: python -m bcecore evaluate --resume {first}" in printed.err
    assert f"{second} had not started. It is taken out of the queue" in printed.err
    assert len(table) == 2 and table[1].split()[0] == "a"


# Those that are there


def test_the_list(store: RunStore, command: Command) -> None:
    run_id = trained(store)
    assert f"Run {run_id} has no evaluations yet" in command("evaluations", "mine")
    assert "There are no evaluations yet" in command("evaluations")
    key = command("evaluate", "mine", "--detach").strip()
    end(store, key, val={"checkpoints": {"40": summed()}})
    other = command("evaluate", "mine@20", "--detach").strip()
    listed = command("evaluations", "mine").splitlines()
    assert [line.split()[0] for line in listed] == [other.partition("/")[2], key.partition("/")[2]]
    assert listed[1].split()[-2:] == ["finished", "5/5"]
    assert [line.split()[0] for line in command("evaluations").splitlines()] == [other, key]
    shown = json.loads(command("evaluations", "mine", "--json"))
    assert [record["key"] for record in shown] == [other, key]
    assert shown[1]["result"]["complete"] is True


def test_stop_resume_delete(store: RunStore, command: Command) -> None:
    trained(store)
    key = command("evaluate", "mine", "--detach").strip()
    jobs = EvaluationStore(store)
    assert "had not started. It is taken out of the queue" in command("evaluate", "--stop", key)
    assert jobs.record(key).status == "removed"
    assert command("evaluate", "--resume", key[-4:], "--detach") == f"{key}\n"
    assert jobs.record(key).status == "queued"
    assert "Take it out of the queue first" in command("evaluate", "--delete", key)
    jobs.transition(key, "starting")
    jobs.transition(key, "running", process=own_identity())
    assert "stops; what it has measured is kept" in command("evaluate", "--stop", key)
    assert jobs.record(key).status == "stopping"
    jobs.transition(key, "stopped")
    assert command("evaluate", "--stop", key) == f"{key} is stopped.\n"
    assert command("evaluate", "--delete", key) == f"{key} is deleted.\n"
    assert jobs.records() == []


def test_the_queue_shows_and_moves_both(store: RunStore, command: Command) -> None:
    trained(store)
    key = command("evaluate", "mine", "--detach").strip()
    run_id = example_run(store, "queued", name="waits")

    def order() -> list[str]:
        return [line.split()[0] for line in command("queue").splitlines()]

    assert order() == [key, run_id]
    command("queue", "last", key)
    assert order() == [run_id, key]
    command("queue", "hold", f"mine/{key[-4:]}")
    assert EvaluationStore(store).record(key).status == "held"
    command("queue", "release", key)
    command("queue", "remove", key)
    assert order() == [run_id]
    assert [job["id"] for job in json.loads(command("queue", "--json"))] == [run_id]


def test_from_beginning_to_end(store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real thing: a supervisor, a run, and an evaluation that is followed to its end."""
    run_id = control.launch(store, small(logging__save_steps=4), name="real")
    cli_runs.follow_to_the_end(store, run_id, detach=False, as_json=False)
    assert store.record(run_id).status == "finished"
    (tmp_path / "val.txt").write_text("bir iki üç\ndört beş\n", encoding="utf-8")
    capsys.readouterr()
    options = ["--split", f"val={tmp_path / 'val.txt'}", "--own", "--runs-dir", str(store.root)]
    assert main(["evaluate", "real@4@8", *options]) == 0
    printed = capsys.readouterr()
    # The table ends at an empty line; what is noticed about the result follows.
    shown, _, noticed = printed.out.partition("\n\n")
    assert "(too-small): “val”: There are only 2 documents" in noticed
    table = [line.split() for line in shown.splitlines()[1:]]
    assert [row[:3] for row in table[1:]] == [
        ["held-out", "4", "46"],
        ["held-out", "8", "46"],
        ["val", "4", "2"],
        ["val", "8", "2"],
    ]
    for row in table[1:]:
        ce, perplexity, weight, on, off = map(float, (cell.replace(",", "") for cell in row[3:]))
        assert perplexity == pytest.approx(2.718281828**ce, rel=1e-3)
        assert off == ce and (on < off) == (weight > 0)
    assert "96/96" in printed.err
    assert queue.waiting_jobs(store) == []


def test_one_that_waits_for_its_run_says_so_while_it_is_watched(command: Command, store: RunStore) -> None:
    class Bar:
        said = ""

        def set_description_str(self, words: str, refresh: bool) -> None:
            self.said = words

        def refresh(self) -> None: ...

    run_id = example_run(store, "running")
    texts = [splits.SplitTexts("val", "file", "val.txt", ["some words"], 32)]
    bar = Bar()
    cli_runs._draw(bar, store, evaluations.submit_for_the_end(store, run_id, texts))
    assert bar.said == "waits until its run is finished"
