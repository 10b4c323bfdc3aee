from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.decomposition import Difference, Side, differences, relative

losses = st.floats(-1e3, 1e3)
sides = st.builds(Side, ce=losses, bce_loss=losses, weight=st.sampled_from([0.0, 0.0005, 0.4, 0.44, 3.0]))


def summary(**changes: Any) -> dict[str, Any]:
    """What `result.json` says of one checkpoint on one split."""
    return {"ce": 2.0, "ce_mean": 2.5, "bce_loss": -0.46, "weight": 0.44} | changes


def test_every_measure_of_a_checkpoint() -> None:
    found = {(item.measure, item.averaging): item for item in differences(summary(), first_weight=0.0005)}
    assert list(found) == [
        ("report", "examples"),
        ("objective", "examples"),
        ("objective", "tokens"),
        ("model", "examples"),
        ("model", "tokens"),
    ]
    report = found["report", "examples"]
    assert (report.on.objective, report.off.objective) == (2.5 + 0.0005 * -0.46, 2.5)
    assert report.change_in_ce == 0
    assert report.change_in_term == 0.0005 * -0.46
    ours = found["objective", "tokens"]
    assert (ours.on.objective, ours.off.objective) == (2.0 + 0.44 * -0.46, 2.0)
    for averaging, ce in (("examples", 2.5), ("tokens", 2.0)):
        model = found["model", averaging]
        assert model.on.objective == model.off.objective == ce
        assert (model.change, model.change_in_ce, model.change_in_term) == (0, 0, 0)


def test_off_is_weight_zero_everywhere() -> None:
    assert {item.off.weight for item in differences(summary(), first_weight=0.0005)} == {0.0}


def test_a_run_without_bce_is_the_same_on_and_off_even_if_r_is_not_known() -> None:
    found = differences(summary(bce_loss=None, weight=0.0), first_weight=0.0)
    assert len(found) == 5
    assert {item.change for item in found} == {0.0}


def test_what_is_not_known_is_left_out() -> None:
    assert [(item.measure, item.averaging) for item in differences(summary(ce=None, weight=None), 0.0005)] == [
        ("report", "examples"),
        ("model", "examples"),
    ]
    assert [item.measure for item in differences(summary(bce_loss=None), 0.0005)] == ["model", "model"]
    assert differences({}, 0.0005) == ()


def test_weight_zero_gives_the_cross_entropy_itself_whatever_r_is() -> None:
    side = Side(1.25, math.nan, 0.0)
    assert (side.term, side.objective) == (0.0, 1.25)


def test_perplexity_is_of_ce_alone_and_the_reports_is_kept_apart() -> None:
    side = Side(1.0, -0.5, 0.4)
    assert side.perplexity == math.exp(1.0)
    assert side.reported_perplexity == math.exp(0.8)
    assert Side(1e4, 0.0, 0.0).perplexity == math.inf


def test_a_share_of_nothing_is_not_given() -> None:
    assert relative(2.0, 1.6) == 0.25
    assert relative(1.0, 0.0) is None
    assert relative(1.0, -0.1) is None
    assert relative(math.nan, 1.0) is None


@given(sides, sides)
def test_the_parts_add_up_to_the_whole(on: Side, off: Side) -> None:
    difference = Difference("objective", "tokens", on, off)
    assert difference.change == pytest.approx(difference.change_in_ce + difference.change_in_term, abs=1e-9)


@given(sides, sides)
def test_swapping_the_sides_turns_every_sign(on: Side, off: Side) -> None:
    one, other = Difference("objective", "tokens", on, off), Difference("objective", "tokens", off, on)
    assert one.change == -other.change
    assert one.change_in_ce == -other.change_in_ce
    assert one.change_in_term == -other.change_in_term
