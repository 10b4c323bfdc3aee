from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.comparable import NotComparable
from bcecore.evaluation.paired import changes, compare, token_weighted, which_to_keep


def side(nll: list[float], tokens: list[int] | None = None, first: int = 0) -> pd.DataFrame:
    """One side's rows, as in `examples.parquet`."""
    tokens = [10] * len(nll) if tokens is None else tokens
    return pd.DataFrame(
        {
            "example": range(first, first + len(nll)),
            "text": [f"text {row}" for row in range(first, first + len(nll))],
            "tokens": np.array(tokens, dtype=np.int32),
            "nll": nll,
        }
    )


def noisy(ce: float, n: int, seed: int, spread: float = 1.0) -> pd.DataFrame:
    tokens = np.random.default_rng(0).integers(5, 60, n)
    noise = np.random.default_rng(seed).normal(0, spread, n)
    return side(list(ce * tokens + noise * np.sqrt(tokens)), list(tokens))


# -- the estimate


def test_documents_of_one_length_give_the_textbooks_standard_error() -> None:
    sums = np.array([3.0, -1.0, 4.0, 1.0, -5.0])
    estimate = token_weighted(sums, np.full(5, 8))
    per_token = sums / 8
    assert estimate.value == pytest.approx(per_token.mean())
    assert estimate.error == pytest.approx(per_token.std(ddof=1) / math.sqrt(5))
    assert estimate.freedom == pytest.approx(4)
    low, high = estimate.interval()
    # t with 4 degrees of freedom has 97.5 % below 2.7764.
    assert (low, high) == pytest.approx((0.05 - 2.7764451 * estimate.error, 0.05 + 2.7764451 * estimate.error))


def test_unequal_documents_by_hand() -> None:
    sums, tokens = np.array([2.0, 6.0, -1.0]), np.array([10, 20, 70])
    estimate = token_weighted(sums, tokens)
    assert estimate.value == 0.07
    residuals = sums - 0.07 * tokens  # 1.3, 4.6, -5.9
    assert estimate.error == pytest.approx(math.sqrt(1.3**2 / 0.9 + 4.6**2 / 0.8 + 5.9**2 / 0.3) / 100)
    assert residuals.sum() == pytest.approx(0)
    # Satterthwaite's freedom from the matrices themselves: (tr B)² / tr B².
    share = tokens / 100
    rows = (np.eye(3) - np.outer(share, np.ones(3))) / np.sqrt(1 - share)[:, None]
    b = rows @ np.diag(tokens) @ rows.T
    assert estimate.freedom == pytest.approx(np.trace(b) ** 2 / np.trace(b @ b))
    assert estimate.freedom < 2


def test_one_document_has_no_interval() -> None:
    estimate = token_weighted([3.0], [10])
    assert estimate.value == 0.3
    assert all(map(math.isnan, (estimate.error, estimate.freedom, *estimate.interval())))


@pytest.mark.parametrize(("sums", "tokens"), [([], []), ([1.0], [0]), ([1.0, 2.0], [3]), ([[1.0]], [[3]])])
def test_what_is_no_set_of_documents_is_refused(sums: list[float], tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="document"):
        token_weighted(sums, tokens)


Lengths = Callable[[np.random.Generator, int], np.ndarray]
LENGTHS: dict[str, Lengths] = {
    "one length": lambda rng, n: np.full(n, 20),
    "very unequal": lambda rng, n: np.maximum(1, rng.lognormal(3, 1.2, n).astype(int)),
    "the report's": lambda rng, n: np.where(np.arange(n) == 0, 127, rng.integers(8, 36, n)),
}


@pytest.mark.parametrize("documents", [8, 29, 100])
@pytest.mark.parametrize("within", [0.0, 0.3], ids=["tokens apart", "tokens of a text alike"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_the_interval_covers_the_truth_as_often_as_it_says(documents: int, within: float, lengths: str) -> None:
    rng = np.random.default_rng([documents, int(10 * within), len(lengths)])
    truth, looks = -0.02, 1500
    covered = 0
    for _ in range(looks):
        tokens = LENGTHS[lengths](rng, documents)
        alike = rng.normal(0, math.sqrt(within / (1 - within)), documents) * tokens
        sums = truth * tokens + rng.normal(0, 1, documents) * np.sqrt(tokens) + alike
        low, high = token_weighted(sums, tokens).interval()
        covered += low <= truth <= high
    # 95 % within four standard errors of the simulation; never below what DESIGN §11 asks for by more than that.
    assert 0.931 - 4 * math.sqrt(0.95 * 0.05 / looks) / 2 <= covered / looks <= 0.99


# -- two sides


def test_a_comparison_by_hand() -> None:
    comparison = compare(side([20.0, 30.0, 10.0], [10, 10, 20]), side([18.0, 31.0, 10.0], [10, 10, 20]))
    assert (comparison.documents, comparison.tokens) == (3, 40)
    assert (comparison.ce_first, comparison.ce_second) == (1.5, 59 / 40)
    assert comparison.difference.value == pytest.approx(-1 / 40)
    assert (comparison.better, comparison.worse, comparison.same) == (1, 1, 1)
    assert comparison.share_better == pytest.approx(1 / 3)
    assert comparison.few
    assert not comparison.tells_apart
    assert comparison.matters


def test_the_same_scores_are_identical_and_not_told_apart() -> None:
    comparison = compare(noisy(2.0, 40, 1), noisy(2.0, 40, 1))
    assert comparison.identical
    assert not comparison.tells_apart
    assert (comparison.difference.value, comparison.low, comparison.high) == (0, 0, 0)
    assert not comparison.few


def test_a_clear_difference_is_told_apart() -> None:
    comparison = compare(noisy(2.0, 60, 1, spread=0.1), noisy(1.9, 60, 2, spread=0.1))
    assert comparison.tells_apart
    assert comparison.high < 0
    assert -0.12 < comparison.difference.value < -0.08


def test_losses_that_are_no_numbers_are_counted_and_left_out() -> None:
    comparison = compare(side([1.0, math.nan, 3.0]), side([2.0, 2.0, math.inf]))
    assert (comparison.documents, comparison.broken_first, comparison.broken_second) == (1, 1, 1)
    assert comparison.difference.value == pytest.approx(0.1)
    assert not comparison.tells_apart
    nothing = compare(side([math.nan]), side([1.0]))
    assert nothing.documents == 0
    assert math.isnan(nothing.difference.value)
    assert not nothing.identical


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500), st.integers(1, 200)), min_size=2, max_size=30),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter_and_swapping_turns_the_sign(
    rows: list[tuple[float, float, int]], random: object
) -> None:
    a = side([row[0] for row in rows], [row[2] for row in rows])
    b = side([row[1] for row in rows], [row[2] for row in rows])
    forward, back = compare(a, b), compare(b, a)
    assert forward.difference.value == -back.difference.value
    assert (forward.low, forward.high) == pytest.approx((-back.high, -back.low))
    assert (forward.better, forward.worse) == (back.worse, back.better)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert compare(a.iloc[order], b.iloc[order[::-1]]) == forward


def test_other_documents_or_tokens_are_refused() -> None:
    with pytest.raises(NotComparable, match="2 of 3 documents were scored on one side only"):
        compare(side([1.0, 2.0]), side([1.0, 2.0], first=1))
    with pytest.raises(NotComparable, match="document 2 has 10 on one side and 11 on the other"):
        compare(side([1.0, 2.0]), side([1.0, 2.0], [10, 11]))
    both = pd.concat([side([1.0]), side([1.0])])
    with pytest.raises(NotComparable, match="several times on one side"):
        compare(both, both)


def test_changes_come_with_the_biggest_first() -> None:
    found = changes(side([10.0, 20.0, 30.0], [10, 10, 40]), side([11.0, 15.0, 36.0], [10, 10, 40]))
    assert list(found["example"]) == [1, 2, 0]
    assert list(found["change"]) == pytest.approx([-0.5, 0.15, 0.1])
    assert list(found["change_total"]) == [-5.0, 6.0, 1.0]
    assert list(found["text"]) == ["text 1", "text 2", "text 0"]
    assert found["change_total"].sum() == pytest.approx(2)
    assert list(found.columns) == ["example", "text", "tokens", "ce_first", "ce_second", "change", "change_total"]


def test_a_loss_that_is_no_number_is_the_biggest_change() -> None:
    found = changes(side([10.0, 20.0]), side([50.0, math.nan]))
    assert list(found["example"]) == [1, 0]


# -- which to keep


def test_the_better_one_is_kept_wherever_it_stands() -> None:
    better, worse = noisy(1.9, 60, 1, 0.1), noisy(2.0, 60, 2, 0.1)
    assert (which_to_keep([worse, better]).keep, which_to_keep([better, worse]).keep) == (1, 0)
    assert which_to_keep([worse, better]).why == "better"


def test_the_earlier_one_is_kept_where_the_text_cannot_tell() -> None:
    a, b = noisy(2.0, 40, 1), noisy(2.0, 40, 2)
    choice = which_to_keep([a, b])
    assert (choice.keep, choice.why) == (0, "not told apart")
    assert which_to_keep([b, a]).keep == 0


def test_of_many_the_earliest_that_could_be_the_best() -> None:
    sides = [noisy(2.4, 60, 1, 0.1), noisy(1.9, 60, 2, 0.1), noisy(1.9, 60, 3, 0.1), noisy(2.2, 60, 4, 0.1)]
    choice = which_to_keep(sides)
    assert (choice.keep, choice.why) == (1, "not told apart")
    assert choice.lowest in (1, 2)
    assert choice.against_lowest[choice.lowest] is None
    assert {item.level for item in choice.against_lowest if item is not None} == {1 - 0.05 / 3}


def test_more_sides_take_a_clearer_difference() -> None:
    def widths(count: int) -> list[float]:
        sides = [noisy(2.0 - 0.01 * place, 60, place) for place in range(count)]
        found = [item for item in which_to_keep(sides).against_lowest if item is not None]
        return [(item.high - item.low) / item.difference.error for item in found]

    for few, many in pairwise([widths(2), widths(3), widths(6)]):
        assert max(few) < min(many)


def test_identical_sides_and_broken_ones() -> None:
    a = noisy(2.0, 40, 1)
    assert (which_to_keep([a, a]).keep, which_to_keep([a, a]).why) == (0, "identical")
    broken = a.assign(nll=[math.nan, *a["nll"][1:]])
    assert (which_to_keep([broken, a]).keep, which_to_keep([broken, a]).why) == (1, "broken")
    gone = a.assign(nll=math.nan)
    assert which_to_keep([gone, a]).why == "broken"
    assert which_to_keep([gone, a]).keep == 1
    assert which_to_keep([gone, gone]).why == "nothing to compare"
    with pytest.raises(ValueError, match="two sides, got 1"):
        which_to_keep([a])
