"""From a run's directory and a step to a model that is ready to score. Weights are safetensors, never pickles."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import tokenizers
import torch

from bcecore.config import RunConfig
from bcecore.errors import ConfigError, ModelError, RunError
from bcecore.evaluation.forward import Forward
from bcecore.store.checkpoints import checkpoint_steps, checkpoints_directory
from bcecore.text.tokenizing import load_tokenizer
from bcecore.training import models
from bcecore.training.engine import pick_device, pick_precision
from bcecore.training.regularizer import Regularizer

MODEL_DIRECTORY = "model"


@dataclass(frozen=True)
class Arithmetic:
    """Where a run's model is evaluated, and with which precision."""

    device: str
    precision: str


def arithmetic(config: RunConfig) -> Arithmetic:
    """What the run was trained with; where this machine does not have it, the nearest that it has."""
    try:
        device = pick_device(config.training.device)
    except ConfigError:
        device = pick_device("auto")
    try:
        return Arithmetic(device, pick_precision(config.training.precision, device))
    except ConfigError:
        return Arithmetic(device, "fp32")


@dataclass(frozen=True)
class Weights:
    """Where the weights of a run at one step are, and the BCE memory that belongs to them."""

    directory: Path
    memory: Path
    """A directory that may hold a memory; there is none where BCE was off, and none beside a final model."""


def find_weights(run_directory: Path, step: int, last_step: int | None) -> Weights:
    """The weights of the whole checkpoint at `step`, or the final model's if that is the run's last step.

    Raises RunError, naming the steps there are, for a step of which nothing is kept, and ModelError for weights that
    are not safetensors.
    """
    steps = checkpoint_steps(run_directory)
    checkpoint = checkpoints_directory(run_directory) / f"checkpoint-{step}"
    final = run_directory / MODEL_DIRECTORY
    if step in steps:
        directory = checkpoint
    elif step == last_step and final.is_dir():
        directory = final
    else:
        found = ", ".join(f"{number:,}" for number in steps) or "none"
        raise RunError(
            f"{run_directory.name} has no whole checkpoint at step {step:,}, so it cannot be evaluated there. "
            f"Whole ones: {found}."
        )
    if not any(directory.glob("model*.safetensors")):
        raise ModelError(
            f"{directory} holds no model.safetensors. Other formats of weights can run code when they are opened, so "
            "they are not read; save the model with save_pretrained, which writes this one."
        )
    return Weights(directory, checkpoint)


def load_forward(
    config: RunConfig, run_directory: Path, weights: Weights, using: Arithmetic, block_size: int
) -> Forward:
    """The model of a run with these weights, as the run's settings have it: number format, reading left to right.

    Raises ModelError for a model that cannot be loaded, ConfigError for one that cannot read `block_size` tokens.
    """
    tokenizer = models.load_tokenizer(run_directory / "data" / "tokenizer")
    source = config.model.model_copy(update={"source": str(weights.directory.resolve())})
    model = models.build_model(source, tokenizer)
    models.check_block_size(model, block_size)
    model.to(torch.device(using.device))  # type: ignore[arg-type]
    regularizer = Regularizer(config.bce)
    regularizer.memory.load(weights.memory, model.device)
    return Forward(model, regularizer, pad_id=int(tokenizer.pad_token_id or 0), precision=using.precision)


def load_run_tokenizer(run_directory: Path) -> tuple[tokenizers.Tokenizer, str]:
    """The frozen tokenizer of a run and its fingerprint (SHA-256): equal ones cut every text alike."""
    tokenizer = load_tokenizer(run_directory / "data" / "tokenizer")
    return tokenizer, hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
