"""The end of a process's output (`train.log`), without reading all of it."""

from __future__ import annotations

from pathlib import Path

_BYTES_PER_LINE = 400


def log_tail(path: Path, lines: int) -> list[str]:
    """The last `lines` lines; empty if there is no file yet.

    Of a line that was written over in place, as progress bars do, only what it showed last is kept.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - lines * _BYTES_PER_LINE))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.removesuffix("\n").split("\n")]
    if size > lines * _BYTES_PER_LINE and len(shown) > 1:
        shown = shown[1:]  # reading began in the middle of it
    return shown[-lines:] if text else []
