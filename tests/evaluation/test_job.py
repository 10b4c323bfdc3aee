"""An evaluation as it goes: in parts, stopped at any moment, and the same in the end."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from bcecore.errors import RunError, StopRequested
from bcecore.evaluation import job as module
from bcecore.evaluation import pages
from bcecore.store.checkpoints import checkpoints_directory, supersede
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore
from bcecore.store.examples import merge_parts, parts
from bcecore.store.runs import RunStore
from bcecore.store.weights import weights_hash
from tests.evaluation.scored import Unwatched, job_of, make_evaluation, rows_of, trained_run

TEXTS = [f"Line {number}: {'güneş doğar ' * (number % 7)}and {number * 3} is a number." for number in range(40)]
TIMING = ("runtime", "samples_per_second", "steps_per_second")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_ROWS", 8)


def evaluation(trained: tuple[RunStore, str], **options: Any) -> EvaluationRecord:
    return make_evaluation(*trained, TEXTS, **{"checkpoints": (10, 20), "splits": 2, "batch_tokens": 100} | options)


def finished(store: RunStore, record: EvaluationRecord) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The examples and the result of an evaluation, without what depends on how long it took."""
    evaluations = EvaluationStore(store)
    merge_parts(evaluations.directory(record.key))
    result = evaluations.result(record.key)
    assert result is not None and result["complete"]
    for split in result["splits"].values():
        for figures in split["checkpoints"].values():
            for name in TIMING:
                del figures[name]
    return rows_of(store, record), result


def counted(result: dict[str, Any] | None) -> int:
    """Examples in the figures of a result."""
    splits = [] if result is None else result["splits"].values()
    return sum(figures["examples"] for split in splits for figures in split["checkpoints"].values())


class Stops(Unwatched):
    """Asks for the end at the n-th batch."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self._batch = batch

    def at(self, done: int) -> None:
        super().at(done)
        if len(self.seen) == self._batch:
            raise StopRequested


@pytest.fixture(scope="module")
def uninterrupted(
    trained: tuple[RunStore, str],
) -> tuple[list[dict[str, Any]], dict[str, Any], list[int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE_ROWS", 8)
        record = evaluation(trained)
        watcher = Unwatched()
        job_of(trained[0], record, watcher).run()
        return *finished(trained[0], record), watcher.seen


def test_every_checkpoint_on_every_split(trained: tuple[RunStore, str], uninterrupted: Any) -> None:
    rows, result, seen = uninterrupted
    order = [(row["checkpoint"], row["split"], row["example"]) for row in rows]
    assert order == [(c, f"split {s}", e) for c in (10, 20) for s in (0, 1) for e in range(40)]
    assert [row["text"] for row in rows[:40]] == TEXTS
    assert seen == sorted(seen) and seen[-1] == 160
    config = trained[0].config(trained[1])
    for step in (10, 20):
        mine = [row for row in rows if row["checkpoint"] == step and row["split"] == "split 1"]
        figures = result["splits"]["split 1"]["checkpoints"][str(step)]
        tokens, r = sum(row["tokens"] for row in mine), sum(row["bce_loss"] for row in mine) / 40
        ce, mean = sum(row["nll"] for row in mine) / tokens, sum(row["ce"] for row in mine) / 40
        weight = config.bce.weight(step)
        assert figures["ce"] == pytest.approx(ce, abs=1e-12) and figures["perplexity"] == pytest.approx(math.exp(ce))
        assert figures["weight"] == weight > 0 and figures["objective_on"] == pytest.approx(ce + weight * r)
        assert figures["report_eval_loss_on"] == pytest.approx(mean + config.bce.weight(1) * r)
        assert (figures["examples"], figures["too_short"], figures["has_memory"]) == (40, 0, True)
        # Of the weights alone: the checkpoint's BCE memory is not among them.
        assert figures["weights_sha256"] == weights_hash(
            checkpoints_directory(trained[0].directory(trained[1])) / f"checkpoint-{step}"
        )
    assert weights_hash(trained[0].directory(trained[1]) / "model") == figures["weights_sha256"]
    # Two checkpoints are two models, two equal splits are one.
    assert rows[0]["ce"] != rows[80]["ce"] and rows[0]["ce"] == rows[40]["ce"]


def test_the_batch_size_changes_nothing(trained: tuple[RunStore, str], uninterrupted: Any) -> None:
    record = evaluation(trained, batch_tokens=2000)
    job_of(trained[0], record).run()
    rows, _ = finished(trained[0], record)
    for mine, other in zip(rows, uninterrupted[0], strict=True):
        assert mine["token_nll"] == pytest.approx(other["token_nll"], abs=1e-5)
        assert mine["bce_loss"] == pytest.approx(other["bce_loss"], abs=1e-5)


class SetsAside(Unwatched):
    """While the first checkpoint is being scored, the run goes on from there."""

    def __init__(self, run_directory: Path) -> None:
        super().__init__()
        self._run_directory = run_directory

    def begin(self, done: int) -> None:
        supersede(self._run_directory, 10)


def test_a_checkpoint_that_was_set_aside_meanwhile_is_named(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    run_id = trained_run(store)
    shutil.rmtree(store.directory(run_id) / "model")
    record = make_evaluation(store, run_id, TEXTS, checkpoints=(10, 20))
    with pytest.raises(RunError, match="has no whole checkpoint at step 20"):
        job_of(store, record, SetsAside(store.directory(run_id))).run()
    assert counted(EvaluationStore(store).result(record.key)) == len(TEXTS)


@pytest.mark.parametrize("batches", [(1,), (5,), (20, 3), (2, 30, 30), (33, 1, 1, 1)])
def test_stopped_and_resumed_it_is_the_same_and_nothing_is_scored_twice(
    trained: tuple[RunStore, str], uninterrupted: Any, batches: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def write_part(directory: Path, number: int, rows: Any) -> Path:
        written.append(number)
        return real(directory, number, rows)

    real = module.write_part
    monkeypatch.setattr(module, "write_part", write_part)
    record = evaluation(trained)
    directory = EvaluationStore(trained[0]).directory(record.key)
    for batch in batches:
        watcher = Stops(batch)
        with pytest.raises(StopRequested):
            job_of(trained[0], record, watcher).run()
        kept = rows_of(trained[0], record)
        assert kept == uninterrupted[0][: len(kept)] and len(kept) == 8 * len(parts(directory))
        partial = EvaluationStore(trained[0]).result(record.key)
        assert partial is None or not partial["complete"]
        assert len(kept) == counted(partial)
    last = Unwatched()
    job_of(trained[0], record, last).run()
    assert last.began == [len(kept)] and last.seen[0] >= len(kept)
    assert written == list(range(20))
    rows, result = finished(trained[0], record)
    assert rows == uninterrupted[0] and result == uninterrupted[1]


def test_the_time_of_all_sessions_counts(trained: tuple[RunStore, str]) -> None:
    record = evaluation(trained, checkpoints=(20,), splits=1)
    evaluations = EvaluationStore(trained[0])

    def figures() -> dict[str, Any]:
        result = evaluations.result(record.key)
        assert result is not None
        found: dict[str, Any] = result["splits"]["split 0"]["checkpoints"]["20"]
        return found

    with pytest.raises(StopRequested):
        job_of(trained[0], record, Stops(12)).run()
    before = figures()
    job_of(trained[0], record).run()
    after = figures()
    assert 0 < before["runtime"] < after["runtime"] and before["steps"] < after["steps"]
    assert after["samples_per_second"] == pytest.approx(40 / after["runtime"])
    assert after["steps_per_second"] == pytest.approx(after["steps"] / after["runtime"])


def test_with_all_parts_there_no_model_is_loaded(trained: tuple[RunStore, str], monkeypatch: Any) -> None:
    record = evaluation(trained)
    job_of(trained[0], record).run()
    monkeypatch.setattr(module, "load_forward", None)
    watcher = Unwatched()
    job_of(trained[0], record, watcher).run()
    assert watcher.began == watcher.seen == []


def test_texts_that_changed_are_refused(trained: tuple[RunStore, str]) -> None:
    record = evaluation(trained)
    path = EvaluationStore(trained[0]).directory(record.key) / "data" / "1.jsonl"
    path.write_text(path.read_text() + '{"text": "one more"}\n')
    with pytest.raises(RunError, match=r"The texts of 'split 1' .* have changed"):
        job_of(trained[0], record).run()
    path.unlink()
    with pytest.raises(RunError, match=r"The texts of 'split 1' .* are gone"):
        job_of(trained[0], record).run()


def test_a_checkpoint_that_is_not_there_is_said_before_anything_is_scored(trained: tuple[RunStore, str]) -> None:
    with pytest.raises(RunError, match="no whole checkpoint at step 15"):
        job_of(trained[0], evaluation(trained, checkpoints=(10, 15)))


def test_a_labelled_set(trained: tuple[RunStore, str]) -> None:
    texts = [(text, ("odd", "even")[number % 2]) for number, text in enumerate(TEXTS)]
    record = make_evaluation(*trained, texts, template="{text} Label: {label}", labels=("odd", "even"))
    job_of(trained[0], record).run()
    rows, result = finished(trained[0], record)
    assert [row["label"] for row in rows] == [label for _, label in texts]
    assert all(len(row["label_scores"]) == 2 and row["predicted"] in ("odd", "even") for row in rows)
    assert result["splits"]["split 0"]["checkpoints"]["20"]["examples"] == 40
