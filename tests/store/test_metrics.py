"""The live log: whole lines in, the same records out, however the bytes arrive."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.errors import DiskFullError
from bcecore.store.metrics import MetricsTail, MetricsWriter, metrics_line

values = st.integers() | st.floats() | st.text() | st.none() | st.booleans()
records = st.dictionaries(st.text().filter(lambda key: key != "nonfinite"), values, max_size=5)


def read(tail: MetricsTail) -> list[dict[str, Any]]:
    return list(tail.read())


# Lines


def test_a_line_is_compact_json() -> None:
    assert metrics_line({"step": 1, "loss": 2.5, "not": "ışık"}) == '{"step":1,"loss":2.5,"not":"ışık"}'


def test_numbers_that_are_not_finite_are_null_and_named() -> None:
    line = metrics_line({"step": 3, "loss": math.nan, "ce": 1.0, "grad_norm": math.inf, "low": -math.inf})
    assert json.loads(line) == {
        "step": 3,
        "loss": None,
        "ce": 1.0,
        "grad_norm": None,
        "low": None,
        "nonfinite": ["loss", "grad_norm", "low"],
    }


@given(records)
def test_a_line_is_one_line_of_strict_json_with_the_same_values(record: dict[str, Any]) -> None:
    line = metrics_line(record)
    assert not set(line) & {"\n", "\r"}

    def refuse(name: str) -> None:
        raise AssertionError(name)

    read_back = json.loads(line, parse_constant=refuse)
    named = set(read_back.pop("nonfinite", ()))
    assert set(read_back) == set(record)
    for key, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            assert read_back[key] is None
            assert key in named
        else:
            assert read_back[key] == value
            assert key not in named


# The writer


def test_every_line_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsWriter(path) as writer:
        writer.write({"step": 1})
        assert path.read_text() == '{"step":1}\n'
        writer.write({"step": 2})
        assert path.read_text() == '{"step":1}\n{"step":2}\n'
    with MetricsWriter(path) as writer:
        writer.write({"step": 3})
    assert [record["step"] for record in MetricsTail(path).read()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b'{"step":9}\n'),
        (b'{"step":1}\n', b'{"step":1}\n{"step":9}\n'),
        (b'{"step":1}\n{"st', b'{"step":1}\n{"st\n{"step":9}\n'),
        (b'{"step":1}', b'{"step":1}\n{"step":9}\n'),
    ],
)
def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(before)
    with MetricsWriter(path) as writer:
        writer.write({"step": 9})
    assert path.read_bytes() == after
    assert [record["step"] for record in MetricsTail(path).read()][-1] == 9


def test_a_full_disk_is_explained_and_leaves_whole_lines(tiny_disk: Callable[[int], Path]) -> None:
    path = tiny_disk(8) / "metrics.jsonl"
    with MetricsWriter(path) as writer:
        writer.write({"step": 1, "pad": "x" * 3000})
        with pytest.raises(DiskFullError, match=r"The disk is full: metrics\.jsonl could not be written"):
            writer.write({"step": 2, "pad": "x" * 20_000})
        assert path.read_bytes().count(b"\n") == 1
        assert path.read_bytes().endswith(b"\n")
        writer.write({"step": 3})
    assert [record["step"] for record in MetricsTail(path).read()] == [1, 3]


def test_a_write_that_takes_several_calls_is_still_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with MetricsWriter(tmp_path / "metrics.jsonl") as writer:
        monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:3]))
        writer.write({"step": 1, "loss": 2.5})
        monkeypatch.undo()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step":1,"loss":2.5}\n'


# The reader


def test_there_may_be_no_log_yet(tmp_path: Path) -> None:
    tail = MetricsTail(tmp_path / "metrics.jsonl")
    assert read(tail) == []
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step":1}\n')
    assert read(tail) == [{"step": 1}]
    assert not tail.reset


def test_an_unfinished_last_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n{"step":2,"loss"')
    tail = MetricsTail(path)
    assert read(tail) == [{"step": 1}]
    assert read(tail) == []
    with path.open("ab") as file:
        file.write(b':0.5}\n{"step":3}')
    assert read(tail) == [{"step": 2, "loss": 0.5}]
    with path.open("ab") as file:
        file.write(b"\n")
    assert read(tail) == [{"step": 3}]


def test_lines_that_are_no_records_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n{"st\n\n[1]\n3\nnull\n\xff\n{"step":2}\r\n')
    assert read(MetricsTail(path)) == [{"step": 1}, {"step": 2}]


@given(st.lists(records, max_size=8), st.data())
def test_however_the_bytes_arrive_the_records_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, Any]], data: st.DataObject
) -> None:
    content = b"".join(metrics_line(record).encode() + b"\n" for record in written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=10)))
    path = tmp_path_factory.mktemp("tail") / "metrics.jsonl"
    tail = MetricsTail(path)
    got: list[dict[str, Any]] = []
    with path.open("ab", buffering=0) as file:
        for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            file.write(content[start:end])
            got += read(tail)
            assert not tail.reset
    assert got == [json.loads(metrics_line(record)) for record in written]
    assert read(tail) == []


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n' * 1000)
    tail = MetricsTail(path)
    assert len(read(tail)) == 1000
    parsed: list[bytes] = []
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda line: parsed.append(line) or real(line))
    with path.open("ab") as file:
        file.write(b'{"step":2}\n')
    assert read(tail) == [{"step": 2}]
    assert parsed == [b'{"step":2}']


@pytest.mark.parametrize("how", ["shrunk", "replaced", "emptied"])
def test_a_log_that_begins_again_is_read_again(tmp_path: Path, how: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1}\n{"step":2}\n')
    tail = MetricsTail(path)
    assert len(read(tail)) == 2
    if how == "replaced":
        (tmp_path / "new").write_bytes(b'{"step":7}\n{"step":8}\n{"step":9}\n')
        (tmp_path / "new").rename(path)
    else:
        path.write_bytes(b'{"step":7}\n' if how == "shrunk" else b"")
    steps = [record["step"] for record in read(tail)]
    assert tail.reset
    assert steps == {"shrunk": [7], "replaced": [7, 8, 9], "emptied": []}[how]
    assert read(tail) == []
    assert not tail.reset
