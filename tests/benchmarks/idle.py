"""What a supervisor costs that has nothing to do: `python -m bcecore bench idle`, on Linux.

The processor time of the supervisor and of the warm parent that it keeps, as a share of one core, and their memory.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bcecore.jobs import devices
from tests.benchmarks.world import World, command_line

SECONDS = 60
BUDGET = 0.005
_SETTLED_SECONDS = 3.0


def run(rounds: int | None = None, *, seconds: float = SECONDS) -> dict[str, Any]:
    """Measure for so many `seconds`, `rounds` (default 1) times; returns what the command prints."""
    with tempfile.TemporaryDirectory() as scratch, World(Path(scratch), slots=1, threads=None) as world:
        world.supervise()
        _settle(world)
        processes = world.processes()
        shares = [_share(processes, seconds) for _ in range(rounds or 1)]
        memory = {_name(process): round(process.memory_info().rss / 1e6, 1) for process in processes}
        left = world.close()
    return {
        "bench": "idle",
        "what": "processor time of an idle supervisor and its warm parent, as a share of one core",
        "share": round(max(shares), 5),
        "shares": [round(share, 5) for share in shares],
        "seconds": seconds,
        "resident_mb": memory,
        "budget": BUDGET,
        "met": max(shares) <= BUDGET and not left,
    }


def _settle(world: World) -> None:
    """Wait until the supervisor has found the devices, and its warm parent has loaded everything."""
    world.wait(lambda: devices.found(world.store) is not None, "the devices")
    world.wait(lambda: len(world.processes()) == 2, "a supervisor and its warm parent")
    processes = world.processes()
    while _share(processes, _SETTLED_SECONDS) > 10 * BUDGET:
        continue


def _share(processes: list[psutil.Process], seconds: float) -> float:
    """Processor time of the processes within the next seconds, as a share of one core."""
    before = _processor_seconds(processes)
    began = time.monotonic()
    time.sleep(seconds)
    return (_processor_seconds(processes) - before) / (time.monotonic() - began)


def _processor_seconds(processes: list[psutil.Process]) -> float:
    return float(sum(times.user + times.system for times in (process.cpu_times() for process in processes)))


def _name(process: psutil.Process) -> str:
    return "supervisor" if "supervise" in command_line(process) else "warm parent"
