"""Evaluations on disk: made whole or not at all, found again, changed by the rules, and what was measured."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bcecore.errors import DiskFullError, RunError
from bcecore.store import evaluations
from bcecore.store.checkpoints import checkpoint_steps, rotate
from bcecore.store.evaluations import (
    EvaluationProgress,
    EvaluationRequest,
    EvaluationStore,
    SplitSpec,
    SplitTexts,
    awaited_steps,
    evaluation_at,
    refuse_imported,
    store_of,
    write_result,
)
from bcecore.store.identity import own_identity
from bcecore.store.record import Status, now
from bcecore.store.runs import RunStore
from tests.examples import example_run


def split(name: str = "val", **changes: Any) -> SplitSpec:
    values = {
        "name": name,
        "kind": "file",
        "file": "data/0.jsonl",
        "source": "val.txt",
        "sha256": "0" * 64,
        "rows": 3,
        "block_size": 16,
    }
    return SplitSpec.model_validate(values | changes)


def request(*steps: int, splits: tuple[SplitSpec, ...] = (split(),)) -> EvaluationRequest:
    return EvaluationRequest(checkpoints=steps or (20,), splits=splits)


def fill(directory: Path) -> EvaluationRequest:
    (directory / "data" / "0.jsonl").write_text('{"text": "a b"}\n' * 3)
    return request()


@pytest.fixture
def run_id(store: RunStore) -> str:
    return example_run(store, name="first")


@pytest.fixture
def evaluated(store: RunStore) -> EvaluationStore:
    return EvaluationStore(store)


def make(store: EvaluationStore, run_id: str, name: str = "on the check file") -> str:
    return store.create(run_id, name, fill).key


# What may be asked for


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"stride": 8}, "a stride belongs to windows"),
        ({"long_texts": "window"}, "a stride belongs to windows"),
        ({"long_texts": "window", "stride": 16}, "smaller than the block size"),
        ({"kind": "labelled"}, "a template and labels belong"),
        ({"template": "{text} {label}", "labels": ["a", "b"]}, "a template and labels belong"),
        ({"rows": 0}, "greater than or equal to 1"),
        ({"block_size": 1}, "greater than or equal to 2"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        split(**changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"checkpoints": []}, "at least 1 item"),
        ({"checkpoints": [20, 10]}, "ascending"),
        ({"checkpoints": [20, 20]}, "ascending"),
        ({"splits": []}, "at least 1 item"),
        ({"splits": [split(), split()]}, "the same name"),
        ({"batch_tokens": 0}, "greater than or equal to 1"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, Any], why: str) -> None:
    values = {"checkpoints": [20], "splits": [split()]} | changes
    with pytest.raises(ValidationError, match=why):
        EvaluationRequest.model_validate(values)


def test_examples_count_once_for_every_checkpoint() -> None:
    assert request(10, 20, splits=(split("a", rows=3), split("b", rows=4))).examples == 14


def test_texts_are_frozen_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    texts = ["bir\niki", "\u2028 “ş” \\"]
    spec = SplitTexts("val", "file", "val.txt", texts, block_size=16, dropped={"empty": 2}).freeze(tmp_path, 3)
    content = (tmp_path / "data" / "3.jsonl").read_bytes()
    assert [json.loads(line) for line in content.decode().split("\n")[:-1]] == [{"text": text} for text in texts]
    assert spec == split(file="data/3.jsonl", rows=2, sha256=hashlib.sha256(content).hexdigest(), dropped={"empty": 2})
    labelled = SplitTexts(
        "tone",
        "labelled",
        "tone.csv",
        texts,
        block_size=16,
        labels_of_texts=["a", "b"],
        long_texts="window",
        stride=8,
        template="{text} {label}",
        labels=("a", "b"),
    ).freeze(tmp_path, 0)
    rows = [json.loads(line) for line in (tmp_path / labelled.file).read_text().split("\n")[:-1]]
    assert [row["label"] for row in rows] == ["a", "b"]
    assert (labelled.long_texts, labelled.stride, labelled.labels) == ("window", 8, ("a", "b"))


# Making and finding


def test_an_evaluation_is_queued_in_the_folder_of_its_run(
    store: RunStore, evaluated: EvaluationStore, run_id: str
) -> None:
    record = evaluated.create(run_id, "  on the\ncheck file ", fill)
    directory = store.directory(run_id) / "evaluations" / record.id
    assert record.key == f"{run_id}/{record.id}" and record.id[15:-5] == "-on-the-check-file"
    assert (record.name, record.run_id, record.status) == ("on the check file", run_id, "queued")
    assert evaluated.directory(record.key) == directory
    assert evaluated.record(record.key) == record
    assert record.place == str(directory.stat().st_ino)
    assert json.loads((directory / "data" / "0.jsonl").read_text().splitlines()[0]) == {"text": "a b"}
    assert evaluation_at(directory)[1] == record.key
    assert evaluation_at(directory)[0].record(record.key) == record


@pytest.mark.parametrize("error", [OSError(5, "input/output"), KeyboardInterrupt(), RunError("no")])
def test_one_that_cannot_be_made_leaves_nothing_behind(
    store: RunStore, evaluated: EvaluationStore, run_id: str, error: BaseException
) -> None:
    def broken(directory: Path) -> EvaluationRequest:
        fill(directory)
        raise error

    with pytest.raises(type(error)):
        evaluated.create(run_id, "a name", broken)
    assert list((store.directory(run_id) / "evaluations").iterdir()) == []
    assert evaluated.records() == []


def test_a_full_disk_leaves_nothing_behind(tiny_disk: Callable[[int], Path]) -> None:
    store = RunStore(tiny_disk(400) / "runs")
    run_id = example_run(store, steps=1)

    def large(directory: Path) -> EvaluationRequest:
        (directory / "data" / "0.jsonl").write_text("x" * 1_000_000)
        return request()

    with pytest.raises(DiskFullError):
        EvaluationStore(store).create(run_id, "a name", large)
    assert list((store.directory(run_id) / "evaluations").iterdir()) == []


def test_an_unusable_name_or_run_is_refused(evaluated: EvaluationStore, run_id: str) -> None:
    with pytest.raises(RunError, match="needs a name"):
        make(evaluated, run_id, " ")
    with pytest.raises(RunError, match="There is no run"):
        make(evaluated, "20260102-030405-a-run-0a1b")


@pytest.mark.parametrize("key", ["", "/", "a/b", "..", "../x", "20260102-030405-a-run-0a1b", "x/../../y"])
def test_only_keys_are_used_as_paths(evaluated: EvaluationStore, key: str) -> None:
    with pytest.raises(RunError, match="does not name an evaluation"):
        evaluated.record(key)


def test_one_that_is_not_there_is_said_to_be_so(evaluated: EvaluationStore, run_id: str) -> None:
    with pytest.raises(
        RunError, match=rf"There is no evaluation {run_id}/2026.*`python -m bcecore evaluations {run_id}`"
    ):
        evaluated.record(f"{run_id}/20260102-030405-a-run-0a1b")


def test_a_name_or_a_piece_of_an_id_is_enough(store: RunStore, evaluated: EvaluationStore, run_id: str) -> None:
    other = example_run(store, name="second")
    a, b = make(evaluated, run_id, "a name"), make(evaluated, other, "another")
    c = make(evaluated, other, "a name")
    for reference in (a, a.partition("/")[2], a[-4:], "first/a name", f"{run_id}/{a[-4:]}"):
        assert evaluated.resolve(reference) == a
    assert evaluated.resolve("another") == b
    assert evaluated.resolve("second/a name") == c
    with pytest.raises(RunError, match="could be any of 2 evaluations"):
        evaluated.resolve("a name")
    for nothing in ("", "nothing", "first/", "first/another"):
        with pytest.raises(RunError, match="There is no evaluation"):
            evaluated.resolve(nothing)


def test_they_are_listed_newest_first_and_unchanged_ones_are_read_once(
    store: RunStore, evaluated: EvaluationStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = example_run(store, name="second")
    keys = []
    for minute, run in enumerate((run_id, other, run_id)):
        moment = now().replace(year=2030, minute=minute)
        monkeypatch.setattr(evaluations, "now", lambda moment=moment: moment)
        keys.append(make(evaluated, run))
    (store.directory(run_id) / "evaluations" / "notes").mkdir()  # what somebody else put there
    assert [record.key for record in evaluated.records()] == keys[::-1]
    assert [record.key for record in evaluated.records(run_id)] == [keys[2], keys[0]]
    read: list[Path] = []
    real = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    evaluated.transition(keys[1], "held")
    read.clear()
    assert [record.status for record in evaluated.records()] == ["queued", "held", "queued"]
    assert [path.parent.name for path in read] == [keys[1].partition("/")[2]]


def test_a_damaged_record_is_replaced_by_its_copy_or_told(evaluated: EvaluationStore, run_id: str) -> None:
    key, other = make(evaluated, run_id), make(evaluated, run_id)
    directory = evaluated.directory(key)
    (directory / "job.json").write_bytes(b"{")
    assert evaluated.record(key).status == "queued"
    (directory / "job.copy.json").write_bytes(b"")
    with pytest.raises(RunError, match=rf"The record of evaluation {key} .* is damaged"):
        evaluated.record(key)
    listed = {record.key: record for record in evaluated.records()}
    assert set(listed) == {key, other}
    assert (listed[key].status, listed[key].name, listed[key].request) == ("crashed", "on the check file", None)
    failure = listed[key].failure
    assert failure is not None and "damaged" in failure.message


# Changing


def test_the_rules_for_a_status_are_those_of_a_run(evaluated: EvaluationStore, run_id: str) -> None:
    key = make(evaluated, run_id)
    with pytest.raises(RunError, match=rf"Evaluation {key} is queued and cannot become finished; it can become held"):
        evaluated.transition(key, "finished")
    evaluated.transition(key, "starting", process=None)
    evaluated.adopt(key, own_identity())
    progress = EvaluationProgress(done=2, total=3, updated=now(), examples_per_second=1.5)
    evaluated.transition(key, "running", started=now(), progress=progress)
    evaluated.update(key, durable=False, progress=progress.model_copy(update={"done": 3}))
    record = evaluated.record(key)
    assert record.process == own_identity() and record.progress is not None and record.progress.done == 3
    assert record.is_active and record.step_reached is None
    dead = evaluated.mark_dead(key, record.model_copy(update={"status": "starting"}), "crashed")
    assert dead.status == "running"  # somebody else has changed it since
    assert evaluated.mark_dead(key, record, "crashed").status == "crashed"


def test_changes_from_several_threads_all_count(evaluated: EvaluationStore, run_id: str) -> None:
    key = make(evaluated, run_id)
    start = EvaluationProgress(done=0, total=40, updated=now())
    evaluated.update(key, progress=start)

    def count() -> None:
        mine = EvaluationStore(RunStore(evaluated.directory(key).parents[2]))
        for _ in range(10):
            with mine.locked(key):
                done = mine.record(key).progress
                assert done is not None
                written = mine.record(key).model_copy(
                    update={"progress": done.model_copy(update={"done": done.done + 1})}
                )
                mine._write(mine.directory(key), written, durable=False)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress = evaluated.record(key).progress
    assert progress is not None and progress.done == 40


def test_a_deleted_one_is_gone(evaluated: EvaluationStore, run_id: str) -> None:
    key = make(evaluated, run_id)
    directory = evaluated.directory(key)
    evaluated.delete(key)
    assert list(directory.parent.iterdir()) == [] and evaluated.records() == []


def test_the_store_of_a_job_is_told_by_its_key(store: RunStore, evaluated: EvaluationStore, run_id: str) -> None:
    key = make(evaluated, run_id)
    assert store_of(store, run_id).record(run_id) == store.record(run_id)
    assert store_of(store, key).record(key) == evaluated.record(key)


@pytest.mark.parametrize(
    ("status", "awaited"), [("queued", {10, 20}), ("held", {10, 20}), ("running", {10, 20}), ("removed", set())]
)
def test_checkpoints_that_an_evaluation_waits_for_are_kept(
    store: RunStore, evaluated: EvaluationStore, status: Status, awaited: set[int]
) -> None:
    run_id = example_run(store, "running", checkpoints=(10, 20, 30, 40))
    assert awaited_steps(store.directory(run_id)) == set()
    key = evaluated.create(run_id, "two", lambda _: request(10, 20)).key
    if status == "running":
        evaluated.transition(key, "starting")
    if status != "queued":
        evaluated.transition(key, status)
    assert awaited_steps(store.directory(run_id)) == awaited
    for step in (10, 20, 30, 40):
        (store.directory(run_id) / "checkpoints" / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    rotate(store.directory(run_id), 1, None)
    assert set(checkpoint_steps(store.directory(run_id))) == awaited | {40}


def test_an_imported_run_has_no_model(store: RunStore, run_id: str) -> None:
    record = store.record(run_id)
    refuse_imported(record)
    with pytest.raises(RunError, match="was imported: its log is here, but no model"):
        refuse_imported(record.model_copy(update={"status": "imported"}))


# What was measured


def test_a_result_comes_back_with_null_for_what_is_not_finite(evaluated: EvaluationStore, run_id: str) -> None:
    key = make(evaluated, run_id)
    assert evaluated.result(key) is None
    values = {"ce": math.nan, "perplexity": math.inf, "buckets": [{"ce": -math.inf}, (1.5,)], "n": 3, "t": True}
    write_result(evaluated.directory(key), {"version": 1, "splits": {"val": values}})
    shown = {"ce": None, "perplexity": None, "buckets": [{"ce": None}, [1.5]], "n": 3, "t": True}
    assert evaluated.result(key) == {"version": 1, "splits": {"val": shown}}


@pytest.mark.parametrize(("content", "why"), [(b"{", "damaged"), (b"[]", "no JSON object")])
def test_a_damaged_result_is_told(evaluated: EvaluationStore, run_id: str, content: bytes, why: str) -> None:
    key = make(evaluated, run_id)
    (evaluated.directory(key) / "result.json").write_bytes(content)
    with pytest.raises(RunError, match=f"The result of evaluation {key} .* {why}"):
        evaluated.result(key)
