"""Tiny real models and texts for the training tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast, TrainerCallback

from bcecore.config import RunConfig
from bcecore.settings import with_values
from bcecore.text.tokenizing import encode, train_wordpiece
from bcecore.training.engine import Example, TokenizedText, build_trainer
from bcecore.training.trainer import BCETrainer

LINES = [
    "The door is open and the lamp is on.",
    "Kapı açık.",
    "A baker has twelve loaves and sells five of them before noon.",
    "Tell me about rivers",
    "Güneş doğudan doğar, batıdan batar; bunu herkes bilir.",
    "No.",
    "The old bridge over the river was closed for the whole winter because of ice.",
    "Two and two are four.",
    "Kediler uyur.",
    "Every morning the same bus takes us to the market and back.",
    "Cold water, warm bread.",
]

SMALL: dict[str, Any] = {
    "model.hidden_size": 32,
    "model.intermediate_size": 64,
    "model.max_position_embeddings": 64,
    "model.vocab_size": 200,
    "data.block_size": 32,
    "training.device": "cpu",
    "training.batch_size": 2,
    "training.learning_rate": 1e-3,
    "training.epochs": 100,
    "training.max_steps": 50,
    "bce.warmup_steps": 1,
    "bce.boost_span": 20,
    "logging.save_steps": 1000,
    "logging.eval_steps": 1000,
}


@pytest.fixture(scope="session")
def small_text() -> TokenizedText:
    fast = train_wordpiece(LINES, 200)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    examples = [Example(torch.tensor(ids)) for ids in encode(fast, LINES, 32).ids]
    return TokenizedText(examples[:7], examples[7:], tokenizer)


@pytest.fixture
def small_config() -> Callable[..., RunConfig]:
    def make(changes: dict[str, Any] | None = None) -> RunConfig:
        return with_values(RunConfig(), SMALL | (changes or {}))

    return make


@pytest.fixture
def make_trainer(
    small_text: TokenizedText, small_config: Callable[..., RunConfig], tmp_path: Path
) -> Callable[..., BCETrainer]:
    def make(
        changes: dict[str, Any] | None = None, callbacks: Sequence[TrainerCallback] = (), folder: str = "checkpoints"
    ) -> BCETrainer:
        return build_trainer(small_config(changes), small_text, tmp_path / folder, callbacks)

    return make


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    """A copy of the model's weights."""
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    """Every weight equal in every bit."""
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different, f"weights differ: {different}"


def training_records(trainer: Any) -> list[dict[str, Any]]:
    """The records of training steps in the Trainer's log."""
    return [record for record in trainer.state.log_history if "loss" in record]
