"""Recipes: named, complete configurations to start from, one JSON file each in the package's `recipes/` folder."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from bcecore.config import RunConfig
from bcecore.errors import BceError
from bcecore.files import read_json
from bcecore.settings import parse_config

DEFAULT_RECIPE = "quick-look"
_DIRECTORY = Path(__file__).parent / "recipes"
# The order in which a person should meet them.
_ORDER = (
    "quick-look",
    "report-10-epoch-offline",
    "report-10-epoch",
    "active-10-epoch",
    "hub-bert-tiny",
    "hub-smollm2-135m",
)


@dataclass(frozen=True)
class Recipe:
    """A configuration with a name, and what to know before using it."""

    name: str
    title: str
    summary: str
    needs_network: bool
    notes: dict[str, str]
    """`{"dotted.key": sentence}` about settings that are not what they seem."""
    config: RunConfig


def recipe_names() -> list[str]:
    """All recipes, in the order in which a person should meet them."""
    return list(_ORDER)


def load_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises BceError with the nearest names when there is none."""
    if name not in _ORDER:
        near = difflib.get_close_matches(name, _ORDER, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise BceError(f"There is no recipe '{name}'.{hint} The recipes are {', '.join(_ORDER)}.")
    values = read_json(_DIRECTORY / f"{name}.json")
    return Recipe(
        name=name,
        title=values["title"],
        summary=values["summary"],
        needs_network=values["needs_network"],
        notes=values["notes"],
        config=parse_config(values["config"]),
    )
