"""The process of one evaluation: `python -m bcecore.evaluation.worker EVALUATION_DIRECTORY`.

Started by `jobs`; it meets everybody else on disk only. However an earlier process ended, this one goes on after the
last page that is whole. Whatever happens, the evaluation's record says at the end how it ended.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path

import filelock
import torch
from transformers.utils import logging as transformers_logging

from bcecore.errors import BceError, DiskFullError, RunError, StopRequested
from bcecore.evaluation.job import EvaluationJob
from bcecore.files import delete_leftovers
from bcecore.store.evaluations import EvaluationProgress, EvaluationRequest, EvaluationStore, evaluation_at
from bcecore.store.examples import EXAMPLES_FILE, merge_parts
from bcecore.store.identity import own_identity
from bcecore.store.record import Failure, Status, now
from bcecore.store.requests import STOP_REQUEST, clear_stop
from bcecore.store.runs import RunStore
from bcecore.training.callbacks import say

WORKER_LOCK = "worker.lock"
"""Name of the file in an evaluation's directory that its process keeps locked while it lives."""
OCCUPIED = 3
"""Exit status of a process that found another one at work on its evaluation."""

# As often as a page looks.
_PROGRESS_SECONDS = 2.0
_LOG_LINE_SECONDS = 10.0
# The pace is that of so many moments of progress: some twenty seconds.
_PACE_MOMENTS = 10


def main(argv: list[str] | None = None) -> int:
    """Carry out one evaluation.

    Returns 0 if it finished or was stopped, 1 if it failed, and 3, with nothing changed, if another process is at it.
    """
    parser = argparse.ArgumentParser(prog="python -m bcecore.evaluation.worker", description=__doc__)
    parser.add_argument("evaluation_directory", type=Path)
    directory: Path = parser.parse_args(argv).evaluation_directory.resolve()
    transformers_logging.disable_progress_bar()
    try:
        with filelock.FileLock(directory / WORKER_LOCK, blocking=False):
            return _carry_out(directory)
    except filelock.Timeout:
        say("Another process is at work on this evaluation already, so this one ends.")
        return OCCUPIED


def _carry_out(directory: Path) -> int:
    store, key = evaluation_at(directory)
    session = _Session(store, key, directory)
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), session.on_signal)
    store.update(key, process=own_identity())
    for folder in (directory, directory / "parts"):
        delete_leftovers(folder)
    return session.run()


class _Session:
    """One process's work on one evaluation; as the `Watcher` of its job it keeps the record's progress fresh.

    It ends after the present batch when somebody asks for it, by writing `stop.request` into the directory or with a
    termination signal. The page that is being scored then is scored again by the next session.
    """

    def __init__(self, store: EvaluationStore, key: str, directory: Path) -> None:
        self._store = store
        self._key = key
        self._directory = directory
        self._stop_file = str(directory / STOP_REQUEST)
        self._signalled = False
        self._total = 0
        self._first = self._done = self._kept = 0
        self._started = now()
        self._written = self._said = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque(maxlen=_PACE_MOMENTS)

    def run(self) -> int:
        try:
            self._evaluate()
        except StopRequested:
            self._end("stopped")
            return 0
        except Exception as error:  # noqa: BLE001 - the last place that can say why an evaluation ended
            detail = "".join(traceback.format_exception(error))
            self._end("failed", _failure(error, detail))
            with suppress(OSError):
                sys.stderr.write(detail)
            return 1
        self._end("finished")
        return 0

    def _evaluate(self) -> None:
        self._check_stop()
        request = self._begin_running()
        if not (self._directory / EXAMPLES_FILE).exists():  # else only the end of an earlier session is missing
            runs = RunStore(self._directory.parent.parent.parent)
            run_id = self._key.partition("/")[0]
            say("Loading the model and the texts.")
            EvaluationJob(
                self._directory,
                runs.directory(run_id),
                runs.config(run_id),
                request,
                runs.record(run_id).step_reached,
                self,
            ).run()
        merge_parts(self._directory)
        self._done = self._kept = self._total

    def _begin_running(self) -> EvaluationRequest:
        record = self._store.record(self._key)
        if record.request is None:
            raise RunError("What this evaluation was to measure cannot be read. Start a new one.")
        self._total = record.request.examples
        try:
            self._store.transition(self._key, "running", started=self._started)
        except RunError:
            # Somebody asked for the end a moment ago; it is followed before the first batch.
            if self._store.record(self._key).status != "stopping":
                raise
        return record.request

    # -- while it works

    def on_signal(self, *_: object) -> None:
        """Handle a termination signal. Harmless if repeated."""
        self._signalled = True

    def _check_stop(self) -> None:
        if self._signalled or os.access(self._stop_file, os.F_OK):
            raise StopRequested

    def begin(self, done: int) -> None:
        """See `Watcher`."""
        self._first = self._done = done
        self._started = now()
        self._seen.append((time.monotonic(), done))
        self._store.update(self._key, progress=self._progress())
        say(f"Scoring {self._total - done:,} examples." if done == 0 else f"Going on after {done:,} examples.")

    def at(self, done: int) -> None:
        """See `Watcher`. Raises StopRequested when somebody asked for the end, unless this was the last batch."""
        self._done = done
        if done < self._total:
            self._check_stop()
        moment = time.monotonic()
        if moment - self._written < _PROGRESS_SECONDS:
            return
        self._written = moment
        self._seen.append((moment, done))
        self._store.update(self._key, durable=False, progress=self._progress())
        if moment - self._said >= _LOG_LINE_SECONDS:
            self._said = moment
            pace = self._pace()
            left = f", about {(self._total - done) / pace:,.0f} s left" if pace else ""
            say(f"{done:,} of {self._total:,} examples{left}")

    def kept(self, done: int) -> None:
        """See `Watcher`."""
        self._kept = done

    def _progress(self) -> EvaluationProgress:
        return EvaluationProgress(
            done=self._done,
            kept=self._kept,
            total=self._total,
            updated=now(),
            session_start_done=self._first,
            session_started=self._started,
            examples_per_second=self._pace(),
        )

    def _pace(self) -> float | None:
        if len(self._seen) < 2:
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began)

    # -- the end

    def _end(self, status: Status, failure: Failure | None = None) -> None:
        clear_stop(self._directory)
        changes = {"progress": self._progress()} if self._total else {}
        self._store.transition(self._key, status, ended=now(), process=None, failure=failure, **changes)
        say(f"{status.capitalize()}.")


def _failure(error: Exception, detail: str) -> Failure:
    """What a person reads about an error that ended an evaluation."""
    if isinstance(error, BceError):
        return Failure(message=str(error), kind="disk" if isinstance(error, DiskFullError) else "", detail=detail)
    for kind, whose in ((torch.OutOfMemoryError, "graphics card"), (MemoryError, "machine")):
        if isinstance(error, kind):
            message = f"The {whose}'s memory is full. Score fewer tokens at a time, or use a smaller block size."
            return Failure(message=message, kind="memory", detail=detail)
    message = f"An unexpected error ended the evaluation: {type(error).__name__}: {error}"
    return Failure(message=message, detail=detail)


if __name__ == "__main__":
    sys.exit(main())
