"""What somebody wants to study, checked as far as it can be before anything is made. No torch, no statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.evaluation.splits import OWN, Reading, file_split, split_of
from bcecore.files import expanded
from bcecore.jobs.submit import Checked, check, with_absolute_paths, with_other_settings
from bcecore.settings import parse_assignment, with_values
from bcecore.store.evaluations import SplitSpec, SplitTexts
from bcecore.store.runs import MAX_NAME_CHARACTERS
from bcecore.store.studies import MARGIN, Arm, StudyPlan, StudyStore, check_design

OFF, SEED, ACTIVE = "off", "seed", "active"
KNOWN_ARMS: Mapping[str, Mapping[str, Any]] = {
    OFF: {"bce.enabled": False},
    SEED: {"bce.enabled": True, "bce.profile": "seed"},
    ACTIVE: {"bce.enabled": True, "bce.profile": "active"},
}
"""Arms that are known by name, and what they set."""
DEFAULT_SEEDS = 5
_AGAIN = ", again"


def known_arm(name: str) -> Arm:
    """Off, or on with one of the profiles. Raises KeyError."""
    return Arm(name=name, changes=dict(KNOWN_ARMS[name]))


def arm_of(words: str, *, planted: bool = False) -> Arm:
    """The arm that `off`, `active` or `NAME:KEY=VALUE,KEY=VALUE` means; the latter starts from a known arm's settings
    where it has the name of one. Keys of the BCE group may leave out `bce.`.

    With `planted` it is a positive control, whose keys are settings of training. Raises RunError, ConfigError.
    """
    name, colon, settings = words.partition(":")
    known = dict(KNOWN_ARMS.get(name, {})) if not planted else {}
    if not colon and not known:
        listed = ", ".join(KNOWN_ARMS)
        raise RunError(f"{words!r} is no arm. Known by name: {listed}. Others: NAME:KEY=VALUE,KEY=VALUE.", field="arms")
    group = "training." if planted else "bce."
    for part in filter(None, settings.split(",")):
        key, value = parse_assignment(part if "." in part.partition("=")[0] else f"{group}{part}")
        known[key] = value
    try:
        return Arm(name=name, changes=known, planted=planted)
    except ValidationError as error:
        raise RunError(f"The arm {words!r} cannot be: {_said(error)}.", field="arms") from error


@dataclass(frozen=True)
class HeldOut:
    """Texts to measure on: a file, or without one the lines that the settings set aside from the training text."""

    name: str = OWN
    path: Path | None = None


@dataclass(frozen=True)
class Draft:
    """A study as somebody asks for it."""

    name: str
    base: RunConfig
    arms: Sequence[Arm]
    """The first is the reference."""
    seeds: Sequence[int] = tuple(range(1, DEFAULT_SEEDS + 1))
    looks: Sequence[int] = (DEFAULT_SEEDS,)
    held_out: Sequence[HeldOut] = (HeldOut(),)
    """The verdict is about the first."""
    margin: float = MARGIN
    batch_tokens: int = 4096
    recipe: str | None = None


def with_held_out(base: RunConfig, path: Path) -> RunConfig:
    """The settings with a file as the text to check against while training, so that the curves are about the same
    documents as the verdict, and no line of the training text is set aside for nothing. Raises ConfigError.
    """
    return with_values(base, {"data.validation": "file", "data.validation_file": str(path)})


def draft_like(studies: StudyStore, study_id: str, *, name: str | None = None) -> Draft:
    """The same study again: the same plan, on the texts that it froze. Raises RunError where they were changed."""
    alteration = studies.alteration(study_id)
    if alteration is not None:
        raise RunError(alteration)
    plan, data = studies.plan(study_id), studies.directory(study_id) / "data"
    changes: dict[str, Any] = {"data.train_file": str(data / "train.jsonl"), "data.column": "text"}
    if plan.base.data.validation != "none":
        changes |= {"data.validation": "file", "data.validation_file": str(data / "validation.jsonl")}
    return Draft(
        name=name or f"{plan.name[: MAX_NAME_CHARACTERS - len(_AGAIN)]}{_AGAIN}",
        base=with_values(plan.base, changes),
        arms=plan.arms,
        seeds=plan.seeds,
        looks=plan.looks,
        held_out=tuple(HeldOut(split.name, studies.directory(study_id) / split.file) for split in plan.splits),
        margin=plan.margin,
        batch_tokens=plan.batch_tokens,
        recipe=plan.recipe,
    )


@dataclass(frozen=True)
class Prepared:
    """A draft whose settings can be, with its texts read."""

    draft: Draft
    base: RunConfig
    """With absolute paths."""
    checked: Checked
    """The base configuration; text and tokenizer are those of all runs."""
    tokenizer_directory: Path
    splits: tuple[SplitTexts, ...]
    arms: Mapping[str, RunConfig]
    """The settings of each arm, with the first seed."""


def prepared(draft: Draft, tokenizer_directory: Path, known: Prepared | None = None) -> Prepared:
    """Read the text once for all runs, write the tokenizer into `tokenizer_directory`, and check every arm.

    A draft that was `known` before with the same texts and the same kind of model saves the reading; nothing is
    written then. Raises a BceError whose `field` names what is wrong.
    """
    check_design(draft.arms, draft.seeds, draft.looks, [each.name for each in draft.held_out], draft.margin)
    base = with_absolute_paths(draft.base)
    same = known is not None and (known.base.model, known.base.data) == (base.model, base.data)
    checked = (
        with_other_settings(known.checked, base) if known is not None and same else check(base, tokenizer_directory)
    )
    arms = {}
    for arm in draft.arms:
        arms[arm.name] = with_values(base, {**arm.changes, "training.seed": draft.seeds[0]})
        with_other_settings(checked, arms[arm.name])
    reading = Reading(checked.tokenizer, base.data.block_size)
    if known is not None and same and tuple(known.draft.held_out) == tuple(draft.held_out):
        splits = known.splits
    else:
        splits = tuple(_read(held_out, checked, reading) for held_out in draft.held_out)
    return Prepared(draft, base, checked, tokenizer_directory, splits, arms)


def _read(held_out: HeldOut, checked: Checked, reading: Reading) -> SplitTexts:
    if held_out.path is not None:
        return file_split(expanded(str(held_out.path)), reading, held_out.name)
    if not checked.text.validation:
        raise RunError(
            "There is nothing to measure on: the settings set no lines aside (data.validation is 'none'). Name a file "
            "with other texts, or let a share of the lines be set aside.",
            field="held_out",
        )
    return split_of(held_out.name, "own", "lines set aside from the training text", checked.text.validation, reading)


def plan_of(
    ready: Prepared,
    study_id: str,
    created: datetime,
    *,
    splits: tuple[SplitSpec, ...],
    files: Mapping[str, str],
    overlapping: Mapping[str, Iterable[int]],
    findings: Sequence[Mapping[str, Any]],
    expectations: Mapping[str, Any],
) -> StudyPlan:
    """The plan of a prepared study. Raises RunError for what no plan can be."""
    draft = ready.draft
    try:
        return StudyPlan(
            id=study_id,
            name=" ".join(draft.name.split()),
            created=created,
            recipe=draft.recipe,
            base=ready.base,
            arms=tuple(draft.arms),
            seeds=tuple(draft.seeds),
            looks=tuple(draft.looks),
            splits=splits,
            margin=draft.margin,
            batch_tokens=draft.batch_tokens,
            total_steps=ready.checked.total_steps,
            dataset=ready.checked.dataset,
            files=dict(files),
            overlapping={name: tuple(rows) for name, rows in overlapping.items()},
            findings=tuple(dict(finding) for finding in findings),
            expectations=dict(expectations),
        )
    except ValidationError as error:
        raise RunError(f"This study cannot be: {_said(error)}.", field=str(error.errors()[0]["loc"] or "")) from error


def _said(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
