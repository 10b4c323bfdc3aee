"""Letting saved checkpoints of a run write: what was asked for, and how far it is. What they wrote are samples.

Two small files in the run's folder: one of whoever asks, one of the process that does it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bcecore.files import read_json, write_json
from bcecore.store.identity import ProcessIdentity

PROMPTS_FILE = "generation-prompts.txt"
"""One beginning a line."""
LOG_FILE = "generation.log"
_ASKED_FILE = "generation.json"
_PROGRESS_FILE = "generation-progress.json"


class Asked(BaseModel):
    """What was asked for last."""

    model_config = ConfigDict(frozen=True)

    steps: tuple[int, ...]
    prompts: int
    at: datetime
    process: ProcessIdentity | None
    """Whom it was given to; None if that one was gone at once."""


class Progress(BaseModel):
    """How far the process is."""

    model_config = ConfigDict(frozen=True)

    done: int
    """Texts that are written."""
    total: int
    ended: bool = False
    error: str = ""
    """Why it ended early, in a sentence."""


def read_asked(run_directory: Path) -> Asked | None:
    """What was asked for last; None if nothing was, or it cannot be read."""
    try:
        return Asked.model_validate(read_json(run_directory / _ASKED_FILE))
    except (OSError, ValueError):
        return None


def write_asked(run_directory: Path, asked: Asked) -> None:
    """Note what was asked for. Raises DiskFullError."""
    write_json(run_directory / _ASKED_FILE, asked.model_dump(mode="json"))


def read_progress(run_directory: Path) -> Progress | None:
    """How far the process is; None before it has begun."""
    try:
        return Progress.model_validate(read_json(run_directory / _PROGRESS_FILE))
    except (OSError, ValueError):
        return None


def write_progress(run_directory: Path, progress: Progress) -> None:
    """Say how far it is. Raises DiskFullError."""
    write_json(run_directory / _PROGRESS_FILE, progress.model_dump(mode="json"), durable=False)


def forget_progress(run_directory: Path) -> None:
    """Before a new process begins: what the one before did is not its own."""
    (run_directory / _PROGRESS_FILE).unlink(missing_ok=True)
