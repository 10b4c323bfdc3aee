"""Two dashboards and three command lines at once: `python -m bcecore bench crowd`, on Linux.

Five processes submit and stop very short and very long runs, hold, release, move, remove and resume them at random.
Afterwards no run was started twice, no request was lost, never were more runs at work than there are slots, and whoever
asked for something impossible got a sentence.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bcecore.config import RunConfig
from bcecore.errors import BceError
from bcecore.files import write_json
from bcecore.jobs import control, queue
from bcecore.jobs.local import REPOSITORY
from bcecore.settings import with_values
from bcecore.store.preferences import supervisor_directory
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from tests.benchmarks.chaos_checks import log_problems
from tests.benchmarks.world import StuckError, World

SECONDS = 60
SLOTS = 2
WAYS = ("page", "page", "terminal", "terminal", "terminal")
_SAMPLE_SECONDS = 0.05
# A run that begins to load has to finish that first; it shares two cores with everybody else.
_STOP_SECONDS = 30.0

_SHORT: dict[str, Any] = {
    "model.hidden_size": 16,
    "model.intermediate_size": 32,
    "model.max_position_embeddings": 32,
    "model.vocab_size": 300,
    "data.block_size": 32,
    "data.max_train_examples": 40,
    "data.validation": "none",
    "training.device": "cpu",
    "training.max_steps": 20,
    "bce.warmup_steps": 5,
    "logging.save_steps": 10,
    "logging.save_total_limit": 1,
}
_LONG = _SHORT | {"training.max_steps": 1_000_000, "logging.save_steps": 1_000_000}
"""Ends only when somebody stops it, so that a request that got lost does not go unnoticed."""


def run(rounds: int | None = None, *, seconds: float = SECONDS, seed: int = 0) -> dict[str, Any]:
    """Let the crowd loose for so many `seconds`, `rounds` (default 1) times; returns what the command prints."""
    results = [_one_round(seconds, seed + number) for number in range(rounds or 1)]
    actions: dict[str, Counter[str]] = {}
    for result in results:
        for action, counts in result["actions"].items():
            actions.setdefault(action, Counter()).update(counts)
    violations = [violation for result in results for violation in result["violations"]]
    return {
        "bench": "crowd",
        "seed": seed,
        "seconds": seconds,
        "slots": SLOTS,
        "processes": list(WAYS),
        "runs": sum(result["runs"] for result in results),
        "actions": {action: dict(counts) for action, counts in sorted(actions.items())},
        "most_at_work": max(result["most_at_work"] for result in results),
        "violations": violations,
        "directories": [result["directory"] for result in results if result["violations"]],
        "met": not violations,
    }


def _one_round(seconds: float, seed: int) -> dict[str, Any]:
    scratch = Path(tempfile.mkdtemp(prefix="bce-crowd-"))
    for name, changes in (("short", _SHORT), ("long", _LONG)):
        write_json(scratch / f"{name}.json", with_values(RunConfig(), changes).model_dump(mode="json"))
    violations: list[str] = []
    with World(scratch / "runs", slots=SLOTS) as world:
        watch = _Watch(world.store)
        world.supervise()
        members = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.benchmarks.crowd_member", way, str(world.store.root)),
                    *(str(seconds), str(100 * seed + number), str(scratch / f"member-{number}.jsonl")),
                ],
                cwd=REPOSITORY,
            )
            for number, way in enumerate(WAYS)
        ]
        while any(member.poll() is None for member in members):
            watch.look()
            time.sleep(_SAMPLE_SECONDS)
        violations += [f"a member ended with status {member.returncode}" for member in members if member.returncode]
        try:
            _let_end(world, watch)
        except (StuckError, BceError) as error:
            violations.append(str(error))
        violations += [f"a process was left behind: {left}" for left in world.close()]
    paths = sorted(scratch.glob("member-*.jsonl"))
    actions = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    violations += _problems(world.store, watch, actions)
    if not violations:
        shutil.rmtree(scratch)
    counts: dict[str, Counter[str]] = {}
    for action in actions:
        counts.setdefault(action["action"], Counter())["refused" if action["refused"] else "done"] += 1
    return {
        "runs": sum(action["action"] == "submit" and action["done"] for action in actions),
        "actions": counts,
        "most_at_work": watch.most_at_work,
        "violations": violations,
        "directory": str(scratch),
    }


class _Watch:
    """Sees every status of every run, and how many are at work at once."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self.seen: dict[str, list[RunRecord]] = {}
        self.most_at_work = 0

    def look(self) -> None:
        """Note what has changed since the last look."""
        at_work = {(record.id, record.status_since) for record in self._store.records() if record.is_active}
        records = self._store.records()
        # Of several records read one after another, only what both looks have shown was true at one time.
        both = at_work & {(record.id, record.status_since) for record in records if record.is_active}
        self.most_at_work = max(self.most_at_work, len(both))
        for record in records:
            seen = self.seen.setdefault(record.id, [])
            if not seen or seen[-1].status_since != record.status_since:
                seen.append(record)


def _let_end(world: World, watch: _Watch) -> None:
    """Let the short runs that wait take their turn, take the long ones out, and stop what is at work."""
    with queue.changing(world.store):
        waiting = queue.waiting(world.store)
    for record in waiting:
        if record.name == "long":
            _unless_too_late(queue.remove, world.store, record.id)
        elif record.status == "held":
            control.release(world.store, record.id)
    for record in world.store.records():
        if record.is_active:
            _unless_too_late(control.stop, world.store, record.id)

    def all_over() -> bool:
        watch.look()
        return all(record.is_over for record in world.store.records())

    world.wait(all_over, "the end of all runs")


def _unless_too_late(ask: Any, store: RunStore, run_id: str) -> None:
    try:
        ask(store, run_id)
    except BceError:  # it has just begun, or has just ended
        control.stop(store, run_id)


def _problems(store: RunStore, watch: _Watch, actions: list[dict[str, Any]]) -> Iterator[str]:
    """What went wrong."""
    for action in actions:
        if action["broken"]:
            yield f"{action['action']} of {action['run']} ({action['way']}) broke: {action['broken']}"
    if watch.most_at_work > SLOTS:
        yield f"{watch.most_at_work} runs were at work at once in {SLOTS} slots"
    supervisor = (supervisor_directory(store) / "supervisor.log").read_text(errors="replace")
    if "Traceback" in supervisor:
        yield "the supervisor's log has a traceback"
    submitted = [action["run"] for action in actions if action["action"] == "submit" and action["done"]]
    for run_id in submitted:
        theirs = [action for action in actions if action["run"] == run_id and action["done"]]
        for problem in _problems_of(store, run_id, watch.seen.get(run_id, []), theirs, supervisor):
            yield f"{run_id} {problem}"


def _problems_of(
    store: RunStore, run_id: str, seen: list[RunRecord], actions: list[dict[str, Any]], supervisor: str
) -> Iterator[str]:
    try:
        record = store.record(run_id)
    except BceError as error:
        yield f"is lost: {error}"
        return
    directory = store.directory(run_id)
    if record.status not in ("finished", "stopped", "removed"):
        yield f"is {record.status} ({record.failure.message if record.failure else 'no failure'})"
    yield from log_problems(directory)
    log = directory / "train.log"
    words = log.read_text(errors="replace") if log.exists() else ""
    if "Traceback" in words:
        yield "has a traceback in its log"
    starts = supervisor.count(f"{run_id} is started.")
    resumes = sum(action["action"] == "resume" for action in actions)
    if starts > 1 + resumes:
        yield f"was started {starts} times and resumed {resumes} times"
    if words.count("Loading the text and the model.") > starts:
        yield f"has more processes in its log than the {starts} that were started"
    for action in actions:
        if action["action"].startswith("stop") and not _has_acted(action, seen):
            yield f"was asked to {action['action']} at {datetime.fromtimestamp(action['began'])} and did not"


def _has_acted(action: dict[str, Any], seen: list[RunRecord]) -> bool:
    """Whether the run came to an end soon after it was asked to stop; it may have been resumed since."""
    return any(
        record.status not in ("running", "stopping")
        and action["began"] - 0.01 <= record.status_since.timestamp() <= action["ended"] + _STOP_SECONDS
        for record in seen
    )
