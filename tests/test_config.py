"""RunConfig: what every field brings along, which combinations are impossible, and that a copy in JSON is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bcecore.config import RunConfig, Section, check_against_text, source_kind
from bcecore.errors import ConfigError
from bcecore.settings import Described, describe, parse_config, with_values

SETTINGS = describe()
NAMED_IN_THE_ISSUE = {
    *("model.source", "model.tokenizer", "model.causal"),
    *("data.train_file", "data.validation", "data.block_size"),
    *("training.epochs", "training.max_steps", "training.batch_size", "training.learning_rate"),
    *("training.warmup_steps", "training.seed"),
    *("bce.enabled", "bce.profile", "bce.base_weight", "bce.max_weight", "bce.warmup_steps", "bce.boost_span"),
    "logging.save_steps",
}


def sections() -> dict[str, type[Section]]:
    return {name: part.annotation for name, part in RunConfig.model_fields.items()}  # type: ignore[misc]


# Fields


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_field_explains_itself(setting: Described) -> None:
    assert setting.title[0].isupper()
    assert len(setting.title) <= 45
    assert setting.help.endswith(".")
    assert len(setting.help.split()) >= 4
    assert setting.unit is None or setting.unit.isalpha()


def test_titles_are_different_within_a_section() -> None:
    titles = [(setting.section, setting.title) for setting in SETTINGS]
    assert len(set(titles)) == len(titles)


def test_whole_numbers_that_count_something_have_a_unit() -> None:
    without = {setting.key for setting in SETTINGS if setting.kind == "int" and setting.unit is None}
    assert without == {"data.split_seed", "training.seed"}


def test_the_keys_that_scripts_rely_on_exist() -> None:
    assert {setting.key for setting in SETTINGS} >= NAMED_IN_THE_ISSUE


def test_the_defaults_are_valid_and_safe() -> None:
    config = RunConfig()
    assert config.model.kind == "offline"
    assert config.model.causal
    assert (config.data.validation, config.data.validation_fraction) == ("fraction", 0.1)
    assert parse_config(config.model_dump()) == config


@pytest.mark.parametrize("name", sections())
def test_every_part_is_frozen_and_refuses_unknown_names(name: str) -> None:
    part = getattr(RunConfig(), name)
    first = next(iter(type(part).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, first, getattr(part, first))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(RunConfig(), name, part)
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(part)(no_such_name=1)
    with pytest.raises(ValidationError, match="Extra inputs"):
        RunConfig(no_such_name=1)  # type: ignore[call-arg]


def numbers() -> list[Any]:
    found = []
    for setting in (setting for setting in SETTINGS if setting.kind in ("int", "float")):
        step = 1 if setting.kind == "int" else 1e-9
        low, high = setting.minimum, setting.maximum
        if low is not None:
            found.append(
                pytest.param(setting, low if setting.exclusive_minimum else low - step, id=f"{setting.key}-low")
            )
        if high is not None:
            over = high if setting.exclusive_maximum else high + max(step, high * 1e-9 if step < 1 else 1)
            found.append(pytest.param(setting, over, id=f"{setting.key}-high"))
        if setting.kind == "float":
            found += [pytest.param(setting, float(bad), id=f"{setting.key}-{bad}") for bad in ("nan", "inf")]
        found.append(pytest.param(setting, True, id=f"{setting.key}-switch"))
    return found


@pytest.mark.parametrize(("setting", "value"), numbers())
def test_numbers_outside_their_bounds_are_refused_by_name(setting: Described, value: float) -> None:
    with pytest.raises(ConfigError) as caught:
        with_values(RunConfig(), {setting.key: value})
    assert [problem.field for problem in caught.value.problems] == [setting.key]
    assert setting.expected in str(caught.value)


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.kind in ("int", "float")], ids=lambda s: s.key)
def test_numbers_at_their_bounds_are_taken(setting: Described) -> None:
    part = sections()[setting.section]
    companions = {"num_attention_heads": {"hidden_size": 64}, "base_weight": {"max_weight": 0.0}}
    for bound, exclusive in (
        (setting.minimum, setting.exclusive_minimum),
        (setting.maximum, setting.exclusive_maximum),
    ):
        if bound is not None and not exclusive:
            name = setting.key.partition(".")[2]
            value = int(bound) if setting.kind == "int" else bound
            assert getattr(part(**{name: value, **companions.get(name, {})}), name) == bound


# Impossible combinations


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"bce.max_weight": 0.1}, "bce.max_weight", "below the weight after the warm-up (base_weight, 0.2)"),
        ({"bce.clamp_min": 1.0, "bce.clamp_max": -1.0}, "bce.clamp_min", "above the largest value (clamp_max, -1)"),
        ({"training.max_steps": 100, "training.warmup_steps": 100}, "training.warmup_steps", "run (100 steps)"),
        ({"training.max_steps": 1}, "bce.warmup_steps", "run (1 step)"),
        ({"training.max_steps": 100}, "bce.warmup_steps", "is not shorter than the run (100 steps)"),
        ({"data.block_size": 513}, "data.block_size", "longer than the model can read (512 tokens)"),
        ({"model.max_position_embeddings": 64}, "data.block_size", "Set it to 64 or less"),
        ({"model.num_attention_heads": 3}, "model.num_attention_heads", "128 (hidden size) cannot be divided evenly"),
        ({"data.validation": "file"}, "data.validation_file", "Name the file"),
        ({"data.validation": "file", "data.validation_file": ""}, "data.validation_file", "Name the file"),
        ({"data.validation_file": "a.txt"}, "data.validation_file", "validation is 'fraction'"),
        (
            {"training.lr_scheduler": "polynomial", "training.learning_rate": 1e-7},
            "training.learning_rate",
            "above 1e-07",
        ),
    ],
)
def test_impossible_combinations_are_refused_by_name(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_values(RunConfig(), changes)
    assert caught.value.field == field
    assert [problem.field for problem in caught.value.problems] == [field]
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"bce.max_weight": 0.0},
        {"bce.max_weight": 0.2},
        {"bce.clamp_min": -0.5, "bce.clamp_max": -0.5},
        {"training.max_steps": 101},
        {"training.max_steps": 1, "bce.enabled": False},
        {"training.max_steps": 1, "bce.warmup_steps": 0},
        {"training.max_steps": 200, "training.warmup_steps": 500, "training.lr_scheduler": "constant"},
        {"data.block_size": 512},
        # What the built model could not do, another one may.
        {"data.block_size": 8192, "model.source": "owner/name"},
        {"model.num_attention_heads": 3, "model.source": "./folder"},
        {"data.validation": "file", "data.validation_file": "a.txt"},
    ],
)
def test_what_is_only_unusual_is_taken(changes: dict[str, Any]) -> None:
    config = with_values(RunConfig(), changes)
    assert with_values(config, {}) == config


def test_warm_ups_are_checked_against_the_text() -> None:
    config = with_values(RunConfig(), {"training.epochs": 1, "training.batch_size": 2, "training.warmup_steps": 50})
    assert config.total_steps(200) == 100
    with pytest.raises(ConfigError) as caught:
        check_against_text(config, train_examples=100)
    assert [problem.field for problem in caught.value.problems] == ["training.warmup_steps", "bce.warmup_steps"]
    with pytest.raises(ConfigError) as caught:
        check_against_text(config, train_examples=200)
    assert [problem.field for problem in caught.value.problems] == ["bce.warmup_steps"]
    check_against_text(config, train_examples=201)


# Derived values


def test_the_config_applies_the_schedules_to_its_own_settings() -> None:
    config = with_values(
        RunConfig(),
        {
            "training.batch_size": 1,
            "training.epochs": 10,
            "training.learning_rate": 5e-5,
            "training.warmup_steps": 400,
            "bce.warmup_steps": 400,
            "bce.boost_span": 2000,
        },
    )
    assert (config.steps_per_epoch(200), config.total_steps(200)) == (200, 2000)
    assert config.learning_rate(1000, 2000) == pytest.approx(3.128125e-05, rel=1e-14)
    assert config.bce.weight(1500) == pytest.approx(0.365, rel=1e-14)
    off = with_values(config, {"bce.enabled": False})
    assert [off.bce.weight(t) for t in (1, 400, 2000)] == [0.0, 0.0, 0.0]
    # The cap holds down the base, not the end of the boost.
    capped = with_values(config, {"bce.base_weight": 0.4})
    assert capped.bce.weight(400) == 0.2
    assert capped.bce.weight(2400) == 0.5


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("offline", "offline"),
        ("gpt2", "hub"),
        ("prajjwal1/bert-tiny", "hub"),
        ("HuggingFaceTB/SmolLM2-135M", "hub"),
        ("./model", "local"),
        ("../model", "local"),
        ("/models/bert", "local"),
        ("~/model", "local"),
        ("a/b/c", "local"),
        ("C:\\models\\bert", "local"),
        ("owner/name\n", "local"),
        ("owner/..", "local"),
        ("şişe/model", "local"),
    ],
)
def test_sources_are_told_apart(source: str, kind: str) -> None:
    assert source_kind(source) == kind


# Copies


def values_of(setting: Described) -> st.SearchStrategy[Any]:
    """Values that this setting takes, as far as its own bounds say."""
    low, high = setting.minimum, setting.maximum
    strategies: dict[str, Any] = {
        "bool": st.booleans(),
        "choice": st.sampled_from(setting.choices or ("",)),
        "text": st.text(min_size=1),
        "list": st.lists(st.text(min_size=1)).map(tuple),
    }
    if setting.kind == "int":
        found = st.integers(int(low or 0), None if high is None else int(high))
    elif setting.kind == "float":
        found = st.floats(
            low,
            high,
            exclude_min=setting.exclusive_minimum,
            exclude_max=setting.exclusive_maximum,
            allow_nan=False,
            allow_infinity=False,
        )
    else:
        found = strategies[setting.kind]
    return st.none() | found if setting.optional else found


some_changes = st.dictionaries(st.sampled_from(range(len(SETTINGS))), st.integers(), max_size=8).flatmap(
    lambda chosen: st.fixed_dictionaries({SETTINGS[index].key: values_of(SETTINGS[index]) for index in chosen})
)


@given(some_changes)
def test_a_config_is_the_same_after_json_or_its_problems_have_names(changes: dict[str, Any]) -> None:
    try:
        config = with_values(RunConfig(), changes)
    except ConfigError as error:
        assert {problem.field for problem in error.problems} <= {setting.key for setting in SETTINGS}
        return
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    assert parse_config(config.model_dump(mode="json")) == config
