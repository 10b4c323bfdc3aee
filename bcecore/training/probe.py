"""Measures what `jobs.estimate` needs: `python -m bcecore.training.probe RUN_DIRECTORY RESULT.json`.

Takes a few real steps, one evaluation and one checkpoint of a run that was made for this, and deletes that run.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from transformers import TrainerCallback

from bcecore.errors import BceError
from bcecore.files import directory_size, read_json, write_json
from bcecore.settings import parse_config, with_values
from bcecore.store.metrics import MetricsWriter
from bcecore.training.callbacks import LiveLog
from bcecore.training.engine import build_trainer, tokenized_text
from bcecore.training.models import count_weights

# Enough for the first slow steps to be over and to see short and long texts.
_WARM_UP_STEPS = 5
_STEPS = 40
_SECONDS = 8.0


class _Pace(TrainerCallback):
    """Times steps, and ends training when enough of them were seen."""

    def __init__(self) -> None:
        self._began = self._last = 0.0
        self.first_seconds = 0.0
        """What the first steps took, in which buffers are made and code is loaded."""
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Counted from here to here, so that what the Trainer does between two steps is included.
        moment = time.perf_counter()
        if state.global_step == 0:
            self._began = moment
        elif state.global_step == _WARM_UP_STEPS:
            self.first_seconds = moment - self._began
        if state.global_step > _WARM_UP_STEPS:
            self.seconds.append(moment - self._last)
        self._last = moment
        if sum(self.seconds) > _SECONDS:
            control.should_training_stop = True


def main(argv: list[str] | None = None) -> int:
    """Measure, write the result and delete the run. Returns 1, after one line on standard error, if that fails."""
    parser = argparse.ArgumentParser(prog="python -m bcecore.training.probe", description=__doc__)
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args(argv)
    try:
        write_json(arguments.result, measure(arguments.run_directory))
    except BceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        shutil.rmtree(arguments.run_directory, ignore_errors=True)
    return 0


def measure(directory: Path) -> dict[str, float]:
    """The numbers of a `jobs.estimate.Probe` for a run that was submitted but not started. Raises BceError."""
    config = with_values(
        parse_config(read_json(directory / "config.json")),
        {
            "training.max_steps": _WARM_UP_STEPS + _STEPS + 1,
            "training.warmup_steps": 0,
            "bce.warmup_steps": 0,
            "logging.save_steps": 10**9,
            "logging.eval_steps": 10**9,
            "logging.report_to": (),
        },
    )
    text = tokenized_text(directory / "data", config.data.block_size)
    pace = _Pace()
    with MetricsWriter(directory / "metrics.jsonl") as writer:
        trainer = build_trainer(config, text, directory / "checkpoints", [pace, LiveLog(writer)])
        startup = time.time() - psutil.Process().create_time()
        trainer.train()
        first_evaluation, evaluation = _twice(trainer.evaluate) if text.validation else (0.0, 0.0)
        first_checkpoint, checkpoint = _twice(lambda: trainer._save_checkpoint(trainer.model, None))
    saved = directory / "checkpoints" / f"checkpoint-{trainer.state.global_step}"
    saving_model = _seconds(lambda: trainer.save_model(str(directory / "model")))
    # Not the mean, which one disturbance of a machine that does other things too would move far.
    step = statistics.median(pace.seconds)
    once = pace.first_seconds - _WARM_UP_STEPS * step + first_evaluation - evaluation + first_checkpoint - checkpoint
    return {
        "startup_seconds": startup + max(once, 0.0) + saving_model,
        "seconds_per_step": step,
        "seconds_per_evaluation": evaluation,
        "seconds_per_checkpoint": checkpoint,
        "checkpoint_bytes": directory_size(saved),
        "model_bytes": directory_size(directory / "model"),
        "weights": count_weights(trainer.model),
    }


def _twice(work: Any) -> tuple[float, float]:
    """The first time and any later time: the first pays for what is loaded and prepared once."""
    return _seconds(work), _seconds(work)


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
