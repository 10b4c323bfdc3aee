"""What other processes ask a run's process to do: small files in the run directory, looked for after every step."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bcecore.files import write_bytes_atomically

STOP_REQUEST = "stop.request"
SAVE_REQUEST = "save.request"
EVALUATE_REQUEST = "evaluate.request"
SAMPLE_REQUEST = "sample.request"


class StopRequest(BaseModel):
    """Somebody wants the run to end: with a checkpoint (`save`), or without (`now`)."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["save", "now"] = "save"
    at: datetime | None = None
    killed: bool = False
    """Whether the process was ended by force since, because it did not follow."""


def read_stop(run_directory: Path) -> StopRequest | None:
    """The request to stop, or None. A file that cannot be understood still means: save and stop."""
    try:
        content = (run_directory / STOP_REQUEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return StopRequest.model_validate_json(content)
    except ValidationError:
        return StopRequest()


def write_stop(run_directory: Path, request: StopRequest) -> None:
    """Ask the run's process to stop; a later request replaces an earlier one. Raises DiskFullError."""
    write_bytes_atomically(run_directory / STOP_REQUEST, request.model_dump_json().encode())


def clear_stop(run_directory: Path) -> None:
    """Take back the request to stop, if there is one."""
    (run_directory / STOP_REQUEST).unlink(missing_ok=True)


def ask(run_directory: Path, name: str) -> None:
    """Leave the request `name`. Asking twice before it is taken is asking once."""
    (run_directory / name).touch()


def take(run_directory: Path, name: str) -> bool:
    """Remove the request `name`; True if it was there."""
    try:
        (run_directory / name).unlink()
    except FileNotFoundError:
        return False
    return True
