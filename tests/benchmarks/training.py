"""Training speed against the budgets: `python -m bcecore bench train|user|regularizer|live-log`.

Two variants train the same model on the same text, each in a process of its own with its own environment, in many short
alternating rounds (`pairs`).
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from bcecore.jobs.local import ALLOCATOR_ENVIRONMENT, THREAD_ENVIRONMENT
from tests.benchmarks.pairs import Process, in_turns, machine, ratio_of

ROUNDS = 80
# Long enough that waking up after the other's turn does not count, short enough that both meet the same disturbances.
STEPS_A_ROUND = 25


@dataclass(frozen=True)
class Variant:
    """One way to train: what `training_worker` is told, and whether memory is kept between steps."""

    name: str
    keeps_memory: bool = True


@dataclass(frozen=True)
class Benchmark:
    """The pace of `ours` over that of `other`, and the least it has to be."""

    ours: Variant
    other: Variant
    budget: float
    says: str


BENCHMARKS = {
    "train": [
        Benchmark(
            Variant("seed"),
            Variant("plain"),
            0.97,
            "BCE on (seed profile, live log and progress as in a real run) over the plain Trainer, same allocator",
        )
    ],
    "user": [
        Benchmark(
            Variant("seed"),
            Variant("plain-stock", keeps_memory=False),
            1.2,
            "BCE on (seed profile) as the product starts it, over the plain Trainer as a user starts it, progress bar "
            "and printed records included",
        )
    ],
    "regularizer": [
        Benchmark(Variant("seed"), Variant("off"), 0.97, "seed profile over BCE off"),
        Benchmark(Variant("active"), Variant("off"), 0.94, "active profile over BCE off"),
    ],
    "live-log": [Benchmark(Variant("seed"), Variant("seed-no-log"), 0.98, "with the live log over without")],
}


def process(variant: Variant) -> Process:
    """A training process that does one round of steps each time it is asked."""
    settings: dict[str, str] = {}
    if variant.keeps_memory:
        settings |= ALLOCATOR_ENVIRONMENT
    if not variant.name.startswith("plain"):
        settings |= THREAD_ENVIRONMENT
    return Process("training_worker", [variant.name, str(STEPS_A_ROUND)], settings)


def _steps_per_second(process: Process, _number: int) -> float:
    return STEPS_A_ROUND / float(process.ask("go"))


def run(name: str, rounds: int | None = None) -> dict[str, Any]:
    """Measure one of BENCHMARKS; returns what the command prints."""
    return {
        "bench": name,
        "machine": machine(),
        "model": "bert-tiny configuration, 30,522 words, batch 1, logging every step",
        "results": [_measure(benchmark, rounds or ROUNDS) for benchmark in BENCHMARKS[name]],
    }


def _measure(benchmark: Benchmark, rounds: int) -> dict[str, Any]:
    with process(benchmark.ours) as our_process, process(benchmark.other) as other_process:
        ours, other = in_turns(our_process, other_process, rounds, _steps_per_second)
    measured = ratio_of(ours, other)
    return {
        "what": benchmark.says,
        **measured,
        "budget": benchmark.budget,
        "met": measured["ratio"] >= benchmark.budget,
        "steps_a_round": STEPS_A_ROUND,
        "steps_per_second": {
            benchmark.ours.name: round(statistics.median(ours), 2),
            benchmark.other.name: round(statistics.median(other), 2),
        },
    }
