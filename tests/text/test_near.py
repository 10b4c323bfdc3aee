"""Near pairs among hashed texts: by every way of finding them, the same as comparing every pair."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.text import near
from bcecore.text.near import NearPairs, grams, hashed, jaccard, known_elsewhere, may_be_near, similarity

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=16), max_size=10)


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of the texts that agree in a band only the first two are candidates."""
    monkeypatch.setattr(near, "_MOST_PAIRS", 0)
    monkeypatch.setattr(near, "_FEWEST_KEPT", 2)
    yield


def found(first: list[list[str]], second: list[list[str]] | None = None) -> tuple[set[tuple[int, int]], bool]:
    search = NearPairs(hashed(first), None if second is None else hashed(second))
    pairs = {pair for ones, others in search for pair in zip(ones.tolist(), others.tolist(), strict=True)}
    return pairs, search.complete


def expected(first: list[list[str]], second: list[list[str]], at_least: float = 0.8) -> set[tuple[int, int]]:
    return {
        (one, other)
        for one, a in enumerate(first)
        for other, b in enumerate(second)
        if jaccard(grams(a), grams(b)) >= at_least
    }


@settings(max_examples=200)
@given(first=TEXTS, second=TEXTS)
def test_every_pair_between_two_lists(first: list[list[str]], second: list[list[str]]) -> None:
    assert found(first, second) == (expected(first, second), True)


@settings(max_examples=200)
@given(TEXTS)
def test_every_pair_among_one_list(texts: list[list[str]]) -> None:
    assert found(texts) == ({(one, other) for one, other in expected(texts, texts) if one < other}, True)


def test_small_batches_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(2)
    texts = [chance.choices("abc", k=chance.randint(4, 16)) for _ in range(120)]
    whole = found(texts, texts)
    monkeypatch.setattr(near, "_PAIRS_AT_ONCE", 7)
    monkeypatch.setattr(near, "_GRAMS_AT_ONCE", 20)
    assert found(texts, texts) == whole and len(whole[0]) > 100


def test_every_pair_among_many_long_texts() -> None:
    chance = random.Random(3)
    words = [f"word{n}" for n in range(400)]
    first = [chance.choices(words, k=24) for _ in range(300)]
    second = [[*text[: chance.randint(21, 24)], *chance.choices(words, k=2)] for text in first]
    near_ones = expected(first, second)
    assert found(first, second) == (near_ones, True) and len(near_ones) > 100
    assert found(second, first) == ({(one, other) for other, one in near_ones}, True)
    pairs, complete = found(first + second)
    assert complete and {(one, other + 300) for one, other in near_ones} <= pairs


@pytest.mark.usefixtures("crowded")
def test_where_not_every_pair_is_compared_that_is_said_and_the_work_is_bounded() -> None:
    tail = [f"word{n}" for n in range(80)]
    texts = [[f"a{n}", *tail, f"z{n}"] for n in range(400)]
    pairs, complete = found(texts)
    assert not complete
    assert {other for _, other in pairs} == set(range(1, 400)), "each is found near to an earlier one"
    assert len(pairs) < 400 * near._FEWEST_KEPT * near._BANDS


@pytest.mark.usefixtures("crowded")
def test_a_pair_apart_from_the_crowd_is_found() -> None:
    chance = random.Random(4)
    lines = [[f"a{n}", *[f"word{n}" for n in range(80)], f"z{n}"] for n in range(100)]
    apart = [chance.choices([f"other{n}" for n in range(400)], k=24) for _ in range(50)]
    pairs, _ = found([*lines, *apart], [text[:-1] for text in apart])
    assert pairs == {(100 + n, n) for n in range(50)}


def test_boilerplate_just_below_the_limit_is_never_sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of lines that differ in a number, each pair of them at 0.7: what made the search slow."""
    tail = [f"word{n}" for n in range(30)]
    first = [["this", "is", "page", "no", str(n), *tail, "end"] for n in range(3000)]
    second = [["this", "is", "page", "no", str(n), *tail, "end"] for n in range(3000, 3300)]
    assert 0.7 < similarity(" ".join(first[0]), " ".join(second[0])) < 0.8
    monkeypatch.setattr(near, "_sketches", None)
    assert found(first, second) == (set(), True)
    assert found(first) == (set(), True)


def test_of_boilerplate_that_repeats_in_parts_the_near_pairs_are_found() -> None:
    """Lines that differ in two names, of which others have each: every pair is a candidate, few are near."""
    tail = [f"word{n}" for n in range(30)]
    lines = [["dear", f"n{n % 40}", "about", "your", f"i{n % 37}", *tail] for n in range(900)]
    first, second = lines[:800], lines[800:]
    pairs, complete = found(first, second)
    # Near are those that differ in the name at the beginning only.
    assert complete and pairs == {(one, n) for n in range(100) for one in range(800) if (one - n - 800) % 37 == 0}


def test_texts_that_share_too_little_are_left_out_first() -> None:
    texts = hashed([list("abcdefg"), list("abcdefg"), list("abcdxyz"), list("abc")])
    assert texts.sizes.tolist() == [3, 3, 3, 0]
    assert may_be_near(texts, known_elsewhere(texts)).tolist() == [0, 1]
    assert may_be_near(texts, np.unique(texts.only(np.array([1])).hashes), (1, 3)).tolist() == [0, 1]
    assert may_be_near(texts, np.empty(0, np.uint64)).tolist() == []
    assert len(texts.only(np.array([0, 3]))) == 2


def test_no_library_is_loaded_without_need() -> None:
    program = (
        "import sys\nfrom bcecore.text.duplicates import find_duplicates\n"
        "find_duplicates(['one two three four five six', 'one two three four five six seven eight nine ten'] * 9)\n"
        "print(*({'scipy', 'datasketch', 'torch'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == []
