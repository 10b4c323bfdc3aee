"""The run record (`run.json`): what is known about a run besides its settings, and which status may follow which.

What a run has in common with any other job (an evaluation, see `store.evaluations`) is in `JobRecord`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

from bcecore.errors import RunError
from bcecore.store.identity import ProcessIdentity

Status = Literal[
    "queued",
    "held",
    "removed",
    "starting",
    "running",
    "stopping",
    "finished",
    "stopped",
    "failed",
    "crashed",
    "imported",
]
STATUSES: tuple[Status, ...] = get_args(Status)


class Transition(NamedTuple):
    """One way from a status to another, and what happens to the run then."""

    before: Status
    event: str
    after: Status


TRANSITIONS: tuple[Transition, ...] = (
    Transition("queued", "a place is free: its process is started", "starting"),
    Transition("queued", "somebody holds it back", "held"),
    Transition("queued", "somebody takes it out of the queue", "removed"),
    Transition("held", "somebody releases it", "queued"),
    Transition("held", "somebody takes it out of the queue", "removed"),
    Transition("removed", "somebody puts it back into the queue", "queued"),
    Transition("starting", "its training begins", "running"),
    Transition("starting", "somebody stops it before its first step", "stopped"),
    Transition("starting", "an error ends it", "failed"),
    Transition("starting", "its process is gone without a word", "crashed"),
    Transition("running", "somebody asks it to stop", "stopping"),
    Transition("running", "its last step is done", "finished"),
    Transition("running", "its process is told to end by the system", "stopped"),
    Transition("running", "an error ends it", "failed"),
    Transition("running", "its process is gone without a word", "crashed"),
    Transition("stopping", "its last step was done before it could stop", "finished"),
    Transition("stopping", "it has stopped", "stopped"),
    Transition("stopping", "an error ends it", "failed"),
    Transition("stopping", "its process is gone without a word", "crashed"),
    Transition("stopped", "somebody resumes it", "queued"),
    Transition("failed", "somebody resumes it", "queued"),
    Transition("crashed", "somebody resumes it", "queued"),
)
"""Every way from one status to another. `finished` and `imported` are final."""

ACTIVE: frozenset[Status] = frozenset({"starting", "running", "stopping"})
"""Statuses in which a process should be alive."""

WAITING: frozenset[Status] = frozenset({"queued", "held"})
"""Statuses in which the run has not started yet."""


def now() -> datetime:
    """The present moment, in UTC and to the millisecond, as all records hold it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Progress(BaseModel):
    """How far a run is."""

    model_config = ConfigDict(frozen=True)

    step: int
    total_steps: int
    epoch: float
    updated: datetime
    session_start_step: int = 0
    """Step at which the present process began, so that its pace is not mixed with an earlier one's."""
    session_started: datetime | None = None
    steps_per_second: float | None = None
    """Pace of the present process over the last seconds, checks and checkpoints included."""


class Failure(BaseModel):
    """Why a run failed, in words, with the technical detail apart."""

    model_config = ConfigDict(frozen=True)

    message: str
    kind: Literal["", "non-finite", "memory", "disk"] = ""
    """What was the matter, where something can be suggested for the next try."""
    step: int | None = None
    detail: str = ""


class JobRecord(BaseModel):
    """What is known about anything that waits, is carried out by a process, and ends. Frozen: a store changes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    noun: ClassVar[str]
    """What a sentence calls it."""
    process_noun: ClassVar[str]
    """What a sentence calls its process."""

    id: str
    name: str
    created: datetime
    status: Status = "queued"
    status_since: datetime
    process: ProcessIdentity | None = None
    place: str | None = None
    """The directory in which the job was queued or started (`identity.place_of`): a copy of it is another one, to which
    neither the process nor the place in the queue belongs."""
    started: datetime | None = None
    ended: datetime | None = None
    failure: Failure | None = None

    @property
    def key(self) -> str:
        """What the queue and the stores call it: its id, for what belongs to a run behind the run's id and a slash."""
        return self.id

    @property
    def step_reached(self) -> int | None:
        """The step of training at which it is, or ended, for the record of a failure."""
        return None

    @property
    def counts(self) -> tuple[int, int] | None:
        """What is done and how much there is to do, in the job's own unit; None before it is known."""
        return None

    @property
    def is_active(self) -> bool:
        """Whether the job's process is at work, as far as the record says."""
        return self.status in ACTIVE

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come unless somebody starts the job again."""
        return self.status not in ACTIVE and self.status not in WAITING

    def elapsed_seconds(self, at: datetime) -> float | None:
        """Seconds from the start of the work to its end, or to `at` while it is going on."""
        if self.started is None:
            return None
        return max(0.0, ((self.ended or at) - self.started).total_seconds())


class RunRecord(JobRecord):
    """Everything in `run.json`. Frozen: changes go through the store, which checks them."""

    noun: ClassVar[str] = "run"
    process_noun: ClassVar[str] = "training process"

    recipe: str | None = None
    tags: tuple[str, ...] = ()
    notes: str = ""
    progress: Progress | None = None
    resume_from: str | None = None
    """Where the next process begins: "last", the step of a checkpoint, or None for the beginning."""
    archived: bool = False
    """Put away: not listed unless asked for."""
    parent: str | None = None
    """The run whose last checkpoint this one began from."""
    repeat_of: str | None = None
    """The run whose settings and lines this one repeats from the first step on, to see whether both end the same."""
    study: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    device: str | None = None
    dataset: dict[str, Any] = Field(default_factory=dict)
    """Fingerprints and counts of the text; see `jobs.submit`."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the training process found out: weights of the model, the future-leak probe, the Trainer's totals."""

    @property
    def run_id(self) -> str:
        """The run that this job is, or belongs to."""
        return self.id

    @property
    def step_reached(self) -> int | None:
        """The step at which the run is, or ended; None before the first."""
        return self.progress.step if self.progress else None

    @property
    def counts(self) -> tuple[int, int] | None:
        """Steps that are done, and all of them."""
        return (self.progress.step, self.progress.total_steps) if self.progress else None


def following(status: Status) -> frozenset[Status]:
    """The statuses that a job in `status` may get next."""
    return frozenset(transition.after for transition in TRANSITIONS if transition.before == status)


def check_transition(record: JobRecord, status: Status) -> None:
    """Raise RunError unless a job in `record.status` may become `status`."""
    allowed = following(record.status)
    if status not in allowed:
        others = ", ".join(sorted(allowed)) or "nothing else"
        who = f"{record.noun.capitalize()} {record.key}"
        raise RunError(f"{who} is {record.status} and cannot become {status}; it can become {others}.")
