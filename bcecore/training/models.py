"""Building or loading the model, and proving that it cannot see the future."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertLMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from bcecore.config import ModelConfig, block_size_message
from bcecore.errors import ConfigError, ModelError, Problem
from bcecore.text.sources import BERT_FAMILY, positions

LEAK_THRESHOLD = 1e-4
_PROBE_TOKENS = 16
# Enough to tell a tenth of a nat from luck, and less work than a step of training.
_RANDOM_TEXTS, _RANDOM_TOKENS = 4, 64


def build_model(config: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The model that `config` describes, ready for training, in `config.dtype`.

    The random weights of an offline model come from torch's global generator: seed it before. Raises ModelError with
    the setting's name for a source that cannot be loaded.
    """
    dtype = getattr(torch, config.dtype)
    if config.kind == "offline":
        model: PreTrainedModel = BertLMHeadModel(_offline_architecture(config, tokenizer)).to(dtype)
    else:
        model = _load(config, dtype)
        words = len(_word_vectors(model))
        if len(tokenizer) > words:
            raise ModelError(
                f"The tokenizer knows {len(tokenizer):,} tokens, but {config.source} only {words:,}. Use the model's "
                "own tokenizer (set it to 'auto').",
                field="model.tokenizer",
            )
    prepare_model(model)
    return model


def prepare_model(model: PreTrainedModel) -> None:
    """Make the Trainer normalise the loss by the tokens that are really scored.

    For some families (BERT, GPT-2) it counts the unshifted labels, one a text too many, unless the loss type says
    that the labels are shifted; every loss, also in evaluation, would come out (L−1)/L of what it is.
    """
    model.loss_type = "ForCausalLM"


def _offline_architecture(config: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> BertConfig:
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=config.max_position_embeddings,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        pad_token_id=tokenizer.pad_token_id,
        # Set before construction: afterwards it no longer reaches the attention layers.
        is_decoder=config.causal,
    )


def _load(config: ModelConfig, dtype: torch.dtype) -> PreTrainedModel:
    source = str(Path(config.source).expanduser()) if config.kind == "local" else config.source
    try:
        architecture = AutoConfig.from_pretrained(source)
        if architecture.model_type in BERT_FAMILY:
            architecture.is_decoder = config.causal
        model = AutoModelForCausalLM.from_pretrained(source, config=architecture, dtype=dtype)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"The model {config.source} could not be loaded: {_first_line(error)} If it is on the Hugging Face Hub, "
            "connect to the internet once or copy its folder here; or choose a recipe that builds its model here.",
            field="model.source",
        ) from error
    assert isinstance(model, PreTrainedModel)
    return model


def _first_line(error: Exception) -> str:
    line = str(error).strip().split("\n")[0]
    return line if line.endswith((".", "!", "?")) else f"{line}."


def load_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The run's tokenizer as transformers knows it, to be saved beside the model. Runs no code of the tokenizer's."""
    tokenizer = AutoTokenizer.from_pretrained(str(directory))
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer


def _word_vectors(model: PreTrainedModel) -> torch.Tensor:
    """The model's input embeddings, shape (vocabulary, hidden)."""
    vectors = model.get_input_embeddings().weight
    assert isinstance(vectors, torch.Tensor)
    return vectors


def check_block_size(model: PreTrainedModel, block_size: int) -> None:
    """Raise ConfigError when texts of `block_size` tokens do not fit the loaded model."""
    limit = positions(model.config.to_dict())
    if limit is not None and 0 < limit < block_size:
        raise ConfigError([Problem("data.block_size", block_size, block_size_message(limit))])


def count_weights(model: PreTrainedModel) -> int:
    """Weights (parameters) of the model; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


@dataclass(frozen=True)
class LeakProbe:
    """What changing later tokens did to the predictions before them."""

    leaks: bool
    largest_change: float
    """Largest change of an earlier logit."""
    positions: int
    """Earlier positions that were compared."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def probe_future_leak(model: PreTrainedModel) -> LeakProbe:
    """Change the later half of a random text and see whether the predictions for the earlier half move.

    A causal language model's do not; one that leaks has seen the words it is asked to predict. Uses a random generator
    of its own and leaves the model's mode as it was, so that training is not affected.
    """
    vectors = _word_vectors(model)
    vocabulary, device = len(vectors), vectors.device
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (1, _PROBE_TOKENS), generator=generator)
    changed = ids.clone()
    half = _PROBE_TOKENS // 2
    # Adding between 1 and V − 1 modulo V gives another token for certain.
    offsets = torch.randint(1, vocabulary, (1, half), generator=generator)
    changed[:, half:] = (ids[:, half:] + offsets) % vocabulary
    was_training = model.training
    model.eval()
    try:
        before = model(input_ids=ids.to(device)).logits[:, :half].float()
        after = model(input_ids=changed.to(device)).logits[:, :half].float()
    finally:
        model.train(was_training)
    largest = float((before - after).abs().max())
    return LeakProbe(leaks=not largest <= LEAK_THRESHOLD, largest_change=largest, positions=half)


@torch.no_grad()
def random_tokens_score(model: PreTrainedModel) -> dict[str, float]:
    """How a trained model fares on tokens drawn uniformly at random: its `ce`, and the `chance` that is ln V, in nats.

    Nobody can foresee them, so no language model comes below chance by more than the luck of the draw; one that sees
    the token it has to predict does. Uses a random generator of its own and leaves the model's mode as it was.
    """
    vectors = _word_vectors(model)
    vocabulary, device = len(vectors), vectors.device
    length = min(_RANDOM_TOKENS, getattr(model.config, "max_position_embeddings", _RANDOM_TOKENS))
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (_RANDOM_TEXTS, length), generator=generator).to(device)
    was_training = model.training
    model.eval()
    try:
        logits = model(input_ids=ids).logits[:, :-1].float()  # (texts, length - 1, V)
    finally:
        model.train(was_training)
    ce = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    return {"ce": float(ce), "chance": math.log(vocabulary), "tokens": _RANDOM_TEXTS * (length - 1)}
