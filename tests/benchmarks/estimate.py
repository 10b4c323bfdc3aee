"""How well a run's time and disk are foreseen: `python -m bcecore bench estimate`.

Probes `quick-look` as the Launch page does, then runs it, several times; the estimate should be within 30%.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bcecore.files import directory_size
from bcecore.jobs import estimate, local
from bcecore.jobs.submit import check, submit
from bcecore.recipes import load_recipe
from bcecore.store.runs import RunStore

ROUNDS = 3
BUDGET = 0.3


def run(rounds: int | None = None) -> dict[str, Any]:
    """Measure; returns what the command prints. Times are in seconds, sizes in bytes."""
    pairs = [_one_round() for _ in range(rounds or ROUNDS)]
    errors: list[float] = [foreseen / real - 1 for foreseen, real, *_ in pairs]
    largest = max(abs(error) for error in errors)
    return {
        "bench": "estimate",
        "recipe": "quick-look",
        "rounds": [
            {"estimated": round(foreseen, 2), "real": round(real, 2), "estimated_disk": disk, "real_disk": real_disk}
            for foreseen, real, disk, real_disk in pairs
        ],
        "median_error": round(statistics.median(errors), 3),
        "largest_error": round(largest, 3),
        "budget": BUDGET,
        "met": largest <= BUDGET,
    }


def _one_round() -> tuple[float, float, int, int]:
    config = load_recipe("quick-look").config
    with tempfile.TemporaryDirectory() as scratch:
        store = RunStore(Path(scratch))
        checked = check(config)
        estimate.start_probe(store, checked)
        while (foreseen := estimate.estimate(store, checked)) is None:
            failure = estimate.probe_failure(store, checked)
            if failure is not None:
                raise RuntimeError(failure)
            time.sleep(0.1)
        began = time.monotonic()
        run_id = submit(store, config, name="real")
        local.start(store, run_id)
        while not (record := local.reconciled(store, store.record(run_id))).is_over:
            time.sleep(0.05)
        real = time.monotonic() - began
        if record.status != "finished":
            raise RuntimeError(f"the run is {record.status}: {record.failure}")
        directory = store.directory(run_id)
        size = directory_size(directory / "checkpoints") + directory_size(directory / "model")
        return foreseen.seconds, real, foreseen.disk_bytes, size
