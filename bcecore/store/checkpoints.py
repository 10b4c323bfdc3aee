"""The checkpoints of a run: which are whole, which one comes last, and which may be deleted.

A checkpoint directory counts only once it holds the marker, which is written after everything else in it and lists
every file with its size: a file that was cut off since, by a full disk or a crash of the machine, gives itself away.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bcecore.files import read_json, write_json
from bcecore.store.evaluations import awaited_steps

MARKER = "complete"
STATE_FILE = "trainer_state.json"
SUPERSEDED = "superseded"
_NAME = re.compile(r"^checkpoint-(\d+)$")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint directory."""

    step: int
    directory: Path
    complete: bool
    """Whether it got its marker and every file has the size that the marker says; `verified` looks closer."""


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
            found.append(Checkpoint(int(match[1]), path, _has_all_files(path)))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def _has_all_files(checkpoint: Path) -> bool:
    try:
        content = (checkpoint / MARKER).read_bytes()
        # An empty marker is from before it listed the files.
        sizes: dict[str, int] = json.loads(content) if content else {}
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (FileNotFoundError, ValueError, AttributeError):  # no marker or file, or a marker that is damaged itself
        return False


def checkpoint_steps(run_directory: Path) -> list[int]:
    """The steps of the whole checkpoints of a run, in order."""
    return [checkpoint.step for checkpoint in checkpoints(run_directory) if checkpoint.complete]


def verified(checkpoint: Checkpoint) -> bool:
    """Whether a run can go on from this checkpoint: it is complete and what it says of its run can be read.

    Reads a file that grows with the run; `complete` is enough where nothing depends on it.
    """
    if not checkpoint.complete:
        return False
    try:
        read_json(checkpoint.directory / STATE_FILE)
    except (FileNotFoundError, ValueError):
        return False
    return True


def last_complete(run_directory: Path) -> Checkpoint | None:
    """The verified checkpoint with the highest step, or None."""
    return next(filter(verified, reversed(checkpoints(run_directory))), None)


def mark_complete(checkpoint: Path) -> None:
    """Declare a checkpoint whole: sync its files, then write the marker. Raises DiskFullError."""
    sizes = {}
    for path in sorted(checkpoint.iterdir()):
        if path.is_file() and path.name != MARKER:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
                sizes[path.name] = os.fstat(file.fileno()).st_size
    write_json(checkpoint / MARKER, sizes)


def rotate(run_directory: Path, limit: int | None, best: int | None) -> None:
    """Delete the oldest whole checkpoints beyond `limit`.

    The one at step `best` stays, and so does the newest that a run can go on from, which need not be the newest. Those
    that an evaluation waits for stay until the next time.
    """
    if limit is None:
        return
    whole = [checkpoint for checkpoint in checkpoints(run_directory) if checkpoint.complete]
    old = whole[: -max(limit, 1)]
    if not old:
        return
    last, awaited = last_complete(run_directory), awaited_steps(run_directory)
    for checkpoint in old:
        if checkpoint.step != best and checkpoint != last and checkpoint.step not in awaited:
            # The marker goes first: a deletion that is cut short must not leave something that looks whole.
            (checkpoint.directory / MARKER).unlink(missing_ok=True)
            shutil.rmtree(checkpoint.directory)


def delete_incomplete(run_directory: Path) -> None:
    """Delete checkpoint directories that never got their marker: nothing can be resumed from them."""
    for checkpoint in checkpoints(run_directory):
        if not (checkpoint.directory / MARKER).is_file():
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
