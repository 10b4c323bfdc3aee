"""Writes down which devices torch can use here: `python -m bcecore.training.devices RESULT.json`."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

from bcecore.files import write_json
from bcecore.store.identity import current_boot


def devices() -> list[dict[str, Any]]:
    """The kind, name and memory (bytes) of every device, the processor last."""
    there: list[dict[str, Any]] = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(number)
            there.append({"kind": "cuda", "name": properties.name, "memory_bytes": properties.total_memory})
    if torch.backends.mps.is_available():
        there.append({"kind": "mps", "name": "Apple GPU", "memory_bytes": None})
    name = f"{psutil.cpu_count() or 1} processor cores ({platform.machine()})"
    there.append({"kind": "cpu", "name": name, "memory_bytes": psutil.virtual_memory().total})
    return there


if __name__ == "__main__":
    write_json(Path(sys.argv[1]), {"boot": current_boot(), "devices": devices()})
