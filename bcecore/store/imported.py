"""What is known about a run that was trained elsewhere (`import.json`): given facts and its Trainer's state."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from bcecore.errors import RunError

IMPORT_FILE = "import.json"
Fact = str | int | float

_LONGEST_TEXT = 300


class Source(BaseModel):
    """One file that the run was made from."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    sha256: str
    kept_as: str = ""
    """The file in the run's folder of imported logs that has all it says; empty where that is another source's."""


class Imported(BaseModel):
    """Everything in `import.json`. A fact that is not there is not known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sources: tuple[Source, ...] = ()
    facts: dict[str, str | int | float] = Field(default_factory=dict)
    """Given by a person: what a log cannot know, such as the wall clock. Names: `FACTS`."""
    state: dict[str, Any] = Field(default_factory=dict)
    """What the Trainer's state says besides its log: global_step, max_steps, num_train_epochs, train_batch_size …"""
    notes: tuple[str, ...] = ()
    """Sentences about what had to be mended in the files."""


FACTS: dict[str, str] = {
    "model": "the model's name",
    "text": "the text that it was trained on",
    "epochs": "epochs",
    "batch_size": "examples in a batch",
    "block_size": "longest example, in tokens",
    "learning_rate": "highest learning rate",
    "warmup_steps": "warm-up steps of the learning rate",
    "bce_weight": "the schedule of the BCE weight, in words",
    "wall_clock": "seconds from the first step to the last",
    "seed": "seed",
    "device": "what it was trained on",
}
"""Facts that can be given with an import, and what they mean."""


class _Bounds(NamedTuple):
    whole: bool
    least: float
    above: bool = False
    """Whether the least itself is too little."""


_NUMBERS = {
    "epochs": _Bounds(whole=False, least=0, above=True),
    "batch_size": _Bounds(whole=True, least=1),
    "block_size": _Bounds(whole=True, least=1),
    "learning_rate": _Bounds(whole=False, least=0, above=True),
    "warmup_steps": _Bounds(whole=True, least=0),
    "wall_clock": _Bounds(whole=False, least=0, above=True),
    "seed": _Bounds(whole=True, least=0),
}


def checked_facts(given: Mapping[str, Fact]) -> dict[str, Fact]:
    """Facts as they are kept: numbers as numbers, texts in one line, empty ones left out.

    Raises RunError, with the fact's name as its field, for an unknown one and for a number that cannot be one.
    """
    facts: dict[str, Fact] = {}
    for name, value in given.items():
        if name not in FACTS:
            known = ", ".join(FACTS)
            raise RunError(f"{name!r} is no fact that can be given. These can be: {known}.", field=name)
        text = " ".join(str(value).split())
        if text:
            facts[name] = _number(name, text, _NUMBERS[name]) if name in _NUMBERS else _text(name, text)
    return facts


def _text(name: str, text: str) -> str:
    if len(text) > _LONGEST_TEXT or not text.isprintable():
        raise RunError(
            f"{FACTS[name].capitalize()} takes at most {_LONGEST_TEXT} visible characters, not {text[:60]!r}.",
            field=name,
        )
    return text


def _number(name: str, text: str, bounds: _Bounds) -> int | float:
    if name == "wall_clock" and (clock := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)", text)):
        hours, minutes, seconds = clock.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)
    try:
        number = float(re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text))
    except ValueError:
        number = math.nan
    right = math.isfinite(number) and (number > bounds.least if bounds.above else number >= bounds.least)
    if not right or (bounds.whole and number != int(number)):
        kind = "a whole number" if bounds.whole else "a number"
        limit = f"above {bounds.least:g}" if bounds.above else f"of at least {bounds.least:g}"
        raise RunError(f"{FACTS[name].capitalize()} takes {kind} {limit}, not {text[:60]!r}.", field=name)
    return int(number) if bounds.whole else number
