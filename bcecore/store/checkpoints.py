"""The checkpoints of a run: which are whole, which one comes last, and which may be deleted.

A checkpoint directory counts only once it holds the marker, which is written after everything else in it.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bcecore.files import write_bytes_atomically

MARKER = "complete"
SUPERSEDED = "superseded"
_NAME = re.compile(r"^checkpoint-(\d+)$")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint directory."""

    step: int
    directory: Path
    complete: bool


def checkpoints_directory(run_directory: Path) -> Path:
    """Where a run keeps its checkpoints."""
    return run_directory / "checkpoints"


def checkpoints(run_directory: Path) -> list[Checkpoint]:
    """All checkpoint directories of a run, whole or not, by step."""
    directory = checkpoints_directory(run_directory)
    if not directory.is_dir():
        return []
    found = []
    for entry in os.scandir(directory):
        match = _NAME.match(entry.name)
        if match and entry.is_dir():
            path = Path(entry.path)
            found.append(Checkpoint(int(match[1]), path, (path / MARKER).is_file()))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def checkpoint_steps(run_directory: Path) -> list[int]:
    """The steps of the whole checkpoints of a run, in order."""
    return [checkpoint.step for checkpoint in checkpoints(run_directory) if checkpoint.complete]


def last_complete(run_directory: Path) -> Checkpoint | None:
    """The whole checkpoint with the highest step, or None."""
    return next((checkpoint for checkpoint in reversed(checkpoints(run_directory)) if checkpoint.complete), None)


def mark_complete(checkpoint: Path) -> None:
    """Declare a checkpoint whole: sync its files, then write the marker. Raises DiskFullError."""
    for path in checkpoint.iterdir():
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    write_bytes_atomically(checkpoint / MARKER, b"")


def rotate(run_directory: Path, limit: int | None, best: int | None) -> None:
    """Delete the oldest whole checkpoints beyond `limit`; the one at step `best` and the newest whole one stay."""
    if limit is None:
        return
    whole = [checkpoint for checkpoint in checkpoints(run_directory) if checkpoint.complete]
    for checkpoint in whole[: -max(limit, 1)]:
        if checkpoint.step != best:
            # The marker goes first: a deletion that is cut short must not leave something that looks whole.
            (checkpoint.directory / MARKER).unlink(missing_ok=True)
            shutil.rmtree(checkpoint.directory)


def delete_incomplete(run_directory: Path) -> None:
    """Delete checkpoint directories that never got their marker: nothing can be resumed from them."""
    for checkpoint in checkpoints(run_directory):
        if not checkpoint.complete:
            shutil.rmtree(checkpoint.directory)


def supersede(run_directory: Path, step: int) -> None:
    """Move checkpoints beyond `step` to `superseded/`: a run that resumes from `step` will write its own."""
    for checkpoint in checkpoints(run_directory):
        if checkpoint.step > step:
            target = checkpoints_directory(run_directory) / SUPERSEDED
            target.mkdir(exist_ok=True)
            destination = target / checkpoint.directory.name
            if destination.exists():
                shutil.rmtree(destination)
            checkpoint.directory.rename(destination)
