"""Finding out about files: at once, by a process of its own, and not twice."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from bcecore.config import DataConfig
from bcecore.errors import BceError, RunError, TextError
from bcecore.jobs import looking
from bcecore.jobs.looking import AboutFile, AboutTwo, Answer, AtWork, Cleaned, Question, Written, ask, forget
from bcecore.store.runs import RunStore
from bcecore.text.looking import Between, Look
from bcecore.text.overlap import find_overlap
from bcecore.text.reading import read_texts

LINES = [f"Line {n} of many says that {n} times {n} is {n * n}." for n in range(60)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "learn.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return path


def waited_for(store: RunStore, question: Question) -> Answer:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = ask(store, question)
        if not isinstance(found, AtWork):
            return found
        assert 0 <= found.share <= 1
        time.sleep(0.05)
    raise AssertionError("it never ended")


def test_a_small_file_is_answered_at_once_and_not_twice(
    store: RunStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = AboutFile(path=path, data=DataConfig())
    first = ask(store, question)
    assert isinstance(first, Look) and first.lines == 60
    monkeypatch.setattr(looking, "look", None)
    assert ask(store, question) == first
    monkeypatch.undo()
    path.write_text("\n".join(LINES[:50]), encoding="utf-8")
    changed = ask(store, question)
    assert isinstance(changed, Look) and changed.lines == 50


@pytest.mark.skipif(sys.platform == "win32", reason="a process group")
def test_a_large_one_is_worked_on_by_a_process(store: RunStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = ask(store, AboutTwo(path=path, held_out=path))
    forget(store, AboutTwo(path=path, held_out=path))
    monkeypatch.setattr(looking, "SMALL_BYTES", 0)
    assert isinstance(ask(store, AboutTwo(path=path, held_out=path)), AtWork)
    found = waited_for(store, AboutTwo(path=path, held_out=path))
    assert isinstance(found, Between) and found == at_once and found.exact == 60


@pytest.mark.skipif(sys.platform == "win32", reason="a process group")
def test_what_goes_wrong_in_the_process_is_said_and_can_be_tried_again(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "SMALL_BYTES", 0)
    bad = tmp_path / "bad.csv"
    bad.write_text("words\na\n", encoding="utf-8")
    question = AboutFile(path=bad, data=DataConfig())
    with pytest.raises(BceError, match="has no column 'text'") as caught:
        waited_for(store, question)
    assert caught.value.field == "data.column"
    # A process that dies says so once, and the next look begins anew.
    forget(store, question)
    monkeypatch.setattr(looking, "spawn", lambda _arguments, log: _DeadAtOnce(log))
    assert isinstance(ask(store, question), AtWork)
    with pytest.raises(RunError, match="could not be looked at: MemoryError"):
        ask(store, question)


class _DeadAtOnce:
    """A process that has ended already."""

    def __init__(self, log: Path) -> None:
        log.write_text("Traceback\nMemoryError\n")
        self.pid = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", ""]) or 2**22 - 1


def test_clean_files_are_written_and_again_when_they_are_gone(store: RunStore, path: Path, tmp_path: Path) -> None:
    question = Cleaned(path=path, how="split", fraction=0.2, directory=tmp_path / "out", stem="my text")
    found = ask(store, question)
    assert isinstance(found, Written) and found.held_out is not None
    assert (found.train.name, found.held_out.name) == ("my text-train.txt", "my text-check.txt")
    assert (found.train_lines, found.held_out_lines, found.left_out) == (48, 12, 0)
    train, check = read_texts(found.train), read_texts(found.held_out)
    assert sorted(train + check) == sorted(LINES) and find_overlap(train, check).pairs == ()
    found.train.unlink()
    assert ask(store, question) == found and found.train.is_file()
    once = ask(store, Cleaned(path=path, how="once", directory=tmp_path / "once", stem="t"))
    assert isinstance(once, Written) and once.held_out is None and once.train_lines == 60


def test_without_the_lines_that_check_takes_both_files_along(store: RunStore, path: Path, tmp_path: Path) -> None:
    check = tmp_path / "check.jsonl"
    rows = [{"words": LINES[7].upper()}, {"words": "two\nlines"}]
    check.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    both = tmp_path / "learn.csv"
    both.write_text("words\n" + "".join(f"{line}\n" for line in LINES), encoding="utf-8")
    found = ask(
        store,
        Cleaned(path=both, how="without", held_out=check, column="words", directory=tmp_path / "out", stem="t"),
    )
    assert isinstance(found, Written) and found.held_out is not None
    assert (found.train_lines, found.held_out_lines, found.left_out) == (59, 2, 1)
    assert found.held_out.suffix == ".jsonl" and read_texts(found.held_out) == [LINES[7].upper(), "two\nlines"]
    with pytest.raises(TextError, match="No line would be left"):
        ask(store, Cleaned(path=path, how="without", held_out=path, directory=tmp_path / "none", stem="t"))


def test_old_answers_are_forgotten(store: RunStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_KEPT", 2)
    for block_size in (10, 20, 30):
        ask(store, AboutFile(path=path, data=DataConfig(block_size=block_size)))
    assert len(list((store.root / ".looks").glob("*.json"))) == 2


def test_a_file_that_is_not_there(store: RunStore, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no file"):
        ask(store, AboutFile(path=tmp_path / "nowhere.txt", data=DataConfig()))
