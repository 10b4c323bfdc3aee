"""The command `data`: a file looked at, compared and divided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bcecore.cli import main
from bcecore.text.reading import read_texts

LINES = [f"Line {n} of many says that {n} times {n} is {n * n}." for n in range(40)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.txt"
    path.write_text("\n".join([*LINES, LINES[2]]), encoding="utf-8")
    return path


def test_a_file_is_described(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", str(path), "--block-size", "8", "--min-characters", "42"]) == 0
    printed = capsys.readouterr().out
    assert "Lines        41 with text, 0 empty" in printed
    assert "lines at 8 tokens" in printed and "too short" in printed
    assert "Copies       1 word for word" in printed and "row 41 repeats row 3: Line 2 of many" in printed


def test_the_reports_files_are_divided(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, check = (
        str(shared_data / "report" / name) for name in ("huggingface_turkish_english_sample.txt", "val_small.txt")
    )
    assert main(["data", train, "--against", check, "--split", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["file"]["lines"], found["against"]["exact"], found["written"]["train_lines"]) == (200, 29, 171)
    assert len(read_texts(Path(found["written"]["train"]))) == 171
    assert main(["data", train, "--against", check]) == 0
    assert "Of 29 lines to check on, 29 are in the text to learn from: 29 word for word" in capsys.readouterr().out


def test_a_file_is_divided_in_two(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", str(path), "--split", str(tmp_path / "out"), "--fraction", "0.25"]) == 0
    assert "mine-check.txt: " in capsys.readouterr().out
    sides = [read_texts(tmp_path / "out" / f"mine-{side}.txt") for side in ("train", "check")]
    assert sorted(sides[0] + sides[1]) == sorted([*LINES, LINES[2]])
    assert main(["data", str(path), "--split", str(tmp_path / "once"), "--once"]) == 0
    assert read_texts(tmp_path / "once" / "mine-train.txt") == LINES
    assert "left out: 1 lines" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.txt"], "There is no file"),
        (["{path}", "--fraction", "0.9"], "a share is more than 0"),
        (["{path}", "--block-size", "1"], "data.block_size"),
        (["{path}", "--tokenizer", "{path}"], "no tokenizer.json"),
    ],
)
def test_bad_input(path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", *(argument.format(path=path) for argument in arguments)]) == 2
    assert words in capsys.readouterr().err
