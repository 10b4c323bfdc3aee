"""Overlap and copies among many lines, as `bench` measures them among a million."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memory is asked for as Unix tells it")


@pytest.mark.parametrize("what", ["overlap_of", "copies_of"])
def test_planted_pairs_are_found_among_many_lines(what: str) -> None:
    from tests.benchmarks import many_lines

    found = getattr(many_lines, what)(20_000, 2_000)
    assert found["exact"]["recall"] == 1.0 and found["exact"]["planted"] > 100
    # Every similarity from the limit on: of a million pairs at the limit MinHash misses less than one.
    assert found["near"]["recall"] == 1.0 and found["near"]["planted"] > 100
    assert found["near"]["lowest_similarity"] < 0.82
    assert found["false"] == 0 and found["complete"]
