"""Training speed against the budgets: `python -m bcecore bench train|user|regularizer|live-log`.

Two variants train the same model on the same text, each in a process of its own with its own environment, in many short
alternating rounds; one waits while the other works. The result is the median of the rounds' ratios, so that a machine
that is busy with something else for a while hurts both.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bcecore.jobs.local import ALLOCATOR_ENVIRONMENT, THREAD_ENVIRONMENT

ROUNDS = 80
# Long enough that waking up after the other's turn does not count, short enough that both meet the same disturbances.
STEPS_A_ROUND = 25
_REPOSITORY = Path(__file__).parent.parent.parent


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


class Process:
    """A training process that does one round of steps each time it is asked."""

    def __init__(self, variant: Variant) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GOMP_", "GLIBC_"))}
        if variant.keeps_memory:
            environment |= ALLOCATOR_ENVIRONMENT
        if not variant.name.startswith("plain"):
            environment |= THREAD_ENVIRONMENT
        environment |= {"TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(_REPOSITORY)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.training_worker", variant.name, str(STEPS_A_ROUND)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_REPOSITORY,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def pace(self) -> float:
        """Steps per second of one round."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the training process ended with status {self._process.wait()}")
        return STEPS_A_ROUND / float(line)


def run(name: str, rounds: int | None = None) -> dict[str, Any]:
    """Measure one of BENCHMARKS; returns what the command prints."""
    return {
        "bench": name,
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
        "model": "bert-tiny configuration, 30,522 words, batch 1, logging every step",
        "results": [_measure(benchmark, rounds or ROUNDS) for benchmark in BENCHMARKS[name]],
    }


def _measure(benchmark: Benchmark, rounds: int) -> dict[str, Any]:
    ours: list[float] = []
    other: list[float] = []
    with ExitStack() as stack:
        our_process = stack.enter_context(Process(benchmark.ours))
        other_process = stack.enter_context(Process(benchmark.other))
        for process in (our_process, other_process):  # the first round pays for imports and warm-up
            process.pace()
        for number in range(rounds):
            # Who goes first alternates, so that neither always has the cooler processor.
            pair = [(ours, our_process), (other, other_process)]
            for paces, process in pair if number % 2 else reversed(pair):
                paces.append(process.pace())
    ratios = [a / b for a, b in zip(ours, other, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    ratio = statistics.median(ratios)
    return {
        "what": benchmark.says,
        "ratio": round(ratio, 4),
        "quartiles": [round(value, 4) for value in quartiles],
        "budget": benchmark.budget,
        "met": ratio >= benchmark.budget,
        "rounds": rounds,
        "steps_a_round": STEPS_A_ROUND,
        "steps_per_second": {
            benchmark.ours.name: round(statistics.median(ours), 2),
            benchmark.other.name: round(statistics.median(other), 2),
        },
    }
