"""From the settings to the lines of a run: filter, limits, the four kinds of validation, fingerprints."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bcecore.config import DataConfig
from bcecore.errors import BceError, ConfigError, TextError
from bcecore.text.prepare import prepare
from bcecore.text.reading import SAMPLE_TRAIN_FILE, SAMPLE_VALIDATION_FILE, read_texts
from bcecore.text.splitting import split_fraction


def data(path: Path | str, **settings: Any) -> DataConfig:
    return DataConfig(train_file=str(path), **settings)


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_share_is_set_aside_by_default(text_file: Path) -> None:
    prepared = prepare(data(text_file))
    lines = read_texts(text_file)
    train, validation = split_fraction(lines, 0.1, 0)
    assert prepared.train == [lines[i] for i in train]
    assert prepared.validation == [lines[i] for i in validation]
    assert (len(prepared.train), len(prepared.validation)) == (36, 4)
    assert (prepared.lines_read, prepared.dropped, prepared.shared) == (40, {}, 0)


def test_share_and_seed_are_followed(text_file: Path) -> None:
    prepared = prepare(data(text_file, validation_fraction=0.25, split_seed=7))
    assert len(prepared.validation) == 10
    assert prepared.validation != prepare(data(text_file, validation_fraction=0.25, split_seed=8)).validation


def test_the_first_rows_of_training_are_reused_and_said_to_be_shared(text_file: Path) -> None:
    prepared = prepare(data(text_file, validation="first_rows_of_training", validation_rows=3))
    lines = read_texts(text_file)
    assert prepared.train == lines
    assert prepared.validation == lines[:3]
    assert prepared.shared == 3


def test_nothing_is_checked_if_nothing_is_wanted(text_file: Path) -> None:
    prepared = prepare(data(text_file, validation="none"))
    assert prepared.train == read_texts(text_file)
    assert prepared.validation == []


def test_another_file_is_checked_against_and_what_it_shares_is_counted(tmp_path: Path, text_file: Path) -> None:
    other = write(tmp_path / "other.txt", ["something else", read_texts(text_file)[5].upper(), "and more"])
    prepared = prepare(data(text_file, validation="file", validation_file=str(other)))
    assert prepared.train == read_texts(text_file)
    assert prepared.validation == read_texts(other)
    assert prepared.shared == 1


def test_the_sample_has_a_checking_text_of_its_own() -> None:
    prepared = prepare(data("sample", validation="file", validation_file="sample"))
    assert prepared.train == read_texts(SAMPLE_TRAIN_FILE)
    assert prepared.validation == read_texts(SAMPLE_VALIDATION_FILE)
    assert prepared.shared == 0


def test_limits_take_the_first_lines(text_file: Path) -> None:
    whole = prepare(data(text_file, validation_fraction=0.5))
    limited = prepare(data(text_file, validation_fraction=0.5, max_train_examples=5, max_validation_examples=2))
    assert limited.train == whole.train[:5]
    assert limited.validation == whole.validation[:2]
    assert limited.lines_read == 40


def test_what_the_filter_drops_is_counted_and_not_split(tmp_path: Path) -> None:
    lines = [f"line number {n}" for n in range(20)]
    path = write(tmp_path / "a.txt", ["ab", *lines, "zzzzzzzzzzz", "!!! ??? ###", "", "   "])
    prepared = prepare(data(path, min_characters=3, max_repeated_share=0.5, max_symbol_share=0.5))
    assert sorted(prepared.train + prepared.validation) == sorted(lines)
    assert prepared.lines_read == 23
    assert prepared.dropped == {"too_short": 1, "repeated_characters": 1, "too_many_symbols": 1}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"min_characters": 1000}, "data.min_characters"),
        ({"max_repeated_share": 0.01}, "data.max_repeated_share"),
        ({"max_symbol_share": 0.0}, "data.max_symbol_share"),
    ],
)
def test_a_filter_that_leaves_nothing_is_named(text_file: Path, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match="the quality filter leaves none of the 40 lines") as caught:
        prepare(data(text_file, **settings))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("lines", "count"),
    [(["only one"], "1 usable line "), (["Same.", "same", "SAME!"], "3 usable lines ")],
)
def test_what_cannot_be_divided_is_refused(tmp_path: Path, lines: list[str], count: str) -> None:
    path = write(tmp_path / "a.txt", lines)
    with pytest.raises(ConfigError) as caught:
        prepare(data(path))
    assert caught.value.field == "data.validation"
    assert str(caught.value).startswith(f"data.validation: {count}cannot be divided into text to learn from and")
    assert prepare(data(path, validation="none")).train == lines


def test_two_lines_are_enough(tmp_path: Path) -> None:
    prepared = prepare(data(write(tmp_path / "a.txt", ["one", "two"])))
    assert (len(prepared.train), len(prepared.validation)) == (1, 1)


@pytest.mark.parametrize("side", ["train_file", "validation_file"])
def test_a_bad_file_belongs_to_its_own_setting(tmp_path: Path, text_file: Path, side: str) -> None:
    files = {"train_file": str(text_file), "validation_file": str(text_file), side: str(tmp_path / "missing.txt")}
    with pytest.raises(TextError, match="There is no file") as caught:
        prepare(DataConfig(validation="file", **files))
    assert caught.value.field == f"data.{side}"


def test_a_missing_column_belongs_to_the_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["cümle", "bir", "iki"])
    with pytest.raises(BceError, match="no column 'text'") as caught:
        prepare(data(path))
    assert caught.value.field == "data.column"
    assert len(prepare(data(path, column="cümle")).train) == 1


def test_fingerprints_are_of_the_very_lines(text_file: Path, tmp_path: Path) -> None:
    prepared = prepare(data(text_file))
    expected = hashlib.sha256("".join(f"{line}\0" for line in prepared.train).encode()).hexdigest()
    assert prepared.fingerprints["train"] == expected
    assert prepared.fingerprints == prepare(data(text_file)).fingerprints
    assert prepared.fingerprints != prepare(data(text_file, split_seed=1)).fingerprints
    # Where one line ends counts.
    one, other = (write(tmp_path / f"{n}.txt", lines) for n, lines in enumerate((["ab", "c"], ["a", "bc"])))
    pair = [prepare(data(path, validation="none")).fingerprints["train"] for path in (one, other)]
    assert pair[0] != pair[1]
