from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.planning import smallest_likely_seen
from bcecore.evaluation.statistics import StudyEstimate
from bcecore.evaluation.verdict import Arms, Evidence, Verdict, verdict


@dataclass(frozen=True)
class Found:
    id: str
    sentence: str
    what_to_do: str


LEAK = Found("future-leak", "The model sees the words that it should predict.", "Let it read left to right.")
NOT_OFF = Found("off-not-off", "BCE’s weight was above 0 in the off arm.", "Set it to 0.")


def estimate(value: float, half: float, seeds: int = 5, documents: int = 300) -> StudyEstimate:
    """One whose 95 % interval reaches `half` to each side."""
    error = half / 2.7764451051977987 if seeds == 5 else half
    return StudyEstimate(value, error, error, error, error, seeds, documents, 20_000)


def of(value: float, half: float, seeds: int = 5, documents: int = 300) -> Verdict:
    return verdict(Evidence(estimate(value, half, seeds, documents)))


# -- what is said


@pytest.mark.parametrize(
    ("value", "half", "kind", "headline"),
    [
        (
            -0.0316,
            0.009,
            "better",
            "Better with BCE: −0.032 nats per token, 95 % between −0.041 and −0.023; a change of 0.01 would matter.",
        ),
        (
            0.05,
            0.012,
            "worse",
            "Worse with BCE: +0.050 nats per token, 95 % between +0.038 and +0.062; a change of 0.01 would matter.",
        ),
        (
            -0.0018,
            0.0045,
            "no-meaningful-difference",
            "No meaningful difference: −0.002 nats per token, 95 % between −0.006 and +0.003; a change of 0.01 would "
            "matter.",
        ),
        (
            -0.012,
            0.008,
            "better-size-uncertain",
            "Better with BCE, size uncertain: −0.012 nats per token, 95 % between −0.020 and −0.004; it may be less "
            "than the 0.01 that would matter.",
        ),
        (
            0.02,
            0.015,
            "worse-size-uncertain",
            "Worse with BCE, size uncertain: +0.020 nats per token, 95 % between +0.005 and +0.035; it may be less "
            "than the 0.01 that would matter.",
        ),
        (
            -0.004,
            0.0124,
            "inconclusive",
            "Inconclusive: −0.004 nats per token, 95 % between −0.016 and +0.008; this test would likely have seen a "
            "difference of 0.017 or more.",
        ),
    ],
)
def test_what_the_numbers_say(value: float, half: float, kind: str, headline: str) -> None:
    found = of(value, half)
    assert (found.kind, found.headline) == (kind, headline)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - half, value + half))
    assert (found.level, found.equivalence_level, found.margin) == (0.95, 0.9, 0.01)
    assert found.mde == smallest_likely_seen(estimate(value, half).error, 4)


def test_a_finding_that_blocks_comes_before_everything() -> None:
    evidence = Evidence(estimate(-0.5, 0.01), blocking=(LEAK,), identical_weights=True)
    found = verdict(evidence)
    assert found.kind == "blocked"
    assert found.headline == "No valid comparison: the model sees the words that it should predict."
    assert all(map(math.isnan, (found.value, found.low, found.high, found.mde)))
    assert (found.blocked_by, found.what_to_do, found.winner) == (("future-leak",), (LEAK.what_to_do,), None)
    two = verdict(replace(evidence, estimate=None, blocking=(NOT_OFF, LEAK)))
    assert two.headline == "No valid comparison: BCE’s weight was above 0 in the off arm (and 1 more)."
    assert two.what_to_do == (NOT_OFF.what_to_do, LEAK.what_to_do)
    assert two.reasons[0].sentence == f"{NOT_OFF.sentence} {LEAK.sentence}"


def test_identical_twins_changed_nothing_however_few() -> None:
    by_weights = verdict(Evidence(None, identical_weights=True))
    assert by_weights.kind == "nothing-changed"
    assert by_weights.headline == (
        "BCE changed nothing: after training, the twins’ weights are the same in every bit, so the difference is "
        "exactly 0."
    )
    assert (by_weights.value, by_weights.low, by_weights.high) == (0, 0, 0)
    by_losses = verdict(Evidence(estimate(0, 0, seeds=1), identical_losses=True))
    assert by_losses.kind == "nothing-changed"
    assert "every loss on these documents is the same in every bit" in by_losses.headline
    # One bit of one weight, and it is a result like any other.
    assert of(0, 0).kind == "no-meaningful-difference"


@pytest.mark.parametrize(("seeds", "documents"), [(4, 300), (5, 29), (1, 1), (3, 29)])
def test_few_seeds_or_documents_never_name_a_winner(seeds: int, documents: int) -> None:
    found = of(-0.5, 0.01, seeds, documents)
    assert (found.kind, found.winner) == ("exploratory", None)
    assert found.what_to_do == ("Run a study of at least 5 seeds and 30 documents.",)
    assert "better" not in found.headline.lower()
    assert of(-0.5, 0.01, 5, 30).kind == "better"


def test_what_exploratory_says() -> None:
    assert of(-0.5, 0.01, 4).headline == (
        "Exploratory: −0.500 nats per token, 95 % between −0.532 and −0.468; 4 seeds and 300 documents cannot name a "
        "winner, 5 seeds and 30 documents could."
    )
    alone = verdict(Evidence(StudyEstimate(-0.5, *(math.nan,) * 4, 1, 40, 900)))
    assert alone.headline.startswith("Exploratory: −0.500 nats per token, with no interval; 1 seed and 40 documents")


def test_only_clean_documents_count() -> None:
    evidence = Evidence(estimate(-0.5, 0.01), clean_documents=29)
    assert verdict(evidence).kind == "exploratory"
    assert verdict(evidence).documents == 29
    assert verdict(replace(evidence, clean_documents=30)).kind == "better"
    assert verdict(replace(evidence, clean_documents=1000)).documents == 300


def test_a_difference_that_is_there_and_too_small() -> None:
    """The margin is asked before 0 is: what does not matter is not called better."""
    found = of(-0.004, 0.002)
    assert (found.kind, found.winner) == ("no-meaningful-difference", None)
    assert "The difference is there, and too small to matter." in found.reasons[-1].sentence


def test_more_planned_looks_and_arms_ask_for_more() -> None:
    evidence = Evidence(estimate(-0.02, 0.0099))
    assert verdict(evidence).kind == "better"
    twice = verdict(replace(evidence, looks=2))
    assert twice.kind == "better-size-uncertain"
    assert "97.5 % between" in twice.headline
    assert (twice.level, twice.equivalence_level) == pytest.approx((0.975, 0.95))
    assert twice.mde > verdict(evidence).mde
    uncertain = Evidence(estimate(-0.012, 0.009))
    assert verdict(uncertain).kind == "better-size-uncertain"
    assert verdict(replace(uncertain, comparisons=3)).kind == "inconclusive"


def test_the_margin_is_the_studys_own() -> None:
    evidence = Evidence(estimate(-0.02, 0.009), margin=0.03)
    assert verdict(evidence).kind == "no-meaningful-difference"
    assert verdict(evidence).headline.endswith("; a change of 0.03 would matter.")


def test_arms_that_are_not_simply_bce_on_and_off_are_named() -> None:
    arms = Arms("learning rate 5e-5", "learning rate 1e-4")
    names = "“learning rate 1e-4” than with “learning rate 5e-5”"

    def says(value: float, half: float, **more: object) -> str:
        return verdict(Evidence(estimate(value, half), arms=arms, **more)).headline  # type: ignore[arg-type]

    assert says(-0.05, 0.01).startswith(f"Better with {names}: −0.050")
    assert says(0.05, 0.01).startswith(f"Worse with {names}: +0.050")
    assert says(-0.05, 0.045).startswith(f"Better with {names}, size uncertain: ")
    pair = "(“learning rate 1e-4” against “learning rate 5e-5”)"
    assert says(0.0, 0.001).startswith(f"No meaningful difference {pair}: ")
    assert says(0.0, 0.1).startswith(f"Inconclusive {pair}: ")
    assert says(0.0, 0.1, clean_documents=3).startswith(f"Exploratory {pair}: ")
    assert says(0.0, 0.1, blocking=(LEAK,)).startswith(f"No valid comparison {pair}: ")
    assert says(0, 0, identical_weights=True).startswith(
        "“learning rate 1e-4” changed nothing against “learning rate 5e-5”: "
    )
    assert "BCE" not in "".join(says(value, 0.01) for value in (-0.05, 0, 0.05))


def test_how_it_was_reached_is_told_in_the_protocols_order() -> None:
    found = of(-0.004, 0.0124)
    assert [reason.applies for reason in found.reasons] == [False] * 6 + [True]
    assert [reason.sentence for reason in found.reasons] == [
        "No finding forbids the comparison.",
        "The twins are not identical: training came out different.",
        "5 seeds and 300 documents; a verdict takes at least 5 seeds and 30 documents.",
        "The 95 % interval, from −0.016 to +0.008, does not lie beyond the margin of ±0.01.",
        "The 90 % interval, from −0.014 to +0.006, does not lie inside the margin of ±0.01.",
        "The 95 % interval, from −0.016 to +0.008, holds 0.",
        "Neither a difference nor its absence is shown; one of 0.017 or more would likely have shown.",
    ]


def test_numbers_have_the_decimals_that_the_verdict_rests_on() -> None:
    # Three would say "between −0.015 and 0.000", though the interval leaves out 0.
    assert "95 % between −0.0150 and −0.0002;" in of(-0.0076, 0.0074).headline
    # And here "between −0.020 and −0.010" would not lie beyond the margin.
    assert "95 % between −0.0198 and −0.0102;" in of(-0.015, 0.0048).headline
    assert "+0.00004 nats per token, 95 % between −0.00002 and +0.00010;" in of(0.00004, 0.00006).headline
    # What rounds to zero has no sign.
    assert "0.000 nats per token" in of(-0.0001, 0.004).headline
    assert "−0.000" not in of(-0.0001, 0.004).headline


def test_no_estimate_and_no_reason_for_it_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no estimate"):
        verdict(Evidence(None))


# -- always

ESTIMATES = st.builds(
    estimate,
    st.floats(-0.1, 0.1).map(lambda x: round(x, 6)),
    st.floats(1e-6, 0.1),
    st.sampled_from([2, 4, 5, 8]),
    st.sampled_from([10, 29, 30, 300]),
)
EVIDENCE = st.builds(
    Evidence,
    ESTIMATES,
    blocking=st.sampled_from([(), (), (), (LEAK,)]),
    identical_weights=st.sampled_from([False, False, False, True]),
    looks=st.integers(1, 3),
    margin=st.sampled_from([0.01, 0.05]),
)
OPPOSITE = {
    "better": "worse",
    "worse": "better",
    "better-size-uncertain": "worse-size-uncertain",
    "worse-size-uncertain": "better-size-uncertain",
}


@given(EVIDENCE)
def test_swapping_the_arms_turns_the_verdict(evidence: Evidence) -> None:
    found = verdict(evidence)
    assert evidence.estimate is not None
    swapped = verdict(replace(evidence, estimate=replace(evidence.estimate, value=-evidence.estimate.value)))
    assert swapped.kind == OPPOSITE.get(found.kind, found.kind)
    assert {found.winner, swapped.winner} in ({None}, {"first", "second"})


@given(EVIDENCE)
def test_a_winner_is_named_only_where_the_protocol_lets_one(evidence: Evidence) -> None:
    found = verdict(evidence)
    assert [reason.applies for reason in found.reasons] == [False] * (len(found.reasons) - 1) + [True]
    if found.winner:
        assert not evidence.blocking
        assert not evidence.identical_weights
        assert found.seeds >= 5
        assert found.documents >= 30
        assert found.low > 0 or found.high < 0
        assert (found.winner == "second") == (found.value < 0)
    else:
        assert not re.search(r"\b(Better|Worse) with", found.headline)
    assert found.headline.count(".") - len(re.findall(r"\d\.\d", found.headline)) == 1
    assert "loss" not in found.headline
    assert "nan" not in found.headline


@given(EVIDENCE)
def test_a_verdict_survives_json(evidence: Evidence) -> None:
    found = verdict(evidence)
    back = Verdict.from_json(json.loads(json.dumps(found.as_json(), allow_nan=False)))
    assert repr(back) == repr(found)  # as text, where NaN equals itself
