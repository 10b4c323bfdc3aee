"""The examples of an evaluation: written in parts, put together once, and readable all the while."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.errors import DiskFullError, RunError
from bcecore.store import examples
from bcecore.store.evaluations import EvaluationStore
from bcecore.store.examples import examples_schema, merge_parts, parts, write_part
from bcecore.store.objective import BCE_PARTS
from bcecore.store.runs import RunStore
from tests.examples import example_run
from tests.store.test_evaluations import make


@pytest.fixture
def run_id(store: RunStore) -> str:
    return example_run(store)


@pytest.fixture
def evaluated(store: RunStore) -> EvaluationStore:
    return EvaluationStore(store)


def row(number: int, *, checkpoint: int = 20, split: str = "val") -> dict[str, Any]:
    return {
        "checkpoint": checkpoint,
        "split": split,
        "example": number,
        "text": f"text {number}",
        "tokens": 2,
        "length": 3,
        "bytes": 6,
        "windows": 1,
        "cut": False,
        "ce": 0.1 * number,
        "nll": 0.2 * number,
        "bce_loss": -0.46,
        **dict.fromkeys(BCE_PARTS, 0.5),
        "token_ids": [5, number],
        "token_nll": [0.25, 0.5],
        "token_starts": [0, 4],
        "token_ends": [4, 6],
    }


def test_examples_can_be_read_before_during_and_after(evaluated: EvaluationStore, run_id: str) -> None:
    key = make(evaluated, run_id)
    directory = evaluated.directory(key)
    assert evaluated.examples(key).num_rows == 0
    assert evaluated.examples(key, columns=["ce"]).column_names == ["ce"]
    write_part(directory, 0, [row(0), row(1)])
    write_part(directory, 1, [row(0, checkpoint=40), row(1, checkpoint=40)])
    during = evaluated.examples(key)
    assert during.schema == examples_schema()
    assert [path.name for path in parts(directory)] == ["part-00000.parquet", "part-00001.parquet"]
    assert during.to_pylist()[3] == row(1, checkpoint=40) | dict.fromkeys(
        ("label", "label_scores", "label_means", "predicted")
    )
    assert merge_parts(directory) == directory / "examples.parquet"
    assert evaluated.examples(key) == during
    assert not (directory / "parts").exists()
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["data", "examples.parquet", "job.copy.json", "job.json"]
    )
    some = evaluated.examples(key, columns=["example", "ce"], filters=[("checkpoint", "=", 40), ("ce", ">", 0.05)])
    assert some.to_pylist() == [{"example": 1, "ce": 0.1}]
    assert merge_parts(directory) == directory / "examples.parquet"  # nothing left to do
    assert evaluated.examples(key) == during


def test_a_part_with_a_column_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="examples have no perplexity"):
        write_part(tmp_path, 0, [row(0), row(1) | {"perplexity": 3.0}])
    assert parts(tmp_path) == []


@settings(max_examples=20)  # every file is really synced
@given(numbers=st.lists(st.integers(0, 99_999), unique=True, min_size=1, max_size=5))
def test_parts_are_merged_in_the_order_of_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("evaluation")
    for number in numbers:
        write_part(directory, number, [row(number)])
    table = pq.read_table(merge_parts(directory))
    assert table.column("example").to_pylist() == sorted(numbers)


def test_a_merge_cut_short_is_done_again(
    evaluated: EvaluationStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(evaluated, run_id)
    directory = evaluated.directory(key)
    for number in range(3):
        write_part(directory, number, [row(number)])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            merge_parts(directory)
    assert not (directory / "examples.parquet").exists() and len(parts(directory)) == 3
    with monkeypatch.context() as broken:
        broken.setattr(shutil, "rmtree", killed)  # between the whole file and the removal of the parts
        with pytest.raises(KeyboardInterrupt):
            merge_parts(directory)
    assert evaluated.examples(key).column("example").to_pylist() == [0, 1, 2]
    merge_parts(directory)
    assert evaluated.examples(key).column("example").to_pylist() == [0, 1, 2]
    assert parts(directory) == []


def test_parts_that_are_merged_while_they_are_read_are_found_in_the_whole(
    evaluated: EvaluationStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make(evaluated, run_id)
    directory = evaluated.directory(key)
    write_part(directory, 0, [row(7)])
    real = examples.parts

    def too_late(where: Path) -> list[Path]:
        found = real(where)
        monkeypatch.setattr(examples, "parts", real)
        merge_parts(directory)
        return found

    monkeypatch.setattr(examples, "parts", too_late)
    assert evaluated.examples(key).column("example").to_pylist() == [7]


def test_damaged_examples_are_told(evaluated: EvaluationStore, run_id: str) -> None:
    key = make(evaluated, run_id)
    (evaluated.directory(key) / "examples.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RunError, match=f"The examples of evaluation {key} .* are damaged"):
        evaluated.examples(key)


def test_a_full_disk_keeps_the_parts(tiny_disk: Callable[[int], Path]) -> None:
    directory = tiny_disk(200)
    write_part(directory, 0, [row(0)])
    with pytest.raises(DiskFullError, match=r"part-00001\.parquet could not be written"):
        write_part(directory, 1, [row(1) | {"text": os.urandom(200_000).hex()}])
    assert [path.name for path in (directory / "parts").iterdir()] == ["part-00000.parquet"]
    filler = directory / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(b"x" * 1_000_000)
    with pytest.raises(DiskFullError, match=r"examples\.parquet could not be written"):
        merge_parts(directory)
    filler.unlink()
    assert pq.read_table(merge_parts(directory)).num_rows == 1
