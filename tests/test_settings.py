"""Settings as people meet them: assignments, changes, differences, messages, descriptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore import settings
from bcecore.config import RunConfig
from bcecore.errors import ConfigError
from bcecore.settings import (
    describe,
    differences,
    flatten,
    load_config_file,
    parse_assignment,
    parse_config,
    readable_number,
    with_values,
)
from tests.test_config import SETTINGS, values_of

# Assignments


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("training.epochs=3", "training.epochs", 3),
        (" training.epochs =2.5", "training.epochs", 2.5),
        ("training.learning_rate=5e-5", "training.learning_rate", 5e-5),
        ("bce.enabled=false", "bce.enabled", False),
        ("training.max_steps=null", "training.max_steps", None),
        ("model.source=prajjwal1/bert-tiny", "model.source", "prajjwal1/bert-tiny"),
        ("data.train_file=a=b.txt", "data.train_file", "a=b.txt"),
        ('data.train_file="quoted.txt"', "data.train_file", "quoted.txt"),
        # Where text is meant, what looks like a number or a switch is text.
        ("data.column=2024", "data.column", "2024"),
        ("data.column=true", "data.column", "true"),
        ("data.column=[1]", "data.column", "[1]"),
        ("data.validation_file=null", "data.validation_file", None),
        ("logging.report_to=wandb,mlflow", "logging.report_to", "wandb,mlflow"),
        ('logging.report_to=["wandb"]', "logging.report_to", ["wandb"]),
        ("no.such=1", "no.such", 1),
    ],
)
def test_assignments(text: str, key: str, value: Any) -> None:
    assert parse_assignment(text) == (key, value)


@pytest.mark.parametrize("text", ["training.epochs", "=3", " = 3", ""])
def test_what_is_no_assignment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write it as key=value, for example training\.epochs=3"):
        parse_assignment(text)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
@given(data=st.data())
def test_an_assignment_in_json_means_its_value(setting: settings.Described, data: st.DataObject) -> None:
    value = data.draw(values_of(setting))
    assert parse_assignment(f"{setting.key}={json.dumps(value)}") == (
        setting.key,
        list(value) if isinstance(value, tuple) else value,
    )


def test_trackers_are_read_from_a_comma_separated_text() -> None:
    config = with_values(RunConfig(), dict([parse_assignment("logging.report_to=wandb, mlflow,")]))
    assert config.logging.report_to == ("wandb", "mlflow")
    assert with_values(config, {"logging.report_to": ""}).logging.report_to == ()


# Changes and differences


def test_changes_make_a_new_config_and_differences_find_them() -> None:
    before = RunConfig()
    after = with_values(before, {"training.epochs": 5, "bce.profile": "seed", "training.max_steps": 400})
    assert before == RunConfig()
    assert differences(before, after) == {
        "training.epochs": (3.0, 5.0),
        "training.max_steps": (None, 400),
        "bce.profile": ("active", "seed"),
    }
    assert differences(before, before) == {}
    assert with_values(after, {key: old for key, (old, _) in differences(before, after).items()}) == before


def test_problems_of_several_settings_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        with_values(RunConfig(), {"training.epochs": 0, "bce.base_weight": -1, "data.block_size": "long"})
    assert [problem.field for problem in caught.value.problems] == [
        "data.block_size",
        "training.epochs",
        "bce.base_weight",
    ]
    assert len(str(caught.value).splitlines()) == 3


def test_flatten_has_every_setting_once_and_in_order() -> None:
    assert list(flatten(RunConfig())) == [setting.key for setting in SETTINGS]


# Messages


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"training": {"epochs": "many"}},
            "training.epochs: has to be a number, above 0, at most 10000 (got 'many')",
        ),
        (
            {"training": {"batch_size": 2.5}},
            "training.batch_size: has to be a whole number, at least 1, at most 4096 (got 2.5)",
        ),
        ({"training": {"batch_size": True}}, "at most 4096 (got true)"),
        ({"training": {"seed": -1}}, "has to be a whole number, at least 0, at most 4294967295 (got -1)"),
        (
            {"training": {"max_steps": ""}},
            "training.max_steps: has to be a whole number, at least 1, or empty (got '')",
        ),
        ({"training": {"epochs": None}}, "at most 10000 (got nothing)"),
        ({"training": 3}, "training: has to be a JSON object with settings in it (got 3)"),
        ({"logging": {"report_to": [1]}}, "logging.report_to: has to be names, separated by commas (got 1)"),
        ({"bce": {"enabled": "maybe"}}, "bce.enabled: has to be true or false (got 'maybe')"),
        ({"data": {"validation": "x"}}, "has to be one of fraction, file, first_rows_of_training, none (got 'x')"),
        ({"model": {"source": ""}}, "model.source: has to be a text that is not empty (got '')"),
        ({"data": {"validation_file": 3}}, "data.validation_file: has to be a text, or empty (got 3)"),
        ({"data": {"train_file": "\ud800"}}, r"has to be a text that is not empty (got '\ud800')"),
        ({"bce": {"max_weight": 0.1}}, "Set it to at least 0.2, or to 0 for no boost. (got 0.1)"),
        (
            {"training": {"epoch": 3}},
            "training.epoch: there is no such setting. Did you mean training.epochs",
        ),
        (
            {"bce": {"xyzzy": 1}},
            "bce.xyzzy: there is no such setting. `python -m bcecore settings` lists them all. (got 1)",
        ),
        ({"model": {"source": ["x" * 500]}}, f"(got '{'x' * 99}...)"),
    ],
)
def test_messages_name_the_setting_and_the_value_in_plain_words(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    assert message in str(caught.value)
    for jargon in ("input", "valid ", "instance", "parse", "tuple", "dict", "string", "integer", "boolean", "None"):
        assert jargon not in str(caught.value), jargon


@pytest.mark.parametrize("key", ["epochs", "training", "training.", "training.epochs.x", "", ".epochs"])
def test_changing_what_is_no_setting_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="there is no such setting") as caught:
        with_values(RunConfig(), {key: 1})
    assert caught.value.field == key


def test_a_key_without_its_section_is_recognised() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean .*training\.learning_rate"):
        with_values(RunConfig(), {"learning_rate": 1})
    with pytest.raises(ConfigError, match=r"Did you mean .*data\.split_seed"):
        with_values(RunConfig(), {"split_seed": 1})


# Descriptions


def test_every_field_is_described() -> None:
    fields = {
        f"{section}.{name}": field
        for section, part in RunConfig.model_fields.items()
        for name, field in part.annotation.model_fields.items()  # type: ignore[union-attr]
    }
    assert [setting.key for setting in SETTINGS] == list(fields)
    for setting in SETTINGS:
        assert setting.title == fields[setting.key].title
        assert setting.help == fields[setting.key].description
        assert setting.default == flatten(RunConfig())[setting.key]
    assert [setting.section_title for setting in SETTINGS if setting.key == "data.column"] == ["Text"]


def test_kinds_bounds_and_choices_are_those_of_the_fields() -> None:
    found = {setting.key: setting for setting in SETTINGS}
    assert found["bce.enabled"].kind == "bool"
    assert found["training.max_steps"].kind == "int"
    assert found["training.max_steps"].optional
    assert found["training.max_steps"].bounds == "at least 1"
    assert found["training.learning_rate"].bounds == "above 0, at most 10"
    assert found["model.dropout"].bounds == "at least 0, below 1"
    assert found["training.seed"].bounds == "at least 0, at most 4294967295"
    assert found["training.max_grad_norm"].bounds == "at least 0, at most 1000000"
    assert found["model.source"].bounds == ""
    assert found["data.validation"].choices == ("fraction", "file", "first_rows_of_training", "none")
    assert found["logging.report_to"].kind == "list"
    assert found["data.validation_file"].is_text
    assert found["data.validation_file"].optional
    assert found["training.optimizer"].is_text
    assert not found["training.epochs"].is_text
    assert not found["training.epochs"].advanced
    assert found["training.weight_decay"].advanced


# Files and numbers


def test_a_config_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for lead in (b"", b"\xef\xbb\xbf"):  # Windows' editors put a mark in front
        path.write_bytes(lead + '{"data": {"column": "yazı"}}'.encode())
        assert load_config_file(path) == {"data": {"column": "yazı"}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not a readable JSON file"),
        (b"", "is not a readable JSON file"),
        (b"\xff\xfe\x00", "is not a readable JSON file"),
        (b"[1]", "must hold one JSON object"),
        (None, "there is no configuration file"),
    ],
)
def test_what_is_no_config_file_is_refused_by_name(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config_file(path)
    assert str(path) in str(caught.value)


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a readable JSON file"):
        load_config_file(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (5e-5, "5e-5"),
        (0.0001, "0.0001"),
        (1e-7, "1e-7"),
        (0.1 + 0.2, "0.3"),
        (-2.0, "-2"),
        (0.0, "0"),
        (4294967295, "4294967295"),
        (1e20, "1e20"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_written_as_a_person_would(value: float, text: str) -> None:
    assert readable_number(value) == text


def test_describe_is_made_anew_for_every_caller() -> None:
    describe().clear()
    assert describe() == SETTINGS
