from __future__ import annotations

from typing import Any

import pytest

from bcecore.errors import BceError
from bcecore.evaluation.comparable import SideOfComparison, must_be_comparable, shared_splits, what_differs
from bcecore.store.evaluations import SplitSpec


def split(**changes: Any) -> SplitSpec:
    values: dict[str, Any] = {
        "name": "held-out",
        "kind": "file",
        "file": "data/0.jsonl",
        "source": "an uploaded file",
        "sha256": "a" * 64,
        "rows": 29,
        "long_texts": "truncate",
        "block_size": 128,
    }
    return SplitSpec(**(values | changes))


def side(name: str = "step 1,000", tokenizer: str = "f" * 64, **changes: Any) -> SideOfComparison:
    return SideOfComparison(name, split(**changes), tokenizer)


def test_the_same_texts_may_be_compared_whatever_they_are_called() -> None:
    elsewhere = split(name="val_small", kind="own", file="data/3.jsonl", source="its own")
    first, second = side(), SideOfComparison("step 2,000", elsewhere, "f" * 64)
    assert what_differs(first, second) == ()
    must_be_comparable(first, second)


WINDOWS = {"long_texts": "window", "stride": 64}
LABELLED = {"kind": "labelled", "template": "{text} {label}"}


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            {},
            {"sha256": "b" * 64, "rows": 30},
            "the texts: “held-out” (29 rows, aaaaaaaa) and “held-out” (30 rows, bbbbbbbb)",
        ),
        ({}, {"block_size": 64}, "what is done with long texts: cut after 128 tokens and cut after 64 tokens"),
        ({}, WINDOWS, "cut after 128 tokens and windows of 128 tokens with a stride of 64"),
        (WINDOWS, WINDOWS | {"stride": 32}, "with a stride of 64 and windows of 128 tokens with a stride of 32"),
        (
            LABELLED | {"labels": ("good", "bad")},
            LABELLED | {"labels": ("good", "odd")},
            "the labels: “{text} {label}” with good, bad and “{text} {label}” with good, odd",
        ),
    ],
)
def test_a_refusal_says_what_differs_and_what_to_do(first: dict[str, Any], second: dict[str, Any], words: str) -> None:
    with pytest.raises(BceError) as caught:
        must_be_comparable(side(**first), side("step 2,000", **second))
    message = str(caught.value)
    assert message.startswith("“step 1,000” and “step 2,000” cannot be compared. They differ in ")
    assert words in message
    assert message.endswith("Evaluate both on the same file with the same settings, then compare.")


def test_another_tokenizer_leaves_bits_per_byte_to_compare() -> None:
    with pytest.raises(BceError, match="the tokenizer: ffffffffffff and 000000000000") as caught:
        must_be_comparable(side(), side(tokenizer="0" * 64))
    assert "compare their bits per byte instead" in str(caught.value)


def test_everything_that_differs_is_named() -> None:
    found = what_differs(side(), side(tokenizer="0" * 64, sha256="b" * 64, block_size=64))
    assert [item.what for item in found] == ["the texts", "the tokenizer", "what is done with long texts"]


def test_swapping_the_sides_finds_the_same() -> None:
    first, second = side(), side(sha256="b" * 64, **WINDOWS)
    there, back = what_differs(first, second), what_differs(second, first)
    assert [(item.what, item.first, item.second) for item in there] == [
        (item.what, item.second, item.first) for item in back
    ]


def test_shared_splits_are_found_by_their_texts() -> None:
    a, b, c = split(name="a"), split(name="b", sha256="b" * 64), split(name="c", sha256="c" * 64)
    other_b, other_a = b.model_copy(update={"name": "bb"}), a.model_copy(update={"name": "aa"})
    found = shared_splits([a, b, c], [other_b, other_a])
    assert [(one.name, other.name) for one, other in found] == [("a", "aa"), ("b", "bb")]
