"""The training process of one run: `python -m bcecore.training.worker RUN_DIRECTORY [--resume STEP|last]`.

Started by `jobs`; it meets everybody else on disk only. Whatever happens, the run record says at the end how it ended.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock
import torch
from transformers.utils import logging as transformers_logging

from bcecore.config import RunConfig
from bcecore.errors import BceError, DiskFullError, NonFiniteError, RunError, StopRequested
from bcecore.files import DISK_FULL_ERRNOS, delete_leftovers, disk_full_explained, write_bytes_atomically
from bcecore.store import checkpoints
from bcecore.store.identity import own_identity
from bcecore.store.metrics import RESUME, MetricsWriter
from bcecore.store.record import Failure, Status, now
from bcecore.store.requests import EVALUATE_REQUEST, SAMPLE_REQUEST, SAVE_REQUEST, clear_stop, take
from bcecore.store.runs import RunStore
from bcecore.store.samples import resume_samples
from bcecore.store.weights import weights_hash
from bcecore.training.callbacks import (
    LastStep,
    LiveLog,
    LogBeforeSaving,
    RunProgress,
    StopOnRequest,
    WholeCheckpoints,
    say,
)
from bcecore.training.engine import TokenizedText, build_trainer, tokenized_text
from bcecore.training.loss_probe import probe_loss
from bcecore.training.models import count_weights, probe_future_leak, random_tokens_score
from bcecore.training.requests import FollowRequests
from bcecore.training.room import check_room
from bcecore.training.trainer import BCETrainer

WORKER_LOCK = "worker.lock"
"""Name of the file in a run directory that the run's process keeps locked while it lives."""
OCCUPIED = 3
"""Exit status of a process that found another one at work on its run."""

_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy")
# Given back to a full disk, so that there is room to write down that it is full.
_BALLAST = ".ballast"
_BALLAST_BYTES = 256 * 1024


def main(argv: list[str] | None = None) -> int:
    """Carry out one run.

    Returns 0 if it finished or was stopped, 1 if it failed, and 3, with nothing changed, if another process is at it.
    """
    parser = argparse.ArgumentParser(prog="python -m bcecore.training.worker", description=__doc__)
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("--resume", metavar="STEP", help="go on from this checkpoint, or from the 'last' whole one")
    arguments = parser.parse_args(argv)
    transformers_logging.disable_progress_bar()
    run_directory: Path = arguments.run_directory.resolve()
    try:
        with filelock.FileLock(run_directory / WORKER_LOCK, blocking=False):
            return _carry_out(run_directory, arguments.resume)
    except filelock.Timeout:
        say("Another process is at work on this run already, so this one ends.")
        return OCCUPIED


def _carry_out(run_directory: Path, resume: str | None) -> int:
    stop = StopOnRequest(run_directory)
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop.on_signal)
    store = RunStore(run_directory.parent)
    store.update(run_directory.name, process=own_identity(), versions=_versions())
    delete_leftovers(run_directory)
    for name in (SAVE_REQUEST, EVALUATE_REQUEST, SAMPLE_REQUEST):
        take(run_directory, name)  # what an earlier session did not live to follow
    return _Session(store, run_directory.name, run_directory, stop).run(resume)


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in _PACKAGES},
    }


class _Session:
    """One process's work on one run."""

    def __init__(self, store: RunStore, run_id: str, directory: Path, stop: StopOnRequest) -> None:
        self._store = store
        self._run_id = run_id
        self._directory = directory
        self._stop = stop
        self._progress = RunProgress(store, run_id)
        self._trainer: BCETrainer | None = None
        self._twin: dict[str, Any] = {}

    def run(self, resume: str | None) -> int:
        error = self._attempt(resume)
        if error is None:
            return 0
        if isinstance(error, StopRequested) or self._stop.has_cut:
            # With the error go the locks that may have been held where a signal cut in.
            del error
            self._end("stopped")
            return 0
        return self._fail(error)

    def _attempt(self, resume: str | None) -> Exception | None:
        """Train and finish the run; the error that prevented it, if any."""
        try:
            with self._stop.cutting():
                trainer, totals = self._train(resume)
            self._finish(trainer, totals)
        except Exception as error:  # noqa: BLE001 - the last place that can say why a run ended
            return error
        return None

    def _train(self, resume: str | None) -> tuple[BCETrainer, dict[str, Any]]:
        """Train to the last step or a stop; the Trainer and its totals."""
        with disk_full_explained(self._directory / _BALLAST):
            (self._directory / _BALLAST).write_bytes(b"\0" * _BALLAST_BYTES)
        config = self._store.config(self._run_id)
        checkpoint = self._checkpoint(resume)
        say("Loading the text and the model.")
        text = tokenized_text(self._directory / "data", config.data.block_size)
        with MetricsWriter(self._directory / "metrics.jsonl") as writer:
            first = 0 if checkpoint is None else checkpoint.step
            self._forget_beyond(first, writer)
            requests = FollowRequests(self._directory, text)
            trainer = self._trainer = self._build(config, text, writer, requests)
            requests.trainer = trainer
            self._look_at_model(trainer)
            check_room(config, trainer.model, config.total_steps(len(text.train)), self._directory)
            say(
                f"Training {self._run_id}."
                if checkpoint is None
                else f"Going on with {self._run_id} at step {first:,}."
            )
            output = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.directory))
        # Before anything else can draw random numbers.
        self._twin = trainer.twin.facts(trainer.state.global_step, trainer.args.device)
        if output.global_step == first:
            return trainer, {}  # resumed after its last step: means over no steps say nothing
        return trainer, {key: value for key, value in output.metrics.items() if key != "epoch"}

    def _build(
        self, config: RunConfig, text: TokenizedText, writer: MetricsWriter, requests: FollowRequests
    ) -> BCETrainer:
        callbacks = [
            LiveLog(writer),
            LastStep(),
            requests,
            self._stop,
            LogBeforeSaving(),
            WholeCheckpoints(self._directory, config.logging.save_total_limit),
            self._progress,
        ]
        trainer = build_trainer(config, text, checkpoints.checkpoints_directory(self._directory), callbacks)
        trainer.twin.run = self._run_id
        return trainer

    def _checkpoint(self, resume: str | None) -> checkpoints.Checkpoint | None:
        """The checkpoint to go on from; None to start at the beginning, also when the 'last' is asked for in vain."""
        if resume is None:
            return None
        if resume == "last":
            last = checkpoints.last_complete(self._directory)
            if last is None:
                say("There is no whole checkpoint to go on from, so the run starts at its beginning.")
            return last
        whole = [found for found in checkpoints.checkpoints(self._directory) if checkpoints.verified(found)]
        for checkpoint in whole:
            if str(checkpoint.step) == resume:
                return checkpoint
        steps = ", ".join(str(checkpoint.step) for checkpoint in whole) or "none"
        raise RunError(f"There is no whole checkpoint at step {resume} to go on from. Whole ones: {steps}.")

    def _forget_beyond(self, step: int, writer: MetricsWriter) -> None:
        """Set aside what earlier sessions of the run did beyond `step`, which is done again."""
        checkpoints.supersede(self._directory, step)
        resume_samples(self._directory, step)
        if not writer.is_empty:
            writer.write({"event": RESUME, "from": step})

    def _look_at_model(self, trainer: BCETrainer) -> None:
        """Record before the first step what the model is, whether it can see the future, and what its loss is worth."""
        probe = probe_future_leak(trainer.model)
        if probe.leaks:
            say("Warning: this model sees the words that it has to predict; its loss is not that of a language model.")
        facts = {
            "weights": count_weights(trainer.model),
            "model_class": type(trainer.model).__name__,
            "leak_probe": probe.as_dict(),
            "loss_probe": probe_loss(trainer),
        }
        self._store.update(self._run_id, facts=facts, device=_device_name(trainer))

    def _finish(self, trainer: BCETrainer, totals: dict[str, Any]) -> None:
        if trainer.state.global_step < trainer.state.max_steps:
            self._write_state(trainer)
            self._end("stopped", facts=self._store.record(self._run_id).facts | {"twin": self._twin})
            return
        say("Saving the model.")
        with disk_full_explained(self._directory / "model"):
            trainer.save_model(str(self._directory / "model"))
        # A pickle with this machine's paths; nothing here ever loads one.
        (self._directory / "model" / "training_args.bin").unlink(missing_ok=True)
        self._write_state(trainer)
        twin = self._twin | {"final_weights": weights_hash(self._directory / "model")}
        # Last: nothing that is drawn or computed here can be felt by the training.
        random = random_tokens_score(trainer.model)
        facts = self._store.record(self._run_id).facts | totals | {"twin": twin, "random_tokens": random}
        self._end("finished", facts=facts)

    def _write_state(self, trainer: BCETrainer) -> None:
        """The whole log in Hugging Face's own format, in the run directory."""
        scratch = self._directory / ".trainer_state.json.tmp"
        with disk_full_explained(scratch):
            trainer.state.save_to_json(str(scratch))
        write_bytes_atomically(self._directory / "trainer_state.json", scratch.read_bytes())
        scratch.unlink()

    def _end(self, status: Status, **changes: Any) -> None:
        self._drop_ballast()
        clear_stop(self._directory)
        if self._trainer is not None and self._trainer.state.max_steps:
            changes["progress"] = self._progress.of(self._trainer.state)
        self._store.transition(self._run_id, status, ended=now(), process=None, **changes)
        say(f"{status.capitalize()}.")

    def _fail(self, error: Exception) -> int:
        detail = "".join(traceback.format_exception(error))
        step = self._trainer.state.global_step if self._trainer is not None else None
        # What is half written takes room that a full disk needs, and helps nobody.
        with suppress(OSError):
            checkpoints.delete_incomplete(self._directory)
        self._drop_ballast()
        if isinstance(error, NonFiniteError) and self._trainer is not None:
            with suppress(OSError, DiskFullError):
                self._write_state(self._trainer)
        self._end("failed", failure=_failure(error, self._directory, step=step, detail=detail))
        with suppress(OSError):
            sys.stderr.write(detail)
        return 1

    def _drop_ballast(self) -> None:
        with suppress(OSError):
            (self._directory / _BALLAST).unlink(missing_ok=True)


def _failure(error: Exception, directory: Path, *, step: int | None, detail: str) -> Failure:
    """What a person reads about an error that ended a run."""
    place: dict[str, Any] = {"step": step, "detail": detail}
    if isinstance(error, NonFiniteError):
        return Failure(message=str(error), kind="non-finite", **place)
    if isinstance(error, BceError):
        return Failure(message=str(error), kind="disk" if isinstance(error, DiskFullError) else "", **place)
    for kind, whose in ((torch.OutOfMemoryError, "graphics card"), (MemoryError, "machine")):
        if isinstance(error, kind):
            message = f"The {whose}'s memory is full. Use a smaller batch, block size or model."
            return Failure(message=message, kind="memory", **place)
    if _is_disk_full(error):
        return Failure(message=_disk_full_message(directory), kind="disk", **place)
    return Failure(message=f"An unexpected error ended the run: {type(error).__name__}: {error}", **place)


# How libraries put it whose files are not written by Python; torch's writer has several ways to notice.
_DISK_FULL_WORDS = ("No space left on device", "PytorchStreamWriter failed", "inline_container", "iostream error")


def _is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind `error`; the libraries that write checkpoints wrap the system's own error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
            return True
        if any(words in str(error) for words in _DISK_FULL_WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False


def _disk_full_message(directory: Path) -> str:
    return (
        f"The disk with {directory.parent} is full, so the run was ended. The whole checkpoints saved before are good. "
        "Free some space (old runs' checkpoints are the largest files), or keep fewer checkpoints."
    )


def _device_name(trainer: BCETrainer) -> str:
    device = trainer.args.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    sys.exit(main())
