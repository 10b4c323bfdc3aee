"""Gathers what the rules look at from the runs on disk. The only module of this room that reads anything."""

from __future__ import annotations

import json
import math
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.findings.finding import Finding
from bcecore.findings.metric_contains_regulariser import Figure, OnOff
from bcecore.findings.non_finite import KEYS
from bcecore.findings.overlap import find_overlap, overlap
from bcecore.findings.remedy import with_remedy
from bcecore.findings.sample_size import too_small
from bcecore.findings.split_reuse import split_reuse
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


Stamp = tuple[int, int, int]
"""What changes when a file is written anew."""


def stamp(path: Path) -> Stamp | None:
    """Which state of a file is there; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def settings(store: RunStore, record: RunRecord) -> RunConfig | None:
    """The settings of a run; None for an imported one. Raises RunError where they cannot be read."""
    return None if record.status == "imported" else store.config(record.id)


def text_bytes(store: RunStore, run_id: str) -> int:
    """The size of a run's texts; 0 where it has none. Raises RunError for a run that is not there."""
    stamps = [stamp(path) for path in _text_files(store, run_id)]
    return sum(found[2] for found in stamps if found is not None)


def text_findings(store: RunStore, run_id: str, config: RunConfig | None) -> list[Finding]:
    """What is noticed about the text that a run learns from and the text that checks it.

    Nothing where the run sets no text aside, where it is not known whether it does, or where the texts are not there.
    Once a run has its texts they never change, so that a process reads them once. Raises RunError for a run that is not
    there.
    """
    if config is None or config.data.validation == "none":
        return []
    train, held_out = _text_files(store, run_id)
    stamps = stamp(train), stamp(held_out)
    if None in stamps:
        return []
    found = _text_findings(run_id, train, held_out, config.data.validation == "first_rows_of_training", stamps)
    return [with_remedy(finding, config) for finding in found]


def _text_files(store: RunStore, run_id: str) -> tuple[Path, Path]:
    data = store.directory(run_id) / "data"
    return data / "train.jsonl", data / "validation.jsonl"


@lru_cache(maxsize=256)
def _text_findings(
    run_id: str, train_file: Path, held_out_file: Path, re_used: bool, _stamps: tuple[Stamp | None, ...]
) -> tuple[Finding, ...]:
    try:
        train, held_out = lines(train_file), lines(held_out_file)
    except RunError:
        return ()
    found = find_overlap(train, held_out)
    return (
        *split_reuse(run_id, train, held_out, re_used_by_setting=re_used),
        *overlap(run_id, found),
        *too_small(run_id, len(found.clean), concludes=False),
    )


def leak_probe(store: RunStore, run_id: str) -> dict[str, Any] | None:
    """What the run's own probe found; None where it did not come to that."""
    probe = store.record(run_id).facts.get("leak_probe")
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
    return figures_in(history, settings(store, store.record(run_id)))


def figures_in(history: History, config: RunConfig | None) -> list[Figure]:
    """The same for a log that was read. Without `config` the weight is not known, and a loss stands for itself."""
    losses = history.series("eval_loss")
    if not len(losses):
        return []
    step, loss = int(losses.steps[-1]), float(losses.values[-1])
    row = int(np.searchsorted(history.steps, step))
    objective, r, perplexity = (
        float(history.column(f"eval_{name}")[row]) for name in ("objective", "bce_loss", "perplexity")
    )
    found = []
    if config is not None and math.isfinite(objective) and math.isfinite(r):
        found.append(Figure("eval_loss", loss, objective - config.bce.weight(max(step, 1)) * r))
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
