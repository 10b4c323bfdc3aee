"""How far a study is: every run of it, what is missing, what failed and what to do about it, how long it will take.

Reading only, and never a result: what the losses are is told by a planned look and by nothing before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.jobs import devices
from bcecore.jobs.local import reconciled
from bcecore.jobs.queue import reason_to_wait
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore
from bcecore.store.preferences import load_preferences
from bcecore.store.record import WAITING, RunRecord, now
from bcecore.store.runs import RunStore
from bcecore.store.studies import Look, StudyPlan, StudyState, StudyStore, cell

CellStatus = Literal["waiting", "training", "to measure", "measuring", "done", "stopped", "broken", "failed", "missing"]
"""`broken`: its loss stopped being a finite number, which training once more would only repeat. `missing`: there is no
such run, or it was deleted."""

ENDED: frozenset[CellStatus] = frozenset({"done", "broken"})
"""Statuses after which nothing more is to come of a run: a look needs all of its runs there."""
WAITS_FOR_SOMEBODY: frozenset[CellStatus] = frozenset({"stopped", "failed", "missing"})
"""Statuses in which nothing goes on by itself."""

StudyStatus = Literal["at work", "stopped", "needs somebody", "look due", "complete"]


@dataclass(frozen=True)
class CellProgress:
    """One run of a study: an arm with a seed."""

    arm: str
    seed: int
    status: CellStatus
    done: int
    """Steps of training."""
    total: int
    run: RunRecord | None
    evaluation: EvaluationRecord | None
    trouble: str = ""
    """What is the matter, in a sentence."""
    what_to_do: str = ""


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is."""

    plan: StudyPlan
    state: StudyState
    cells: tuple[CellProgress, ...]
    """Of the seeds launched so far, in the order in which they are trained."""
    seconds_left: float | None
    """Until everything that is queued is measured, from the pace so far; None where nothing tells."""
    alteration: str | None
    """What was changed of what was frozen, in a sentence; None if nothing was."""

    @property
    def counts(self) -> Counter[CellStatus]:
        """How many runs are in each status."""
        return Counter(each.status for each in self.cells)

    @property
    def steps(self) -> tuple[int, int]:
        """Steps of training that are done, and all of those launched."""
        return sum(each.done for each in self.cells), sum(each.total for each in self.cells)

    @property
    def troubles(self) -> tuple[CellProgress, ...]:
        """Runs that somebody has to do something about."""
        return tuple(each for each in self.cells if each.trouble)

    def seeds_ended(self) -> tuple[int, ...]:
        """The seeds of which every arm is trained and measured, in the planned order."""
        open_ones = {each.seed for each in self.cells if each.status not in ENDED}
        return tuple(seed for seed in self.plan.seeds[: self.state.launched] if seed not in open_ones)

    @property
    def due(self) -> tuple[int, ...]:
        """Planned looks that can be taken and were not yet, as numbers of seeds."""
        taken = {look.seeds for look in self.state.looks}
        ended = set(self.seeds_ended())
        return tuple(
            seeds
            for seeds in self.plan.looks
            if seeds not in taken and seeds <= self.state.launched and ended.issuperset(self.plan.seeds[:seeds])
        )

    @property
    def next_look(self) -> int | None:
        """The planned look after the present one, which takes further seeds; None behind the last."""
        return next((seeds for seeds in self.plan.looks if seeds > self.state.launched), None)

    @property
    def last_look(self) -> Look | None:
        """The look that was taken last."""
        return self.state.looks[-1] if self.state.looks else None

    @property
    def status(self) -> StudyStatus:
        """The study in one or two words."""
        if self.due:
            return "look due"
        if all(each.status in ENDED for each in self.cells):
            return "complete"
        if self.state.stopped:
            return "stopped"
        going = any(each.status not in ENDED | WAITS_FOR_SOMEBODY for each in self.cells)
        return "at work" if going else "needs somebody"

    @property
    def sentence(self) -> str:
        """How far it is, for people."""
        counts, number = self.counts, len(self.cells)
        ended = sum(counts[status] for status in ENDED)
        far = f"{ended} of {number} runs are trained and measured"
        if self.status == "complete":
            look = self.last_look
            seen = f"the look at {look.seeds} seeds is taken" if look is not None else "nothing more is to come"
            return f"All {number} runs are trained and measured; {seen}."
        if self.status == "look due":
            return f"{far[0].upper()}{far[1:]}; the look at {self.due[0]} seeds can be taken."
        if self.status == "stopped":
            return f"The study is stopped; {far}."
        if self.status == "needs somebody":
            return f"{far[0].upper()}{far[1:]}; nothing goes on by itself."
        return f"{far[0].upper()}{far[1:]}."


def progress(store: RunStore, study_id: str) -> StudyProgress:
    """Look at a study. Raises RunError for one whose plan and state cannot be read."""
    studies = StudyStore(store)
    plan, state = studies.plan(study_id), studies.state(study_id)
    cells = tuple(
        _cell(store, plan, state, arm.name, seed) for seed in plan.seeds[: state.launched] for arm in plan.arms
    )
    left = _seconds_left(cells, places(store, plan.base), now())
    return StudyProgress(plan, state, cells, left, studies.alteration(study_id))


def places(store: RunStore, base: RunConfig) -> int:
    """How many runs with these settings are trained at once."""
    return load_preferences(store).slots_for(devices.kind_for(base, devices.found(store)))


def _cell(store: RunStore, plan: StudyPlan, state: StudyState, arm: str, seed: int) -> CellProgress:
    name = cell(arm, seed)
    run = _run(store, state.runs.get(name))
    if run is None:
        return CellProgress(
            arm,
            seed,
            "missing",
            0,
            plan.total_steps,
            None,
            None,
            f"There is no run of {arm} with seed {seed}: it was deleted, or never made.",
            _resume(plan),
        )
    evaluation = _evaluation(store, state.evaluations.get(name))
    status, trouble, what_to_do = _status(store, plan, run, evaluation)
    done = run.progress.step if run.progress is not None else 0
    return CellProgress(arm, seed, status, done, plan.total_steps, run, evaluation, trouble, what_to_do)


def _status(
    store: RunStore, plan: StudyPlan, run: RunRecord, evaluation: EvaluationRecord | None
) -> tuple[CellStatus, str, str]:
    """The status of a run of the study, what is the matter, and what to do."""
    which = f"The run “{run.name}”"
    if run.status in WAITING:
        if run.status == "held":
            return "stopped", f"{which} is held back.", _resume(plan)
        return "waiting", "", ""
    if run.is_active:
        return "training", "", ""
    if run.status != "finished":
        why = f": {run.failure.message}" if run.failure is not None else "."
        if run.failure is not None and run.failure.kind == "non-finite":
            advice = "The study can be looked at, and will say so. A new one takes other settings."
            return "broken", f"{which} broke{why}", advice
        if run.status in ("failed", "crashed"):
            return "failed", f"{which} has {run.status}{why}", _resume(plan)
        return "stopped", f"{which} is {run.status}.", _resume(plan)
    if evaluation is None:
        return "missing", f"What measures “{run.name}” was deleted.", _resume(plan)
    if evaluation.status == "finished":
        return "done", "", ""
    if evaluation.is_active:
        return "measuring", "", ""
    if evaluation.status == "queued":
        reason = reason_to_wait(store, evaluation)
        return "to measure", reason or "", "" if reason is None else _resume(plan)
    why = f": {evaluation.failure.message}" if evaluation.failure is not None else "."
    kind: CellStatus = "failed" if evaluation.status in ("failed", "crashed") else "stopped"
    return kind, f"The evaluation of “{run.name}” is {evaluation.status}{why}", _resume(plan)


def _resume(plan: StudyPlan) -> str:
    return f"Resume the study: python -m bcecore study resume {plan.id}"


def _run(store: RunStore, run_id: str | None) -> RunRecord | None:
    if run_id is None:
        return None
    try:
        return reconciled(store, store.record(run_id))
    except RunError:
        return None


def _evaluation(store: RunStore, key: str | None) -> EvaluationRecord | None:
    if key is None:
        return None
    evaluations = EvaluationStore(store)
    try:
        return reconciled(evaluations, evaluations.record(key))
    except RunError:
        return None


# -- how long it takes


def _seconds_left(cells: tuple[CellProgress, ...], at_once: int, moment: datetime) -> float | None:
    """Seconds until all that goes on or waits is measured, with so many at once; None where no pace is known."""
    open_ones = [each for each in cells if each.status not in ENDED | WAITS_FOR_SOMEBODY]
    if not open_ones:
        return 0.0
    per_step = _seconds_per_step(cells)
    measuring = [
        seconds
        for each in cells
        if each.status == "done" and each.evaluation is not None
        for seconds in [each.evaluation.elapsed_seconds(moment)]
        if seconds is not None
    ]
    if per_step is None:
        return None
    # Before the first evaluation is done, nothing is known of how long one takes; it is short beside training.
    evaluation = median(measuring) if measuring else 0.0
    work = sum((each.total - each.done) * per_step + evaluation for each in open_ones)
    return work / max(1, min(at_once, len(open_ones)))


def _seconds_per_step(cells: tuple[CellProgress, ...]) -> float | None:
    """Of runs that are finished, start and end included; before the first one, of those at work."""
    whole = [
        seconds / each.total
        for each in cells
        if each.run is not None and each.run.status == "finished"
        for seconds in [_took(each.run)]
        if seconds is not None
    ]
    paces = [
        1 / each.run.progress.steps_per_second
        for each in cells
        if each.run is not None and each.run.progress is not None and each.run.progress.steps_per_second
    ]
    found = whole or paces
    return median(found) if found else None


def _took(run: RunRecord) -> float | None:
    """Seconds of a finished run that was not interrupted; the clock of another one ran while nobody trained."""
    whole = run.progress is not None and run.progress.session_start_step == 0
    if run.started is None or run.ended is None or not whole:
        return None
    return (run.ended - run.started).total_seconds()
