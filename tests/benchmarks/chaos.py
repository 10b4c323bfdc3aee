"""Whether runs survive whatever happens: `python -m bcecore bench chaos`, on Linux.

Real runs go through the real queue while processes are killed and suspended, files cut off and the disk filled. A run
that does not finish is resumed, as a person would do it, until it does. Then it has to have come to the very bits that
an undisturbed run of the same settings comes to, its log included.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bcecore.config import RunConfig
from bcecore.errors import BceError
from bcecore.jobs import control
from bcecore.settings import with_values
from tests.benchmarks import chaos_faults
from tests.benchmarks.chaos_checks import Reference, problems_of, reference, resumes_from_checkpoint
from tests.benchmarks.chaos_faults import Chaos, Fault
from tests.benchmarks.world import StuckError, World
from tests.examples import devices_known

ROUNDS = 10
"""How often each fault is injected."""
DURING_WRITE = 5
"""How many of the kills in a checkpoint have to leave one that is half written."""

SLOTS = 2
STEPS = 60
# Runs ask for 200 MB beside what they need before they start.
_DISK_MB = 300
# A fault comes too late now and then, since the run finishes first.
_TRIES_A_FAULT = 6

_BASE: dict[str, Any] = {
    "model.hidden_size": 96,
    "model.intermediate_size": 256,
    "model.max_position_embeddings": 64,
    "model.vocab_size": 500,
    "model.dropout": 0.1,
    "data.block_size": 48,
    "data.max_train_examples": 100,
    "data.max_validation_examples": 16,
    "training.device": "cpu",
    "training.max_steps": STEPS,
    "training.learning_rate": 1e-3,
    "training.warmup_steps": 5,
    "bce.warmup_steps": 10,
    "bce.boost_span": 30,
    "logging.logging_steps": 1,
    "logging.save_total_limit": 2,
}
_CHANGES: dict[str, dict[str, Any]] = {
    "plain": {"training.batch_size": 4, "logging.save_steps": 4, "logging.eval_steps": 25},
    "accumulating": {
        "training.batch_size": 3,
        "training.gradient_accumulation_steps": 2,
        "logging.save_steps": 3,
        "logging.eval_steps": 20,
    },
    "unchecked": {
        "data.validation": "none",
        "training.batch_size": 2,
        "training.gradient_accumulation_steps": 2,
        "training.seed": 7,
        "logging.save_steps": 2,
    },
}
CONFIGS = {name: with_values(RunConfig(), _BASE | changes) for name, changes in _CHANGES.items()}


def run(rounds: int | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Inject every fault so many times; returns what the command prints."""
    rounds = rounds or ROUNDS
    plan = [kind for kind in chaos_faults.ANYWHERE for _ in range(rounds)]
    return inject(plan + ["full disk"] * rounds, CONFIGS, seed=seed, during_write=min(DURING_WRITE, rounds))


def inject(plan: Sequence[str], configs: Mapping[str, RunConfig], *, seed: int, during_write: int) -> dict[str, Any]:
    """Inject these faults, in an order that `seed` decides. What was found wrong stays on the disk to be looked at."""
    began = time.monotonic()
    rng = random.Random(seed)
    scratch = Path(tempfile.mkdtemp(prefix="bce-chaos-"))
    references: dict[str, Reference] = {}
    elsewhere = [kind for kind in plan if kind in chaos_faults.ANYWHERE]
    on_disk = [kind for kind in plan if kind in chaos_faults.ON_A_SMALL_DISK]
    _say(f"{len(plan)} faults to come; everything is in {scratch}")
    chaoses = [_in_world(scratch / "runs", elsewhere, configs, references, rng)]
    left_out = []
    if on_disk:
        with _small_disk(scratch / "disk") as disk:
            if disk is None:
                left_out.append("full disk: a small disk can be mounted by root on Linux only")
            else:
                chaoses.append(_in_world(disk / "runs", on_disk, configs, references, rng))
                if chaoses[-1].violations:
                    shutil.copytree(disk, scratch / "disk-as-it-was")
    faults: dict[str, dict[str, Any]] = {}
    for chaos in chaoses:
        for kind, states in chaos.faults.items():
            faults[kind] = {"count": states.total(), "states": dict(states)}
    violations = [violation for chaos in chaoses for violation in chaos.violations]
    in_write = faults.get("kill in a checkpoint", {"count": 0})["count"]
    wanted = set(elsewhere) if left_out else set(plan)
    met = not violations and in_write >= during_write
    met = met and all(kind in faults and faults[kind]["count"] >= plan.count(kind) for kind in wanted)
    if not violations:
        shutil.rmtree(scratch)
    return {
        "bench": "chaos",
        "seed": seed,
        "faults": faults,
        "injected": sum(fault["count"] for fault in faults.values()),
        "left_out": left_out,
        "checkpoint_kills_during_write": in_write,
        "runs": sum(len(chaos.runs) for chaos in chaoses),
        "resumes_from_checkpoint": sum(chaos.resumes for chaos in chaoses),
        "violations": violations,
        "directory": str(scratch) if violations else None,
        "seconds": round(time.monotonic() - began, 1),
        "met": met,
    }


def _in_world(
    root: Path,
    plan: list[str],
    configs: Mapping[str, RunConfig],
    references: dict[str, Reference],
    rng: random.Random,
) -> Chaos:
    """Go through one plan in a folder of its own, and look at what became of every run."""
    with World(root, slots=SLOTS) as world:
        chaos = Chaos(world, rng, STEPS)
        devices_known(world.store)
        try:
            world.supervise()
            _refer(chaos, configs, references)
            _go_through(chaos, rng.sample(plan, len(plan)), configs)
        except (StuckError, BceError) as error:
            states = ", ".join(f"{record.id} {record.status}" for record in world.store.records() if not record.is_over)
            chaos.violations.append(f"{error} (not over: {states or 'none'})")
        for left in world.close():
            chaos.violations.append(f"a process was left behind: {left}")
        for run_id, name in chaos.runs.items():
            chaos.resumes += resumes_from_checkpoint(world.store, run_id)
            for problem in problems_of(world.store, run_id, references[name]):
                chaos.violated(run_id, problem)
    return chaos


def _refer(chaos: Chaos, configs: Mapping[str, RunConfig], references: dict[str, Reference]) -> None:
    """See what undisturbed runs come to."""
    missing = [name for name in configs if name not in references]
    runs = {name: control.launch(chaos.world.store, configs[name], name=f"reference {name}") for name in missing}
    for name, run_id in runs.items():
        record = chaos.world.wait_for_end(run_id)
        if record.status != "finished":
            raise StuckError(f"the undisturbed run {run_id} is {record.status}: {record.failure}")
        references[name] = reference(chaos.world.store, run_id)
        _say(f"undisturbed run of {name!r} finished")


def _go_through(chaos: Chaos, plan: list[str], configs: Mapping[str, RunConfig]) -> None:
    """Inject the planned faults one after another while runs go on, then let all runs finish."""
    faults: dict[str, Fault] = chaos_faults.ANYWHERE | chaos_faults.ON_A_SMALL_DISK
    tries = _TRIES_A_FAULT * len(plan)
    while plan and tries:
        unfinished = _resumed(chaos)
        while len(unfinished) <= SLOTS:
            name = chaos.rng.choice(list(configs))
            run_id = control.launch(chaos.world.store, configs[name], name=name)
            chaos.runs[run_id] = name
            unfinished.append(run_id)
        kind, tries = plan[-1], tries - 1
        before = chaos.count(kind)
        faults[kind](chaos, chaos.rng.choice(unfinished))
        if chaos.count(kind) > before:
            plan.pop()
            _say(f"{kind}; {len(plan)} to come, {len(chaos.violations)} wrong")
    while unfinished := _resumed(chaos):
        chaos.world.wait_for_end(unfinished[0])


def _resumed(chaos: Chaos) -> list[str]:
    """The runs that have not finished, all of them waiting or at work again."""
    unfinished = []
    for run_id in chaos.runs:
        record = chaos.world.store.record(run_id)
        if record.status == "finished":
            continue
        if record.is_over:
            chaos.resume(run_id)
        unfinished.append(run_id)
    return unfinished


@contextmanager
def _small_disk(point: Path) -> Iterator[Path | None]:
    """A real file system with little room, or None where that is not allowed."""
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(point)]
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        yield None
        return
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", str(point)], check=True)


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stderr.flush()
