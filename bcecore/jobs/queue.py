"""The queue: which runs and evaluations wait, in which order. Anybody may change it, one at a time.

A job waits because its record says so (`queued` or `held`). The file `queue.json` only holds the order, as keys: jobs
that it does not name come after the others, the oldest first, so that a lost or damaged file loses none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Literal, TypeAlias

import filelock

from bcecore.errors import RunError
from bcecore.files import read_json, write_json
from bcecore.jobs.election import ring
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, store_of
from bcecore.store.preferences import SUPERVISOR_DIRECTORY, supervisor_directory
from bcecore.store.record import WAITING, RunRecord
from bcecore.store.runs import RunStore

Move = Literal["first", "up", "down", "last"]
Job: TypeAlias = RunRecord | EvaluationRecord
"""The record of whatever can wait in the queue."""

_FILE = "queue.json"
_LOCK_SECONDS = 20.0


@contextmanager
def changing(store: RunStore) -> Iterator[None]:
    """Nobody else changes which jobs wait, or their order, meanwhile."""
    try:
        with filelock.FileLock(supervisor_directory(store) / "queue.lock", timeout=_LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise RunError("The queue is being changed by another process that does not finish. Try again.") from None


def waiting_jobs(store: RunStore, jobs: Sequence[Job] | None = None) -> list[Job]:
    """The runs and evaluations that wait, held ones included, in the order in which they will start."""
    if jobs is None:
        jobs = [*store.records(), *EvaluationStore(store).records()]
    found = {job.key: job for job in jobs if job.status in WAITING}
    named = [found.pop(key) for key in _order(store) if key in found]
    return named + sorted(found.values(), key=lambda job: (job.created, job.id))


def awaited(store: RunStore, job: Job) -> RunRecord | None:
    """The run that has to be finished before the job can start; None where nothing but a place is missing.

    Raises RunError where that run's record cannot be read.
    """
    if not isinstance(job, EvaluationRecord) or not job.after_run:
        return None
    run = store.record(job.run_id)
    return None if run.status == "finished" else run


def startable_jobs(store: RunStore) -> list[Job]:
    """The waiting jobs that could start now, in order: neither held, nor waiting for the end of a run."""
    found = []
    for job in waiting_jobs(store):
        with suppress(RunError):  # of a run that is damaged, or was deleted a moment ago
            if job.status == "queued" and awaited(store, job) is None:
                found.append(job)
    return found


def reason_to_wait(store: RunStore, job: Job) -> str | None:
    """Why a waiting job would not start though a place were free, and what to do; None where it would."""
    if job.status == "held":
        return "held: it starts when somebody releases it"
    run = awaited(store, job)
    if run is None:
        return None
    if run.is_over:
        return f"waits for its run, which is {run.status} and not finished: resume {run.id}"
    return "waits until its run is finished"


def waiting(store: RunStore, records: Sequence[RunRecord] | None = None) -> list[RunRecord]:
    """The runs alone that wait, held ones included, in the order in which they will start."""
    jobs = waiting_jobs(store, store.records() if records is None else records)
    return [job for job in jobs if isinstance(job, RunRecord)]


def move(store: RunStore, key: str, to: Move) -> None:
    """Let a waiting job start earlier or later. Harmless at either end. Raises RunError if it does not wait."""
    with changing(store):
        keys = [job.key for job in waiting_jobs(store)]
        if key not in keys:
            raise _does_not_wait(store_of(store, key).record(key))
        old = keys.index(key)
        new = {"first": 0, "up": max(old - 1, 0), "down": old + 1, "last": len(keys)}[to]
        keys.remove(key)
        keys.insert(new, key)
        _write(store, keys)
    ring(store)


def hold(store: RunStore, key: str) -> None:
    """Keep a queued job from starting; it keeps its place. Harmless if it is held already."""
    _change(store, key, "held")


def release(store: RunStore, key: str) -> None:
    """Let a held job start when its turn comes. Harmless if it is not held."""
    _change(store, key, "queued")


def remove(store: RunStore, key: str) -> None:
    """Take a waiting job out of the queue; it stays in its list and can be put back. Harmless if repeated."""
    _change(store, key, "removed")


def _change(store: RunStore, key: str, status: Literal["queued", "held", "removed"]) -> None:
    records = store_of(store, key)
    with changing(store):
        record = records.record(key)
        if record.status == status:
            return
        if record.status not in WAITING:
            raise _does_not_wait(record)
        _write(store, [job.key for job in waiting_jobs(store)])  # the others must not close up while it is held
        records.transition(key, status)
    ring(store)


def _does_not_wait(record: Job) -> RunError:
    return RunError(f"{record.noun.capitalize()} {record.key} is {record.status}: it is not in the queue.")


def put_last(store: RunStore, key: str) -> None:
    """Give a job that has just become `queued` again the last place. Call it within `changing`."""
    _write(store, [job.key for job in waiting_jobs(store) if job.key != key] + [key])


def _order(store: RunStore) -> list[str]:
    try:
        order = read_json(store.root / SUPERVISOR_DIRECTORY / _FILE)
    except (OSError, ValueError):
        return []
    return [key for key in order if isinstance(key, str)] if isinstance(order, list) else []


def _write(store: RunStore, keys: list[str]) -> None:
    write_json(supervisor_directory(store) / _FILE, keys)
