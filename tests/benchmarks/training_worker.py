"""A training process for `tests.benchmarks.training`: `training_worker VARIANT STEPS`.

Waits for a line on standard input, trains STEPS steps, prints the seconds they took, and waits again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, set_seed
from transformers.trainer_callback import PrinterCallback

from bcecore.config import RunConfig
from bcecore.jobs.submit import submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.metrics import MetricsWriter
from bcecore.store.runs import RunStore
from bcecore.training.callbacks import LiveLog, RunProgress
from bcecore.training.engine import TokenizedText, build_trainer, tokenized_text, training_arguments
from bcecore.training.models import build_model

BERT_WORDS = 30_522
BCE = {
    "plain": {"bce.enabled": False},
    "plain-stock": {"bce.enabled": False},
    "off": {"bce.enabled": False},
    "seed": {"bce.profile": "seed"},
    "seed-no-log": {"bce.profile": "seed"},
    "active": {"bce.profile": "active"},
}


class Rounds(TrainerCallback):
    """Times every `steps` steps and waits for the next request between them."""

    def __init__(self, steps: int, answers: Any) -> None:
        self._steps = steps
        self._answers = answers
        self._started = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._wait()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Here, not at the end of a step: a step's own log record is written after its end.
        if state.global_step and state.global_step % self._steps == 0:
            self._answers.write(f"{time.perf_counter() - self._started}\n")
            self._answers.flush()
            self._wait()

    def _wait(self) -> None:
        if not sys.stdin.readline():
            os._exit(0)
        self._started = time.perf_counter()


def _trainer(variant: str, store: RunStore, rounds: Rounds) -> Trainer:
    config = load_recipe("report-10-epoch-offline").config
    changes: dict[str, Any] = {"training.epochs": 10_000, "logging.save_steps": 10**9, "logging.eval_steps": 10**9}
    config = with_values(config, changes | BCE[variant] | {"model.causal": True})
    run_id = submit(store, config, name=variant)
    directory = store.directory(run_id)
    text = tokenized_text(directory / "data", config.data.block_size)
    text.tokenizer.add_tokens([f"[word{number}]" for number in range(BERT_WORDS - len(text.tokenizer))])
    if variant.startswith("plain"):
        return _plain(config, text, directory / "checkpoints", rounds, stock=variant == "plain-stock")
    callbacks: list[TrainerCallback] = [rounds]
    if variant != "seed-no-log":
        store.transition(run_id, "starting")
        callbacks += [LiveLog(MetricsWriter(directory / "metrics.jsonl")), RunProgress(store, run_id)]
    return build_trainer(config, text, directory / "checkpoints", callbacks)


def _plain(config: RunConfig, text: TokenizedText, output: Path, rounds: Rounds, *, stock: bool) -> Trainer:
    """The plain Trainer as its users write it: a `datasets` table and the stock collator for language models.

    With `stock` it also has the progress bar that it shows and prints its records to, unless told otherwise.
    """
    table = datasets.Dataset.from_dict(
        {
            "input_ids": [example.ids.tolist() for example in text.train],
            "attention_mask": [[1] * len(example.ids) for example in text.train],
        }
    )
    arguments = training_arguments(config, output, evaluates=False)
    arguments.disable_tqdm = not stock
    set_seed(config.training.seed)
    trainer = Trainer(
        build_model(config.model, text.tokenizer),
        arguments,
        train_dataset=table,
        data_collator=DataCollatorForLanguageModeling(text.tokenizer, mlm=False),
        callbacks=[rounds],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def main() -> None:
    variant, steps = sys.argv[1], int(sys.argv[2])
    answers = sys.stdout
    sys.stdout = sys.stderr
    with tempfile.TemporaryDirectory() as scratch:
        _trainer(variant, RunStore(Path(scratch)), Rounds(steps, answers)).train()


if __name__ == "__main__":
    main()
