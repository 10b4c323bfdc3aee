"""boost-unfinished and weight-zero: on the recipes, and against the weights of every step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import BCEConfig
from bcecore.findings.inert_profile import inert_profile
from bcecore.findings.weight_schedule import boost_unfinished, weight_zero
from bcecore.recipes import load_recipe

WEIGHTS = st.sampled_from([0.0, 0.1, 0.2, 0.5])


def test_the_report_s_boost_is_noted_and_those_that_end_are_not() -> None:
    report = load_recipe("report-10-epoch").config.bce
    (finding,) = boost_unfinished("run", report, 2000)
    assert finding.severity == "N" and finding.numbers["weight"] == 0.44
    assert "never reaches 0.5" in finding.sentence and "It ends at 0.44." in finding.sentence
    assert boost_unfinished("run", load_recipe("quick-look").config.bce, 312) == []
    assert boost_unfinished("run", load_recipe("active-10-epoch").config.bce, 4130) == []


@pytest.mark.parametrize(("steps", "severity"), [(1399, "W"), (1400, "N"), (2399, "N"), (2400, None)])
def test_less_than_half_of_the_rise_is_a_warning(steps: int, severity: str | None) -> None:
    bce = BCEConfig(warmup_steps=400, boost_span=2000)
    assert [finding.severity for finding in boost_unfinished("run", bce, steps)] == ([severity] if severity else [])


@given(WEIGHTS, WEIGHTS, WEIGHTS, st.integers(0, 20), st.integers(1, 40), st.integers(21, 60), st.booleans())
def test_both_say_what_the_weights_of_every_step_say(
    base: float, target: float, maximum: float, warmup: int, span: int, total: int, enabled: bool
) -> None:
    if 0 < maximum < base:
        maximum = base
    bce = BCEConfig(
        enabled=enabled,
        base_weight=base,
        target_weight=target,
        max_weight=maximum,
        warmup_steps=warmup,
        boost_span=span,
    )
    weights = [bce.weight(step) for step in range(1, total + 1)]
    assert bool(weight_zero("run", bce, total)) == (enabled and max(weights) == 0)
    unfinished = boost_unfinished("run", bce, total)
    assert bool(unfinished) == (enabled and maximum > 0 and max(weights) < maximum - 1e-12)
    if unfinished:
        assert unfinished[0].fix is not None
        mended = bce.model_copy(update={"boost_span": unfinished[0].fix.changes["bce.boost_span"]})
        assert boost_unfinished("run", mended, total) == [] and mended.weight(total) == pytest.approx(maximum)


def test_a_weight_of_0_is_told_with_the_setting_that_makes_it() -> None:
    (by_base,) = weight_zero("run", BCEConfig(base_weight=0, max_weight=0), 500)
    (by_cap,) = weight_zero("run", BCEConfig(target_weight=0, max_weight=0), 500)
    assert (by_base.field, by_cap.field) == ("bce.base_weight", "bce.target_weight")
    assert by_base.severity == "W" and by_base.fix is not None and by_base.fix.changes == {"bce.enabled": False}


def test_the_seed_profile_is_noted_where_it_is_on() -> None:
    (finding,) = inert_profile("run", BCEConfig(profile="seed"))
    assert (finding.id, finding.severity, finding.field) == ("no-gradient", "N", "bce.profile")
    assert finding.fix is not None and finding.fix.changes == {"bce.profile": "active"}
    assert inert_profile("run", BCEConfig()) == []
    assert inert_profile("run", BCEConfig(profile="seed", enabled=False)) == []
