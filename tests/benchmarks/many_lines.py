"""Overlap and copies among very many lines: `python -m tests.benchmarks.many_lines [LINES] [HELD_OUT]`.

The text is made as texts are: words by Zipf's law in sentences of many lengths, real lines where there are some, and
boilerplate of three kinds that makes a search slow: lines that differ in a number, in two names, and not at all. Among
them stand planted pairs, whose similarity is known exactly because it is worked out by their words. Each measurement is
a process of its own. The seconds are those of the search alone; the peak memory is the whole process's, with the text
and what it was made from.
"""

from __future__ import annotations

import itertools
import json
import random
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

from bcecore.jobs.local import REPOSITORY
from bcecore.text.duplicates import find_duplicates
from bcecore.text.near import similarity
from bcecore.text.overlap import find_overlap
from tests.benchmarks.pairs import machine

SECONDS_BUDGET, MEMORY_BUDGET, RECALL_BUDGET = 600.0, 4e9, 0.95
"""For 1,000,000 lines: seconds, bytes, and the share of the planted near pairs."""

_WORDS = 50_000
_REAL = REPOSITORY.parent / "shared" / "data" / "wikitext-2" / "valid.txt"
_TAIL = (
    "thank you very much for your order we will send the parcel as soon as it is in stock again which may take some "
    "days and until then we keep your place in the queue without any cost to you"
)


def many_lines(lines: int, seed: int = 0) -> list[str]:
    """So many lines, of which three in twenty are boilerplate."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(_WORDS)))
    # One draw for all words is ten times as fast as one for each line.
    words = iter(chance.choices([f"w{rank:x}" for rank in range(_WORDS)], cum_weights=weights, k=19 * lines))
    real = _REAL.read_text(encoding="utf-8").splitlines() if _REAL.is_file() else []
    real = [line.strip() for line in real if line.strip()]
    made = []
    for number in range(lines):
        kind = number % 20
        if kind == 0:
            made.append(f"This is message number {number} {_TAIL}")
        elif kind == 1:
            made.append(f"Dear n{chance.randrange(500)} about your i{chance.randrange(500)} {_TAIL}")
        elif kind == 2:
            made.append("Subscribe to our newsletter to get all news of the week into your inbox")
        elif kind == 3 and real:
            place, start = chance.randrange(len(real)), chance.randrange(20)
            made.append(" ".join([*real[place].split()[start : start + 60], f"w{number}"]))
        else:
            made.append(" ".join(itertools.islice(words, chance.randint(3, 35))) or "and")
    return made


def plant(train: list[str], held_out: list[str], pairs: int, seed: int = 1) -> dict[int, tuple[int, float]]:
    """Put copies of training lines, as they are and changed, in place of held-out ones.

    Returns `{held-out line: (training line, exact similarity)}`; 1 stands for the same after normalisation.
    """
    chance = random.Random(seed)
    planted: dict[int, tuple[int, float]] = {}
    long = [place for place in range(len(train)) if place % 20 > 3 and train[place].count(" ") >= 15]
    places = [place for place in range(len(held_out)) if place % 20 > 3]
    for place, source in zip(chance.sample(places, pairs), chance.sample(long, pairs), strict=True):
        changed = f"  {train[source].upper()}!! " if place % 2 else _near(train[source].split(), chance)
        alike = 1.0 if place % 2 else similarity(train[source], changed)
        if alike >= 0.8:
            held_out[place] = changed
            planted[place] = (source, alike)
    return planted


def _near(words: list[str], chance: random.Random) -> str:
    """A line with words less or more at its ends, or another one in it."""
    how = chance.randrange(3)
    few = chance.randint(1, max(1, len(words) // 8))
    if how == 0:
        return " ".join(words[few:])
    if how == 1:
        return " ".join([*words, *(f"x{chance.randrange(10**6)}" for _ in range(few))])
    changed = list(words)
    changed[-1 - chance.randrange(2)] = f"x{chance.randrange(10**6)}"
    return " ".join(changed)


def measure(lines: int = 1_000_000, held_out: int | None = None) -> dict[str, Any]:
    """Overlap of `held_out` lines (default: a tenth of all) with the others, and copies among all of them."""
    held_out = lines // 10 if held_out is None else held_out
    return {
        "lines": lines,
        "held_out": held_out,
        "overlap": _in_a_process("overlap", lines, held_out),
        "copies": _in_a_process("copies", lines, held_out),
    }


def run(rounds: int | None = None) -> dict[str, Any]:
    """What `bench` prints: 900,000 lines to learn from against 100,000 to check on, and copies among the million."""
    found = measure()
    parts = (found["overlap"], found["copies"])
    return {
        "bench": "many-lines",
        "machine": machine(),
        **found,
        "budget": {"seconds": SECONDS_BUDGET, "memory": MEMORY_BUDGET, "recall": RECALL_BUDGET},
        "met": all(
            part["seconds"] <= SECONDS_BUDGET
            and part["peak_memory"] <= MEMORY_BUDGET
            and part["near"]["recall"] >= RECALL_BUDGET
            and part["exact"]["recall"] == 1.0
            and part["false"] == 0
            for part in parts
        ),
    }


def _in_a_process(what: str, lines: int, held_out: int) -> dict[str, Any]:
    import subprocess

    command = [sys.executable, "-m", "tests.benchmarks.many_lines", what, str(lines), str(held_out)]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def overlap_of(lines: int, held_out: int) -> dict[str, Any]:
    """Search, and compare with what was planted."""
    whole = many_lines(lines + held_out if held_out < 1000 else lines)
    train, documents = whole[: len(whole) - held_out], whole[len(whole) - held_out :]
    planted = plant(train, documents, min(len(documents) // 4, 20_000))
    began, processor = time.perf_counter(), time.process_time()
    found = find_overlap(iter(train), documents)
    seconds, worked = time.perf_counter() - began, time.process_time() - processor
    of_document = {pair.held_out: pair for pair in found.pairs}
    false = sum(
        not pair.exact and similarity(train[pair.train], documents[pair.held_out]) != pair.jaccard
        for pair in found.pairs
    ) + sum(not pair.exact and pair.jaccard < 0.8 for pair in found.pairs)
    hit = {place for place in planted if place in of_document}
    return _measured(seconds, worked, planted, hit, len(found.pairs), false, found.complete)


def copies_of(lines: int, held_out: int) -> dict[str, Any]:
    """The same among all lines of one file."""
    whole = many_lines(lines)
    behind = whole[lines - held_out :]
    planted = plant(whole[: lines - held_out], behind, min(held_out // 4, 20_000))
    whole[lines - held_out :] = behind
    began, processor = time.perf_counter(), time.process_time()
    found = find_duplicates(whole)
    seconds, worked = time.perf_counter() - began, time.process_time() - processor
    again = {copy.again for copy in found.copies}
    near = [copy for copy in found.copies if not copy.exact]
    sample = random.Random(0).sample(near, min(len(near), 20_000))
    false = sum(
        similarity(whole[copy.again], whole[copy.first]) != copy.jaccard or copy.jaccard < 0.8 for copy in sample
    )
    hit = {place for place in planted if lines - held_out + place in again}
    return _measured(seconds, worked, planted, hit, len(found.copies), false, found.complete)


def _measured(
    seconds: float,
    worked: float,
    planted: dict[int, tuple[int, float]],
    hit: set[int],
    pairs: int,
    false: int,
    complete: bool,
) -> dict[str, Any]:
    exact = [place for place, (_, alike) in planted.items() if alike == 1.0]
    near = [place for place, (_, alike) in planted.items() if alike < 1.0]
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(worked, 2),
        # Linux counts in units of 1,024 bytes.
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "exact": _recall(exact, hit),
        "near": _recall(near, hit) | {"lowest_similarity": min((planted[place][1] for place in near), default=None)},
        "pairs": pairs,
        "false": false,
        "complete": complete,
    }


def _recall(planted: Sequence[int], hit: set[int]) -> dict[str, Any]:
    found = sum(place in hit for place in planted)
    return {"planted": len(planted), "found": found, "recall": found / len(planted) if planted else None}


if __name__ == "__main__":
    if sys.argv[1] in ("overlap", "copies"):
        of = overlap_of if sys.argv[1] == "overlap" else copies_of
        sys.stdout.write(json.dumps(of(int(sys.argv[2]), int(sys.argv[3]))))
    else:
        sys.stdout.write(json.dumps(measure(*map(int, sys.argv[1:])), indent=2) + "\n")
