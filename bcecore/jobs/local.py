"""Starting training processes on this machine, and telling whether they are still there.

A training process is on its own: it has its own session, writes its output to `train.log` by descriptor, and goes on
when the dashboard, the command line or the terminal that started it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from bcecore.errors import RunError
from bcecore.store.identity import identity_of, is_alive
from bcecore.store.record import Failure, RunRecord, now
from bcecore.store.runs import STOP_REQUEST, RunStore

_REPOSITORY = Path(__file__).parent.parent.parent
# A process that was started but has not said so within this time never will: the machine went down in between.
_START_LIMIT = timedelta(minutes=2)

# glibc gives the memory of every large gradient back to the kernel and asks for it again at the next step, thousands of
# page faults a step; kept, and in huge pages, it makes training faster with weights identical in every bit. Systems
# without glibc ignore all of it.
ALLOCATOR_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "67108864",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}

# By default a thread that waits for its sisters keeps its core busy for milliseconds. Two trainings on one machine then
# take each other's cores without working: measured on 2 cores with load 8, a step of 36 ms took 700 ms. A third of this
# wait costs a run that has the machine to itself some 5%; three times it still makes runs beside each other slow.
THREAD_ENVIRONMENT = {"GOMP_SPINCOUNT": "30000"}


def training_environment() -> dict[str, str]:
    """The environment of every training process."""
    environment = {
        **os.environ,
        **ALLOCATOR_ENVIRONMENT,
        **THREAD_ENVIRONMENT,
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    paths = [str(_REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def spawn(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start `python ARGUMENTS` detached from this process, its output appended to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=_REPOSITORY,
            env=training_environment(),
            start_new_session=True,
            creationflags=_detached_flags(),
        )


def _detached_flags() -> int:
    if os.name != "nt":
        return 0
    return int(getattr(subprocess, "DETACHED_PROCESS", 0)) | int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0))


def start(store: RunStore, run_id: str) -> None:
    """Start the training process of a queued run. Raises RunError if the run is not queued."""
    store.transition(run_id, "starting", process=None, failure=None, ended=None)
    directory = store.directory(run_id)
    try:
        process = spawn(["-m", "bcecore.training.worker", str(directory)], directory / "train.log")
    except OSError as error:
        store.transition(
            run_id,
            "failed",
            failure=Failure(message=f"The training process could not be started: {error.strerror or error}."),
            ended=now(),
        )
        raise RunError(f"The training process of {run_id} could not be started: {error}") from error
    identity = identity_of(process.pid)
    if identity is not None:
        store.adopt(run_id, identity)


def request_stop(store: RunStore, run_id: str) -> None:
    """Ask a running run to save a checkpoint and stop; it does so after its present step. Harmless if repeated."""
    record = store.record(run_id)
    if not record.is_active:
        raise RunError(f"Run {run_id} is {record.status}: there is nothing to stop.")
    (store.directory(run_id) / STOP_REQUEST).touch()


def reconciled(store: RunStore, record: RunRecord) -> RunRecord:
    """The record, after marking the run `crashed` if its process is gone without having said how it ended."""
    if not record.is_active:
        return record
    if record.process is None:
        if now() - record.status_since < _START_LIMIT:
            return record
    elif is_alive(record.process):
        return record
    step = record.progress.step if record.progress else None
    message = "The training process ended without a word: it was killed, ran out of memory, or the machine went down."
    return store.mark_dead(
        record.id, record, "crashed", failure=Failure(message=message, step=step), ended=now(), process=None
    )


def current_records(store: RunStore) -> list[RunRecord]:
    """All records, newest first, with runs whose process is gone marked as crashed."""
    return [reconciled(store, record) for record in store.records()]
