"""What a study would see if its results varied as is assumed."""

from __future__ import annotations

import pytest
from scipy import stats

from bcecore.evaluation.outcome import Foretold
from bcecore.evaluation.planning import ASSUMED, predicted_error
from bcecore.report.study_outlook import assumed_mde, assumed_words
from bcecore.report.study_words import foretold_words, sight_words, time_words


def foretold(seeds: int = 5, documents: int = 300, **changes: object) -> Foretold:
    values: dict[str, object] = {
        "seeds": seeds,
        "documents": documents,
        "tokens": 20 * documents,
        "runs": 2 * seeds,
        "pilot": None,
        "mde": None,
        "mde_low": None,
        "mde_high": None,
        "seconds": None,
        "places": 1,
    }
    return Foretold(**values | changes)  # type: ignore[arg-type]


def test_the_assumed_difference_has_the_power_that_is_said() -> None:
    mde = assumed_mde(foretold(), 1, 1)
    error = predicted_error(ASSUMED, 5, [20] * 300)
    edge = stats.t.ppf(0.975, 4)
    power = stats.nct.sf(edge, 4, mde / error) + stats.nct.cdf(-edge, 4, mde / error)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_more_looks_or_arms_see_less_and_more_seeds_see_more() -> None:
    plain = assumed_mde(foretold(), 1, 1)
    assert assumed_mde(foretold(), 2, 1) > plain and assumed_mde(foretold(), 1, 3) > plain
    assert assumed_mde(foretold(seeds=8), 1, 1) < plain and assumed_mde(foretold(documents=900), 1, 1) < plain


def test_the_sentence_says_that_it_is_an_assumption() -> None:
    said = assumed_words(foretold(), 1, 1)
    assert "an assumption, not a measurement), 5 seeds and 300 documents would likely (80 %)" in said
    assert said.endswith(f"above {assumed_mde(foretold(), 1, 1):.2g}.")


def test_what_is_foretold_is_sight_and_time() -> None:
    measured = foretold(mde=0.02, mde_low=0.01, mde_high=0.05, pilot="a-pilot", seconds=600.0, places=2)
    assert foretold_words(measured, 0.01) == [*sight_words(measured, 0.01), time_words(measured)]
    assert "differences above 0.02 nats per token (somewhere from 0.01 to 0.05" in sight_words(measured, 0.01)[0]
    assert time_words(measured).startswith("Its 10 runs take about 5 min of training, 2 at once")
    assert "known after the first one" in time_words(foretold())
