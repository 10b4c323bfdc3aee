"""From a configuration and its texts to a Trainer that is ready to run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from bcecore.config import RunConfig
from bcecore.errors import ConfigError, Problem
from bcecore.text.tokenizing import encode
from bcecore.text.tokenizing import load_tokenizer as load_fast_tokenizer
from bcecore.training import models
from bcecore.training.trainer import BCETrainer

IGNORED_LABEL = -100


@dataclass(frozen=True)
class Example:
    """One tokenized text. A class of its own so that the Trainer's generic collating never touches it."""

    ids: torch.Tensor  # (T,), int64


class Collator:
    """Puts examples of different lengths into one batch: input_ids, attention_mask and labels, each (B, T).

    Labels are the tokens themselves (the model shifts them); padding is never scored. Draws no random numbers, on
    which exact resuming depends.
    """

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        if len(examples) == 1:
            ids = examples[0].ids.unsqueeze(0)
            return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
        length = max(len(example.ids) for example in examples)
        ids = torch.full((len(examples), length), self._pad_id)
        mask = torch.zeros_like(ids)
        labels = torch.full_like(ids, IGNORED_LABEL)
        for row, example in enumerate(examples):
            end = len(example.ids)
            ids[row, :end] = example.ids
            labels[row, :end] = example.ids
            mask[row, :end] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@dataclass(frozen=True)
class TokenizedText:
    """The texts of a run as examples, and the tokenizer that made them."""

    train: list[Example]
    validation: list[Example]
    tokenizer: PreTrainedTokenizerBase

    @property
    def pad_id(self) -> int:
        """What fills short rows; it is masked, so that any token will do where the tokenizer has none for it."""
        return int(self.tokenizer.pad_token_id or 0)


def tokenized_text(data_directory: Path, block_size: int) -> TokenizedText:
    """The frozen text in a run's `data/` directory, cut into tokens by the frozen tokenizer there."""
    fast = load_fast_tokenizer(data_directory / "tokenizer")
    sides = []
    for name in ("train", "validation"):
        encoded = encode(fast, read_lines(data_directory / f"{name}.jsonl"), block_size)
        sides.append([Example(torch.tensor(ids)) for ids in encoded.ids])
    return TokenizedText(sides[0], sides[1], models.load_tokenizer(data_directory / "tokenizer"))


def read_lines(path: Path) -> list[str]:
    """The texts of one of a run's frozen `data/*.jsonl` files."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def pick_device(wanted: Literal["auto", "cpu", "cuda", "mps"]) -> str:
    """The device that a run uses. Raises ConfigError for one that is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[wanted]:
        found = ", ".join(device for device, is_there in there.items() if is_there)
        message = f"this machine has no '{wanted}' device. Found: {found}. Set it to one of these or to 'auto'."
        raise ConfigError([Problem("training.device", wanted, message)])
    return wanted


def pick_precision(wanted: Literal["auto", "fp32", "bf16", "fp16"], device: str) -> str:
    """The arithmetic that a run uses on `device`. Raises ConfigError for one that the device does not have."""
    has_bf16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "auto":
        return "bf16" if has_bf16 else "fp32"
    if (wanted == "fp16" and device != "cuda") or (wanted == "bf16" and not (has_bf16 or device == "cpu")):
        message = f"{wanted} is not available on '{device}' here. Set it to 'fp32' or 'auto'."
        raise ConfigError([Problem("training.precision", wanted, message)])
    return wanted


def training_arguments(config: RunConfig, output_directory: Path, *, evaluates: bool) -> TrainingArguments:
    """Hugging Face's arguments for `config`. Raises ConfigError for a device or precision that is not there."""
    training, logging = config.training, config.logging
    device = pick_device(training.device)
    precision = pick_precision(training.precision, device)
    evaluation: dict[str, Any] = {"eval_strategy": "no"}
    if evaluates:
        evaluation = {
            "eval_strategy": "steps",
            "eval_steps": logging.eval_steps,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    arguments = TrainingArguments(
        output_dir=str(output_directory),
        num_train_epochs=training.epochs,
        max_steps=training.max_steps or -1,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=max(training.batch_size, 8),
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.lr_scheduler,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim=training.optimizer,
        seed=training.seed,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=device == "cpu",
        logging_steps=logging.logging_steps,
        logging_first_step=True,
        # Otherwise a loss that is not a number would be logged as 0.
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=logging.save_steps,
        # The Trainer would delete old checkpoints before the new one is known to be whole; see WholeCheckpoints.
        save_total_limit=None,
        report_to=list(logging.report_to) or "none",
        remove_unused_columns=False,
        dataloader_pin_memory=device == "cuda",
        disable_tqdm=True,
        **evaluation,
    )
    # On a machine with several cards the Trainer would copy the model to each and split every batch.
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def build_trainer(
    config: RunConfig, text: TokenizedText, output_directory: Path, callbacks: Sequence[TrainerCallback] = ()
) -> BCETrainer:
    """The Trainer of a run, its model loaded or built with the run's seed.

    Raises ConfigError or ModelError that name the setting for a model that does not fit.
    """
    arguments = training_arguments(config, output_directory, evaluates=bool(text.validation))
    set_seed(config.training.seed)
    model = models.build_model(config.model, text.tokenizer)
    models.check_block_size(model, config.data.block_size)
    trainer = BCETrainer(
        model,
        arguments,
        bce=config.bce,
        train_dataset=text.train,
        eval_dataset=text.validation or None,
        data_collator=Collator(text.pad_id),
        processing_class=text.tokenizer,
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
