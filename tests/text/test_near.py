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
    """Every pair is left to MinHash."""
    monkeypatch.setattr(near, "_MOST_PAIRS", 0)
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


@pytest.mark.usefixtures("crowded")
def test_minhash_finds_them_too() -> None:
    chance = random.Random(3)
    words = [f"word{n}" for n in range(400)]
    first = [chance.choices(words, k=24) for _ in range(300)]
    second = [[*text[: chance.randint(21, 24)], *chance.choices(words, k=2)] for text in first]
    # At the limit itself one pair in 3,000 may be missed.
    clear = expected(first, second, 0.85)
    pairs, complete = found(first, second)
    assert complete and clear <= pairs <= expected(first, second) and len(clear) > 100
    both = first + second
    among, complete = found(both)
    assert complete and {(one, other + 300) for one, other in clear} <= among


@pytest.mark.usefixtures("crowded")
def test_where_not_every_pair_is_compared_that_is_said_and_the_work_is_bounded() -> None:
    tail = [f"word{n}" for n in range(80)]
    texts = [[f"a{n}", *tail, f"z{n}"] for n in range(400)]
    pairs, complete = found(texts)
    assert not complete
    assert {other for _, other in pairs} >= set(range(17, 400)), "each is found near to some other"
    assert len(pairs) < 400 * 2 * near._NEIGHBOURS * near._BANDS


def test_boilerplate_just_below_the_limit_is_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of lines that differ in a number, each pair of them at 0.7: what made the search slow."""
    tail = [f"word{n}" for n in range(30)]
    first = [["this", "is", "page", "no", str(n), *tail, "end"] for n in range(3000)]
    second = [["this", "is", "page", "no", str(n), *tail, "end"] for n in range(3000, 3300)]
    assert 0.7 < similarity(" ".join(first[0]), " ".join(second[0])) < 0.8
    compared: list[int] = []
    whole = NearPairs._verified
    monkeypatch.setattr(
        NearPairs, "_verified", lambda self, one, other: compared.append(len(one)) or whole(self, one, other)
    )
    assert found(first, second) == (set(), True)
    assert sum(compared) == 0


def test_texts_that_share_too_little_are_left_out_first() -> None:
    texts = hashed([list("abcdefg"), list("abcdefg"), list("abcdxyz"), list("abc")])
    assert texts.sizes.tolist() == [3, 3, 3, 0]
    assert may_be_near(texts, known_elsewhere(texts)).tolist() == [0, 1]
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
