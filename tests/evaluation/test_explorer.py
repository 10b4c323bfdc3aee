from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.explorer import FINE_EDGES, choose, in_training, length_buckets
from bcecore.evaluation.summarising import Totals, summary
from bcecore.text.splitting import shared_texts


@pytest.fixture
def examples() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "example": [0, 1, 2, 3, 4],
            "text": ["God will help us.", "İstanbul is big", "a long one", "HELP, please: God!", "?!"],
            "length": [8, 64, 65, 8, 3],
            "tokens": [7, 63, 64, 7, 2],
            "ce": [0.5, 1.5, 1.5, 4.0, math.nan],
        }
    )
    table["nll"] = table["ce"] * table["tokens"]
    return table


def chosen(examples: pd.DataFrame, **how: object) -> list[int]:
    return list(choose(examples, **how)["example"])  # type: ignore[arg-type]


def test_the_reports_buckets(examples: pd.DataFrame) -> None:
    short, long = length_buckets(examples[examples["ce"].notna()])
    assert (short.title, short.examples, short.tokens) == ("up to 64", 3, 77)
    assert short.ce == pytest.approx((3.5 + 94.5 + 28) / 77)
    assert short.ce_mean == pytest.approx(2.0)
    assert (long.title, long.examples, long.ce, long.ce_mean) == ("over 64", 1, 1.5, 1.5)


def test_empty_buckets_stay_and_have_no_loss(examples: pd.DataFrame) -> None:
    found = length_buckets(examples, (4, 16, 32, 64))
    assert [(item.title, item.examples) for item in found] == [
        ("up to 4", 1),
        ("5 to 16", 2),
        ("17 to 32", 0),
        ("33 to 64", 1),
        ("over 64", 1),
    ]
    assert (found[2].ce, found[2].ce_mean) == (None, None)
    assert [item.title for item in length_buckets(examples, ())] == ["any length"]


@pytest.mark.parametrize("edges", [(64, 64), (64, 32), (0, 5)])
def test_edges_rise(examples: pd.DataFrame, edges: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="edges of length buckets rise"):
        length_buckets(examples, edges)


texts_of_lengths = st.lists(st.tuples(st.integers(2, 3000), st.floats(0, 12)), min_size=1, max_size=40)


@given(texts_of_lengths, st.randoms(use_true_random=False))
def test_buckets_add_up_and_do_not_mind_the_order(rows: list[tuple[int, float]], random: object) -> None:
    table = pd.DataFrame(rows, columns=["length", "ce"])
    table["tokens"] = table["length"] - 1
    table["nll"] = table["ce"] * table["tokens"]
    found = length_buckets(table, FINE_EDGES)
    assert sum(item.examples or 0 for item in found) == len(rows)
    assert sum((item.ce or 0) * (item.tokens or 0) for item in found) == pytest.approx(table["nll"].sum())
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for one, other in zip(found, length_buckets(table.iloc[order], FINE_EDGES), strict=True):
        assert (one.examples, one.tokens) == (other.examples, other.tokens)
        assert one.ce_mean == pytest.approx(other.ce_mean)


@given(texts_of_lengths)
def test_buckets_are_those_of_the_result(rows: list[tuple[int, float]]) -> None:
    table = pd.DataFrame(rows, columns=["length", "ce"])
    table["tokens"] = table["length"] - 1
    table["nll"] = table["ce"] * table["tokens"]
    table[["bytes", "cut", "bce_loss"]] = 1
    totals = Totals(())
    totals.add({name: table[name].tolist() for name in totals.columns})
    theirs = summary(totals, weight=0.0, first_weight=0.0, runtime=1.0, steps=1)["buckets"]
    ours = [item for item in length_buckets(table, FINE_EDGES) if item.examples]
    assert [(item.up_to, item.examples, item.tokens) for item in ours] == [
        (bucket["up_to"], bucket["examples"], bucket["tokens"]) for bucket in theirs
    ]
    assert [item.ce for item in ours] == pytest.approx([bucket["ce"] for bucket in theirs])


def test_orders_and_ties(examples: pd.DataFrame) -> None:
    assert chosen(examples) == [4, 3, 1, 2, 0]  # a loss that is no number first
    assert chosen(examples, order="easiest") == [0, 1, 2, 3, 4]
    assert chosen(examples, order="longest") == [2, 1, 0, 3, 4]
    assert chosen(examples, order="shortest") == [4, 0, 3, 1, 2]
    assert chosen(examples.iloc[::-1], order="as in the file") == [0, 1, 2, 3, 4]
    assert chosen(examples.iloc[::-1]) == [4, 3, 1, 2, 0]


def test_search_minds_neither_case_nor_signs(examples: pd.DataFrame) -> None:
    assert chosen(examples, search="help god", order="as in the file") == [0, 3]
    assert chosen(examples, search="  ISTANBUL ") == [1]
    assert chosen(examples, search="help xyz") == []
    assert chosen(examples, search="?!") == [4]
    assert len(chosen(examples, search="   ")) == 5


def test_length_and_overlap(examples: pd.DataFrame) -> None:
    assert chosen(examples, above=8, up_to=64) == [1]
    assert chosen(examples, above=64) == [2]
    marked = examples.assign(in_training=in_training(examples["text"], ["god will HELP us", "?!"]))
    assert chosen(marked, overlap="also in training") == [4, 0]
    assert chosen(marked, overlap="not in training") == [3, 1, 2]


lines = st.lists(st.sampled_from(["a b", "A, B!", "b a", "?", "?!", "ı", "I"]), max_size=8)


@given(lines, lines)
def test_overlap_is_that_of_the_split(training: list[str], texts: list[str]) -> None:
    found = in_training(texts, training)
    assert found.dtype == np.bool_
    assert len(found) == len(texts)
    assert found.sum() == shared_texts(training, texts)
