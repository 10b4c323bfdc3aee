"""Scoring speed and memory against the budget: `python -m bcecore bench score`.

Our one pass, which serves BCE on and off, against the report's method: two plain `Trainer.evaluate` passes at batch 1.
Both hold the same weights and score the same lines of WikiText-2, each in a process of its own with the same allocator
settings, in alternating rounds; the result is the median of the rounds' ratios. Ours counts everything from the text to
the written part of the examples, the Trainer's side begins with texts that are cut into tokens already.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bcecore.jobs.local import ALLOCATOR_ENVIRONMENT

ROUNDS = 16
BUDGET = 2.3
REACH = 3.0
CE_TOLERANCE = 1e-5
MEMORY_BUDGET = 1.1
_REPOSITORY = Path(__file__).parent.parent.parent
_DATA = _REPOSITORY.parent / "shared" / "data"


class Scorer:
    """A process that holds the model and answers one request, a line of words, with one JSON object."""

    def __init__(self, variant: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GOMP_", "GLIBC_"))}
        environment |= ALLOCATOR_ENVIRONMENT | {"TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(_REPOSITORY)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.score_worker", variant, str(_DATA)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_REPOSITORY,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, request: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the scoring process ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def run(rounds: int | None = None) -> dict[str, Any]:
    """Measure; returns what the command prints."""
    rounds = rounds or ROUNDS
    ours: list[float] = []
    plain: list[float] = []
    with ExitStack() as stack:
        our_process = stack.enter_context(Scorer("ours"))
        plain_process = stack.enter_context(Scorer("plain"))
        expected, found = plain_process.ask("losses 0")["ce"], our_process.ask("losses 0")["ce"]
        difference = max(abs(a - b) for a, b in zip(expected, found, strict=True))
        for process in (our_process, plain_process):  # the first round pays for warm-up
            process.ask("round 0")
        for number in range(rounds):
            # Who goes first alternates, so that neither always has the cooler processor.
            pair = [(ours, our_process), (plain, plain_process)]
            for paces, process in pair if number % 2 else reversed(pair):
                answer = process.ask(f"round {number}")
                paces.append(answer["examples"] / answer["seconds"])
    with Scorer("ours") as process:
        memory = process.ask("memory 0")
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    ratio = statistics.median(ratios)
    growth = memory["at_the_end"] / memory["at_a_tenth"]
    return {
        "bench": "score",
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
        "model": "bert-tiny configuration, 30,522 words, WikiText-2 lines cut at 128 tokens",
        "what": "examples/s of one scoring on and off over two plain Trainer.evaluate passes at batch 1",
        "ratio": round(ratio, 4),
        "quartiles": [round(value, 4) for value in (statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3)],
        "budget": BUDGET,
        "reach": REACH,
        "rounds": rounds,
        "examples_per_second": {"ours": round(statistics.median(ours), 1), "plain": round(statistics.median(plain), 1)},
        "largest_ce_difference": difference,
        "compared_examples": len(found),
        "memory": memory | {"growth": round(growth, 4), "budget": MEMORY_BUDGET},
        "met": ratio >= BUDGET and difference <= CE_TOLERANCE and growth <= MEMORY_BUDGET,
    }
