"""Scoring speed and memory against the budget: `python -m bcecore bench score`.

Our one pass, which serves BCE on and off, against the report's method: two plain `Trainer.evaluate` passes at batch 1.
Both hold the same weights and score the same lines of WikiText-2, each in a process of its own with the same allocator
settings, in alternating rounds; the result is the median of the rounds' ratios. Ours counts everything from the text to
the written part of the examples, the Trainer's side begins with texts that are cut into tokens already.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from bcecore.jobs.local import ALLOCATOR_ENVIRONMENT
from tests.benchmarks.pairs import REPOSITORY, Process, in_turns, machine, ratio_of

ROUNDS = 16
BUDGET = 2.3
REACH = 3.0
CE_TOLERANCE = 1e-5
MEMORY_BUDGET = 1.1
_DATA = REPOSITORY.parent / "shared" / "data"


def scorer(variant: str) -> Process:
    """A process that holds the model and answers requests with JSON objects."""
    return Process("score_worker", [variant, str(_DATA)], ALLOCATOR_ENVIRONMENT)


def _ask(process: Process, request: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(process.ask(request))
    return answer


def _examples_per_second(process: Process, number: int) -> float:
    answer = _ask(process, f"round {number}")
    pace: float = answer["examples"] / answer["seconds"]
    return pace


def run(rounds: int | None = None) -> dict[str, Any]:
    """Measure; returns what the command prints."""
    with scorer("ours") as our_process, scorer("plain") as plain_process:
        expected, found = (_ask(process, "losses 0")["ce"] for process in (plain_process, our_process))
        difference = max(abs(a - b) for a, b in zip(expected, found, strict=True))
        ours, plain = in_turns(our_process, plain_process, rounds or ROUNDS, _examples_per_second)
    with scorer("ours") as process:
        memory = _ask(process, "memory 0")
    measured = ratio_of(ours, plain)
    growth = memory["at_the_end"] / memory["at_a_tenth"]
    return {
        "bench": "score",
        "machine": machine(),
        "model": "bert-tiny configuration, 30,522 words, WikiText-2 lines cut at 128 tokens",
        "what": "examples/s of one scoring on and off over two plain Trainer.evaluate passes at batch 1",
        **measured,
        "budget": BUDGET,
        "reach": REACH,
        "examples_per_second": {"ours": round(statistics.median(ours), 1), "plain": round(statistics.median(plain), 1)},
        "largest_ce_difference": difference,
        "compared_examples": len(found),
        "memory": memory | {"growth": round(growth, 4), "budget": MEMORY_BUDGET},
        "met": measured["ratio"] >= BUDGET and difference <= CE_TOLERANCE and growth <= MEMORY_BUDGET,
    }
