"""The texts that come along: as many lines as promised, of all kinds, and none on both sides."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from bcecore.text.reading import SAMPLE_TRAIN_FILE, SAMPLE_VALIDATION_FILE, read_texts
from bcecore.text.splitting import normalised, shared_texts

# The kinds that the report's text has, in the order of samples/README.md.
KINDS = {
    "translation": r"Translate to (Turkish|English): .+ => .+",
    "encyclopedia": r"\[Wikipedia (EN|TR)\] .+",
    "maths": r"\[(Math|Matematik)\] .+ => .+",
    "title": r"\[Academic Paper\] Title: .+",
}
FILES = {"train": (SAMPLE_TRAIN_FILE, 400), "validation": (SAMPLE_VALIDATION_FILE, 120)}


def kind_of(line: str) -> str:
    matches = [kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, line)]
    assert len(matches) == 1, line
    return matches[0]


@pytest.mark.parametrize("side", FILES)
def test_there_are_enough_lines_of_every_kind(side: str) -> None:
    path, least = FILES[side]
    lines = read_texts(path)
    assert len(lines) >= least
    assert path.read_text(encoding="utf-8").splitlines() == lines  # no empty lines, no loose spaces
    counts = Counter(map(kind_of, lines))
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= len(lines) // 12


@pytest.mark.parametrize("side", FILES)
def test_both_languages_and_both_directions_are_there(side: str) -> None:
    text = FILES[side][0].read_text(encoding="utf-8")
    for start in ("Translate to Turkish: ", "Translate to English: ", "[Wikipedia EN]", "[Wikipedia TR]"):
        assert text.count(f"\n{start}") >= 10
    assert set("çğıöşüİ") <= set(text)


def test_no_line_is_on_both_sides_or_twice_on_one() -> None:
    train, validation = (read_texts(path) for path, _ in FILES.values())
    assert shared_texts(train, validation) == 0
    for lines in (train, validation):
        assert len({normalised(line) for line in lines}) == len(lines)


def test_no_question_or_sentence_is_on_both_sides_with_another_answer() -> None:
    train, validation = (
        {normalised(part) for line in read_texts(path) for part in re.sub(r"^[^:\]]+[:\]]", "", line).split(" => ")}
        for path, _ in FILES.values()
    )
    short_answers = {part for part in train & validation if len(part.split()) <= 2}
    assert train & validation == short_answers


def test_nothing_is_taken_from_the_reports_text(shared_data_lines: set[str]) -> None:
    for path, _ in FILES.values():
        assert not {normalised(line) for line in read_texts(path)} & shared_data_lines


@pytest.fixture
def shared_data_lines(shared_data) -> set[str]:  # type: ignore[no-untyped-def]
    names = ("huggingface_turkish_english_sample.txt", "val_small.txt")
    return {normalised(line) for name in names for line in read_texts(shared_data / "report" / name)}


def test_the_readme_counts_what_is_there() -> None:
    readme = SAMPLE_TRAIN_FILE.with_name("README.md").read_text(encoding="utf-8")
    train, validation = (read_texts(path) for path, _ in FILES.values())
    assert f"`turkish_english_train.txt` ({len(train)} lines)" in readme
    assert f"`turkish_english_validation.txt` ({len(validation)} lines)" in readme
    for start in ("Translate to Turkish: ", "Translate to English: ", "[Wikipedia EN]", "[Wikipedia TR]", "[Math]"):
        counts = [sum(line.startswith(start) for line in lines) for lines in (train, validation)]
        assert re.search(rf"{re.escape(start)}[^`]*` {counts[0]} / {counts[1]}\b", readme), start
