"""Dividing a file: every line on one side, and nothing that is the same or nearly the same across."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.errors import TextError
from bcecore.text import near
from bcecore.text.clean_split import clean_split, without, without_copies, written
from bcecore.text.overlap import find_overlap
from bcecore.text.reading import read_texts
from bcecore.text.splitting import split_fraction

LINE = "The old bridge over the river was closed for the whole winter because of thick ice on it"
TEXT = st.lists(st.sampled_from("abcd"), min_size=1, max_size=14).map(" ".join)


@settings(max_examples=100)
@given(st.lists(TEXT, max_size=14), st.integers(0, 5))
def test_nothing_is_on_both_sides(texts: list[str], seed: int) -> None:
    try:
        split = clean_split(texts, 0.3, seed)
    except TextError:
        return
    assert sorted(split.train + split.held_out) == list(range(len(texts))) and split.left_out == []
    held_out = [texts[line] for line in split.held_out]
    assert find_overlap([texts[line] for line in split.train], held_out).pairs == ()
    assert clean_split(texts, 0.3, seed) == split


def test_a_chain_of_near_lines_stays_together() -> None:
    # Each is near to the next, the first not to the last.
    words = LINE.split()
    chain = [" ".join(words[start:] + [f"more{n}" for n in range(start)]) for start in range(4)]
    others = [f"line number {n} says {n * n} and that is all there is to it" for n in range(60)]
    assert near.similarity(chain[0], chain[1]) >= 0.8 > near.similarity(chain[0], chain[3])
    sides = set()
    for seed in range(40):
        split = clean_split(others + chain, 0.3, seed)
        on_side = {60 + n in split.held_out for n in range(4)}
        assert len(on_side) == 1
        sides |= on_side
    assert sides == {True, False}


def test_without_near_lines_it_is_the_split_of_a_run() -> None:
    texts = [f"Sentence {n} of many says {n * n} and then it ends." for n in range(200)]
    split = clean_split(texts, 0.1, 3)
    assert (split.train, split.held_out) == split_fraction(texts, 0.1, 3)


def test_lines_that_cannot_be_divided() -> None:
    with pytest.raises(TextError, match="The 3 lines cannot be divided"):
        clean_split([LINE, LINE.upper(), f"{LINE} today"], 0.5, 0)
    with pytest.raises(TextError, match="No line would be left"):
        without([LINE], [f"{LINE} today"])


def test_the_training_text_without_the_lines_that_check(shared_data: Path) -> None:
    train = read_texts(shared_data / "report" / "huggingface_turkish_english_sample.txt")
    held_out = read_texts(shared_data / "report" / "val_small.txt")
    split = without([*train, f"{held_out[4]} today"], held_out)
    assert len(split.train) == 171 and len(split.left_out) == 30
    assert find_overlap([train[line] for line in split.train], held_out).pairs == ()


def test_without_copies_keeps_the_first() -> None:
    split = without_copies(["b", LINE, "B!", f"{LINE} today", "c"])
    assert (split.train, split.left_out) == ([0, 1, 4], [2, 3])


def test_what_was_not_compared_is_on_neither_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where near lines may have been missed, they are looked for across the two sides once more."""
    monkeypatch.setattr(near, "_MOST_PAIRS", 0)
    monkeypatch.setattr(near, "_FEWEST_KEPT", 1)
    tail = " ".join(f"word{n}" for n in range(60))
    texts = [f"Entry {n} of it {tail} and {n}" for n in range(80)]
    texts += [f"Sentence {n} of many says {n * n} and then it ends." for n in range(80)]
    split = clean_split(texts, 0.3, 0)
    assert sorted(split.train + split.held_out + split.left_out) == list(range(160))
    found = find_overlap([texts[line] for line in split.train], [texts[line] for line in split.held_out])
    assert found.pairs == () and len(split.held_out) > 10


def test_files_hold_the_same_texts(tmp_path: Path) -> None:
    for texts, suffix in ((["one", "iki ığüşöç", "“three”"], ".txt"), (["one\ntwo", "three\rfour", "five"], ".jsonl")):
        path = written(tmp_path / "my text.v2", texts)
        assert path.name == f"my text.v2{suffix}" and read_texts(path) == texts
