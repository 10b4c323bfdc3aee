"""All rules over real evaluations of a real tiny run: a sound one is silent, each planted fault is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bcecore.errors import RunError
from bcecore.evaluation.worker import main as evaluate
from bcecore.findings import collect
from bcecore.findings.of_evaluation import LookedOver, accepted_about, look_over, of_evaluation
from bcecore.store.acknowledged import acknowledge
from bcecore.store.evaluations import EvaluationStore
from bcecore.store.runs import RunStore
from tests.evaluation.scored import make_evaluation, trained_run
from tests.findings.conftest import edit_json

WORDS = ("river", "stone", "cloud", "lamp", "paper", "glass", "wheat", "tower", "bread", "cabin", "north", "ember")
CLEAN = [f"{WORDS[n % 12]} {n} {WORDS[n * 5 % 12]} {WORDS[n * 7 % 12]} {n * n} {WORDS[n // 12]}." for n in range(120)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, str]:
    """A run with BCE, and the evaluation of both its checkpoints on a text that is new to it."""
    store = RunStore(tmp_path_factory.mktemp("evaluated") / "runs")
    return store, evaluation(store, trained_run(store), CLEAN, checkpoints=(10, 20))


@pytest.fixture
def kept(measured: tuple[RunStore, str]) -> Iterator[tuple[RunStore, str]]:
    """The same, put right again after what a test does to its records."""
    store, key = measured
    files = [store.directory(key.partition("/")[0]) / "run.json", EvaluationStore(store).directory(key) / "result.json"]
    before = [path.read_bytes() for path in files]
    yield measured
    for path, content in zip(files, before, strict=True):
        path.write_bytes(content)


def evaluation(store: RunStore, run_id: str, texts: list[str], **given: Any) -> str:
    record = make_evaluation(store, run_id, texts, **given)
    EvaluationStore(store).transition(record.key, "starting")
    assert evaluate([str(EvaluationStore(store).directory(record.key))]) == 0
    return record.key


def told(found: LookedOver) -> list[tuple[str, str]]:
    return [(finding.id, finding.severity) for finding in found.findings]


def figures(store: RunStore, key: str, step: int, **changes: Any) -> None:
    """Change what the result of an evaluation says of a checkpoint."""
    path = EvaluationStore(store).directory(key) / "result.json"
    result = json.loads(path.read_text())
    result["splits"]["split 0"]["checkpoints"][str(step)] |= changes
    path.write_text(json.dumps(result))


def test_a_sound_evaluation_has_nothing_above_a_note(measured: tuple[RunStore, str]) -> None:
    found = look_over(*measured)
    assert told(found) == [("scored-twice", "N")] and of_evaluation(*measured) == found.findings
    assert found.against_choosing("split 0") is None
    assert "scored twice on “split 0”: all 120 texts have the same CE on both sides" in found.findings[0].sentence


def test_texts_that_the_run_knows_or_that_are_few(measured: tuple[RunStore, str]) -> None:
    store, run_id = measured[0], measured[1].partition("/")[0]
    train, _ = collect.texts(store, run_id)
    mixed = look_over(store, evaluation(store, run_id, [*CLEAN, train[5].upper()]))
    assert told(mixed) == [("overlap", "W"), ("scored-twice", "N")] and mixed.against_choosing("split 0") is None
    reused = look_over(store, evaluation(store, run_id, train[10:50]))
    assert told(reused) == [("split-reuse", "B"), ("scored-twice", "N")]
    assert reused.against_choosing("split 0") == reused.findings[0]
    few = look_over(store, evaluation(store, run_id, CLEAN[:40], splits=2))
    assert told(few) == [("too-small", "W"), ("too-small", "W"), ("scored-twice", "N")]
    assert [finding.sentence.split(":")[0] for finding in few.findings[:2]] == ["“split 0”", "“split 1”"]


def test_a_model_that_sees_ahead(kept: tuple[RunStore, str]) -> None:
    store, key = kept
    leak = {"leak_probe": {"leaks": True, "largest_change": 3.27, "positions": 8}}
    edit_json(store.directory(key.partition("/")[0]) / "run.json", facts=leak)
    found = look_over(store, key)
    assert told(found) == [("future-leak", "B"), ("scored-twice", "N")]
    blocking = found.against_choosing("split 0")
    assert blocking is not None and blocking.id == "future-leak"


def test_figures_that_are_not_those_of_the_texts(kept: tuple[RunStore, str]) -> None:
    store, key = kept
    result = EvaluationStore(store).result(key)
    assert result is not None
    ce = result["splits"]["split 0"]["checkpoints"]["20"]["ce"]
    figures(store, key, 20, ce=ce - 0.2)
    found = look_over(store, key)
    assert told(found) == [("metric-contains-regulariser", "B"), ("scored-twice", "N")]
    blocking = found.against_choosing("split 0")
    assert blocking is not None
    acknowledge(EvaluationStore(store).directory(key), blocking, "It is only to try the page.")
    accepted = accepted_about(store, key)
    assert [each.id for each in accepted] == ["metric-contains-regulariser"]
    assert found.against_choosing("split 0", accepted) is None
    figures(store, key, 20, ce=0.05, perplexity=None)
    assert ("too-good", "W") in told(look_over(store, key))


def test_a_checkpoint_whose_loss_is_no_number(kept: tuple[RunStore, str], monkeypatch: pytest.MonkeyPatch) -> None:
    store, key = kept
    real = EvaluationStore.examples

    def broken(self: EvaluationStore, *arguments: Any, **given: Any) -> Any:
        import pyarrow.compute as pc

        table = real(self, *arguments, **given)
        hit = pc.and_(pc.equal(table["checkpoint"], 20), pc.less(table["nll"], pc.max(table["nll"])))
        place = table.schema.get_field_index("nll")
        return table.set_column(place, "nll", pc.if_else(hit, float("nan"), table["nll"]))

    monkeypatch.setattr(EvaluationStore, "examples", broken)
    figures(store, key, 20, ce=None, perplexity=None)
    found = look_over(store, key)
    assert told(found) == [("non-finite", "B")]
    assert "the model of step 20 has a loss that is no finite number on" in found.findings[0].sentence
    assert found.against_choosing("split 0") is None  # the other checkpoint can be kept


def test_the_batch_size_has_to_make_no_difference(measured: tuple[RunStore, str]) -> None:
    store, key = measured
    again = evaluation(store, key.partition("/")[0], CLEAN, checkpoints=(10, 20), batch_tokens=64)
    assert told(look_over(store, again)) == [("scored-twice", "N")]
    result = EvaluationStore(store).result(again)
    assert result is not None
    ce = result["splits"]["split 0"]["checkpoints"]["20"]["ce"]
    # What a loss that depends on the batch looks like beside the evaluation with larger ones.
    figures(store, again, 20, ce=ce * 1.01, perplexity=None)
    found = look_over(store, again)
    assert ("averaging", "W") in told(found)
    assert told(look_over(store, key)) == [("scored-twice", "N")]  # the later one says it


def test_what_cannot_be_looked_at(measured: tuple[RunStore, str], tmp_path: Path) -> None:
    store, key = measured
    waiting = make_evaluation(store, key.partition("/")[0], CLEAN).key
    assert look_over(store, waiting) == LookedOver()
    train = store.directory(key.partition("/")[0]) / "data" / "train.jsonl"
    train.rename(tmp_path / "train.jsonl")
    assert told(look_over(store, key)) == [("scored-twice", "N")]
    (tmp_path / "train.jsonl").rename(train)
    with pytest.raises(RunError):
        look_over(store, f"{key}-none")
