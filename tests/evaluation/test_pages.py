"""The pages of a split's file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation import pages as module
from bcecore.evaluation.pages import Row, pages


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_page_ends_after_so_many_rows_or_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 3)
    monkeypatch.setattr(module, "PAGE_CHARACTERS", 10)
    texts = ["a", "b", "c", "d", "x" * 50, "e"]
    found = list(pages(write(tmp_path / "t.jsonl", [{"text": text} for text in texts])))
    assert [[row.text for row in page] for page in found] == [["a", "b", "c"], ["d", "x" * 50], ["e"]]
    assert [row.example for page in found for row in page] == list(range(6))


def test_labels_and_line_breaks_within_a_text(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{"text": "one\ntwo\u2028three", "label": 1}, {"text": "ağ", "label": None}])
    assert list(pages(path)) == [[Row(0, "one\ntwo\u2028three", "1"), Row(1, "ağ", None)]]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=40))
def test_all_rows_are_there_in_order(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = write(tmp_path_factory.mktemp("pages") / "t.jsonl", [{"text": text} for text in texts])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PAGE_ROWS", 7)
        found = list(pages(path))
    assert [row.text for page in found for row in page] == texts and all(found)
