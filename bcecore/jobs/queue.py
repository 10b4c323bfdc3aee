"""The queue: which runs wait, in which order. Anybody may change it, one at a time; the supervisor takes from it.

A run waits because its record says so (`queued` or `held`). The file `queue.json` only holds the order: runs that it
does not name come after the others, the oldest first, so that a lost or damaged file loses no run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import filelock

from bcecore.errors import RunError
from bcecore.files import read_json, write_json
from bcecore.jobs.election import ring
from bcecore.store.preferences import SUPERVISOR_DIRECTORY, supervisor_directory
from bcecore.store.record import WAITING, RunRecord
from bcecore.store.runs import RunStore

Move = Literal["first", "up", "down", "last"]
_FILE = "queue.json"
_LOCK_SECONDS = 20.0


@contextmanager
def changing(store: RunStore) -> Iterator[None]:
    """Nobody else changes which runs wait, or their order, meanwhile."""
    try:
        with filelock.FileLock(supervisor_directory(store) / "queue.lock", timeout=_LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise RunError("The queue is being changed by another process that does not finish. Try again.") from None


def waiting(store: RunStore, records: Sequence[RunRecord] | None = None) -> list[RunRecord]:
    """The runs that wait, held ones included, in the order in which they will start."""
    found = {record.id: record for record in (store.records() if records is None else records)}
    found = {run_id: record for run_id, record in found.items() if record.status in WAITING}
    named = [found.pop(run_id) for run_id in _order(store) if run_id in found]
    return named + sorted(found.values(), key=lambda record: (record.created, record.id))


def move(store: RunStore, run_id: str, to: Move) -> None:
    """Let a waiting run start earlier or later. Harmless at either end. Raises RunError if it does not wait."""
    with changing(store):
        ids = [record.id for record in waiting(store)]
        if run_id not in ids:
            raise RunError(f"Run {run_id} is {store.record(run_id).status}: it is not in the queue.")
        old = ids.index(run_id)
        new = {"first": 0, "up": max(old - 1, 0), "down": old + 1, "last": len(ids)}[to]
        ids.remove(run_id)
        ids.insert(new, run_id)
        _write(store, ids)
    ring(store)


def hold(store: RunStore, run_id: str) -> None:
    """Keep a queued run from starting; it keeps its place. Harmless if it is held already."""
    _change(store, run_id, "held")


def release(store: RunStore, run_id: str) -> None:
    """Let a held run start when its turn comes. Harmless if it is not held."""
    _change(store, run_id, "queued")


def remove(store: RunStore, run_id: str) -> None:
    """Take a waiting run out of the queue; it stays in the list of runs and can be put back. Harmless if repeated."""
    _change(store, run_id, "removed")


def _change(store: RunStore, run_id: str, status: Literal["queued", "held", "removed"]) -> None:
    with changing(store):
        record = store.record(run_id)
        if record.status == status:
            return
        if record.status not in WAITING:
            raise RunError(f"Run {run_id} is {record.status}: it is not in the queue.")
        _write(store, [other.id for other in waiting(store)])  # the others must not close up while it is held
        store.transition(run_id, status)
    ring(store)


def put_last(store: RunStore, run_id: str) -> None:
    """Give a run that has just become `queued` again the last place. Call it within `changing`."""
    _write(store, [record.id for record in waiting(store) if record.id != run_id] + [run_id])


def _order(store: RunStore) -> list[str]:
    try:
        order = read_json(store.root / SUPERVISOR_DIRECTORY / _FILE)
    except (OSError, ValueError):
        return []
    return [run_id for run_id in order if isinstance(run_id, str)] if isinstance(order, list) else []


def _write(store: RunStore, ids: list[str]) -> None:
    write_json(supervisor_directory(store) / _FILE, ids)
