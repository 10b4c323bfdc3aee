"""Runs and evaluations for the tests of scoring: tiny real models, trained for a moment on real text."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from bcecore.config import RunConfig
from bcecore.evaluation.job import EvaluationJob
from bcecore.jobs.submit import submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.checkpoints import checkpoint_steps, checkpoints_directory
from bcecore.store.evaluations import EvaluationRecord, EvaluationRequest, EvaluationStore, SplitSpec
from bcecore.store.record import Progress, now
from bcecore.store.runs import RunStore
from bcecore.training.callbacks import LastStep, WholeCheckpoints
from bcecore.training.engine import build_trainer, tokenized_text
from tests.loaded import run_program

SMALL: dict[str, Any] = {
    "model.hidden_size": 32,
    "model.intermediate_size": 64,
    "model.vocab_size": 400,
    "model.max_position_embeddings": 128,
    "data.block_size": 48,
    "training.device": "cpu",
    "training.batch_size": 4,
    "training.max_steps": 20,
    "training.warmup_steps": 2,
    "training.learning_rate": 1e-3,
    "bce.warmup_steps": 5,
    "logging.save_steps": 10,
    "logging.eval_steps": 1000,
}


def small_config(**changes: Any) -> RunConfig:
    """Settings of a run of a second, with `section__name=value` changed."""
    values = SMALL | {key.replace("__", "."): value for key, value in changes.items()}
    return with_values(load_recipe("quick-look").config, values)


def trained_run(store: RunStore, **changes: Any) -> str:
    """A finished run with checkpoints at steps 10 and 20 and a final model, trained in this process."""
    config = small_config(**changes)
    run_id = submit(store, config, name="scored")
    directory = store.directory(run_id)
    callbacks: list[TrainerCallback] = [LastStep(), WholeCheckpoints(directory, None)]
    text = tokenized_text(directory / "data", config.data.block_size)
    trainer = build_trainer(config, text, checkpoints_directory(directory), callbacks)
    trainer.train()
    trainer.save_model(str(directory / "model"))
    store.transition(run_id, "starting")
    store.transition(run_id, "running")
    last = trainer.state.max_steps
    store.transition(
        run_id, "finished", process=None, progress=Progress(step=last, total_steps=last, epoch=1.0, updated=now())
    )
    assert checkpoint_steps(directory) == [10, 20]
    return run_id


def make_evaluation(
    store: RunStore,
    run_id: str,
    texts: Sequence[str | tuple[str, str]],
    *,
    checkpoints: tuple[int, ...] = (20,),
    splits: int = 1,
    batch_tokens: int = 1024,
    **spec: Any,
) -> EvaluationRecord:
    """A queued evaluation of `texts` (those of a labelled set with their labels), as `splits` equal splits."""

    def fill(directory: Path) -> EvaluationRequest:
        found = []
        for number in range(splits):
            path = directory / "data" / f"{number}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for text in texts:
                    row = {"text": text} if isinstance(text, str) else {"text": text[0], "label": text[1]}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            values: dict[str, Any] = {
                "name": f"split {number}",
                "kind": "labelled" if "labels" in spec else "file",
                "file": f"data/{number}.jsonl",
                "source": "a test",
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "rows": len(texts),
                "block_size": 48,
            }
            found.append(SplitSpec(**values | spec))
        return EvaluationRequest(checkpoints=checkpoints, splits=tuple(found), batch_tokens=batch_tokens)

    return EvaluationStore(store).create(run_id, "test", fill)


class Unwatched:
    """A watcher that only counts."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.seen: list[int] = []
        self.written: list[int] = []

    def begin(self, done: int) -> None:
        self.began.append(done)

    def at(self, done: int) -> None:
        self.seen.append(done)

    def kept(self, done: int) -> None:
        self.written.append(done)


def job_of(store: RunStore, record: EvaluationRecord, watcher: Any = None) -> EvaluationJob:
    """The work of an evaluation, to be done in this process."""
    run_id = record.run_id
    directory = EvaluationStore(store).directory(record.key)
    assert record.request is not None
    last_step, config = store.record(run_id).step_reached, store.config(run_id)
    return EvaluationJob(directory, store.directory(run_id), config, record.request, last_step, watcher or Unwatched())


def run_worker(store: RunStore, record: EvaluationRecord, patch: str = "") -> subprocess.CompletedProcess[str]:
    """Carry out an evaluation in a process of its own, after the statements of `patch`, and wait for it."""
    evaluations = EvaluationStore(store)
    status = evaluations.record(record.key).status
    if status in ("stopped", "failed", "crashed"):
        evaluations.transition(record.key, "queued")
    if status != "starting":
        evaluations.transition(record.key, "starting")
    program = f"import os, signal, sys\nfrom bcecore.evaluation import job, worker\n{patch}\n"
    program += "sys.exit(worker.main(sys.argv[1:]))"
    return run_program(program, str(evaluations.directory(record.key)))


def rows_of(store: RunStore, record: EvaluationRecord) -> list[dict[str, Any]]:
    """The examples of an evaluation."""
    rows: list[dict[str, Any]] = EvaluationStore(store).examples(record.key).to_pylist()
    return rows
