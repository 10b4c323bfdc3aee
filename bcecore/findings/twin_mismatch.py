"""twin-mismatch (B): anything but the regulariser differs between twins, or what a seed should vary does not. Pure.

Within a seed the arms have the same settings outside the BCE group, the same text, first weights, batches, random
numbers and steps: then the regulariser alone can have made the difference at the end. Between the seeds of an arm,
first weights, order and random numbers differ: then it was not the same run several times. A model that was loaded
starts from the same weights with every seed; that is said as a note.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding, counted, listed
from bcecore.settings import describe, flatten

SEED = "training.seed"
_BCE = "bce."
_FILES = ("data.train_file", "data.validation_file", "data.column", "data.validation")
"""Settings that only say where the text comes from; what it is, its fingerprints tell."""

_RECORDED = {
    "initial_weights": "the first weights",
    "data_order": "the order of the text",
    "random_start": "the random numbers (dropout) at the start",
    "random_end": "the random numbers (dropout) up to the end",
    "first_step": "the step they began at",
    "steps": "the number of steps",
}
"""What twins of one seed have to have in common."""
_VARIED = ("initial_weights", "data_order", "random_start")
"""What another seed has to change."""

_TRAIN_AGAIN = "Train the runs again from one study, which sets the seeds, the text and all other settings itself."


@dataclass(frozen=True)
class Twin:
    """What is known about one run of a study."""

    run: str
    arm: str
    seed: int
    config: RunConfig
    record: Mapping[str, Any] | None = None
    """`facts["twin"]` of its record: empty where the run recorded nothing, None where it was not trained yet."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints of its `train` and `validation` lines."""
    machine: Mapping[str, str] = field(default_factory=dict)
    """Device and versions of the packages."""
    weights_now: str | None = None
    """Hash of the weights that its `model/` holds now; None where nobody looked."""


def twin_mismatch(subject: str, twins: Sequence[Twin]) -> list[Finding]:
    """The findings about the runs of a study, at most one for each seed, arm and run, the blocking ones first."""
    found = [
        *_within_seeds(subject, twins),
        *_between_seeds(subject, twins),
        *_changed_since(subject, twins),
        *_unknown(subject, twins),
        *_machines(subject, twins),
    ]
    return sorted(found, key=lambda finding: "BWN".index(finding.severity))


# -- within a seed


def _within_seeds(subject: str, twins: Sequence[Twin]) -> Iterator[Finding]:
    for seed, group in _grouped(twins, "seed").items():
        first = group[0]
        differences: dict[str, list[Any]] = {}
        for twin in group:
            if twin.config.training.seed != seed:
                differences[SEED] = [seed, twin.config.training.seed]
        for other in group[1:]:
            differences |= _differences(first, other, lambda key: key.startswith(_BCE) or key == SEED)
            differences |= _recorded_differences(first, other)
        if differences:
            yield Finding(
                id="twin-mismatch",
                severity="B",
                subject=subject,
                numbers={"seed": seed, "runs": [twin.run for twin in group], "differ": differences},
                sentence=(
                    f"The runs with seed {seed} are no twins: besides BCE they differ in "
                    f"{listed([_in_words(key, values) for key, values in differences.items()])}. What they end with "
                    "can come from that as well."
                ),
                what_to_do=_TRAIN_AGAIN,
            )


def _differences(first: Twin, other: Twin, may_differ: Any) -> dict[str, list[Any]]:
    """The settings, and the texts, in which two runs differ though they may not."""
    before, after = _plain(first.config), _plain(other.config)
    same_text = bool(first.texts) and first.texts == other.texts
    found = {
        key: [before[key], after[key]]
        for key in before
        if before[key] != after[key] and not may_differ(key) and not (same_text and key in _FILES)
    }
    if first.texts and other.texts and first.texts != other.texts:
        found["text"] = [dict(first.texts), dict(other.texts)]
    return found


def _plain(config: RunConfig) -> dict[str, Any]:
    """All settings by their dotted keys, as JSON has them."""
    return {key: json.loads(json.dumps(value)) for key, value in flatten(config).items()}


def _recorded_differences(first: Twin, other: Twin) -> dict[str, list[Any]]:
    if not first.record or not other.record:
        return {}
    both = [(key, first.record.get(key), other.record.get(key)) for key in _RECORDED]
    return {key: [a, b] for key, a, b in both if a != b and a is not None and b is not None}


# -- between the seeds of an arm


def _between_seeds(subject: str, twins: Sequence[Twin]) -> Iterator[Finding]:
    for arm, group in _grouped(twins, "arm").items():
        first = group[0]
        settings: dict[str, list[Any]] = {}
        for other in group[1:]:
            settings |= _differences(first, other, lambda key: key == SEED)
        if settings:
            yield Finding(
                id="twin-mismatch",
                severity="B",
                subject=subject,
                numbers={"arm": arm, "runs": [twin.run for twin in group], "differ": settings},
                sentence=(
                    f"The runs of the arm “{arm}” differ in more than the seed: in "
                    f"{listed([_in_words(key, values) for key, values in settings.items()])}. They are not one arm."
                ),
                what_to_do=_TRAIN_AGAIN,
            )
        shared = [key for key in _VARIED if _is_shared(group, key)]
        loaded = "initial_weights" in shared and first.config.model.kind != "offline"
        if loaded:
            shared.remove("initial_weights")
            yield Finding(
                id="twin-mismatch",
                severity="N",
                subject=subject,
                numbers={"arm": arm, "seeds": [twin.seed for twin in group], "shared": ["initial_weights"]},
                sentence=(
                    f"The runs of the arm “{arm}” start from the same weights with every seed, because their model is "
                    "loaded: the result holds for this model, and the seeds vary the order of the text and dropout."
                ),
                what_to_do="Nothing has to be done; say so where the result is told.",
            )
        if shared:
            yield Finding(
                id="twin-mismatch",
                severity="B",
                subject=subject,
                numbers={"arm": arm, "seeds": [twin.seed for twin in group], "shared": shared},
                sentence=(
                    f"Runs of the arm “{arm}” with different seeds share {listed([_RECORDED[key] for key in shared])}: "
                    "they are partly the same run several times, and agree more than chance would let them."
                ),
                what_to_do=_TRAIN_AGAIN,
            )


def _is_shared(group: Sequence[Twin], key: str) -> bool:
    values = [twin.record[key] for twin in group if twin.record and twin.record.get(key) is not None]
    return len(set(values)) < len(values)


# -- single runs


def _changed_since(subject: str, twins: Sequence[Twin]) -> Iterator[Finding]:
    for twin in twins:
        trained = (twin.record or {}).get("final_weights")
        if trained is not None and twin.weights_now is not None and trained != twin.weights_now:
            yield Finding(
                id="twin-mismatch",
                severity="B",
                subject=subject,
                numbers={"run": twin.run, "trained": trained, "now": twin.weights_now},
                sentence=(
                    f"The weights that run {twin.run} has saved are not those that it was trained to: its model was "
                    "changed afterwards."
                ),
                what_to_do="Train this run again, or put back the model that it saved.",
            )


def _unknown(subject: str, twins: Sequence[Twin]) -> Iterator[Finding]:
    needed = [key for key in _RECORDED if key != "first_step"]
    missing = {
        twin.run: [key for key in needed if twin.record.get(key) is None] for twin in twins if twin.record is not None
    }
    missing = {run: keys for run, keys in missing.items() if keys}
    if missing:
        keys = [key for key in needed if any(key in of_run for of_run in missing.values())]
        yield Finding(
            id="twin-mismatch",
            severity="W",
            subject=subject,
            numbers={"runs": missing},
            sentence=(
                f"Nobody can check whether {counted(len(missing), 'run')} had what twins have in common, because "
                f"{listed([_RECORDED[key] for key in keys])} {'is' if len(keys) == 1 else 'are'} not recorded: trained "
                "before that was done, or not to the end."
            ),
            what_to_do="Train these runs again, or to their end.",
        )


def _machines(subject: str, twins: Sequence[Twin]) -> Iterator[Finding]:
    keys = dict.fromkeys(key for twin in twins for key in twin.machine)
    values = {key: sorted({twin.machine[key] for twin in twins if key in twin.machine}) for key in keys}
    values = {key: different for key, different in values.items() if len(different) > 1}
    if values:
        words = [f"{key} ({', '.join(different)})" for key, different in values.items()]
        yield Finding(
            id="twin-mismatch",
            severity="N",
            subject=subject,
            numbers={"machine": values},
            sentence=(
                f"The runs were not all trained alike: they differ in {listed(words)}. The last digits of what is "
                "computed can depend on that."
            ),
            what_to_do="Where small differences matter, train all runs on one machine without an update in between.",
        )


# -- words


def _in_words(key: str, values: Sequence[Any]) -> str:
    if key in _RECORDED:
        what = _RECORDED[key]
        return what if isinstance(values[0], str) else f"{what} ({values[0]:,} and {values[1]:,})"
    if key == "text":
        return "the text"
    first, second = ("nothing" if value is None else value for value in values)
    return f"“{_titles()[key]}” ({first} and {second})"


@cache
def _titles() -> dict[str, str]:
    return {item.key: item.title for item in describe()}


def _grouped(twins: Sequence[Twin], attribute: str) -> dict[Any, list[Twin]]:
    groups: dict[Any, list[Twin]] = {}
    for twin in twins:
        groups.setdefault(getattr(twin, attribute), []).append(twin)
    return groups
