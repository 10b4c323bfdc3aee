"""How long a run will take and how much disk it needs, from a short probe: a few real steps in another process.

The probe (`bcecore.training.probe`) runs once for everything that decides speed and size; its result is kept beside the
runs, so that changing the number of epochs, say, gives a new estimate at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bcecore.config import RunConfig
from bcecore.files import read_json, write_json
from bcecore.jobs.disk import GB, free_bytes
from bcecore.jobs.local import spawn
from bcecore.jobs.submit import Checked, submit
from bcecore.schedule import times
from bcecore.settings import flatten
from bcecore.store.identity import ProcessIdentity, identity_of, is_alive
from bcecore.store.preferences import load_preferences
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RunStore

# Settings that change neither the pace nor the size of a checkpoint, at most how many steps and checkpoints there are.
_COUNTED_ELSEWHERE = {
    # The text counts by its fingerprints.
    "data.train_file",
    "data.validation_file",
    "training.epochs",
    "training.max_steps",
    "training.learning_rate",
    "training.lr_scheduler",
    "training.warmup_steps",
    "training.weight_decay",
    "training.seed",
    "bce.base_weight",
    "bce.target_weight",
    "bce.max_weight",
    "bce.warmup_steps",
    "bce.boost_span",
    "bce.scale",
    "bce.clamp_min",
    "bce.clamp_max",
    "bce.gain",
    "bce.character_decay",
    "bce.context_decay",
    "bce.reward_decay",
    "bce.neighbor_width",
    "logging.eval_steps",
    "logging.save_steps",
    "logging.save_total_limit",
    "logging.report_to",
}
_PROBE_LIMIT = timedelta(minutes=10)


class Probe(BaseModel):
    """What the probe measured."""

    model_config = ConfigDict(frozen=True)

    startup_seconds: float
    """From the start of the process to the first step, and the end of the run after its last."""
    seconds_per_step: float
    seconds_per_evaluation: float
    seconds_per_checkpoint: float
    checkpoint_bytes: int
    model_bytes: int
    weights: int


@dataclass(frozen=True)
class Estimate:
    """What a run is likely to take."""

    seconds: float
    disk_bytes: int
    """At the end, if the best checkpoint is among the newest."""
    peak_disk_bytes: int
    """At most at any time: an older best checkpoint, and a new one that is written before an old one is deleted."""
    checkpoints: int
    """Checkpoints that will be on disk at the end."""
    weights: int
    """Weights of the model (parameters)."""
    checkpoint_bytes: int
    """Of one checkpoint."""
    model_bytes: int
    """Of the finished model."""


@dataclass(frozen=True)
class Space:
    """Bytes on the disk: what there is, and what a run takes of it."""

    free: int
    keep_free: float
    """What is to stay free."""
    checkpoint: int
    """One checkpoint; 0 until somebody has measured it."""
    model: int
    """The finished model; the same."""


class _Pending(BaseModel):
    process: ProcessIdentity | None


def estimate(store: RunStore, checked: Checked) -> Estimate | None:
    """The estimate for a checked configuration; None while there is no probe of it (see `start_probe`)."""
    probe = _probe(_result_file(store, checked.config, checked.text.fingerprints))
    if probe is None:
        return None
    return estimate_from(probe, checked.config, checked.total_steps, evaluates=bool(checked.validation.ids))


def estimate_of_run(store: RunStore, record: RunRecord, config: RunConfig) -> Estimate | None:
    """The same for a frozen run, from its first step; None if nobody has probed its settings."""
    dataset = record.dataset
    probe = _probe(_result_file(store, config, dataset.get("fingerprints", {})))
    if probe is None:
        return None
    steps = config.total_steps(dataset["train_examples"])
    return estimate_from(probe, config, steps, evaluates=dataset["validation_examples"] > 0)


def space(store: RunStore, checked: Checked | None) -> Space:
    """The room that there is now, for a configuration as far as there is one and a probe of it."""
    found = estimate(store, checked) if checked is not None else None
    sizes = (0, 0) if found is None else (found.checkpoint_bytes, found.model_bytes)
    return Space(free_bytes(store), load_preferences(store).keep_free_gb * GB, *sizes)


def estimate_from(probe: Probe, config: RunConfig, total_steps: int, *, evaluates: bool) -> Estimate:
    """The arithmetic: steps, evaluations and checkpoints, each times what the probe measured."""
    logging = config.logging
    saves = times(total_steps, logging.save_steps)
    kept, at_most = logging.checkpoints(total_steps), logging.most_checkpoints(total_steps)
    evaluations = times(total_steps, logging.eval_steps) if evaluates else 0
    seconds = (
        probe.startup_seconds
        + total_steps * probe.seconds_per_step
        + evaluations * probe.seconds_per_evaluation
        + saves * probe.seconds_per_checkpoint
    )
    disk, peak = (number * probe.checkpoint_bytes + probe.model_bytes for number in (kept, at_most))
    return Estimate(seconds, disk, peak, kept, probe.weights, probe.checkpoint_bytes, probe.model_bytes)


def start_probe(store: RunStore, checked: Checked) -> None:
    """Start measuring in the background, unless that was done, or is being done, for these settings."""
    result = _result_file(store, checked.config, checked.text.fingerprints)
    if result.exists() or is_probing(store, checked) or probe_failure(store, checked):
        return
    result.parent.mkdir(parents=True, exist_ok=True)
    scratch = RunStore(result.parent / "runs")
    directory = scratch.directory(submit(scratch, checked.config, name="probe"))
    process = spawn(["-m", "bcecore.training.probe", str(directory), str(result)], result.with_suffix(".log"))
    pending = _Pending(process=identity_of(process.pid))
    write_json(result.with_suffix(".pending"), pending.model_dump(mode="json"))


def is_probing(store: RunStore, checked: Checked) -> bool:
    """Whether a probe of these settings is at work."""
    result = _result_file(store, checked.config, checked.text.fingerprints)
    pending = _pending(result)
    if result.exists() or pending is None or pending.process is None:
        return False
    age = now().timestamp() - result.with_suffix(".pending").stat().st_mtime
    return age < _PROBE_LIMIT.total_seconds() and is_alive(pending.process)


def probe_failure(store: RunStore, checked: Checked) -> str | None:
    """The last line that a failed probe wrote; None if no probe of these settings has failed."""
    result = _result_file(store, checked.config, checked.text.fingerprints)
    if result.exists() or _pending(result) is None or is_probing(store, checked):
        return None
    try:
        lines = result.with_suffix(".log").read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "The measurement ended without a word.")


def _pending(result: Path) -> _Pending | None:
    try:
        return _Pending.model_validate(read_json(result.with_suffix(".pending")))
    except (FileNotFoundError, ValueError, ValidationError):
        return None


def _probe(result: Path) -> Probe | None:
    try:
        return Probe.model_validate(read_json(result))
    except (FileNotFoundError, ValueError, ValidationError):
        return None


def _result_file(store: RunStore, config: RunConfig, fingerprints: Mapping[str, str]) -> Path:
    settings: dict[str, Any] = {k: v for k, v in flatten(config).items() if k not in _COUNTED_ELSEWHERE}
    key = json.dumps([settings, fingerprints], sort_keys=True)
    return store.root / ".probes" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
