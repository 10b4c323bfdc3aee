"""How soon a run starts: `python -m bcecore bench launch`.

From the press of the button to the first logged step, with a supervisor at work and a warm parent ready, over what it
takes to load torch and transformers alone. Both are measured in alternating rounds; the result is the median of the
rounds' ratios.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bcecore.jobs import control
from bcecore.recipes import load_recipe
from tests.benchmarks.world import World

ROUNDS = 10
BUDGET = 0.4
_RECIPE = "quick-look"


def run(rounds: int | None = None) -> dict[str, Any]:
    """Measure; returns what the command prints. Times are in seconds."""
    warm: list[float] = []
    cold: list[float] = []
    with tempfile.TemporaryDirectory() as scratch, World(Path(scratch), slots=1, threads=None) as world:
        _first_step(world)  # the first one waits for the warm parent
        for number in range(rounds or ROUNDS):
            # Who goes first alternates, so that neither always has the cooler processor.
            if number % 2:
                warm.append(_first_step(world))
            cold.append(_imports())
            if not number % 2:
                warm.append(_first_step(world))
        left = world.close()
    ratios = [ours / theirs for ours, theirs in zip(warm, cold, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "bench": "launch",
        "what": f"submit to first logged step ({_RECIPE}, warm) over `python -c 'import torch, transformers'`, cold",
        "ratio": round(ratio, 3),
        "ratios": [round(value, 3) for value in ratios],
        "warm_seconds": round(statistics.median(warm), 3),
        "cold_seconds": round(statistics.median(cold), 3),
        "budget": BUDGET,
        "met": ratio <= BUDGET and not left,
    }


def _first_step(world: World) -> float:
    """Seconds from the launch of a run to its first logged step; the run is stopped then."""
    config = load_recipe(_RECIPE).config
    began = time.monotonic()
    run_id = control.launch(world.store, config, name="launched", recipe=_RECIPE)
    world.wait(lambda: world.last_step(run_id) >= 1, f"the first step of {run_id}")
    seconds = time.monotonic() - began
    control.stop(world.store, run_id, save=False)
    world.wait_for_end(run_id)
    return seconds


def _imports() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch, transformers"], check=True)
    return time.monotonic() - began
