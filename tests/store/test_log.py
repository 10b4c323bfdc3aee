"""The end of a log: the last lines, of a progress bar its last state, and never more than is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.store.log import log_tail


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"", []),
        (b"one\n", ["one"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\ntwo\nthree\nfour\n", ["two", "three", "four"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b" 10%\r 50%\r100%\ndone\n", ["100%", "done"]),
        (b" 10%\r 50%\r", [" 50%"]),
        ("ışık \xff\n".encode("latin-1", "replace") + "ışık\n".encode(), None),
        (b"\n\n\n", ["", "", ""]),
    ],
)
def test_the_last_lines(tmp_path: Path, content: bytes, shown: list[str] | None) -> None:
    (tmp_path / "train.log").write_bytes(content)
    got = log_tail(tmp_path / "train.log", 3)
    if shown is None:
        assert got[-1] == "ışık"
    else:
        assert got == shown


def test_there_may_be_no_log_yet(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "train.log", 3) == []


def test_of_a_long_log_only_whole_lines_are_shown(tmp_path: Path) -> None:
    lines = [f"line {number}: " + "ş" * 50 for number in range(10_000)]
    (tmp_path / "train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert log_tail(tmp_path / "train.log", 5) == lines[-5:]


def test_a_progress_bar_that_wrote_over_itself_all_the_time_is_one_line(tmp_path: Path) -> None:
    states = [f"{number:5} of 9999 [{'#' * 60}]" for number in range(10_000)]
    (tmp_path / "train.log").write_text("\r".join(states), newline="")
    assert log_tail(tmp_path / "train.log", 3) == [states[-1]]
