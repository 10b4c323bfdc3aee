"""Reading and writing small files so that a crash, a full disk or a concurrent reader never sees half of one."""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bcecore.errors import DiskFullError

DISK_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}
_REPLACE_TRIES = 20
_REPLACE_WAIT_SECONDS = 0.05
_LEFTOVER_SECONDS = 60


@contextmanager
def disk_full_explained(target: Path) -> Iterator[None]:
    """Turn the operating system's "no space left" into a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        raise DiskFullError(
            f"The disk is full: {target.name} could not be written in {target.parent}. "
            "Free some space there (old runs' checkpoints are the largest files) and try again."
        ) from error


def write_bytes_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write `content` to `path` through a temporary file beside it, synced, then `os.replace`.

    A reader sees the old content or the new, never a mixture. `durable=False` skips the sync: for values that are
    rewritten all the time, where a power cut may lose the last one. Raises DiskFullError; the old content then stays.
    """
    with disk_full_explained(path), replacing(path, durable=durable) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Gives a path beside `path` to write to; what is there at the end takes the place of `path`, or after an error
    nothing is left of it. `durable` as in `write_bytes_atomically`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        _replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _replace(source: Path, target: Path) -> None:
    for attempt in range(_REPLACE_TRIES):
        try:
            source.replace(target)
            return
        except PermissionError:
            # On Windows a reader that has the target open makes this fail; it is done within milliseconds.
            if os.name != "nt" or attempt == _REPLACE_TRIES - 1:
                raise
            time.sleep(_REPLACE_WAIT_SECONDS)


def delete_leftovers(directory: Path) -> None:
    """Delete the temporary files of writers that were killed long ago; nobody takes a minute for a small file."""
    for path in directory.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                path.unlink()


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write `value` as JSON, atomically. Non-finite numbers are refused: they are not JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes_atomically(path, text.encode() + b"\n", durable=durable)


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises FileNotFoundError, or ValueError for anything that is not whole JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def expanded(name: str) -> Path:
    """The path that a person wrote, with a leading `~` made into the home folder where there is one."""
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~somebody who is not known here
        return Path(name)


def is_directory(path: Path) -> bool:
    """Whether `path` is a folder that can be looked at; false also for what is no possible path."""
    try:
        return path.is_dir()
    except OSError:  # too long a name, or a parent that may not be looked into
        return False


def directory_size(directory: Path) -> int:
    """Bytes of all files under `directory`; files that vanish meanwhile count as nothing."""
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(Path(root) / name).st_size
            except FileNotFoundError:
                continue
    return total
