"""New runs made from earlier ones: a finished run trained further or once more, a copy with changes, another try."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bcecore.config import SAMPLE_TEXT, RunConfig
from bcecore.errors import ConfigError, Problem, RunError
from bcecore.files import disk_full_explained
from bcecore.jobs.election import wake
from bcecore.settings import with_values
from bcecore.store.checkpoints import Checkpoint, checkpoints_directory, last_complete
from bcecore.store.record import RunRecord
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore


def clone_config(store: RunStore, run_id: str) -> RunConfig:
    """A run's settings for another run: where its text file is gone, its own copy of the lines takes the place.

    Raises RunError if the settings cannot be read.
    """
    config = store.config(run_id)
    data = store.directory(run_id) / "data"
    files = [name for name in (config.data.train_file, config.data.validation_file) if name not in (None, SAMPLE_TEXT)]
    if all(Path(str(name)).is_file() for name in files):
        return config
    changes: dict[str, Any] = {"data.train_file": str(data / "train.jsonl"), "data.column": "text"}
    if config.data.holds_out:
        changes |= {"data.validation": "file", "data.validation_file": str(data / "validation.jsonl")}
    else:
        changes["data.validation_file"] = None
    return with_values(config, changes)


def extended_config(config: RunConfig, epochs: float | None, steps: int | None) -> RunConfig:
    """The settings of a run with so many more epochs, or steps. Raises ConfigError if they cannot be.

    The learning-rate schedule is that of the whole longer run, as if it had been planned so from the start.
    """
    if (epochs is None) == (steps is None):
        raise RunError("Say how much further to train: a number of epochs, or a number of steps.")
    if epochs is not None:
        if epochs <= 0:
            raise ConfigError([Problem("training.epochs", epochs, "the number of further epochs has to be above 0.")])
        if config.training.max_steps:
            raise RunError("This run's length was set in steps. Extend it by steps.")
        return with_values(config, {"training.epochs": config.training.epochs + epochs})
    assert steps is not None
    if steps <= 0:
        raise ConfigError([Problem("training.max_steps", steps, "the number of further steps has to be above 0.")])
    if not config.training.max_steps:
        raise RunError("This run's length was set in epochs. Extend it by epochs.")
    return with_values(config, {"training.max_steps": config.training.max_steps + steps})


def extend(
    store: RunStore, run_id: str, *, epochs: float | None = None, steps: int | None = None, name: str | None = None
) -> str:
    """Train a finished run further, as a new run that begins from its last checkpoint; returns the new run's id.

    Raises RunError if the run is not finished or its checkpoint is gone, ConfigError for an impossible length.
    """
    parent = store.record(run_id)
    if parent.status != "finished":
        instead = "resume it instead" if parent.is_over else "wait until it is finished"
        raise RunError(f"Run {run_id} is {parent.status}. Only a finished run can be extended; {instead}.")
    config = extended_config(store.config(run_id), epochs, steps)
    checkpoint = last_complete(store.directory(run_id))
    if checkpoint is None:
        raise RunError(f"Run {run_id} has no whole checkpoint any more from which it could be trained further.")

    def fill(directory: Path) -> None:
        source = store.directory(run_id)
        _copy(source / "data", directory / "data")
        _copy(checkpoint.directory, checkpoints_directory(directory) / checkpoint.directory.name)
        _copy_log(source / "metrics.jsonl", directory / "metrics.jsonl", checkpoint)

    new = store.create(
        config,
        follow_up_name(parent.name, "extended") if name is None else name,
        fill,
        recipe=parent.recipe,
        dataset=parent.dataset,
        tags=parent.tags,
        parent=run_id,
        resume_from=str(checkpoint.step),
    )
    wake(store)
    return new


def repeat(store: RunStore, run_id: str, *, name: str | None = None) -> str:
    """Train a finished run once more with the same settings and lines, to see whether it ends the same.

    Returns the new run's id. Raises RunError for a run that was not trained here from its first step to its last.
    """
    first = store.record(run_id)
    if first.status != "finished":
        raise RunError(
            f"Run {run_id} is {first.status}. Only a run that was trained here to its end can be repeated: there is "
            "nothing yet to compare the repeat with."
        )
    if first.parent is not None:
        raise RunError(f"Run {run_id} was trained further from run {first.parent}. Repeat that one, and extend it.")
    if (first.facts.get("twin") or {}).get("final_weights") is None:
        raise RunError(f"Run {run_id} did not record how it ended, so a repeat could not be compared with it.")
    new = store.create(
        store.config(run_id),
        follow_up_name(first.name, "repeated") if name is None else name,
        lambda directory: _copy(store.directory(run_id) / "data", directory / "data"),
        recipe=first.recipe,
        dataset=first.dataset,
        tags=first.tags,
        repeat_of=run_id,
    )
    wake(store)
    return new


def follow_up_name(name: str, word: str) -> str:
    """`NAME, WORD`, with the name cut off where it would be too long."""
    return f"{name[: MAX_NAME_CHARACTERS - len(word) - 2]}, {word}"


def suggested_changes(record: RunRecord, config: RunConfig) -> Mapping[str, Any]:
    """Changes of settings with which a failed run may do better; empty where its failure suggests none."""
    if record.status != "failed" or record.failure is None:
        return {}
    kind, training = record.failure.kind, config.training
    if kind == "non-finite":
        return {"training.learning_rate": float(f"{training.learning_rate / 10:.3g}")}
    if kind == "memory" and training.batch_size > 1:
        # As many examples a step as before, in smaller portions.
        return {
            "training.batch_size": training.batch_size // 2,
            "training.gradient_accumulation_steps": training.gradient_accumulation_steps * 2,
        }
    if kind == "disk" and config.logging.save_total_limit != 1:
        return {"logging.save_total_limit": 1}
    return {}


def _copy(source: Path, target: Path) -> None:
    """A folder and all in it; shutil.copytree would hide that the disk is full."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_dir():
            _copy(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)


def _copy_log(source: Path, target: Path, checkpoint: Checkpoint) -> None:
    """The log up to the checkpoint, so that the new run's charts begin at the first step."""
    if not source.is_file():
        return
    with (
        disk_full_explained(target),
        source.open(encoding="utf-8") as lines,
        target.open("w", encoding="utf-8") as copy,
    ):
        for line in lines:
            try:
                step = json.loads(line).get("step", 0)
            except (ValueError, AttributeError):
                continue
            if step <= checkpoint.step:
                copy.write(line)
