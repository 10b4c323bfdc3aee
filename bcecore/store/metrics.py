"""The live log (`metrics.jsonl`): appending to it in the training process, and reading what was added elsewhere."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from bcecore.files import disk_full_explained

RESUME = "resume"

# Large enough for Arrow to use all cores, small enough not to fill the memory of a dashboard.
_PIECE_BYTES = 32 * 1024 * 1024

_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def metrics_line(values: Mapping[str, Any]) -> str:
    """One line of the live log. Numbers that are not finite become null and are named under "nonfinite"."""
    try:
        return _ENCODER.encode(values)
    except ValueError:  # not all are finite, which is too rare to look for in every line
        nonfinite = [key for key, value in values.items() if isinstance(value, float) and not math.isfinite(value)]
        line = {**values, **dict.fromkeys(nonfinite), "nonfinite": nonfinite}
        return _ENCODER.encode(line)


class MetricsWriter:
    """Appends lines to `metrics.jsonl`; every line reaches the file at once and whole.

    A half-written last line, left by a process that was killed, is ended first, so that the new lines stay readable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        size = os.fstat(self._file).st_size
        self.is_empty = size == 0
        """Whether there was nothing in the file when it was opened."""
        if size:
            os.lseek(self._file, size - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":
                os.write(self._file, b"\n")

    def write(self, values: Mapping[str, Any]) -> None:
        """Append one line. Raises DiskFullError."""
        data = metrics_line(values).encode() + b"\n"
        written = 0
        with disk_full_explained(self._path):
            try:
                while written < len(data):
                    written += os.write(self._file, data[written:])
            except OSError:
                # Half a line would swallow the one after it.
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
                raise

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MetricsTail:
    """Reads `metrics.jsonl` in pieces: each call gives the whole lines that were added since the one before.

    An unfinished last line waits for its end. A file that shrank or was replaced is read again from its start, after
    `reset` was set to tell the caller.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode: int | None = None
        self.reset = False

    def read(self) -> Iterator[dict[str, Any]]:
        """The records added since the last call; lines that are not JSON objects are passed over."""
        for piece in self.pieces():
            for line in bytes(piece).splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record

    def pieces(self) -> Iterator[memoryview]:
        """The lines added since the last call, in pieces of some megabytes that end where a line ends."""
        self.reset = False
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            status = os.fstat(file.fileno())
            if self._inode not in (None, status.st_ino) or status.st_size < self._offset:
                self._offset = 0
                self.reset = True
            self._inode = status.st_ino
            file.seek(self._offset)
            rest = b""
            while piece := file.read(_PIECE_BYTES):
                data = rest + piece
                end = data.rfind(b"\n") + 1
                rest = data[end:]
                if end:
                    self._offset += end
                    yield memoryview(data)[:end]
