"""Settings as people meet them: described for forms and documents, read from text, compared, explained when wrong.

Everything here is made from RunConfig's own fields (`config`); nothing is written down twice.
"""

from __future__ import annotations

import difflib
import json
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from bcecore.config import RunConfig, Section
from bcecore.errors import ConfigError, Problem


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """A RunConfig from nested plain values. Raises ConfigError with every problem's dotted key."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(problems_of(error)) from error


def problems_of(error: ValidationError) -> list[Problem]:
    """What pydantic found, each with its dotted key, the value received and a sentence."""
    described = {item.key: item for item in describe()}
    problems = []
    for item in error.errors():
        # Beyond section and setting, pydantic names the place in a list.
        key, value = ".".join(map(str, item["loc"][:2])), item.get("input")
        if item["type"] == "impossible":
            context = item["ctx"]
            key = ".".join(filter(None, [key, context["field"]]))
            value, message = context["value"], context["text"]
        elif item["type"] == "extra_forbidden":
            message = f"there is no such setting. {_nearest_keys(key)}"
        elif key in described:
            message = f"has to be {described[key].expected}"
        else:
            message = "has to be a JSON object with settings in it"
        shown = "" if isinstance(value, (dict, BaseModel)) else f" (got {_shown(value)})"
        problems.append(Problem(key, value, f"{message}{shown}"))
    return problems


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "nothing"
    text = json.dumps(value) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _nearest_keys(key: str) -> str:
    known = [described.key for described in describe()]
    near = difflib.get_close_matches(key, known, n=3) or [k for k in known if k.endswith(f".{key.rpartition('.')[2]}")]
    return f"Did you mean {', '.join(near)}?" if near else "`python -m bcecore settings` lists them all."


def with_values(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """A copy with `{"dotted.key": value}` changed, checked as a whole. Raises ConfigError."""
    values = config.model_dump()
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if section not in values or not name or "." in name:
            raise ConfigError([Problem(key, value, f"there is no such setting. {_nearest_keys(key)}")])
        values[section][name] = value
    return parse_config(values)


def overlay(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """A copy with nested `{"section": {"name": value}}` changed, as a file gives them. Raises ConfigError."""
    merged = config.model_dump()
    for section, part in values.items():
        if isinstance(part, Mapping) and section in merged:
            merged[section].update(part)
        else:
            merged[section] = part
    return parse_config(merged)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read `dotted.key=value` as the command line's `--set` gives it.

    The value is JSON where it parses as JSON (numbers, true, null, lists), else plain text; pydantic then checks the
    type. Raises ConfigError when there is no `=`.
    """
    key, separator, raw = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError([Problem(text, text, "write it as key=value, for example training.epochs=3.")])
    try:
        value = json.loads(raw)
    except ValueError:
        value = raw
    key = key.strip()
    # A path such as 2024 or a column named true is text where the setting is text.
    described = next((item for item in describe() if item.key == key), None)
    if described is not None and described.is_text and not isinstance(value, (str, type(None))):
        value = raw
    return key, value


def flatten(config: RunConfig) -> dict[str, Any]:
    """`{"dotted.key": value}` for every setting, in the order of the sections."""
    return {
        f"{section}.{name}": value for section, values in config.model_dump().items() for name, value in values.items()
    }


def differences(before: RunConfig, after: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The settings in which two configurations differ: `{"dotted.key": (before, after)}`."""
    old, new = flatten(before), flatten(after)
    return {key: (old[key], new[key]) for key in old if old[key] != new[key]}


@dataclass(frozen=True)
class Described:
    """One setting as the form, the command line and the documentation show it."""

    key: str
    section: str
    section_title: str
    title: str
    help: str
    unit: str | None
    advanced: bool
    default: Any
    kind: Literal["bool", "int", "float", "choice", "text", "list"]
    optional: bool
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    exclusive_minimum: bool
    exclusive_maximum: bool

    @property
    def is_text(self) -> bool:
        """Whether the setting holds words rather than a number or a switch."""
        return self.kind in ("text", "choice")

    @property
    def bounds(self) -> str:
        """The bounds in words, or an empty string."""
        parts = []
        if self.minimum is not None:
            parts.append(f"{'above' if self.exclusive_minimum else 'at least'} {readable_number(self.minimum)}")
        if self.maximum is not None:
            parts.append(f"{'below' if self.exclusive_maximum else 'at most'} {readable_number(self.maximum)}")
        return ", ".join(parts)

    @property
    def expected(self) -> str:
        """What the setting takes, in words."""
        kinds = {
            "bool": "true or false",
            "int": "a whole number",
            "float": "a number",
            "choice": f"one of {', '.join(self.choices)}",
            "text": "a text" if self.optional else "a text that is not empty",
            "list": "names, separated by commas",
        }
        return f"{kinds[self.kind]}{', ' if self.bounds else ''}{self.bounds}{', or empty' if self.optional else ''}"


def describe() -> list[Described]:
    """Every setting of a run, in the order of the sections."""
    found = []
    for section, part in RunConfig.model_fields.items():
        part_model = part.annotation
        assert isinstance(part_model, type) and issubclass(part_model, Section)
        for name, field in part_model.model_fields.items():
            found.append(_described(section, str(part.title), name, field))
    return found


def _described(section: str, section_title: str, name: str, field: FieldInfo) -> Described:
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    annotation: Any = field.annotation
    optional = False
    if get_origin(annotation) in (Union, types.UnionType):
        optional = True
        annotation = next(arg for arg in get_args(annotation) if arg is not types.NoneType)
    choices: tuple[str, ...] = get_args(annotation) if get_origin(annotation) is Literal else ()
    kind: Any = (
        "choice"
        if choices
        else "list"
        if get_origin(annotation) is tuple
        else {bool: "bool", int: "int", float: "float", str: "text"}[annotation]
    )
    bounds: dict[str, float] = {}
    if kind in ("int", "float"):
        for limit in field.metadata:
            bounds |= {n: getattr(limit, n) for n in ("ge", "gt", "le", "lt") if hasattr(limit, n)}
    unit = extra["unit"]
    return Described(
        key=f"{section}.{name}",
        section=section,
        section_title=section_title,
        title=str(field.title),
        help=str(field.description),
        unit=None if unit is None else str(unit),
        advanced=bool(extra["advanced"]),
        default=field.default,
        kind=kind,
        optional=optional,
        choices=choices,
        minimum=bounds.get("ge", bounds.get("gt")),
        maximum=bounds.get("le", bounds.get("lt")),
        exclusive_minimum="gt" in bounds,
        exclusive_maximum="lt" in bounds,
    )


def load_config_file(path: Path) -> dict[str, Any]:
    """The nested values of a JSON configuration file. Raises ConfigError naming the file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError([Problem("", path, f"there is no configuration file {path}.")]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([Problem("", path, f"{path} is not a readable JSON file: {error}")]) from error
    if not isinstance(values, dict):
        raise ConfigError([Problem("", path, f"{path} must hold one JSON object with the settings.")])
    return values


def readable_number(value: float) -> str:
    """A setting's number as a person would write it: 5e-05 as 5e-5, 3.0 as 3."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return f"{int(value)}"
    mantissa, separator, exponent = f"{value:.6g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if separator else mantissa
