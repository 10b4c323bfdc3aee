"""Studies on disk: `runs/studies/<study_id>/`, the frozen plan of each and what has become of it.

| file | what |
|---|---|
| `study.json` | `StudyPlan`, frozen at creation; its hash is kept apart, so that a change is noticed |
| `state.json` | `StudyState`, all that changes: its runs, and the looks that were taken; `state.copy.json` is a copy |
| `data/train.jsonl`, `data/validation.jsonl`, `data/tokenizer/` | what every run of the study learns from |
| `data/held-out-<n>.jsonl` | the texts of held-out split n, one `{"text": ...}` a line |
| `acknowledged.json` | the findings that somebody has accepted, with the reasons (`acknowledged`) |
| `report.md`, `report.html` | on request |

The runs are ordinary runs beside the others, with `study` in their records; their ids are in the state.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import filelock
from pydantic import BaseModel, ConfigDict, Field, model_validator

from bcecore.config import RunConfig
from bcecore.errors import ConfigError, RunError
from bcecore.files import disk_full_explained, write_bytes_atomically, write_json
from bcecore.settings import with_values
from bcecore.store.evaluations import SplitSpec
from bcecore.store.record import now
from bcecore.store.runs import JOB_ID, RunStore, check_name, new_id, said_by
from bcecore.store.trash import trash

STUDIES = "studies"
PLAN_FILE, STATE_FILE = "study.json", "state.json"
_STATE_COPY = "state.copy.json"
_LOCK = "study.lock"
_LOCK_SECONDS = 20.0

MIN_ARMS, MAX_ARMS = 2, 4
MAX_SEEDS = 64
MARGIN = 0.01
"""Nats per token: a smaller difference of CE is none that matters (DESIGN §11)."""
_BCE, _TRAINING = "bce.", "training."

MAX_SEED = 2**32 - 1

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class Arm(BaseModel):
    """One way of training that is compared; the first arm of a study is the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,29}$")
    changes: dict[str, Any]
    """`{"dotted.key": value}` in which it differs from the base configuration: settings of the BCE group."""
    planted: bool = False
    """A positive control: it differs in the settings of training on purpose, to see whether the study would see a
    difference that is known to be there. It never says anything about BCE."""

    @model_validator(mode="after")
    def _keeps_to_its_group(self) -> Self:
        group = _TRAINING if self.planted else _BCE
        wrong = [key for key in self.changes if not key.startswith(group) or key == "training.seed"]
        if wrong:
            what = (
                "a positive control changes settings of training (not the seed)"
                if self.planted
                else ("an arm differs in settings of BCE only, or the twins would be none")
            )
            raise ValueError(f"{what}, not {', '.join(wrong)}")
        return self


def check_design(
    arms: Sequence[Arm], seeds: Sequence[int], looks: Sequence[int], held_out: Sequence[str], margin: float
) -> None:
    """Whether a study can be made of these; it takes no text to tell. `held_out` are the names of the splits.

    Raises RunError, whose `field` names what is wrong.
    """

    def refuse(field: str, sentence: str) -> None:
        raise RunError(f"This study cannot be: {sentence}", field=field)

    if len(arms) < MIN_ARMS:
        refuse("arms", "it compares two arms at least. Say which, for example off and active.")
    if arms[0].planted:
        refuse("arms", "the first arm is the reference, so it cannot be the positive control.")
    real = [arm for arm in arms if not arm.planted]
    if len(real) > MAX_ARMS or len(arms) - len(real) > 1:
        refuse("arms", f"there are at most {MAX_ARMS} arms, and one positive control besides.")
    if not looks or any(late <= early for early, late in pairwise(looks)) or looks[0] < 2:
        refuse(
            "looks",
            "the planned looks are numbers of seeds from 2 on, each larger than the one before: 5 or 5,8 for example.",
        )
    if looks[-1] > MAX_SEEDS:
        refuse("seeds", f"it takes at most {MAX_SEEDS} seeds, not {looks[-1]:,}.")
    if looks[-1] != len(seeds):
        refuse("seeds", f"the last planned look is at {looks[-1]} seeds, but {len(seeds)} are given. Name as many.")
    if not held_out:
        refuse("held_out", "it needs texts to measure on that no run learns from.")
    for field, what, names in (
        ("arms", "arms", [arm.name for arm in arms]),
        ("seeds", "seeds", seeds),
        ("held_out", "held-out texts", held_out),
    ):
        if len(set(names)) < len(names):
            refuse(field, f"two {what} are the same.")
    if not (math.isfinite(margin) and margin > 0):
        refuse("margin", f"the margin is a number of nats per token above 0, {MARGIN:g} for example, not {margin:g}.")


class StudyPlan(BaseModel):
    """Everything that is decided before the first result: `study.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    id: str
    name: str
    created: datetime
    recipe: str | None = None
    base: RunConfig
    """The settings of all runs, before an arm and a seed change theirs."""
    arms: tuple[Arm, ...]
    seeds: tuple[Seed, ...]
    """All that any planned look needs, in the order in which they are trained."""
    looks: tuple[int, ...]
    """Numbers of seeds at which results are looked at, ascending; nowhere else."""
    splits: tuple[SplitSpec, ...]
    """The held-out texts; the verdict is about the first."""
    margin: float = MARGIN
    """Nats per token; a difference of CE below it does not matter."""
    batch_tokens: int = Field(default=4096, ge=1)
    total_steps: int = Field(ge=1)
    """Of every run."""
    dataset: dict[str, Any]
    """Fingerprints and counts of the text; as in the records of the runs."""
    files: dict[str, str]
    """SHA-256 of each file that the runs are made from, by its path below the study's folder."""
    overlapping: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """For each split the documents (rows, from 0) that the runs also learn from: they are left out."""
    findings: tuple[dict[str, Any], ...] = ()
    """What was noticed before the launch and did not forbid it, what somebody had accepted included."""
    expectations: dict[str, Any] = Field(default_factory=dict)
    """What was foretold before the launch: the smallest difference that is likely seen, and how long it takes."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_design(self.arms, self.seeds, self.looks, [split.name for split in self.splits], self.margin)
        for arm in self.arms:
            self.config(arm.name, self.seeds[0])
        return self

    @property
    def reference(self) -> Arm:
        """The arm that all others are compared with."""
        return self.arms[0]

    @property
    def primary(self) -> SplitSpec:
        """The texts that the verdict is about."""
        return self.splits[0]

    def arm(self, name: str) -> Arm:
        """The arm of this name. Raises RunError."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        names = ", ".join(arm.name for arm in self.arms)
        raise RunError(f"Study {self.id} has no arm {name!r}. Its arms: {names}.")

    def config(self, arm: str, seed: int) -> RunConfig:
        """The settings of one run: initial weights, order of the text and dropout follow the seed, nothing else does.

        Raises ConfigError for settings that cannot be.
        """
        return with_values(self.base, {**self.arm(arm).changes, "training.seed": seed})


class Look(BaseModel):
    """One planned look at the results, taken once and never again."""

    model_config = ConfigDict(frozen=True)

    seeds: int
    taken: datetime
    plan_sha256: str
    """Of the plan as it was then."""
    outcome: dict[str, Any]
    """The findings, the statistics and the verdict; see `evaluation.study.verdicts`."""


class StudyState(BaseModel):
    """All that changes about a study: `state.json`. Frozen: changes go through the store."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    plan_sha256: str
    """Of the bytes of `study.json` as it was written."""
    launched: int
    """How many of the seeds are to be trained so far; one of the planned looks."""
    stopped: bool = False
    """Whether somebody has stopped it."""
    runs: dict[str, str] = Field(default_factory=dict)
    """The id of each run, by `cell(arm, seed)`."""
    evaluations: dict[str, str] = Field(default_factory=dict)
    """The key of the evaluation of each run, by `cell(arm, seed)`."""
    looks: tuple[Look, ...] = ()


def cell(arm: str, seed: int) -> str:
    """What the state calls the run of an arm with a seed."""
    return f"{arm}/{seed}"


@dataclass(frozen=True)
class Listed:
    """A study in a list; one that is damaged is there too, with the reason."""

    id: str
    name: str
    created: datetime
    plan: StudyPlan | None
    state: StudyState | None
    problem: str | None


class StudyStore:
    """The studies of one folder of runs. Safe to use from several processes at once."""

    def __init__(self, runs: RunStore) -> None:
        self.runs = runs
        self.root = runs.root / STUDIES

    # -- where things are

    def directory(self, study_id: str) -> Path:
        """The directory of a study. Raises RunError for a name that is no id or a study that is not there."""
        if not JOB_ID.fullmatch(study_id):
            raise RunError(f"{study_id!r} is not the id of a study. {_LIST_THEM}")
        directory = self.root / study_id
        if not _is_study(directory):
            raise RunError(f"There is no study {study_id} in {self.root}. {_LIST_THEM}")
        return directory

    def ids(self) -> list[str]:
        """The ids of all studies, newest first, damaged ones included."""
        try:
            with os.scandir(self.root) as entries:
                names = [entry.name for entry in entries if JOB_ID.fullmatch(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted((name for name in names if _is_study(self.root / name)), reverse=True)

    def resolve(self, reference: str) -> str:
        """The study that a person means by an id, the beginning or end of one, or a name.

        Raises RunError when there is no such study, or several.
        """
        matches = [
            study.id
            for study in self.listed()
            if reference
            and (study.name == reference or study.id.startswith(reference) or study.id.endswith(f"-{reference}"))
        ]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise RunError(f"There is no study {reference!r} in {self.root}. {_LIST_THEM}")
        raise RunError(
            f"{reference!r} could be any of {len(matches)} studies: {', '.join(matches[:5])}. Give more of the id."
        )

    # -- reading

    def plan(self, study_id: str) -> StudyPlan:
        """The frozen plan. Raises RunError when it cannot be read; on changes since, see `alteration`."""
        path = self.directory(study_id) / PLAN_FILE
        try:
            return StudyPlan.model_validate_json(path.read_bytes())
        except (OSError, ValueError, ConfigError, RunError) as error:
            raise _damaged("plan", study_id, path, error) from error

    def state(self, study_id: str) -> StudyState:
        """What has become of it; the copy where the file is damaged. Raises RunError when neither can be read."""
        path = self.directory(study_id) / STATE_FILE
        try:
            return StudyState.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            try:
                return StudyState.model_validate_json(path.with_name(_STATE_COPY).read_bytes())
            except (OSError, ValueError):
                raise _damaged("state", study_id, path, error) from error

    def alteration(self, study_id: str) -> str | None:
        """How the frozen files differ from what was frozen, in a sentence; None if they do not."""
        directory = self.directory(study_id)
        changed = []
        if _sha256(directory / PLAN_FILE) != self.state(study_id).plan_sha256:
            changed.append(PLAN_FILE)
        plan = self.plan(study_id)
        frozen = plan.files | {split.file: split.sha256 for split in plan.splits}
        changed += [name for name, expected in frozen.items() if _sha256(directory / name) != expected]
        if not changed:
            return None
        return (
            f"What was frozen when study {study_id} was created has been changed since: {', '.join(changed)}. A "
            "verdict would be about another study. Put the original back, or create a new study."
        )

    def listed(self) -> list[Listed]:
        """All studies, newest first."""
        return [self._listed(study_id) for study_id in self.ids()]

    def _listed(self, study_id: str) -> Listed:
        problem, plan, state = None, None, None
        try:
            plan, state = self.plan(study_id), self.state(study_id)
        except RunError as error:
            problem = str(error)
        name, created = (plan.name, plan.created) if plan is not None else said_by(study_id)
        return Listed(study_id, name, created, plan, state, problem)

    def texts(self, study_id: str, split: SplitSpec) -> list[str]:
        """The held-out texts of a split. Raises RunError when they cannot be read."""
        path = self.directory(study_id) / split.file
        try:
            with path.open(encoding="utf-8") as file:
                return [str(json.loads(line)["text"]) for line in file]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged("held-out text", study_id, path, error) from error

    # -- writing

    def create(self, name: str, fill: Callable[[Path, str, datetime], StudyPlan], launched: int) -> StudyPlan:
        """Make a study and return its plan.

        `fill(directory, study_id, created)` writes the texts into `data/` and returns the plan. The directory appears
        under its name only when it is complete; when anything fails, nothing is left behind. Raises RunError for an
        unusable name, DiskFullError, and what `fill` raises.
        """
        name = check_name(name, "study")
        created = now()
        study_id = new_id(name, created)
        while (self.runs.root / study_id).exists() or (self.root / study_id).exists():
            study_id = new_id(name, created)
        unfinished = self.root / f".new-{study_id}"
        with disk_full_explained(unfinished):
            (unfinished / "data").mkdir(parents=True)
        try:
            with disk_full_explained(unfinished):
                plan = fill(unfinished, study_id, created)
            write_json(unfinished / PLAN_FILE, plan.model_dump(mode="json"))
            _write_state(unfinished, StudyState(plan_sha256=_sha256(unfinished / PLAN_FILE) or "", launched=launched))
            unfinished.rename(self.root / study_id)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return plan

    def discard(self, study_id: str) -> None:
        """Delete a study for good: one that could not be made whole. Its runs are for the caller to delete."""
        directory = self.directory(study_id)
        doomed = directory.with_name(f".new-{directory.name}")
        directory.rename(doomed)
        shutil.rmtree(doomed)

    def update(self, study_id: str, change: Callable[[StudyState], Mapping[str, Any]]) -> StudyState:
        """Change a study's state: `change` is given the present one and returns the fields that are to be others.

        Nobody else changes it meanwhile. Raises RunError when it cannot be read.
        """
        with self.locked(study_id):
            before = self.state(study_id)
            state = StudyState.model_validate(before.model_dump() | dict(change(before)))
            _write_state(self.directory(study_id), state)
        return state

    @contextmanager
    def locked(self, study_id: str) -> Iterator[None]:
        """Nobody else changes the study meanwhile; may be nested. Raises RunError if somebody else does not finish."""
        path = self.directory(study_id) / _LOCK
        try:
            # One lock object for each path and process: within one that is held, it is taken once more.
            with filelock.FileLock(path, timeout=_LOCK_SECONDS, is_singleton=True):
                yield
        except filelock.Timeout:
            raise RunError(
                f"Study {study_id} is being changed by another process that does not finish. Try again."
            ) from None

    def move_to_trash(self, study_id: str) -> None:
        """Move the study's folder to the trash. The caller sees to its runs."""
        _move(self, StudyStore(trash(self.runs)), study_id)

    def take_back(self, study_id: str) -> None:
        """Take the study's folder back out of the trash. Raises RunError if it is not there."""
        _move(StudyStore(trash(self.runs)), self, study_id)


_LIST_THEM = "`python -m bcecore study list` lists the studies."


def _is_study(directory: Path) -> bool:
    """Whether a directory holds a study, be it damaged."""
    return any((directory / name).is_file() for name in (PLAN_FILE, STATE_FILE, _STATE_COPY))


def _damaged(what: str, study_id: str, path: Path, error: Exception) -> RunError:
    return RunError(f"The {what} of study {study_id} ({path}) is damaged and cannot be read: {error}")


# A training text can be large, and whoever watches a study asks every other second.
_HASHES: dict[Path, tuple[tuple[int, int, int], str]] = {}


def _sha256(path: Path) -> str | None:
    """Of the file's bytes, which are not read again while the file is as it was; None where there is none."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
            known = _HASHES.get(path)
            if known is None or known[0] != state:
                known = _HASHES[path] = state, hashlib.file_digest(file, "sha256").hexdigest()
            return known[1]
    except FileNotFoundError:
        return None


def file_hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of every file in the study's `data/`, by its path below the study's folder."""
    paths = sorted(path for path in (directory / "data").rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): _sha256(path) or "" for path in paths}


def _write_state(directory: Path, state: StudyState) -> None:
    content = state.model_dump_json(indent=2).encode() + b"\n"
    write_bytes_atomically(directory / STATE_FILE, content)
    write_bytes_atomically(directory / _STATE_COPY, content, durable=False)


def _move(source: StudyStore, target: StudyStore, study_id: str) -> None:
    directory = source.directory(study_id)
    target.root.mkdir(parents=True, exist_ok=True)
    directory.rename(target.root / study_id)
