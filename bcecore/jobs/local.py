"""Starting the processes of runs and evaluations on this machine, and telling whether they are still there.

Each is on its own: it has its own session, writes its output to its log (`train.log`, `job.log`) by descriptor, and
goes on when the dashboard, the command line or the terminal that started it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from bcecore.errors import RunError
from bcecore.store.evaluations import LOG_FILE, EvaluationStore, store_of
from bcecore.store.identity import ProcessIdentity, identity_of, is_alive, place_of
from bcecore.store.record import Failure, RunRecord, now
from bcecore.store.records import R, RecordStore
from bcecore.store.requests import read_stop
from bcecore.store.runs import RunStore

REPOSITORY = Path(__file__).parent.parent.parent
TRAINING_WORKER = "bcecore.training.worker"
EVALUATION_WORKER = "bcecore.evaluation.worker"
# A job whose process nobody has written down within this time has none: who was to start it was killed in between.
_START_LIMIT = timedelta(seconds=20)

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
    """The environment of every process that trains or evaluates."""
    environment = {
        **os.environ,
        **ALLOCATOR_ENVIRONMENT,
        **THREAD_ENVIRONMENT,
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
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
            cwd=REPOSITORY,
            env=training_environment(),
            start_new_session=True,
            creationflags=_detached_flags(),
        )


def _detached_flags() -> int:
    if os.name != "nt":
        return 0
    return int(getattr(subprocess, "DETACHED_PROCESS", 0)) | int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0))


class Launcher(Protocol):
    """A way to start `python -m WORKER ARGUMENTS`, with its output appended to a log; returns the pid.

    Raises OSError.
    """

    def __call__(self, worker: str, arguments: list[str], log: Path) -> int: ...


def start_cold(worker: str, arguments: list[str], log: Path) -> int:
    """Start a process of its own, which loads everything anew."""
    return spawn(["-m", worker, *arguments], log).pid


def start(store: RunStore, run_id: str, launch: Launcher = start_cold) -> None:
    """Start the training process of a queued run. Raises RunError if the run is not queued."""

    def launched(directory: Path, record: RunRecord) -> int:
        resume = [] if record.resume_from is None else ["--resume", record.resume_from]
        return launch(TRAINING_WORKER, [str(directory), *resume], directory / "train.log")

    _start(store, run_id, launched)


def start_evaluation(store: EvaluationStore, key: str, launch: Launcher = start_cold) -> None:
    """Start the process of a queued evaluation, which goes on where an earlier one stopped. Raises RunError."""
    _start(store, key, lambda directory, _: launch(EVALUATION_WORKER, [str(directory)], directory / LOG_FILE))


def _start(store: RecordStore[R], key: str, launch: Callable[[Path, R], int]) -> None:
    record = store.transition(key, "starting", process=None, failure=None, ended=None)
    what = f"The {record.process_noun}"
    try:
        pid = launch(store.directory(key), record)
    except OSError as error:
        failure = Failure(message=f"{what} could not be started: {error.strerror or error}.")
        store.transition(key, "failed", failure=failure, ended=now())
        raise RunError(f"{what} of {key} could not be started: {error}") from error
    identity = identity_of(pid)
    if identity is not None:
        store.adopt(key, identity)


def refuse_for_disk(store: RunStore, key: str, message: str) -> None:
    """Write down that a queued job was not started for lack of room; it can be resumed when there is some."""
    records = store_of(store, key)
    records.transition(key, "starting", process=None, failure=None, ended=None)
    records.transition(key, "failed", failure=Failure(message=message, kind="disk"), ended=now())


def signal_process(identity: ProcessIdentity, number: int) -> bool:
    """Send a signal to exactly this process; False if it is gone, whoever has its pid now."""
    if not hasattr(os, "pidfd_open"):
        if not is_alive(identity):
            return False
        os.kill(identity.pid, number)
        return True
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle stays with the process that had the pid when it was opened: checked now, it cannot be another's.
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def is_here(store: RecordStore[R], record: R) -> bool:
    """Whether the record was written for this very directory, and not for one of which it is a copy."""
    return record.place is None or record.place == place_of(store.directory(record.key))


def reconciled(store: RecordStore[R], record: R) -> R:
    """The record, after writing down how the job ended if its process is gone without having said so.

    It has `crashed`, unless it was to stop without saving, or was ended by force because it did not stop.
    """
    if not record.is_active:
        return record
    if record.process is None:
        if now() - record.status_since < _START_LIMIT:
            return record
    elif is_alive(record.process) and is_here(store, record):
        return record
    request = read_stop(store.directory(record.key))
    if request is not None and (request.kind == "now" or request.killed):
        # The request stays (resuming clears it): another process that judges at this moment has to see it, too.
        return store.mark_dead(record.key, record, "stopped", ended=now(), process=None)
    message = (
        f"The {record.process_noun} ended without a word: it was killed, ran out of memory, or the machine went down."
    )
    failure = Failure(message=message, step=record.step_reached)
    return store.mark_dead(record.key, record, "crashed", failure=failure, ended=now(), process=None)


def current_records(store: RunStore) -> list[RunRecord]:
    """All records, newest first, with runs whose process is gone marked as crashed."""
    found = []
    for record in store.records():
        if not record.is_active:
            found.append(record)
            continue
        with suppress(RunError):  # deleted a moment ago
            found.append(reconciled(store, record))
    return found
