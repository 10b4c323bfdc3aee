"""What is said of a text file."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import DataConfig
from bcecore.errors import TextError
from bcecore.text.looking import Look, compare, histogram, look, sift
from bcecore.text.tokenizing import encode, train_wordpiece

LINES = [f"Line {n} of many says that {n} times {n} is {n * n}." for n in range(80)]


def file(directory: Path, *lines: str, name: str = "text.txt") -> Path:
    path = directory / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_counts_are_those_of_a_run(tmp_path: Path) -> None:
    data = DataConfig(block_size=20)
    lines = [*LINES, "word " * 40, "x"]
    found = look(file(tmp_path, *lines[:3], "", *lines[3:]), data)
    tokenizer = train_wordpiece([line.strip() for line in lines], 4096)
    whole, cut = encode(tokenizer, lines, 8192), encode(tokenizer, lines, 20)
    assert (found.rows, found.lines, found.learnt) == (83, 82, True)
    assert (found.tokens, found.cut, found.vocabulary) == (whole.tokens, cut.cut, tokenizer.get_vocab_size())
    assert found.cut_tokens == whole.tokens - cut.tokens
    assert found.words == sum(len(line.split()) for line in lines)
    assert found.characters == sum(len(line.strip()) for line in lines)
    assert sum(count for _, _, count in found.lengths) == 82 and found.longest_tokens == 42
    assert [line.number for line in found.preview] == [1, 2, 3, 5, 6, 7, 8, 9]
    assert found.cut_examples[-1].number == 82 and found.unknown == found.too_short == 0
    assert Look.model_validate_json(found.model_dump_json()) == found


def test_unknown_tokens_are_those_of_the_tokenizer_that_was_chosen(tmp_path: Path) -> None:
    train_wordpiece(LINES, 300).save(str(tmp_path / "tokenizer.json"))
    found = look(file(tmp_path, "Line 1 is many", "дом стоит"), tokenizer_folder=tmp_path)
    assert not found.learnt and found.unknown == 2
    assert look(file(tmp_path, "Line 1 is many", "дом стоит")).unknown == 0


def test_real_tokenizer_on_real_text(shared_data: Path) -> None:
    found = look(shared_data / "report" / "val_small.txt", tokenizer_folder=shared_data / "tokenizer")
    assert found.lines == 29 and found.vocabulary == 30_522 and found.scripts == {"Latin": found.scripts["Latin"]}


def test_copies_and_what_the_filter_takes_are_told_by_their_rows(tmp_path: Path) -> None:
    path = file(tmp_path, "", *LINES, "", LINES[3].upper(), f"{LINES[4]} today", "!!!! ????", "zzzzzzzzzzzz")
    found = look(path)
    assert [(copy.line.number, copy.other.number, copy.exact) for copy in found.copies][:1] == [(83, 5, True)]
    assert found.exact_copies == 1 and found.left_out == []
    assert found.most_frequent is not None and found.most_frequent[0].number == 5 and found.most_frequent[1] == 2
    left = sift(path, DataConfig(min_characters=12, max_repeated_share=0.5, max_symbol_share=0.5)).left_out
    assert {part.reason: [line.number for line in part.examples] for part in left} == {
        "too_short": [85],
        "repeated_characters": [86],
    }


def test_the_reports_files_are_compared(shared_data: Path) -> None:
    report = shared_data / "report"
    found = compare(report / "huggingface_turkish_english_sample.txt", report / "val_small.txt")
    assert (found.held_out_lines, found.exact, found.near, found.clean, found.train_lines) == (29, 29, 0, 0, 200)
    assert all(pair.line.text == pair.other.text and pair.exact for pair in found.pairs)


def test_progress_rises_and_can_end_the_work(tmp_path: Path) -> None:
    told: list[float] = []
    path = file(tmp_path, *(f"{n} apples" for n in range(3000)))
    look(path, progress=told.append)
    assert told == sorted(told) and len(told) > 4 and told[0] > 0 and told[-1] <= 1
    compare(path, path, progress=told.append)

    def enough(_: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        look(path, progress=enough)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="There is no file"):
        look(tmp_path / "nowhere.txt")
    with pytest.raises(TextError, match="has no column 'words'"):
        compare(file(tmp_path, "text", "a", name="a.csv"), file(tmp_path, "b", name="b.csv"), "words")


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=200))
def test_every_line_is_in_the_histogram(lengths: list[int]) -> None:
    found = histogram(np.array(lengths))
    assert sum(count for _, _, count in found) == len(lengths) and len(found) <= 24
    assert found[0][0] == 1 and found[-1][1] >= max(lengths)
    for (_, end, _), (begin, _, _) in pairwise(found):
        assert begin == end + 1
    for low, high, count in found:
        assert count == sum(low <= length <= high for length in lengths)


def test_a_few_very_long_lines_do_not_squeeze_the_others() -> None:
    chance = random.Random(1)
    found = histogram(np.array([chance.randint(5, 60) for _ in range(1000)] + [8000]))
    assert found[0][1] <= 5 and found[-1][1] == 8000 and len(found) >= 12
