"""Making a study: everything is checked first, then frozen, then all of its runs are queued.

The runs are made held and let go when all are there, so that nothing starts of a study that could not be made whole.
Whoever is killed in between leaves a study of which some runs are missing; resuming it makes them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bcecore.errors import RunError
from bcecore.evaluation.study.drafting import Draft, Prepared, plan_of, prepared
from bcecore.evaluation.study.preflight import Preflight, preflight
from bcecore.jobs import evaluations, queue
from bcecore.jobs.election import wake
from bcecore.jobs.submit import write_data
from bcecore.store.acknowledged import acknowledge, checked_reason
from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.record import RunRecord
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore
from bcecore.store.studies import StudyPlan, StudyState, StudyStore, cell, file_hashes

Said = Callable[[Prepared, Preflight], Mapping[str, Any]]


def create(
    store: RunStore, draft: Draft, foretold: Said | None = None, accepted: Mapping[str, str] | None = None
) -> StudyPlan:
    """Check a study, freeze it, and queue the runs of its first look with their evaluations.

    `foretold` gives what is known beforehand of its power and its length, to be kept in the plan; what it raises is
    raised, so it may be used to ask somebody. `accepted` has the reason for each rule whose finding is not to forbid
    the launch, by the rule; it is kept with the study, whose verdict states it. Raises RefusedError where a finding
    forbids the launch, and a BceError whose `field` names what is wrong; nothing is left behind then.
    """
    reasons = {rule: checked_reason(reason) for rule, reason in (accepted or {}).items()}
    with tempfile.TemporaryDirectory() as scratch:
        ready = prepared(draft, Path(scratch))
        found = preflight(ready, reasons)
        unknown = reasons.keys() - {finding.id for finding in found.findings}
        if unknown:
            raise RunError(
                f"Nothing was noticed that is called {', '.join(sorted(unknown))}, so it cannot be accepted."
            )
        expectations = {} if foretold is None else foretold(ready, found)
        plan = _freeze(store, ready, found, expectations, reasons)
    studies = StudyStore(store)
    try:
        make_jobs(store, plan.id)
    except BaseException:
        _undo(store, studies, plan.id)
        raise
    let_go(store, plan.id)
    return plan


def _freeze(
    store: RunStore, ready: Prepared, found: Preflight, expectations: Mapping[str, Any], reasons: Mapping[str, str]
) -> StudyPlan:
    def fill(directory: Path, study_id: str, created: datetime) -> StudyPlan:
        for finding in found.findings:
            if finding.id in reasons:
                acknowledge(directory, finding, reasons[finding.id], of_plan=True)
        write_data(directory / "data", ready.checked, ready.tokenizer_directory)
        files = file_hashes(directory)
        splits = tuple(
            split.freeze(directory, number, file=f"data/held-out-{number}.jsonl")
            for number, split in enumerate(ready.splits)
        )
        return plan_of(
            ready,
            study_id,
            created,
            splits=splits,
            files=files,
            overlapping=found.overlapping,
            findings=[finding.model_dump(mode="json") for finding in found.findings],
            expectations=expectations,
        )

    return StudyStore(store).create(ready.draft.name, fill, ready.draft.looks[0])


def _undo(store: RunStore, studies: StudyStore, study_id: str) -> None:
    """Delete what was made of a study that could not be made whole; none of it was let go."""
    with queue.changing(store):
        for record in store.records():
            if record.study == study_id and record.status == "held":
                store.discard(record.id)
    studies.discard(study_id)


# -- runs and evaluations


def make_jobs(store: RunStore, study_id: str) -> None:
    """Make the runs and evaluations that are missing for the seeds launched so far; the runs are held (`let_go`).

    Harmless if nothing is missing. In the queue the arms of one seed come together, then what measures them, so that a
    study that is stopped has whole twins. Raises a BceError.
    """
    studies = StudyStore(store)
    with studies.locked(study_id):
        plan, state = studies.plan(study_id), studies.state(study_id)
        strays = _strays(store, study_id, state)
        for seed in plan.seeds[: state.launched]:
            for arm in plan.arms:
                name = cell(arm.name, seed)
                if not _is_there(store, state.runs.get(name)):
                    run_id = _adopted(store, strays, plan, arm.name, seed) or _make_run(store, plan, arm.name, seed)
                    state = studies.update(study_id, _with("runs", name, run_id))
            for arm in plan.arms:
                name = cell(arm.name, seed)
                key = state.evaluations.get(name)
                if key is None or not key.startswith(f"{state.runs[name]}/") or not _is_evaluated(store, key):
                    made = _make_evaluation(store, studies, plan, state.runs[name])
                    state = studies.update(study_id, _with("evaluations", name, made))


def let_go(store: RunStore, study_id: str) -> None:
    """Let the runs of a study start when their turn comes. Harmless if none is held."""
    for run_id in StudyStore(store).state(study_id).runs.values():
        if store.record(run_id).status == "held":
            queue.release(store, run_id)
    wake(store)


def _with(field: str, name: str, value: str) -> Callable[[StudyState], Mapping[str, Any]]:
    return lambda state: {field: {**getattr(state, field), name: value}}


def _is_there(store: RunStore, run_id: str | None) -> bool:
    if run_id is None:
        return False
    try:
        store.directory(run_id)
    except RunError:
        return False
    return True


def _is_evaluated(store: RunStore, key: str) -> bool:
    try:
        EvaluationStore(store).directory(key)
    except RunError:
        return False
    return True


def _strays(store: RunStore, study_id: str, state: StudyState) -> list[RunRecord]:
    """Runs of the study that its state does not know: whoever made them was killed before it could write them down."""
    known = set(state.runs.values())
    return [record for record in store.records() if record.study == study_id and record.id not in known]


def _adopted(store: RunStore, strays: Sequence[RunRecord], plan: StudyPlan, arm: str, seed: int) -> str | None:
    config = plan.config(arm, seed)
    return next((record.id for record in strays if store.config(record.id) == config), None)


def _make_run(store: RunStore, plan: StudyPlan, arm: str, seed: int) -> str:
    source = StudyStore(store).directory(plan.id) / "data"

    def fill(directory: Path) -> None:
        target = directory / "data"
        (target / "tokenizer").mkdir(parents=True)
        for name in plan.files:  # shutil.copytree would hide that the disk is full
            path = Path(name).relative_to("data")
            shutil.copyfile(source / path, target / path)

    return store.create(
        plan.config(arm, seed),
        run_name(plan, arm, seed),
        fill,
        recipe=plan.recipe,
        dataset=plan.dataset,
        study=plan.id,
        status="held",
    )


def run_name(plan: StudyPlan, arm: str, seed: int) -> str:
    """What a run of the study is called: `NAME: off, seed 3`."""
    which = f": {arm}, seed {seed}"
    return f"{plan.name[: MAX_NAME_CHARACTERS - len(which)]}{which}"


def _make_evaluation(store: RunStore, studies: StudyStore, plan: StudyPlan, run_id: str) -> str:
    texts = [
        SplitTexts(
            name=split.name,
            kind=split.kind,
            source=split.source,
            texts=studies.texts(plan.id, split),
            block_size=split.block_size,
            dropped=split.dropped,
        )
        for split in plan.splits
    ]
    made = evaluations.submit_for_the_end(
        store, run_id, texts, name="held-out texts of the study", batch_tokens=plan.batch_tokens
    )
    return made.key
