"""Lines that are there more than once, against comparing every pair."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.text.duplicates import Copy, find_duplicates
from bcecore.text.near import THRESHOLD, grams, jaccard, words_of
from bcecore.text.splitting import identity

LINE = "The old bridge over the river was closed for the whole winter because of thick ice on it"


def test_copies_point_to_the_first_of_their_kind() -> None:
    found = find_duplicates(["A.", LINE, "a", f"{LINE} today", LINE.upper(), "A!", "another line", f"{LINE} today."])
    assert found.copies == (
        Copy(2, 0, 1.0, True),
        Copy(3, 1, 14 / 15, False),
        Copy(4, 1, 1.0, True),
        Copy(5, 0, 1.0, True),
        Copy(7, 3, 1.0, True),
    )
    assert (found.exact, found.near, found.share, found.most_frequent) == (4, 1, 5 / 8, (0, 3))
    assert find_duplicates([]).copies == () and find_duplicates(["a", "b"]).most_frequent is None


def test_progress_is_told_a_part_at_a_time() -> None:
    told: list[int] = []
    find_duplicates([str(n) for n in range(45_000)], told.append)
    assert told == [20_000, 40_000, 45_000]


@settings(max_examples=150)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=14).map(" ".join), max_size=10))
def test_it_finds_what_comparing_every_pair_finds(texts: list[str]) -> None:
    found = {copy.again: copy for copy in find_duplicates(texts).copies}
    for line, text in enumerate(texts):
        same = next(n for n, other in enumerate(texts) if identity(other) == identity(text))
        if same < line:
            assert found[line] == Copy(line, same, 1.0, True)
            continue
        near = [jaccard(grams(words_of(text)), grams(words_of(other))) for other in texts[:line]]
        first = next((n for n, value in enumerate(near) if value >= THRESHOLD), None)
        assert found.get(line) == (None if first is None else Copy(line, first, near[first], False))
