"""Small studies for tests: texts that share nothing, settings that train in a second."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from bcecore.evaluation.study import creating
from bcecore.evaluation.study.drafting import Draft, HeldOut, known_arm, with_held_out
from bcecore.jobs import control, election, evaluations
from bcecore.settings import with_values
from bcecore.store.evaluations import EvaluationStore, write_result
from bcecore.store.examples import merge_parts, write_part
from bcecore.store.identity import own_identity
from bcecore.store.metrics import MetricsWriter
from bcecore.store.record import Failure, Progress, now
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyPlan, StudyStore, cell
from bcecore.store.weights import weights_hash
from tests.jobs.test_supervisor import small

_WORDS = ("river", "stone", "cloud", "lamp", "paper", "glass", "wheat", "tower", "bread", "cabin", "north", "ember")


def document(number: int, of: str) -> str:
    """A line of eight words that no other line of any text shares with it in this order."""
    chosen = [_WORDS[(number * step + len(of)) % len(_WORDS)] for step in (1, 5, 7, 11, 13, 17)]
    return f"{of} {number} {' '.join(chosen)}."


def texts(folder: Path, *, train: int = 40, held_out: int = 32) -> tuple[Path, Path]:
    """Two files: lines to learn from, and others to measure on."""
    paths = folder / "train.txt", folder / "held_out.txt"
    for path, lines in zip(paths, (train, held_out), strict=True):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(document(number, path.stem) + "\n" for number in range(lines)), encoding="utf-8")
    return paths


def draft(store: RunStore, *, documents: int = 32, steps: int = 6, **changes: Any) -> Draft:
    """Off against active on two seeds, unless `changes` say otherwise; keys with a dot change the base settings."""
    train, other = texts(store.root.parent / f"texts-{documents}", held_out=documents)
    base = with_held_out(small(data__train_file=str(train), max_steps=steps), other)
    base = with_values(base, {key: value for key, value in changes.items() if "." in key})
    values: dict[str, Any] = {
        "name": "does it help",
        "base": base,
        "arms": (known_arm("off"), known_arm("active")),
        "seeds": (1, 2),
        "looks": (2,),
        "held_out": (HeldOut("held out", other),),
    }
    return Draft(**values | {key: value for key, value in changes.items() if "." not in key})


def put_to_sleep(patch: pytest.MonkeyPatch) -> None:
    """No supervisor comes: what is queued stays so."""
    for module in (control, evaluations, creating):
        patch.setattr(module, "wake", lambda _store: None)
    patch.setattr(election, "see_to_supervisor", lambda _store: None)


# Results as processes would leave them


TOKENS = 20
"""Predicted tokens of every document in `finish`."""


def loss_of(document: int, seed: int, effect: float) -> float:
    """Nats per token; the effect varies a little from seed to seed and from document to document."""
    varied = effect * (1 + 0.05 * np.sin(seed) + 0.2 * np.cos(document))
    return float(4 + 0.3 * np.sin(document) + 0.05 * np.cos(seed) + varied)


def finish_run(
    store: RunStore, plan: StudyPlan, arm: str, seed: int, *, weights: float = 0.0, gradient: float | None = 0.5
) -> str:
    """Let a run of a study have been trained to its end; `weights` tell its model from others."""
    run_id = StudyStore(store).state(plan.id).runs[cell(arm, seed)]
    directory, config, steps = store.directory(run_id), store.config(run_id), plan.total_steps
    if store.record(run_id).status == "held":
        store.transition(run_id, "queued")
    store.transition(run_id, "starting", process=own_identity())
    began = now() - timedelta(seconds=40)
    facts: dict[str, Any] = {"leak_probe": {"leaks": False, "largest_change": 0.0, "positions": 8}}
    store.transition(run_id, "running", started=began, facts=facts, device="cpu", versions={"torch": "2.13.0"})
    with MetricsWriter(directory / "metrics.jsonl") as writer:
        for step in range(1, steps + 1):
            weight = config.bce.weight(step)
            writer.write({"step": step, "loss": 4.0, "ce": 4.0, "grad_norm": 1.0, "bce_weight": weight})
            if step in (steps // 2, steps):
                writer.write({"step": step, "eval_loss": 5 - step / steps + 0.01 * seed + weights})
    (directory / "model").mkdir()
    save_file({"w": np.array([seed, weights], dtype=np.float32)}, directory / "model" / "model.safetensors")
    facts["train_steps_per_second"] = 10.0 if arm == plan.reference.name else 9.0
    facts["twin"] = {
        **{key: f"{key} {seed}" for key in ("initial_weights", "data_order", "random_start", "random_end")},
        "first_step": 0,
        "steps": steps,
        "final_weights": weights_hash(directory / "model"),
        "bce_gradient": {"measured": 0 if gradient is None else 2, "largest": gradient},
    }
    progress = Progress(step=steps, total_steps=steps, epoch=1.0, updated=now(), session_started=began)
    store.transition(run_id, "finished", ended=now(), process=None, facts=facts, progress=progress)
    return run_id


def measure(store: RunStore, plan: StudyPlan, arm: str, seed: int, effect: float = 0.0) -> str:
    """Let a finished run of a study have been measured; `effect` is what its arm adds to the loss, nats per token."""
    key = StudyStore(store).state(plan.id).evaluations[cell(arm, seed)]
    jobs = EvaluationStore(store)
    directory = jobs.directory(key)
    jobs.transition(key, "starting", process=own_identity())
    jobs.transition(key, "running", started=now() - timedelta(seconds=2))
    result: dict[str, Any] = {"version": 1, "complete": True, "splits": {}}
    measured = weights_hash(store.directory(StudyStore(store).state(plan.id).runs[cell(arm, seed)]) / "model")
    for number, split in enumerate(plan.splits):
        rows = [
            {"checkpoint": plan.total_steps, "split": split.name, "example": document, "tokens": TOKENS}
            | {"bytes": 60 + document, "nll": TOKENS * loss_of(document, seed, effect)}
            for document in range(split.rows)
        ]
        write_part(directory, number, rows)
        ce = sum(row["nll"] for row in rows) / (TOKENS * split.rows)
        figures = {"ce": ce, "perplexity": float(np.exp(ce)), "weights_sha256": measured}
        result["splits"][split.name] = {"checkpoints": {str(plan.total_steps): figures}}
    merge_parts(directory)
    write_result(directory, result)
    jobs.transition(key, "finished", ended=now(), process=None)
    return key


def finish(store: RunStore, plan: StudyPlan, arm: str, seed: int, effect: float = 0.0, **trained: Any) -> None:
    """Let a run of a study have been trained and measured."""
    finish_run(store, plan, arm, seed, **{"weights": effect} | trained)
    measure(store, plan, arm, seed, effect)


def finish_all(store: RunStore, plan: StudyPlan, effects: dict[str, float], seeds: tuple[int, ...] = ()) -> None:
    """Every arm with its effect, at these seeds or at those of the first look."""
    for seed in seeds or plan.seeds[: plan.looks[0]]:
        for arm in plan.arms:
            finish(store, plan, arm.name, seed, effects.get(arm.name, 0.0))


def fail(store: RunStore, run_id: str, message: str = "It broke.", **failure: Any) -> None:
    """Let a queued run have failed."""
    store.transition(run_id, "starting", process=own_identity())
    store.transition(run_id, "failed", failure=Failure(message=message, **failure), ended=now(), process=None)
