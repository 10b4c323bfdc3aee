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

import torch
from transformers.utils import logging as transformers_logging

from bcecore.config import RunConfig
from bcecore.errors import BceError, DiskFullError, NonFiniteError, RunError, StopRequested
from bcecore.files import DISK_FULL_ERRNOS, disk_full_explained, write_bytes_atomically
from bcecore.store import checkpoints
from bcecore.store.identity import own_identity
from bcecore.store.metrics import RESUME, MetricsWriter
from bcecore.store.record import Failure, Status, now
from bcecore.store.runs import STOP_REQUEST, RunStore
from bcecore.training.callbacks import LastStep, LiveLog, RunProgress, StopOnRequest, WholeCheckpoints, say
from bcecore.training.engine import TokenizedText, build_trainer, tokenized_text
from bcecore.training.models import count_weights, probe_future_leak
from bcecore.training.trainer import BCETrainer

_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy")
# Given back to a full disk, so that there is room to write down that it is full.
_BALLAST = ".ballast"
_BALLAST_BYTES = 256 * 1024


def main(argv: list[str] | None = None) -> int:
    """Carry out one run. Returns 0 if it finished or was stopped, 1 if it failed."""
    parser = argparse.ArgumentParser(prog="python -m bcecore.training.worker", description=__doc__)
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("--resume", metavar="STEP", help="go on from this checkpoint, or from the 'last' whole one")
    arguments = parser.parse_args(argv)
    transformers_logging.disable_progress_bar()
    run_directory: Path = arguments.run_directory.resolve()
    store = RunStore(run_directory.parent)
    run_id = run_directory.name
    store.update(run_id, process=own_identity(), versions=_versions())
    stop = StopOnRequest(run_directory)
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.request())
    return _Session(store, run_id, run_directory, stop).run(arguments.resume)


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
        self._trainer: BCETrainer | None = None

    def run(self, resume: str | None) -> int:
        try:
            self._train(resume)
        except StopRequested:
            self._end("stopped")
        except BceError as error:
            return self._fail(str(error), error)
        except torch.OutOfMemoryError as error:
            return self._fail("The graphics card's memory is full. Use a smaller batch, block size or model.", error)
        except MemoryError as error:
            return self._fail("The machine's memory is full. Use a smaller batch, block size or model.", error)
        except Exception as error:  # noqa: BLE001 - the last place that can say why a run ended
            if _is_disk_full(error):
                return self._fail(_disk_full_message(self._directory), error)
            return self._fail(f"An unexpected error ended the run: {type(error).__name__}: {error}", error)
        return 0

    def _train(self, resume: str | None) -> None:
        with disk_full_explained(self._directory / _BALLAST):
            (self._directory / _BALLAST).write_bytes(b"\0" * _BALLAST_BYTES)
        config = self._store.config(self._run_id)
        checkpoint = self._checkpoint(resume)
        say("Loading the text and the model.")
        text = tokenized_text(self._directory / "data", config.data.block_size)
        with MetricsWriter(self._directory / "metrics.jsonl") as writer:
            if checkpoint is not None:
                checkpoints.supersede(self._directory, checkpoint.step)
                writer.write({"event": RESUME, "from": checkpoint.step})
            trainer = self._trainer = self._build(config, text, writer)
            self._look_at_model(trainer)
            say(f"Training {self._run_id}.")
            output = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.directory))
        facts = {key: value for key, value in output.metrics.items() if key != "epoch"}
        self._finish(trainer, facts)

    def _build(self, config: RunConfig, text: TokenizedText, writer: MetricsWriter) -> BCETrainer:
        callbacks = [
            LiveLog(writer),
            LastStep(),
            self._stop,
            WholeCheckpoints(self._directory, config.logging.save_total_limit),
            RunProgress(self._store, self._run_id),
        ]
        return build_trainer(config, text, checkpoints.checkpoints_directory(self._directory), callbacks)

    def _checkpoint(self, resume: str | None) -> checkpoints.Checkpoint | None:
        if resume is None:
            return None
        whole = [checkpoint for checkpoint in checkpoints.checkpoints(self._directory) if checkpoint.complete]
        found = (
            whole[-1:] if resume == "last" else [checkpoint for checkpoint in whole if str(checkpoint.step) == resume]
        )
        if not found:
            steps = ", ".join(str(checkpoint.step) for checkpoint in whole) or "none"
            raise RunError(f"There is no whole checkpoint at step {resume} to go on from. Whole ones: {steps}.")
        return found[0]

    def _look_at_model(self, trainer: BCETrainer) -> None:
        """Record what the model is, and whether it can see the future, before it takes its first step."""
        probe = probe_future_leak(trainer.model)
        if probe.leaks:
            say("Warning: this model sees the words that it has to predict; its loss is not that of a language model.")
        facts = {
            "weights": count_weights(trainer.model),
            "model_class": type(trainer.model).__name__,
            "leak_probe": probe.as_dict(),
        }
        self._store.update(self._run_id, facts=facts, device=_device_name(trainer))

    def _finish(self, trainer: BCETrainer, totals: dict[str, Any]) -> None:
        if trainer.state.global_step < trainer.state.max_steps:
            self._write_state(trainer)
            self._end("stopped")
            return
        say("Saving the model.")
        with disk_full_explained(self._directory / "model"):
            trainer.save_model(str(self._directory / "model"))
        # A pickle with this machine's paths; nothing here ever loads one.
        (self._directory / "model" / "training_args.bin").unlink(missing_ok=True)
        self._write_state(trainer)
        facts = self._store.record(self._run_id).facts | totals
        (self._directory / STOP_REQUEST).unlink(missing_ok=True)
        self._store.transition(self._run_id, "finished", ended=now(), facts=facts, process=None)
        self._drop_ballast()
        say("Finished.")

    def _write_state(self, trainer: BCETrainer) -> None:
        """The whole log in Hugging Face's own format, in the run directory."""
        scratch = self._directory / ".trainer_state.json.tmp"
        with disk_full_explained(scratch):
            trainer.state.save_to_json(str(scratch))
        write_bytes_atomically(self._directory / "trainer_state.json", scratch.read_bytes())
        scratch.unlink()

    def _end(self, status: Status, **changes: Any) -> None:
        self._drop_ballast()
        (self._directory / STOP_REQUEST).unlink(missing_ok=True)
        self._store.transition(self._run_id, status, ended=now(), process=None, **changes)
        say(f"{status.capitalize()}.")

    def _fail(self, message: str, error: Exception) -> int:
        detail = "".join(traceback.format_exception(error))
        step = self._trainer.state.global_step if self._trainer is not None else None
        # What is half written takes room that a full disk needs, and helps nobody.
        with suppress(OSError):
            checkpoints.delete_incomplete(self._directory)
        self._drop_ballast()
        if isinstance(error, NonFiniteError) and self._trainer is not None:
            with suppress(OSError, DiskFullError):
                self._write_state(self._trainer)
        self._end("failed", failure=Failure(message=message, step=step, detail=detail))
        with suppress(OSError):
            sys.stderr.write(detail)
        return 1

    def _drop_ballast(self) -> None:
        with suppress(OSError):
            (self._directory / _BALLAST).unlink(missing_ok=True)


def _is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind `error`; the libraries that write checkpoints wrap the system's own error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
            return True
        if "No space left on device" in str(error) or "PytorchStreamWriter failed" in str(error):
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
