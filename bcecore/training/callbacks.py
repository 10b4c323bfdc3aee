"""What a training process does beside training: the live log, progress, requests to stop, whole checkpoints."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bcecore.errors import RunError, StopRequested
from bcecore.store.checkpoints import mark_complete, rotate
from bcecore.store.metrics import MetricsWriter
from bcecore.store.record import Progress, now
from bcecore.store.requests import STOP_REQUEST, read_stop
from bcecore.store.runs import RunStore

# As often as a page looks; each write costs as much as a tenth of a small model's step.
_PROGRESS_SECONDS = 2.0
_LOG_LINE_SECONDS = 5.0


class LiveLog(TrainerCallback):
    """Writes every record of the Trainer to `metrics.jsonl` as soon as it exists."""

    def __init__(self, writer: MetricsWriter) -> None:
        self._writer = writer

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        # The Trainer's closing totals are no values of a step; the run record keeps them.
        if logs and "train_runtime" not in logs:
            self._writer.write({"step": state.global_step, **logs, "time": round(time.time(), 3)})


class RunProgress(TrainerCallback):
    """Keeps the run record's progress fresh, and says in `train.log` now and then how it goes."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._first_step = 0
        self._started = now()
        self._written = 0.0
        self._said = 0.0
        self._paces: list[tuple[float, int]] = []

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        self._first_step = state.global_step
        self._started = now()
        changes: dict[str, Any] = {"started": self._started, "progress": self.of(state)}
        try:
            self._store.transition(self._run_id, "running", **changes)
        except RunError:
            # Somebody asked for the end a moment ago; the run follows after its first step.
            if self._store.record(self._run_id).status != "stopping":
                raise
            self._store.update(self._run_id, **changes)

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        moment = time.monotonic()
        if moment - self._written >= _PROGRESS_SECONDS:
            self._written = moment
            self._paces = [*self._paces[-9:], (moment, state.global_step)]
            self._store.update(self._run_id, durable=False, progress=self.of(state))

    def on_log(
        self, args: Any, state: TrainerState, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        moment = time.monotonic()
        if logs and "eval_loss" in logs:
            say(f"step {state.global_step:,}: held-out CE {logs['eval_loss']:.4f}")
        elif logs and "loss" in logs and moment - self._said >= _LOG_LINE_SECONDS:
            self._said = moment
            say(f"step {state.global_step:,} of {state.max_steps:,}: CE {logs['ce']:.4f}, objective {logs['loss']:.4f}")

    def on_train_end(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        self._store.update(self._run_id, progress=self.of(state))

    def of(self, state: TrainerState) -> Progress:
        """How far the run is, for its record."""
        return Progress(
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=state.epoch or 0.0,
            updated=now(),
            session_start_step=self._first_step,
            session_started=self._started,
            steps_per_second=self._pace(),
        )

    def _pace(self) -> float | None:
        if len(self._paces) < 2:
            return None
        (began, first), (ended, last) = self._paces[0], self._paces[-1]
        return (last - first) / (ended - began)


class StopOnRequest(TrainerCallback):
    """Ends training when somebody asks for it: after the present step, with a checkpoint or, if so asked, without.

    They ask by writing `stop.request` into the run directory, or with a termination signal (`on_signal`). The signal
    together with a request to stop now does not even wait for the end of the step. Whoever asks after the last step
    was taken gets a finished run. Has to come after all that may ask for a checkpoint, but before LogBeforeSaving.
    """

    def __init__(self, run_directory: Path) -> None:
        self._run_directory = run_directory
        # As a string: joining a path would cost more than looking.
        self._file = str(run_directory / STOP_REQUEST)
        self._signalled = False
        self._may_cut = False
        self.has_cut = False
        """Whether a signal raised StopRequested in the middle of something, which may have made other errors of it."""

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """Within, a signal may raise StopRequested anywhere; outside, it never interrupts anything."""
        self._may_cut = True
        try:
            yield
        finally:
            self._may_cut = False

    def on_signal(self, *_: object) -> None:
        """Handle a termination signal. Harmless if repeated."""
        self._signalled = True
        if self._may_cut and self._kind() == "now":
            self._may_cut = False
            self.has_cut = True
            raise StopRequested

    def _kind(self) -> str | None:
        request = read_stop(self._run_directory)
        if request is None:
            return "save" if self._signalled else None
        return request.kind

    def _is_asked(self) -> bool:
        return self._signalled or os.access(self._file, os.F_OK)

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        if self._is_asked() and state.global_step < state.max_steps:
            raise StopRequested

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            self._may_cut = False
        elif self._is_asked():
            saves = self._kind() != "now"
            control.should_save = saves
            control.should_evaluate = control.should_evaluate and saves
            control.should_training_stop = True


class LastStep(TrainerCallback):
    """Logs, checks and saves at the last step, whatever the cadence."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True
            control.should_save = True
            control.should_evaluate = args.eval_strategy != "no"


class LogBeforeSaving(TrainerCallback):
    """Logs at every step that is saved: what was gathered since the last record would be missing after a resume."""

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        if control.should_save:
            control.should_log = True


class WholeCheckpoints(TrainerCallback):
    """Marks each checkpoint whole after it was saved, and only then deletes older ones.

    The Trainer would delete before: a kill in between could leave no whole checkpoint at all.
    """

    def __init__(self, run_directory: Path, limit: int | None) -> None:
        self._run_directory = run_directory
        self._limit = limit

    def on_save(self, args: TrainingArguments, state: TrainerState, control: Any, **_: Any) -> None:
        assert args.output_dir is not None
        mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        rotate(self._run_directory, self._limit, state.best_global_step)


def say(line: str) -> None:
    """One line for a person in `train.log`, with the time. A full disk must not end the run because of it."""
    with suppress(OSError):
        print(f"{now():%H:%M:%S}  {line}", flush=True)  # noqa: T201 - standard output is train.log
