"""What differs between runs besides their values: settings, text, device, versions. Pure.

Only differences are listed, and what is not known of a run is not taken for a difference: a run that was trained
elsewhere says little about its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bcecore.config import RunConfig
from bcecore.report.comparability import Side
from bcecore.report.facts import settings_by_section
from bcecore.report.words import count
from bcecore.settings import describe, flatten, readable_number

NOT_KNOWN = "not known"
_TEXTS = {"train": ("Text to learn from", "train_examples"), "validation": ("Text to check on", "validation_examples")}
# Where the facts given with an import, and the Trainer's own state, say what a setting says.
_FACT_SETTINGS = {
    "model": "model.source",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "block_size": "data.block_size",
    "learning_rate": "training.learning_rate",
    "warmup_steps": "training.warmup_steps",
    "seed": "training.seed",
}
_STATE_SETTINGS = {"num_train_epochs": "training.epochs", "train_batch_size": "training.batch_size"}
_SEED = "training.seed"

ChoiceWords = Callable[[str, str], str]
"""Says a choice of a setting, given its key, in the words in which it was offered."""


@dataclass(frozen=True)
class Difference:
    """One thing in which runs differ."""

    key: str
    """Dotted key of a setting, or another stable name."""
    section: str
    title: str
    values: tuple[Any, ...]
    """One for each side; None also where it is not known."""
    words: tuple[str, ...]
    """The same as people read them."""


@dataclass(frozen=True)
class Differences:
    """What differs, and how much does not."""

    rows: tuple[Difference, ...]
    equal: int
    """Settings that are known of all sides and the same."""
    unknown: int
    """Settings that are not known of every side, and the same where they are known."""

    @property
    def rest_words(self) -> str:
        """A sentence about what is not listed."""
        parts = []
        if self.equal:
            which = "The other " if self.rows else "All "
            parts.append(f"{which}{count(self.equal, 'setting')} {'is' if self.equal == 1 else 'are'} equal.")
        if self.unknown:
            parts.append(f"{count(self.unknown, 'setting')} cannot be compared: not every run says what it had.")
        return " ".join(parts)


class _Known(NamedTuple):
    section: str
    title: str
    value: Any
    words: str


def differences(sides: Sequence[Side], choice_words: ChoiceWords) -> Differences:
    """What differs between the sides, settings first."""
    known = [dict(_facts(side, choice_words)) for side in sides]
    settings = {item.key for item in describe()}
    rows: list[Difference] = []
    equal = unknown = 0
    for key in _in_order(known):
        there = [facts.get(key) for facts in known]
        values = [fact.value for fact in there if fact is not None]
        if any(value != values[0] for value in values):
            rows.append(_difference(key, there))
        elif key in settings:
            equal += len(values) == len(sides)
            unknown += len(values) < len(sides)
    # Of texts, that they are two is all that people need to know: a file's name tells less than what is in it.
    return Differences(tuple(_with_letters(row) if row.key in _TEXTS else row for row in rows), equal, unknown)


def _in_order(known: Sequence[Mapping[str, _Known]]) -> list[str]:
    """All keys; settings in the order of the form, then the rest."""
    everything = dict.fromkeys(key for facts in known for key in facts)
    settings = [item.key for item in describe() if item.key in everything]
    return [*settings, *(key for key in everything if key not in settings)]


def _difference(key: str, there: Sequence[_Known | None]) -> Difference:
    first = next(fact for fact in there if fact is not None)
    words = [NOT_KNOWN if fact is None else fact.words for fact in there]
    if len(set(words)) == 1 and key not in _TEXTS:  # rounding, or a path of which only the end is shown, hides it
        words = [NOT_KNOWN if fact is None else str(fact.value) for fact in there]
    values = tuple(None if fact is None else fact.value for fact in there)
    return Difference(key, first.section, first.title, values, tuple(words))


def _with_letters(row: Difference) -> Difference:
    texts = list(dict.fromkeys(value for value in row.values if value is not None))
    words = tuple(
        words if value is None else ", ".join(filter(None, (f"text {_letter(texts.index(value))}", words)))
        for value, words in zip(row.values, row.words, strict=True)
    )
    return Difference(row.key, row.section, row.title, row.values, words)


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _facts(side: Side, choice_words: ChoiceWords) -> Iterator[tuple[str, _Known]]:
    """Everything that is known of a side besides its values."""
    if side.config is not None:
        yield from _settings(side.config, choice_words)
    if side.imported is not None:
        yield from _imported(side)
    record = side.record
    for name, (title, counted) in _TEXTS.items():
        fingerprint = record.dataset.get("fingerprints", {}).get(name)
        if fingerprint is not None:
            lines = record.dataset.get(counted)
            yield name, _Known("Text", title, fingerprint, "" if lines is None else count(lines, "line"))
    if "weights" in record.facts:
        weights = record.facts["weights"]
        yield "weights", _Known("Model", "Weights", weights, f"{weights:,}")
    probe = record.facts.get("leak_probe")
    if probe is not None:
        sees = "yes" if probe["leaks"] else "no"
        yield "leaks", _Known("Model", "Sees the words that it has to predict", sees, sees)
    if record.device is not None:
        yield "device", _Known("Machine", "Device", record.device, record.device)
    for package, version in record.versions.items():
        yield f"version {package}", _Known("Machine", f"Version of {package}", version, version)


def _settings(config: RunConfig, choice_words: ChoiceWords) -> Iterator[tuple[str, _Known]]:
    values = flatten(config)
    words = [fact for facts in settings_by_section(config, choice_words).values() for fact in facts]
    for item, fact in zip(describe(), words, strict=True):
        yield item.key, _Known(item.section_title, item.title, values[item.key], fact.value)


def _imported(side: Side) -> Iterator[tuple[str, _Known]]:
    assert side.imported is not None
    described = {item.key: item for item in describe()}
    state = {key: side.imported.state.get(name) for name, key in _STATE_SETTINGS.items()}
    facts = {_FACT_SETTINGS[name]: value for name, value in side.imported.facts.items() if name in _FACT_SETTINGS}
    for key, value in (state | facts).items():
        if value is not None:
            item = described[key]
            words = str(value) if isinstance(value, str) else readable_number(value)
            if item.unit is not None:
                words += f" {item.unit.removesuffix('s') if value == 1 else item.unit}"
            yield key, _Known(item.section_title, item.title, value, words)
    if "device" in side.imported.facts and side.record.device is None:
        device = str(side.imported.facts["device"])
        yield "device", _Known("Machine", "Device", device, device)


# -- runs that differ in their seed only


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in nothing but their seed."""

    name: str
    members: tuple[int, ...]
    """Places among the sides."""
    seeds: tuple[int, ...]
    """Of the members, in their order."""


def seed_groups(sides: Sequence[Side]) -> list[SeedGroup]:
    """The groups of at least two sides with equal settings and texts and different seeds, in order of their first."""
    places: dict[Any, list[int]] = {}
    for place, side in enumerate(sides):
        if side.config is None:
            continue
        settings = {key: value for key, value in flatten(side.config).items() if key != _SEED}
        texts = side.record.dataset.get("fingerprints", {})
        places.setdefault((tuple(settings.items()), tuple(sorted(texts.items()))), []).append(place)
    found = []
    for members in places.values():
        seeds = tuple(config.training.seed for place in members if (config := sides[place].config) is not None)
        if len(set(seeds)) > 1:
            name = f"{sides[members[0]].name} and {len(members) - 1} more"
            found.append(SeedGroup(name, tuple(members), seeds))
    return found
