import math

import pytest

from bcecore.report.acting import acting
from bcecore.report.summary import At
from tests.examples import example_config

AFTER_WARM_UP = {"step": 300, "bce_weight": 0.34, "bce_share": 0.066}


def test_off() -> None:
    light = acting(example_config(bce__enabled=False), {"step": 5, "bce_weight": 0.0}, None)
    assert (light.light, light.headline) == ("off", "BCE: off")
    assert "0 at every step" in light.explanation


def test_before_the_first_step() -> None:
    light = acting(example_config(), {}, None)
    assert light.light == "unknown"
    assert light.headline == "BCE: on, nothing measured yet"


def test_acting_tells_weight_gradient_and_share() -> None:
    light = acting(example_config(), AFTER_WARM_UP, At(0.031, 300))
    assert light.light == "acting"
    assert light.headline == "BCE: on, weight 0.34, adds 3.1 % to the gradient"
    assert "measured at step 300" in light.explanation
    assert "6.6 % of the logged loss" in light.explanation


def test_warming_up() -> None:
    latest = {"step": 9, "bce_weight": 0.03, "bce_share": 0.002}
    light = acting(example_config(bce__warmup_steps=60), latest, At(0.004, 1))
    assert light.light == "warming"
    assert light.headline == "BCE: warming up, weight 0.03 of 0.2, adds 0.4 % to the gradient"


@pytest.mark.parametrize("ratio", [None, At(0.0, 50)])
def test_the_seed_profile_is_told_truthfully(ratio: At | None) -> None:
    light = acting(example_config("report-10-epoch-offline"), AFTER_WARM_UP, ratio)
    assert light.light == "idle"
    assert light.headline == "BCE: on, weight 0.34, adds nothing to the gradient"
    assert "not what the model learns" in light.explanation


def test_the_seed_profile_during_its_warm_up_is_no_different() -> None:
    latest = {"step": 3, "bce_weight": 0.0015, "bce_share": 0.0001}
    light = acting(example_config("report-10-epoch-offline"), latest, At(0.0, 1))
    assert light.light == "idle"


def test_a_measurement_is_believed_rather_than_the_name_of_the_profile() -> None:
    light = acting(example_config("report-10-epoch-offline"), AFTER_WARM_UP | {"step": 900}, At(0.02, 850))
    assert light.light == "acting"


def test_an_active_profile_without_gradient_is_a_warning() -> None:
    light = acting(example_config(), AFTER_WARM_UP, At(0.0, 300))
    assert light.light == "idle"
    assert "seed" not in light.explanation


def test_next_to_nothing_is_not_called_acting() -> None:
    light = acting(example_config(), AFTER_WARM_UP, At(0.0004, 300))
    assert light.light == "idle"
    assert "hardly" in light.headline


def test_a_weight_that_the_settings_keep_at_zero() -> None:
    config = example_config(bce__base_weight=0.0, bce__max_weight=0.0)
    light = acting(config, {"step": 5, "bce_weight": 0.0}, At(0.0, 1))
    assert light.light == "idle"
    assert "stays 0" in light.headline


@pytest.mark.parametrize("ratio", [None, At(math.nan, 50)])
def test_an_effect_that_is_not_known_is_not_guessed(ratio: At | None) -> None:
    light = acting(example_config(), AFTER_WARM_UP, ratio)
    assert light.light == "unknown"
    assert "not measured yet" in light.headline
