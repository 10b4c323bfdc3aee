"""Whether the disk has room for all that a run will save, found out before its first step instead of at its last."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import torch
from transformers import PreTrainedModel

from bcecore.config import RunConfig
from bcecore.errors import DiskFullError
from bcecore.files import directory_size
from bcecore.store.checkpoints import checkpoints

# For what else is written to the disk meanwhile.
MARGIN_BYTES = 200_000_000
# How many numbers an optimiser keeps for each weight. Adafactor keeps one at most, for weights that are no matrix.
_OPTIMIZER_NUMBERS = {"adamw_torch_fused": 2, "adamw_torch": 2, "adafactor": 1, "sgd": 0}
# What one logged step takes in trainer_state.json, of which every checkpoint has its own.
_RECORD_BYTES = 1200
# Settings and random generators; headers and the last bits of the larger files.
_SMALL_FILES_BYTES = 200_000


def check_room(config: RunConfig, model: PreTrainedModel, steps: int, run_directory: Path) -> None:
    """Raise DiskFullError when the disk is too small for the checkpoints and the model of a run of so many steps.

    What is there already from earlier sessions of the run counts as paid.
    """
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    tokenizer = directory_size(run_directory / "data" / "tokenizer")
    needed = needed_bytes(
        checkpoint=weights + tokenizer + optimizer_bytes(config, model) + memory_bytes(config, model),
        model=weights + tokenizer,
        log=steps // config.logging.logging_steps * _RECORD_BYTES,
        saves=math.ceil(steps / config.logging.save_steps),
        limit=config.logging.save_total_limit,
    )
    there = [checkpoint.directory for checkpoint in checkpoints(run_directory)] + [run_directory / "model"]
    needed = max(needed - sum(map(directory_size, there)), 0)
    free = shutil.disk_usage(run_directory).free
    if not has_room(free, needed):
        raise DiskFullError(room_message(run_directory.parent, free, needed))


def needed_bytes(*, checkpoint: int, model: int, log: int, saves: int, limit: int | None) -> int:
    """What a run has on the disk at most: its checkpoints, with their log, and the final model.

    Beside the kept ones there can be an older best checkpoint, and a new one before an old one is deleted. Where all
    are kept, the first have a short log and the last has the whole one: half of it on average.
    """
    small = _SMALL_FILES_BYTES
    at_most = saves if limit is None else min(saves, limit + 2)
    logs = log * at_most if at_most < saves else log * (at_most + 1) // 2
    return at_most * (checkpoint + small) + logs + model + small


def has_room(free: int, needed: int) -> bool:
    """Whether `needed` bytes fit into `free` ones and leave MARGIN_BYTES for everything else."""
    return free >= needed + MARGIN_BYTES


def room_message(runs_directory: Path, free: int, needed: int) -> str:
    """What a person reads when there is not enough room."""
    return (
        f"The checkpoints and the model of this run can take {needed / 1e9:,.2f} GB, but the disk with "
        f"{runs_directory} has {free / 1e9:,.2f} GB free, and {MARGIN_BYTES / 1e9:.1f} GB of it should stay free. "
        "Keep fewer checkpoints, save less often, or free some space (old runs' checkpoints are the largest files)."
    )


def optimizer_bytes(config: RunConfig, model: PreTrainedModel) -> int:
    """How large the optimiser's own numbers are."""
    trained = (parameter for parameter in model.parameters() if parameter.requires_grad)
    # Adafactor's are always float32.
    weights = sum(parameter.numel() * max(parameter.element_size(), 4) for parameter in trained)
    return _OPTIMIZER_NUMBERS[config.training.optimizer] * weights


def memory_bytes(config: RunConfig, model: PreTrainedModel) -> int:
    """How large the BCE memory is at most: every kept state, and the same scaled to length 1."""
    if not config.bce.enabled:
        return 0
    vectors = model.get_input_embeddings().weight
    assert isinstance(vectors, torch.Tensor)
    return 2 * config.bce.memory_size * vectors.shape[-1] * 4
