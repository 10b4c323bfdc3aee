"""Two processes measured in turns: what the benches of training and of scoring have in common.

Each has an environment of its own and waits while the other works; the result is the median of the rounds' ratios, so
that a machine that is busy with something else for a while hurts both.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent


class Process:
    """A process of one of the bench's modules that answers each request, a line, with a line."""

    def __init__(self, module: str, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        """`settings` are the variables for the allocator and the threads; nothing of the kind is inherited."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GOMP_", "GLIBC_"))}
        environment |= {**settings, "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(REPOSITORY)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, request: str) -> str:
        """The answer to a request. Raises RuntimeError if the process ends instead."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the measured process ended with status {self._process.wait()}")
        return line


def in_turns(
    ours: Process, other: Process, rounds: int, pace: Callable[[Process, int], float]
) -> tuple[list[float], list[float]]:
    """The paces of both, round by round; `pace` has a process do the round with this number."""
    paces: tuple[list[float], list[float]] = ([], [])
    for process in (ours, other):  # the first round pays for imports and warm-up
        pace(process, 0)
    for number in range(rounds):
        # Who goes first alternates, so that neither always has the cooler processor.
        pair = list(zip(paces, (ours, other), strict=True))
        for found, process in pair if number % 2 else reversed(pair):
            found.append(pace(process, number))
    return paces


def ratio_of(ours: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """The median of the rounds' ratios and its quartiles, as the commands print them."""
    ratios = [a / b for a, b in zip(ours, other, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {
        "ratio": round(statistics.median(ratios), 4),
        "quartiles": [round(value, 4) for value in quartiles],
        "rounds": len(ratios),
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()}
