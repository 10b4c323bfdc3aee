from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bcecore.evaluation.decomposition import Difference, Measure, Side
from bcecore.evaluation.labelled import label_metrics
from bcecore.evaluation.paired import Comparison, Estimate, compare, which_to_keep
from bcecore.report.evaluation_words import (
    choice_sentence,
    comparison_cautions,
    comparison_sentence,
    difference_equation,
    difference_sentence,
    fixed,
    label_sentences,
    nats,
    percent_change,
    rounding_note,
    signed,
)


def scored_twice(weight: float, off: float = 0.0, measure: Measure = "report") -> Difference:
    return Difference(measure, "examples", Side(0.2041, -0.461, weight), Side(0.2041, -0.461, off))


@pytest.mark.parametrize(
    ("x", "decimals", "words"),
    [
        (0.058041, 4, "0.0580"),
        (-0.14526, 4, "−0.1453"),
        (-0.00001, 4, "0.0000"),
        (None, 4, "–"),
        (math.nan, 2, "not a number"),
        (math.inf, 2, "infinite"),
        (-math.inf, 2, "minus infinite"),
    ],
)
def test_fixed(x: float | None, decimals: int, words: str) -> None:
    assert fixed(x, decimals) == words


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (0.0, "0"),
        (2.31, "2.310"),
        (0.0123, "0.012"),
        (-0.00023049, "−0.00023"),
        (-3.1e-8, "−3.1e−8"),
        (math.nan, "not a number"),
    ],
)
def test_nats(x: float, words: str) -> None:
    assert nats(x) == words


def test_signs_and_percentages() -> None:
    assert [signed(words) for words in ("0.003", "−0.006", "0", "0.00", "not a number")] == [
        "+0.003",
        "−0.006",
        "0",
        "0.00",
        "not a number",
    ]
    assert [percent_change(share) for share in (0.003984828860423395, -0.01, 0.0, None)] == [
        "+0.40 %",
        "−1.00 %",
        "0.00 %",
        "–",
    ]


def test_on_and_off_of_one_checkpoint() -> None:
    assert difference_sentence(scored_twice(0.0005)) == "BCE adds its own term; the model predicts the same."
    assert difference_sentence(scored_twice(0.0)) == "The BCE weight is 0, so on and off are the same."
    assert difference_sentence(scored_twice(0.0, measure="model")).startswith("The model predicts the same")
    assert "its weight was 0.4." in difference_sentence(scored_twice(0.44, 0.4))


def test_a_difference_in_prediction_is_never_called_the_same() -> None:
    twins = Difference("objective", "tokens", Side(1.9, -0.46, 0.44), Side(2.0, -0.46, 0.0))
    sentence = difference_sentence(twins)
    assert sentence == "Of the difference, −0.100 is what the model predicts (CE) and −0.202 is BCE’s own term."
    broken = Difference("report", "examples", Side(math.nan, -0.46, 0.44), Side(2.0, -0.46, 0.0))
    assert "not a number" in difference_sentence(broken)


def test_the_equation_under_a_difference() -> None:
    assert difference_equation(scored_twice(0.0005)) == ("−0.00023 = 0 in CE − 0.00023 in BCE’s term (0.0005 × −0.461)")
    assert difference_equation(scored_twice(0.44, 0.4)) == (
        "−0.018 = 0 in CE − 0.018 in BCE’s term (0.44 × −0.461 less 0.4 × −0.461)"
    )
    assert difference_equation(scored_twice(0.0)) == "0 = 0 in CE + 0 in BCE’s term (0)"


def test_a_percentage_from_rounded_figures_is_found_out() -> None:
    auto = Difference("report", "examples", Side(0.05827189, -0.46256, 0.0005), Side(0.05827189, -0.46256, 0.0))
    assert rounding_note(auto, "0.0580", "0.05827") == (
        "+0.40 % is from the unrounded values; the printed ones (0.0580 and 0.05827) would give +0.47 %."
    )
    assert rounding_note(auto, "0.058041", "0.058272") is None


def side(ce: float, n: int, noise: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(0).normal(0, noise, n) if noise else np.zeros(n)
    return pd.DataFrame({"example": range(n), "tokens": 10, "nll": 10 * (ce + random)})


def compared(change: float, low: float, high: float, **more: Any) -> Comparison:
    values: dict[str, Any] = {"documents": 120, "tokens": 3000, "better": 77, "worse": 43, "level": 0.95}
    values |= {"ce_first": 2.0, "ce_second": 2.0 + change, "difference": Estimate(change, 0.004, 100.0)}
    return Comparison(**(values | more), low=low, high=high)


def test_a_difference_that_is_shown() -> None:
    sentence = comparison_sentence(compared(-0.012, -0.020, -0.004), "step 1,000", "step 2,000")
    assert sentence == (
        "CE is lower with step 2,000 than with step 1,000, by 0.012 nats per token (95 % between 0.004 and 0.020), and "
        "lower on 64 % of 120 texts."
    )
    other_way = comparison_sentence(compared(0.012, 0.004, 0.020, better=43, worse=77), "A", "B")
    assert other_way.startswith("CE is lower with A than with B, by 0.012 nats")
    assert "lower on 64 % of 120 texts" in other_way


def test_a_difference_that_is_not_shown() -> None:
    assert comparison_sentence(compared(-0.002, -0.006, 0.003), "A", "B") == (
        "No difference that this text can show: −0.002 nats per token from A to B, 95 % between −0.006 and +0.003."
    )
    narrow = comparison_sentence(compared(-0.00002, -0.00006, 0.00003), "A", "B")
    assert "−0.00002 nats per token from A to B, 95 % between −0.00006 and +0.00003" in narrow
    level = comparison_sentence(compared(-0.002, -0.006, 0.003, level=0.975), "A", "B")
    assert "97.5 % between" in level


def test_one_text_the_same_text_and_none() -> None:
    assert comparison_sentence(compare(side(2.0, 1), side(2.1, 1)), "A", "B") == (
        "CE changes by +0.100 nats per token from A to B, on one text only."
    )
    assert comparison_sentence(compare(side(2.0, 40), side(2.0, 40)), "A", "B") == (
        "Exactly the same is predicted by A and B on 40 texts."
    )
    assert comparison_sentence(compare(side(math.nan, 2), side(2.0, 2)), "A", "B").startswith("Nothing can be compared")


def test_the_same_on_all_texts_but_a_broken_one() -> None:
    nll = [20.0] * 39
    broken = side(2.0, 40).assign(nll=[*nll, math.nan])
    sentence = comparison_sentence(compare(side(2.0, 40), broken), "A", "B")
    assert sentence.startswith("No difference that this text can show: 0.000 nats per token")


def test_cautions() -> None:
    assert comparison_cautions(compared(-0.012, -0.020, -0.004)) == []
    few = comparison_cautions(compared(-0.012, -0.020, -0.004, documents=29))
    assert few == ["Only 29 texts: a first look. 30 are the least for a comparison, 100 are better."]
    assert "a change of 0.01 nats per token would matter" in comparison_cautions(compared(-0.004, -0.006, -0.002))[0]
    assert comparison_cautions(compared(-0.02, -0.03, -0.01, broken_second=1)) == [
        "1 text had a loss that is not a number and could not be compared."
    ]


def test_no_sentence_gives_a_percentage_of_a_loss() -> None:
    sentence = comparison_sentence(compared(-0.012, -0.020, -0.004), "A", "B")
    assert sentence.count("%") == 2  # the interval's, and the share of the texts


def test_which_to_keep_and_why() -> None:
    names = ["step 1,000", "step 2,000"]
    better = which_to_keep([side(2.0, 40, 0.01), side(1.9, 40, 0.02)])
    assert choice_sentence(better, names).startswith(
        "Keep step 2,000. CE is lower with step 2,000 than with step 1,000, by"
    )
    noise = np.random.default_rng(1).normal(0, 1, 40)
    other = side(2.0, 40).assign(nll=lambda table: table["nll"] + noise - noise.mean() - 0.01)
    same = which_to_keep([side(2.0, 40), other])
    assert choice_sentence(same, names).startswith(
        "Keep step 1,000: it is the earliest that could be the best. No difference that this text can show: −0.001"
    )
    first = which_to_keep([other, side(2.0, 40)])
    assert choice_sentence(first, ["A", "B"], "the first") == (
        "Keep A: it has the lowest CE and is the first that could be the best. These texts cannot tell it from B."
    )
    identical = which_to_keep([side(2.0, 40), side(2.0, 40)])
    assert choice_sentence(identical, names) == (
        "Keep step 1,000: all of them predict exactly the same, and it is the earliest."
    )
    broken = which_to_keep([side(math.nan, 40), side(2.0, 40)])
    assert choice_sentence(broken, names).startswith("Keep step 2,000: the others have texts")
    nothing = which_to_keep([side(math.nan, 40), side(math.nan, 40)])
    assert choice_sentence(nothing, names).startswith("Nothing can be compared")
    three = which_to_keep([side(2.0, 40, 0.01), side(1.5, 40, 0.02), side(1.9, 40, 0.03)])
    assert choice_sentence(three, [*names, "step 3,000"]) == (
        "Keep step 2,000: its CE is lower than that of every other one, by more than chance on these texts explains."
    )


def labelled(right: int, wrong: int, other_right: int = 0) -> list[str]:
    table = pd.DataFrame(
        {
            "label": ["good"] * (right + wrong) + ["bad"] * other_right,
            "predicted": ["good"] * right + ["bad"] * (wrong + other_right),
        }
    )
    table["label_scores"] = [
        np.array([-0.1, -2.0] if label == "good" else [-2.0, -0.1]) for label in table["predicted"]
    ]
    return label_sentences(label_metrics(table, ["good", "bad"]))


def test_a_labelled_set_in_words() -> None:
    found = labelled(50, 2, 48)
    assert found[0] == "Right on 98 of 100 texts: 98 % (95 % between 93 % and 99 %)."
    assert found[1] == "That is better than answering “good” every time, which is right on 52 %."
    assert found[2].endswith("11 percentage points apart on average.")
    assert len(found) == 3
    few = labelled(8, 1, 1)
    assert few[1].startswith("These texts do not show that it is better than answering “good” every time")
    assert few[-1] == "Only 10 texts: a first look."
    assert labelled(5, 45)[1].startswith("That is worse than answering “good” every time")


def test_the_same_change_on_every_text_has_no_endless_digits() -> None:
    same = comparison_sentence(compared(-0.1, -0.1 - 1e-16, -0.1 + 1e-16), "A", "B")
    assert "by 0.1000 nats per token (95 % between 0.1000 and 0.1000)" in same
    tiny = comparison_sentence(compared(-0.00002, -0.0000200001, -0.0000199999), "A", "B")
    assert "by 0.00002000 nats per token" in tiny
