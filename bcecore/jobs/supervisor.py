"""The supervisor: starts waiting jobs when a place is free, sees to it that they stop, and writes down how they ended.

A job is a run or an evaluation of one. One supervisor per folder of runs, elected by a lock (`jobs.election`). It may
be killed at any time: everything it knows is on disk, jobs go on without it, and the next one takes over where it left.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bcecore.errors import BceError
from bcecore.jobs import devices, queue
from bcecore.jobs.disk import disk_problem
from bcecore.jobs.election import Bell, elected, wake
from bcecore.jobs.local import (
    Launcher,
    is_here,
    reconciled,
    refuse_for_disk,
    signal_process,
    start,
    start_cold,
    start_evaluation,
)
from bcecore.jobs.notify import notify
from bcecore.jobs.queue import Job
from bcecore.jobs.warm import WarmParent
from bcecore.store.evaluations import EVALUATIONS, EvaluationRecord, EvaluationStore
from bcecore.store.preferences import load_preferences, supervisor_directory
from bcecore.store.record import RunRecord, now
from bcecore.store.records import RecordStore
from bcecore.store.requests import read_stop, write_stop
from bcecore.store.runs import RunStore
from bcecore.store.studies import STUDIES

IDLE_SECONDS = 900.0
"""After so long without a job that is at work or waits to start, the supervisor goes."""
IDLE_VARIABLE = "BCE_SUPERVISOR_IDLE_SECONDS"
"""Environment variable that sets it otherwise."""

_LOOK_SECONDS = 0.1  # for a bell, a single question to the system
_ACTIVE_SECONDS = 0.25  # for how the jobs at work are
_ALL_SECONDS = 20.0  # for everything, in case that a bell was not heard
# Looking for devices loads as much as a run does: not while the first run starts.
_DEVICES_AFTER_SECONDS = 8.0
# Nobody takes so long to make a job's directory.
_LEFTOVER_SECONDS = 3600.0

# How long a process may take to save and stop (a step, and the writing of a checkpoint), and to end when told to.
_SAVE_PATIENCE = timedelta(minutes=5)
_SAVE_PATIENCE_STEPS = 5
_TERMINATE_PATIENCE = timedelta(seconds=10)


def serve(store: RunStore, say: Callable[[str], None], idle_seconds: float = IDLE_SECONDS) -> bool:
    """Be the supervisor until there has been nothing to do for `idle_seconds`. False if there is one already."""
    while True:
        with elected(store) as is_elected:
            if not is_elected:
                return False
            supervisor = Supervisor(store, say)
            try:
                supervisor.run(idle_seconds)
            finally:
                supervisor.close()
        if supervisor.is_outdated:
            wake(store)
            return True
        # Whoever submitted a job while the lock was still held has relied on this supervisor.
        if not queue.startable_jobs(store):
            return True


class Supervisor:
    """The work of the one that is elected."""

    def __init__(self, store: RunStore, say: Callable[[str], None]) -> None:
        self._store = store
        self._evaluations = EvaluationStore(store)
        self._say = say
        self._bell = Bell(store)
        self._code = _newest_code()
        self._warm = WarmParent(supervisor_directory(store) / "supervisor.log") if WarmParent.is_possible() else None
        self._active: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._finished_runs: set[str] = set()
        self._kinds: dict[str, devices.Kind] = {}
        self._looked_at_all = 0.0
        self._looked_for_devices = False
        self.is_outdated = False
        """Whether the program was changed since this process loaded it; another supervisor has to take over."""

    def run(self, idle_seconds: float) -> None:
        """Work until there was nothing to do for `idle_seconds`."""
        self._say("Supervising the runs.")
        self._clean_up()
        began = busy = looked = time.monotonic()
        while not self.is_outdated:
            moment = time.monotonic()
            if not self._store.root.is_dir():
                return  # somebody has deleted the runs
            try:
                if self._bell.rang() or moment - self._looked_at_all >= _ALL_SECONDS:
                    self._look_at_all()
                    self._keep_warm()
                    looked = moment
                elif self._active and moment - looked >= _ACTIVE_SECONDS:
                    self._look_at_active()
                    looked = moment
                self._start_waiting()
                if moment - began >= _DEVICES_AFTER_SECONDS and not self._looked_for_devices:
                    self._looked_for_devices = True
                    devices.find(self._store)
            except (OSError, BceError) as error:  # a disk that is full or gone for a while
                self._say(f"Something went wrong and is tried again: {error}")
                time.sleep(1)
            if self._active or self._ready():
                busy = moment
            elif moment - busy >= idle_seconds:
                self._say("Nothing to do: the supervisor goes.")
                return
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Let go of the warm parent."""
        if self._warm is not None:
            self._warm.stop()

    def _clean_up(self) -> None:
        """Delete what a process that died while it made a run, an evaluation or a study has left."""
        if not self._store.root.is_dir():
            return
        root = self._store.root
        for leftover in [
            path for part in ("", f"*/{EVALUATIONS}/", f"{STUDIES}/") for path in root.glob(f"{part}.new-*")
        ]:
            with suppress(FileNotFoundError):  # whole by now, and under its own name
                if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                    shutil.rmtree(leftover, ignore_errors=True)

    # -- looking

    def _records_of(self, job: Job) -> RecordStore[Any]:
        return self._evaluations if isinstance(job, EvaluationRecord) else self._store

    def _look_at_all(self) -> None:
        self._looked_at_all = time.monotonic()
        jobs: list[Job] = [*self._store.records(), *self._evaluations.records()]
        before = self._active
        self._finished_runs = {job.key for job in jobs if isinstance(job, RunRecord) and job.status == "finished"}
        self._active = {job.key: job for job in jobs if job.is_active}
        self._waiting = queue.waiting_jobs(self._store, jobs)
        for job in [job for job in self._waiting if job.status == "queued"]:
            self._hold_if_copied(job)
        for job in jobs:
            if job.key in before and job.is_over:
                self._tell(job)
        self._look_at_active()

    def _hold_if_copied(self, job: Job) -> None:
        """A job that was queued elsewhere, and copied here, is to be done there: it waits for a word here."""
        try:
            if is_here(self._records_of(job), job):
                return
            queue.hold(self._store, job.key)
        except BceError as error:
            self._say(str(error))
            return
        self._say(f"{job.key} was queued in another folder, of which this one is a copy: it is held.")
        self._waiting.remove(job)

    def _look_at_active(self) -> None:
        for key, before in list(self._active.items()):
            records = self._records_of(before)
            try:
                job: Job = reconciled(records, records.record(key))
                if job.is_active:
                    self._active[key] = job
                    self._see_to_stopping(job)
                    continue
            except BceError as error:
                self._say(f"{key}: {error}")
                del self._active[key]
                continue
            del self._active[key]
            if job.is_over:
                if job.status == "finished":
                    self._finished_runs.add(key)
                self._tell(job)

    def _tell(self, job: Job) -> None:
        self._say(f"{job.key} has {job.status}.")
        preferences = load_preferences(self._store)
        if preferences.notifies:
            threading.Thread(target=notify, args=(preferences, job, self._say), daemon=True).start()

    # -- stopping

    def _see_to_stopping(self, job: Job) -> None:
        """A request comes first; a process that does not follow is told to end, then ended."""
        directory = self._records_of(job).directory(job.key)
        request = read_stop(directory)
        if request is None or job.process is None:
            return
        waited = now() - (request.at or job.status_since)
        patience = timedelta(0) if request.kind == "now" else _patience(job)
        if waited >= patience + _TERMINATE_PATIENCE:
            self._say(f"{job.key} does not stop and is ended.")
            write_stop(directory, request.model_copy(update={"killed": True}))
            signal_process(job.process, _KILL)
        elif waited >= patience:
            signal_process(job.process, signal.SIGTERM)

    # -- starting

    def _ready(self) -> list[Job]:
        """What waits for nothing but a place, in order; as `queue.startable_jobs`, from what was seen at the last look.

        An evaluation of a run's end waits for the run, however that may fail, be stopped and resumed.
        """
        return [
            job
            for job in self._waiting
            if job.status == "queued"
            and not (isinstance(job, EvaluationRecord) and job.after_run and job.run_id not in self._finished_runs)
        ]

    def _start_waiting(self) -> None:
        ready = self._ready()
        # While everything is being loaded, jobs wait in the queue: to load it once more would take as long.
        if not ready or (self._warm is not None and self._warm.is_loading()):
            return
        preferences = load_preferences(self._store)
        found = devices.found(self._store)
        used: dict[str, int] = {}
        for job in self._active.values():
            kind = self._kind(job, found)
            used[kind] = used.get(kind, 0) + 1
        for job in ready:
            kind = self._kind(job, found)
            if used.get(kind, 0) >= preferences.slots_for(kind):
                continue
            if _newest_code() != self._code:
                self._say("The program was changed: a new supervisor takes over.")
                self.is_outdated = True
                return
            used[kind] = used.get(kind, 0) + 1
            self._start(job)

    def _start(self, job: Job) -> None:
        self._waiting.remove(job)
        problem = disk_problem(self._store)
        if problem is not None:
            refuse_for_disk(self._store, job.key, problem)
            self._say(f"{job.key} is not started: {problem}")
            return
        launch: Launcher = start_cold if self._warm is None else self._warm
        try:
            if isinstance(job, EvaluationRecord):
                start_evaluation(self._evaluations, job.key, launch)
            else:
                start(self._store, job.key, launch)
            self._say(f"{job.key} is started.")
        except BceError as error:  # taken out of the queue in the meantime, or it could not be started
            self._say(str(error))
            return
        self._active[job.key] = self._records_of(job).record(job.key)

    def _kind(self, job: Job, found: devices.Devices | None) -> devices.Kind:
        """The kind of device whose place the job takes; an evaluation's is that of its run."""
        known = self._kinds.get(job.run_id)
        if known is not None:
            return known
        try:
            kind = devices.kind_for(self._store.config(job.run_id), found)
        except BceError:
            kind = "cpu"
        if found is not None:
            self._kinds[job.run_id] = kind
        return kind

    def _keep_warm(self) -> None:
        if self._warm is None:
            return
        if load_preferences(self._store).keep_warm:
            self._warm.start()
        else:
            self._warm.stop()


def _patience(job: Job) -> timedelta:
    """How long a job may take to save and stop: longer for a run of which a single step takes long."""
    pace = job.progress.steps_per_second if isinstance(job, RunRecord) and job.progress else None
    steps = timedelta(seconds=_SAVE_PATIENCE_STEPS / pace) if pace else timedelta(0)
    return max(_SAVE_PATIENCE, steps)


_KILL = signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM


def _newest_code() -> float:
    """When the newest file of this package was changed."""
    package = Path(__file__).parent.parent
    return max(path.stat().st_mtime for path in package.rglob("*.py"))


def main(store: RunStore, *, detached: bool, idle_seconds: float | None) -> int:
    """The command `supervise`. In the foreground it says what it does, and goes on until it is stopped."""
    if idle_seconds is None:
        idle_seconds = float(os.environ.get(IDLE_VARIABLE) or IDLE_SECONDS) if detached else float("inf")

    def say(line: str) -> None:
        with suppress(OSError):  # a full disk must not end the supervisor
            print(f"{datetime.now():%d %b %H:%M:%S}  {line}", flush=True)  # noqa: T201 - a log for people

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        if serve(store, say, idle_seconds) or detached:
            return 0
        print("Another supervisor is at work for these runs.", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        say("Stopped. Runs go on; the next command or page starts another supervisor.")
        return 0
