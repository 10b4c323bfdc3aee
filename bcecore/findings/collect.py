"""Gathers what the rules look at from the runs on disk. The only module of this room that reads anything."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bcecore.errors import RunError
from bcecore.findings.metric_contains_regulariser import Figure, OnOff
from bcecore.findings.non_finite import KEYS
from bcecore.findings.twin_mismatch import Twin
from bcecore.store.columns import Series
from bcecore.store.history import History
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.weights import weights_hash


def twin(store: RunStore, run_id: str, arm: str, seed: int) -> Twin:
    """What twin-mismatch looks at. Raises RunError for a run that is not there or whose settings cannot be read.

    The weights that it has saved are read, all of them.
    """
    record = store.record(run_id)
    recorded: dict[str, Any] = dict(record.facts.get("twin") or {})
    return Twin(
        run=run_id,
        arm=arm,
        seed=seed,
        config=store.config(run_id),
        record=recorded,
        texts=record.dataset.get("fingerprints", {}),
        machine=machine(record),
        weights_now=weights_now(store, run_id) if "final_weights" in recorded else None,
    )


def machine(record: RunRecord) -> dict[str, str]:
    """Device and versions of the packages that trained a run."""
    return ({"device": record.device} if record.device else {}) | dict(record.versions)


def weights_now(store: RunStore, run_id: str) -> str | None:
    """Hash of the weights in the run's `model/` as they are now; None where there are none that can be read."""
    try:
        directory = store.directory(run_id) / "model"
        files = sorted(directory.glob("*.safetensors"))
        states = [path.stat() for path in files]
        return _hash_of(directory, tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states))
    except (RunError, OSError):
        return None


@cache
def _hash_of(directory: Path, _state: tuple[tuple[int, int, int], ...]) -> str:
    # A page asks again at every look at it; a large model takes seconds.
    return weights_hash(directory)


def texts(store: RunStore, run_id: str) -> tuple[list[str], list[str]]:
    """The exact training and held-out lines of a run. Raises RunError where they cannot be read."""
    data = store.directory(run_id) / "data"
    return lines(data / "train.jsonl"), lines(data / "validation.jsonl")


def lines(path: Path) -> list[str]:
    """The texts of one frozen file, one `{"text": ...}` a line, as runs and evaluations have them. Raises RunError."""
    try:
        with path.open(encoding="utf-8") as file:
            return [str(json.loads(line)["text"]) for line in file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"The lines in {path} cannot be read: {error}") from error


def leak_probe(store: RunStore, run_id: str) -> dict[str, Any] | None:
    """What the run's own probe found; None where it did not come to that."""
    probe = store.record(run_id).facts.get("leak_probe")
    return dict(probe) if isinstance(probe, dict) else None


def loss_probe(store: RunStore, run_id: str) -> dict[str, Any] | None:
    """What the run's own probe of its loss found; None where it was trained before there was one."""
    probe = store.record(run_id).facts.get("loss_probe")
    return dict(probe) if isinstance(probe, dict) else None


def random_tokens(store: RunStore, run_id: str) -> dict[str, Any] | None:
    """How the finished run's model fared on random tokens; None where it did not come to that."""
    score = store.record(run_id).facts.get("random_tokens")
    return dict(score) if isinstance(score, dict) else None


def logged(store: RunStore, run_id: str) -> dict[str, Series]:
    """The series that non-finite and off-not-off look at, as far as they were logged."""
    history = History(store.directory(run_id))
    history.refresh()
    found = {key: history.series(key) for key in (*KEYS, "bce_weight")}
    return {key: series for key, series in found.items() if len(series)}


def figures(store: RunStore, run_id: str) -> list[Figure]:
    """What the run logged under the names of a loss and of a perplexity at its last check, beside CE.

    CE is the objective less the term, as both were logged there; where they were not, the loss itself stands for it.
    """
    history = History(store.directory(run_id))
    history.refresh()
    losses = history.series("eval_loss")
    if not len(losses):
        return []
    step, loss = int(losses.steps[-1]), float(losses.values[-1])
    row = int(np.searchsorted(history.steps, step))
    objective, r, perplexity = (
        float(history.column(f"eval_{name}")[row]) for name in ("objective", "bce_loss", "perplexity")
    )
    found = []
    if math.isfinite(objective) and math.isfinite(r):
        found.append(Figure("eval_loss", loss, objective - store.config(run_id).bce.weight(max(step, 1)) * r))
    if math.isfinite(perplexity):
        found.append(Figure("eval_perplexity", perplexity, loss))
    return found


def on_off(store: RunStore, run_id: str, off_run_id: str) -> list[OnOff]:
    """The last `eval_loss` of a run with BCE and of its twin without, and the weight and R that the first had then."""
    sides = []
    for run in (run_id, off_run_id):
        history = History(store.directory(run))
        history.refresh()
        sides.append((history.series("eval_loss"), history.series("eval_bce_loss")))
    (on, r), (off, _) = sides
    if not len(on) or not len(off) or not len(r) or on.steps[-1] != off.steps[-1] or r.steps[-1] != on.steps[-1]:
        return []
    weight = store.config(run_id).bce.weight(max(int(on.steps[-1]), 1))
    value = float(r.values[-1])
    return [OnOff("eval_loss", float(on.values[-1]), float(off.values[-1]), weight, 0.0, (value, value))]


def total_steps(store: RunStore, run_id: str) -> int:
    """Optimizer steps that the run has, by its settings and its text."""
    record, config = store.record(run_id), store.config(run_id)
    return config.total_steps(int(record.dataset["train_examples"]))
