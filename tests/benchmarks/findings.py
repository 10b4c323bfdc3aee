"""What it costs to look a run over (`python -m bcecore bench findings`): each part of PARTS measures one thing."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bcecore.findings.live import LiveRules
from bcecore.store.history import History
from bcecore.store.metrics import MetricsWriter
from tests.benchmarks.many_lines import run as measure_many_lines
from tests.benchmarks.pairs import machine
from tests.benchmarks.training import STEPS_A_ROUND, Variant, process
from tests.examples import example_config, training_lines

ROUNDS = 8
ROWS = 2_000
"""Rows of the log that grows; more than an ordinary run of the recipe has."""
LONG_ROWS = 200_000
PAGE_SECONDS = 2.0
BUDGET = 0.01
"""Of a training step, for each logged step."""


def live_rules(rounds: int, *, rows: int = ROWS, long_rows: int = LONG_ROWS) -> dict[str, Any]:
    """The rules over rows: seconds for each logged step, over those of a training step of the bert-tiny recipe.

    The log has what a run with the active profile logs at every step. It is looked at every two seconds, as pages do,
    which is what the budget is about; and after every row, which no page does, to show what a look costs at least. Each
    time only the look itself is timed, in turns with rounds of real training steps. A long log is read in one piece as
    well, as when a page is opened.
    """
    steps: list[float] = []
    single: list[float] = []
    pieces: list[float] = []
    with process(Variant("active")) as training:
        training.ask("go")  # imports and warm-up
        for _ in range(rounds):
            steps.append(float(training.ask("go")) / STEPS_A_ROUND)
            single.append(_seconds_a_row(rows // 5, 1))
            pieces.append(_seconds_a_row(rows, max(1, round(PAGE_SECONDS / steps[-1]))))
    shares = {
        "after_every_row": [a / b for a, b in zip(single, steps, strict=True)],
        "every_two_seconds": [a / b for a, b in zip(pieces, steps, strict=True)],
    }
    return {
        "what": "all rules over rows, for each logged step, over a training step (active profile, batch 1)",
        "share": {name: round(statistics.median(found), 5) for name, found in shares.items()},
        "budget": BUDGET,
        "met": statistics.median(shares["every_two_seconds"]) <= BUDGET,
        "rounds": rounds,
        "training_step_ms": round(1000 * statistics.median(steps), 3),
        "row_us": {
            "after_every_row": round(1e6 * statistics.median(single), 2),
            "every_two_seconds": round(1e6 * statistics.median(pieces), 2),
            "in_one_piece": round(1e6 * _seconds_a_row(long_rows, long_rows), 2),
        },
        "rows": {"after_every_row": rows // 5, "every_two_seconds": rows, "in_one_piece": long_rows},
    }


def many_lines(_: int) -> dict[str, Any]:
    """Overlap and copies among a million lines, once; see `tests.benchmarks.many_lines`."""
    return measure_many_lines()


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {"live_rules": live_rules, "many_lines": many_lines}
"""Each part by its name; it is given the number of rounds, and its result says with `met` whether its budget is."""


def run(rounds: int | None = None) -> dict[str, Any]:
    """Measure all parts; returns what the command prints."""
    results = {name: part(rounds or ROUNDS) for name, part in PARTS.items()}
    return {
        "bench": "findings",
        "machine": machine(),
        "results": results,
        "met": all(result["met"] for result in results.values()),
    }


def _seconds_a_row(rows: int, piece: int) -> float:
    """Seconds for each row when the rules look at a log of so many, this many of them new each time."""
    with tempfile.TemporaryDirectory(prefix="bce-bench-") as name:
        directory = Path(name)
        history, rules, seconds = History(directory), LiveRules("run", example_config()), 0.0
        lines = [
            line | {"bce_cosine_distance": 0.1, "bce_spread": 0.2}
            for line in training_lines(example_config(), range(1, rows + 1), rows)
        ]
        with MetricsWriter(directory / "metrics.jsonl") as writer:
            for start in range(0, rows, piece):
                for line in lines[start : start + piece]:
                    writer.write(line)
                history.refresh()
                began = time.perf_counter()
                rules.look(history)
                seconds += time.perf_counter() - began
        return seconds / rows
