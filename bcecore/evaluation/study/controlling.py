"""What a person asks of a study that is there: stop, resume, extend, delete. Asking twice is asking once."""

from __future__ import annotations

from contextlib import suppress

from bcecore.errors import RunError
from bcecore.evaluation.study.creating import let_go, make_jobs
from bcecore.evaluation.study.progress import progress
from bcecore.jobs import control, evaluations, queue
from bcecore.jobs.local import reconciled
from bcecore.jobs.queue import Job
from bcecore.store.evaluations import store_of
from bcecore.store.record import WAITING
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyState, StudyStore
from bcecore.store.trash import take_back


def stop(store: RunStore, study_id: str) -> StudyState:
    """Take everything of a study that waits out of the queue, and let what is at work save and stop.

    Harmless if repeated. Nothing is lost: `resume` goes on from the saved checkpoints.
    """
    state = StudyStore(store).update(study_id, lambda _: {"stopped": True})
    keys = [*state.evaluations.values(), *state.runs.values()]
    # First what waits, so that nothing takes the place of what stops.
    for key in keys:
        with suppress(RunError):  # deleted, started or ended a moment ago
            if _job(store, key).status in WAITING:
                queue.remove(store, key)
    for key in keys:
        with suppress(RunError):
            if _job(store, key).is_active:
                control.stop(store, key)
    return state


def _job(store: RunStore, key: str) -> Job:
    record: Job = store_of(store, key).record(key)
    return record


def resume(store: RunStore, study_id: str) -> StudyState:
    """Put everything of a study that did not finish back into the queue, and make what is missing.

    A run whose loss stopped being a number is left: it would break again. Harmless if nothing is missing. Raises
    RunError for a study whose frozen files were changed.
    """
    _refuse_altered(store, study_id)
    state = StudyStore(store).update(study_id, lambda _: {"stopped": False})
    make_jobs(store, study_id)
    let_go(store, study_id)
    found = progress(store, study_id)
    for seed in found.plan.seeds[: found.state.launched]:
        twins = [each for each in found.cells if each.seed == seed and each.run and each.status != "broken"]
        for each in twins:
            if each.run is not None and each.run.is_over and each.run.status != "finished":
                control.resume(store, each.run.id)
        for each in twins:
            evaluation = each.evaluation
            if evaluation is not None and evaluation.is_over and evaluation.status != "finished":
                evaluations.resume(store, evaluation.key)
            elif evaluation is not None and evaluation.status == "held":
                control.release(store, evaluation.key)
    return state


def extend(store: RunStore, study_id: str) -> StudyState:
    """Queue the seeds of the next planned look. Raises RunError where none is planned, and for a study
    that is stopped or was changed.

    More seeds than were planned are refused: adding some because of what a result looks like is how chance becomes a
    finding.
    """
    _refuse_altered(store, study_id)
    found = progress(store, study_id)
    planned = ", ".join(map(str, found.plan.looks))
    if found.next_look is None:
        raise RunError(
            f"Study {study_id} has all the seeds that were planned (looks at {planned}). Seeds that are added after a "
            "result was seen would make chance look like a finding: create a new study with more seeds."
        )
    if found.state.stopped:
        raise RunError(f"Study {study_id} is stopped. Resume it before it is extended.")
    further = found.next_look
    state = StudyStore(store).update(study_id, lambda _: {"launched": further})
    make_jobs(store, study_id)
    let_go(store, study_id)
    return state


def delete(store: RunStore, study_id: str) -> None:
    """Move a study to the trash with all of its runs, their checkpoints, logs and evaluations.

    They can be taken back until the trash is emptied (`restore`). Raises RunError while anything of it is at work.
    """
    studies = StudyStore(store)
    state = studies.state(study_id)
    _refuse_at_work(store, state)
    stop(store, study_id)
    _refuse_at_work(store, state)  # what was started before it could be taken out of the queue
    for run_id in _runs_there(store, state):
        control.delete(store, run_id)
    studies.move_to_trash(study_id)


def _runs_there(store: RunStore, state: StudyState) -> list[str]:
    there = set(store.ids())
    return [run_id for run_id in state.runs.values() if run_id in there]


def _refuse_at_work(store: RunStore, state: StudyState) -> None:
    """Each evaluation of a run counts, also one that somebody asked for besides the study."""
    jobs: list[Job] = []
    for run_id in _runs_there(store, state):
        jobs += [reconciled(store, store.record(run_id)), *evaluations.current_evaluations(store, run_id)]
    at_work = [job.key for job in jobs if job.is_active]
    if at_work:
        raise RunError(
            f"This study cannot be deleted while it is at work ({', '.join(at_work[:3])}). Stop it first, and wait "
            "until it has stopped."
        )


def restore(store: RunStore, study_id: str) -> None:
    """Take a study and its runs back out of the trash. Nothing starts by itself. Raises RunError if it is not there."""
    studies = StudyStore(store)
    studies.take_back(study_id)
    for run_id in studies.state(study_id).runs.values():
        with suppress(RunError):  # its run was deleted for good, or never was in the trash
            take_back(store, run_id)


def _refuse_altered(store: RunStore, study_id: str) -> None:
    alteration = StudyStore(store).alteration(study_id)
    if alteration is not None:
        raise RunError(alteration)
