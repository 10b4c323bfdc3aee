"""The form's fields: what is typed becomes a value or a sentence, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import RunConfig
from bcecore.errors import Problem
from bcecore.recipes import load_recipe, recipe_names
from bcecore.settings import flatten
from bcecore.ui.config_form import (
    SETTINGS,
    NotANumberError,
    help_text,
    label,
    problem_words,
    typed_from,
    value_of,
    value_words,
)

LEARNING_RATE = SETTINGS["training.learning_rate"]
BATCH = SETTINGS["training.batch_size"]
MAX_STEPS = SETTINGS["training.max_steps"]


def test_every_setting_of_every_recipe_survives_being_typed() -> None:
    for name in recipe_names():
        for key, value in flatten(load_recipe(name).config).items():
            described = SETTINGS[key]
            typed = typed_from(described, value)
            # A list becomes a tuple in RunConfig, from the words between the commas.
            expected = ", ".join(value) if described.kind == "list" else value
            if described.kind == "text" and value is None:
                expected = None
            assert value_of(described, typed) == expected, key


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_number_with_many_digits_is_not_rounded(value: float) -> None:
    assert value_of(LEARNING_RATE, typed_from(LEARNING_RATE, value)) == value


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_a_large_whole_number_is_not_rounded(value: int) -> None:
    assert value_of(BATCH, typed_from(BATCH, value)) == value


def test_numbers_are_read_as_people_write_them() -> None:
    assert value_of(LEARNING_RATE, " 5e-5 ") == 5e-5
    assert value_of(BATCH, "1e3") == 1000
    assert value_of(BATCH, "8.0") == 8
    assert value_of(MAX_STEPS, "") is None


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "A number is needed here."),
        ("fast", "'fast' is not a number."),
        ("0,1", "Write decimals with a point and thousands without a comma: 0.1."),
    ],
)
def test_what_is_no_number_is_said_in_words(typed: str, sentence: str) -> None:
    with pytest.raises(NotANumberError) as caught:
        value_of(LEARNING_RATE, typed)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("typed", ["5.5", "nan", "inf", "1e999", "9" * 5000])
def test_what_is_no_whole_number_is_never_cut_to_one(typed: str) -> None:
    with pytest.raises(NotANumberError):
        value_of(BATCH, typed)


def test_labels_and_help_come_from_the_settings() -> None:
    assert label(SETTINGS["data.block_size"]) == "Longest example (tokens)"
    assert label(BATCH) == "Examples at a time (batch size)"
    assert label(SETTINGS["logging.save_total_limit"]) == "Checkpoints kept"
    for described in SETTINGS.values():
        assert described.title in label(described)
        assert described.help.split(":")[0] in help_text(described) or described.choices
    assert help_text(BATCH).endswith("(In lines, at least 1, at most 4096.)")
    assert "first_rows_of_training:" not in help_text(SETTINGS["data.validation"])
    assert "*Lines set aside*: set a share" in help_text(SETTINGS["data.validation"])


def test_values_are_said_in_words() -> None:
    assert value_words(SETTINGS["bce.enabled"], False) == "off"
    assert value_words(MAX_STEPS, None) == "no limit"
    assert value_words(SETTINGS["logging.report_to"], ()) == "nothing"
    assert value_words(SETTINGS["training.lr_scheduler"], "cosine") == "Smoothly down (cosine)"
    assert value_words(LEARNING_RATE, 5e-5) == "5e-5"


def test_a_problem_names_settings_by_their_titles() -> None:
    below = Problem("bce.max_weight", 0.1, "is below the weight after the warm-up (base_weight, 0.2). Raise it.")
    assert problem_words(below) == (
        "Weight at the end of the boost is below the weight after the warm-up (0.2). Raise it."
    )
    assert problem_words(Problem("model.source", None, "copy it here and set model.source to its path")) == (
        "Copy it here and set “Model” to its path"
    )
    assert problem_words(Problem("data.train_file", None, "notes.txt is empty.")) == "notes.txt is empty."


def test_no_choice_is_left_without_words_of_its_own_setting() -> None:
    for key, value in flatten(RunConfig()).items():
        assert value_words(SETTINGS[key], value)
