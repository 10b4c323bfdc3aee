"""Models: causal or leaky as asked, loaded from a folder without running code, and the future-leak probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertLMHeadModel,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from bcecore.config import ModelConfig
from bcecore.errors import ConfigError, ModelError
from bcecore.training.engine import TokenizedText
from bcecore.training.models import build_model, check_block_size, count_weights, prepare_model, probe_future_leak

TINY: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 64}


def test_offline_model_is_causal_by_default_and_does_not_leak(small_text: TokenizedText) -> None:
    model = build_model(ModelConfig(**TINY), small_text.tokenizer)
    assert isinstance(model, BertLMHeadModel) and model.config.is_decoder
    probe = probe_future_leak(model)
    assert not probe.leaks
    assert probe.largest_change == 0


def test_the_reports_setting_leaks_and_is_found_out(small_text: TokenizedText) -> None:
    model = build_model(ModelConfig(causal=False, **TINY), small_text.tokenizer)
    probe = probe_future_leak(model)
    assert probe.leaks
    assert probe.largest_change > 1e-4


@pytest.mark.parametrize(
    "model",
    [
        GPT2LMHeadModel(GPT2Config(vocab_size=100, n_positions=32, n_embd=32, n_layer=2, n_head=2)),
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=100,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
            )
        ),
    ],
    ids=["gpt2", "llama"],
)
def test_decoder_families_do_not_leak(model: Any) -> None:
    assert not probe_future_leak(model).leaks


def test_probing_uses_no_shared_random_numbers_and_keeps_the_mode(small_text: TokenizedText) -> None:
    model = build_model(ModelConfig(**TINY), small_text.tokenizer)
    model.train()
    state = torch.random.get_rng_state()
    probe_future_leak(model)
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("causal", [True, False])
def test_a_bert_checkpoint_without_a_language_model_head_loads_from_a_folder(
    small_text: TokenizedText, tmp_path: Path, causal: bool
) -> None:
    config = BertConfig(
        vocab_size=len(small_text.tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    original = BertModel(config)
    original.save_pretrained(tmp_path)
    model = build_model(ModelConfig(source=str(tmp_path), causal=causal), small_text.tokenizer)
    assert model.config.is_decoder is causal
    assert probe_future_leak(model).leaks is not causal
    assert torch.equal(model.get_input_embeddings().weight, original.get_input_embeddings().weight)  # type: ignore[arg-type]


def test_a_half_precision_checkpoint_is_loaded_in_the_asked_format(small_text: TokenizedText, tmp_path: Path) -> None:
    GPT2LMHeadModel(GPT2Config(vocab_size=200, n_positions=32, n_embd=32, n_layer=1, n_head=2)).half().save_pretrained(
        tmp_path
    )
    assert build_model(ModelConfig(source=str(tmp_path)), small_text.tokenizer).dtype == torch.float32


def test_a_folder_that_is_no_model_is_refused_with_its_setting(small_text: TokenizedText, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ModelError, match="could not be loaded") as caught:
        build_model(ModelConfig(source=str(tmp_path)), small_text.tokenizer)
    assert caught.value.field == "model.source"


def test_a_tokenizer_with_more_words_than_the_model_is_refused(small_text: TokenizedText, tmp_path: Path) -> None:
    GPT2LMHeadModel(GPT2Config(vocab_size=20, n_positions=32, n_embd=32, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="only 20") as caught:
        build_model(ModelConfig(source=str(tmp_path)), small_text.tokenizer)
    assert caught.value.field == "model.tokenizer"


def test_block_size_beyond_the_loaded_model(small_text: TokenizedText) -> None:
    model = build_model(ModelConfig(**TINY), small_text.tokenizer)
    check_block_size(model, 64)
    with pytest.raises(ConfigError, match=r"data\.block_size.*64"):
        check_block_size(model, 65)


@pytest.mark.parametrize("length", [2, 5, 17])
def test_the_loss_is_a_mean_over_the_scored_tokens(small_text: TokenizedText, length: int) -> None:
    """Unprepared, the Trainer would divide by L where L − 1 tokens are scored."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=100, n_positions=32, n_embd=32, n_layer=1, n_head=2)).eval()
    prepare_model(model)
    ids = torch.randint(100, (1, length))
    output = model(input_ids=ids, labels=ids)
    by_hand = torch.nn.functional.cross_entropy(output.logits[0, :-1], ids[0, 1:])
    assert output.loss.item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_tied_weights_count_once(small_text: TokenizedText) -> None:
    model = build_model(ModelConfig(**TINY), small_text.tokenizer)
    distinct = {
        tensor.data_ptr(): tensor.numel() for tensor in model.state_dict().values() if tensor.is_floating_point()
    }
    assert count_weights(model) == sum(distinct.values())
