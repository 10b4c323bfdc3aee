"""Runs as a training process would leave them, made in a moment: for tests of what people see."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from bcecore.config import RunConfig
from bcecore.files import write_json
from bcecore.jobs.local import signal_process
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.identity import current_boot, own_identity
from bcecore.store.metrics import MetricsWriter
from bcecore.store.preferences import supervisor_directory
from bcecore.store.record import Failure, Progress, Status, now
from bcecore.store.records import R, RecordStore
from bcecore.store.runs import RunStore

DATASET = {
    "source": "sample",
    "lines_read": 459,
    "dropped": {"too_short": 3},
    "train_examples": 413,
    "validation_examples": 46,
    "train_tokens": 12_929,
    "validation_tokens": 1_615,
    "cut": 7,
    "too_short": 1,
    "validation_also_in_training": 0,
    "vocabulary": 2048,
    "fingerprints": {},
}


def example_config(recipe: str = "quick-look", **changes: Any) -> RunConfig:
    """A recipe's settings with `section__name=value` changed."""
    return with_values(load_recipe(recipe).config, {key.replace("__", "."): value for key, value in changes.items()})


def devices_known(store: RunStore) -> None:
    """As if this machine's devices had been found before: to find them, a supervisor has a process load torch."""
    known = {"boot": current_boot(), "devices": [{"kind": "cpu", "name": "processor cores"}]}
    write_json(supervisor_directory(store) / "devices.json", known)


@contextmanager
def suspended(store: RecordStore[R], at_work: Callable[[], R | None], seconds: float = 120) -> Iterator[None]:
    """Hold a job's process as soon as `at_work` gives its record: within, it is at work, however long that takes.

    Where processes cannot be held, the job goes on.
    """
    end = time.monotonic() + seconds
    while (record := at_work()) is None or record.process is None:
        assert time.monotonic() < end, "there was no process in time"
        time.sleep(0.02)
    if os.name == "nt":
        yield
        return
    with store.locked(record.key):  # or it might be held while it writes, and nobody else could
        assert signal_process(record.process, signal.SIGSTOP), "the process ended before it could be held"
    try:
        yield
    finally:
        signal_process(record.process, signal.SIGCONT)


def training_lines(config: RunConfig, steps: range, total: int, *, ratio: float = 0.05) -> Iterator[dict[str, Any]]:
    """Lines of the live log, with the keys that the training process writes."""
    for step in steps:
        ce = 3 + 5 * math.exp(-step / 40)
        weight = config.bce.weight(step)
        line: dict[str, Any] = {
            "step": step,
            "epoch": step / 50,
            "ce": ce,
            "loss": ce,
            "bce_weight": weight,
            "bce_term": 0.0,
            "bce_share": 0.0,
            "grad_norm": 1.5,
            "learning_rate": config.learning_rate(step, total),
            "tokens": 500 * step,
            "tokens_per_second": 4100.0,
            "steps_per_second": 31.0,
            "time": 1_700_000_000.0 + step,
        }
        if config.bce.enabled:
            term = -0.46 * weight
            line |= {"bce_loss": -0.46, "bce_term": term, "loss": ce + term, "bce_share": -term / (ce - term)}
            for name in ("rl", "iso", "dcycle", "dbscan", "auto", "bayes", "fuzzy", "ethics", "master"):
                line[f"bce_{name}"] = 0.5
            if step == 1 or step % 50 == 0:
                line["bce_grad_ratio"] = 0.0 if config.bce.profile == "seed" else ratio
        yield line
        if config.data.validation != "none" and step % config.logging.eval_steps == 0:
            yield {"step": step, "eval_loss": ce + 0.5, "eval_perplexity": math.exp(ce + 0.5), "eval_runtime": 0.1}


def example_run(
    store: RunStore,
    status: Status = "finished",
    *,
    name: str = "an example",
    config: RunConfig | None = None,
    steps: int = 120,
    total: int = 300,
    leaks: bool = False,
    failure: Failure | None = None,
    last_line: dict[str, Any] | None = None,
    checkpoints: tuple[int, ...] = (),
) -> str:
    """A run in the given status with `steps` of its `total` steps logged; this process poses as its own."""
    config = config or example_config()
    run_id = store.create(config, name, lambda directory: (directory / "data").mkdir(), dataset=DATASET)
    if status == "queued":
        return run_id
    directory = store.directory(run_id)
    store.transition(run_id, "starting", process=own_identity())
    (directory / "train.log").write_text("Loading the text and the model.\nTraining.\n", encoding="utf-8")
    if status == "starting":
        return run_id
    began = now() - timedelta(seconds=60)
    probe = {"leaks": leaks, "largest_change": 3.27 if leaks else 0.0}
    facts: dict[str, Any] = {"weights": 743_552, "model_class": "BertLMHeadModel", "leak_probe": probe}
    store.transition(run_id, "running", started=began, facts=facts, device="cpu", versions={"torch": "2.13.0"})
    with MetricsWriter(directory / "metrics.jsonl") as writer:
        for line in training_lines(config, range(1, steps + 1), total):
            writer.write(line)
        if last_line is not None:
            writer.write(last_line)
    for step in checkpoints:
        checkpoint = directory / "checkpoints" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "complete").touch()
    progress = Progress(
        step=steps, total_steps=total, epoch=steps / 50, updated=now(), session_started=began, steps_per_second=31.2
    )
    store.update(run_id, progress=progress)
    if status == "running":
        return run_id
    if status == "finished":
        facts |= {"train_loss": 3.91, "train_steps_per_second": 18.7, "train_runtime": 60.0}
    ended = began + timedelta(seconds=60)
    store.transition(run_id, status, ended=ended, process=None, failure=failure, facts=facts)
    return run_id
