"""What a folder with a model's weights holds, as one hash: of the numbers, not of the files.

The order of a file's header, its metadata and the division into several files make no difference; one bit of one
weight does. Reads safetensors (https://github.com/huggingface/safetensors, "Format") itself, without torch: the page
that shows that two runs ended with the same weights must not need it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bcecore.errors import RunError

_PIECE_BYTES = 4 * 1024 * 1024
_MAX_HEADER_BYTES = 100 * 1024 * 1024  # the format's own limit


def tensors_hash(tensors: Iterable[tuple[str, str, list[int], Iterable[Any]]]) -> str:
    """SHA-256 over tensors as (name, number format, shape, pieces of their bytes), which have to come by name.

    What stands before the bytes says how many there are, so that no two different lists look alike.
    """
    digest = hashlib.sha256()
    for name, number_format, shape, pieces in tensors:
        digest.update(json.dumps([name, number_format, shape]).encode() + b"\n")
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()


def weights_hash(directory: Path) -> str:
    """SHA-256 of the model's weights in `directory`: a final model or a checkpoint, whose BCE memory is not among them.

    Raises RunError for a folder without such files, or with one that is damaged.
    """
    found: dict[str, tuple[Path, int, dict[str, Any]]] = {}
    for path in sorted(directory.glob("model*.safetensors")):
        start, header = _header(path)
        found |= {name: (path, start, entry) for name, entry in header.items() if name != "__metadata__"}
    if not found:
        raise RunError(f"There are no weights (model*.safetensors) in {directory}.")
    return tensors_hash(
        (name, entry["dtype"], entry["shape"], _pieces(path, start, *entry["data_offsets"]))
        for name, (path, start, entry) in sorted(found.items())
    )


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the numbers of a safetensors file begin, and what its header says of each tensor."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length:,} bytes")
            header = json.loads(file.read(length))
        end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        size = path.stat().st_size
        if size != 8 + length + end:
            raise ValueError(f"{size:,} bytes instead of {8 + length + end:,}")
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"The weights in {path} are damaged and cannot be read: {error}") from error
    return 8 + length, header


def _pieces(path: Path, start: int, first: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start + first)
        left = end - first
        while left:
            piece = file.read(min(left, _PIECE_BYTES))
            if not piece:
                raise RunError(f"The weights in {path} ended while they were read.")
            left -= len(piece)
            yield piece
