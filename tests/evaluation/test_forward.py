"""One pass: the loss of each token as the model's own, whatever the family, the batch and the block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertLMHeadModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForCausalLM,
)

from bcecore.config import BCEConfig
from bcecore.errors import StopRequested
from bcecore.evaluation.forward import Forward, Piece
from bcecore.training.models import prepare_model
from bcecore.training.regularizer import Regularizer

WORDS = 300
SIZES: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "pad_token_id": 0,
}
FAMILIES: dict[str, tuple[type[PreTrainedModel], Any]] = {
    "bert": (BertLMHeadModel, BertConfig(**SIZES, is_decoder=True)),
    "leaky bert": (BertLMHeadModel, BertConfig(**SIZES)),
    "roberta": (RobertaForCausalLM, RobertaConfig(**SIZES, is_decoder=True)),
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=WORDS, n_embd=32, n_layer=2, n_head=2)),
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES)),
    # Squeezes its logits behind the product.
    "gemma2": (Gemma2ForCausalLM, Gemma2Config(**SIZES, num_key_value_heads=2, head_dim=16)),
    # Its model does not call its base as a whole.
    "opt": (OPTForCausalLM, OPTConfig(**SIZES, ffn_dim=64, word_embed_proj_dim=32)),
}


class LooksAround(BertLMHeadModel):
    """A model whose logits at a place depend on the state of the place before."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits + output.logits.roll(1, dims=1)
        return output


def make(family: str) -> PreTrainedModel:
    torch.manual_seed(0)
    kind, config = FAMILIES[family]
    model = kind(config).eval()
    with torch.no_grad():  # sharper than at their random start, so that a mistake shows
        for parameter in model.parameters():
            parameter.mul_(2)
    prepare_model(model)
    return model


def texts(lengths: list[int]) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(5, WORDS, (length,), generator=generator).tolist() for length in lengths]


def pieces_of(ids: list[list[int]]) -> list[Piece]:
    return [Piece(tokens, 1, len(tokens)) for tokens in ids]


def seed_profile() -> Regularizer:
    return Regularizer(BCEConfig(profile="seed"))


IDS = texts([3, 17, 9, 30, 9, 2])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_models_own_and_r_is_the_regularisers(family: str) -> None:
    model = make(family)
    with torch.no_grad():
        expected = [float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss) for ids in IDS]
        states = [model.base_model(input_ids=torch.tensor([ids]))[0].mean(dim=1) for ids in IDS]
    reference = [seed_profile()(state) for state in states]
    for budget in (1, 40, 1000):
        forward = Forward(model, seed_profile())
        scores, steps = forward.score(pieces_of(IDS), budget)
        assert steps == {1: 6, 40: 3, 1000: 1}[budget]
        assert [float(score.nll.mean()) for score in scores] == pytest.approx(expected, abs=1e-5)
        assert [score.bce_loss for score in scores] == pytest.approx([float(r.loss) for r in reference], abs=1e-6)
        for score, r in zip(scores, reference, strict=True):
            assert score.components == pytest.approx(r.components[0].numpy(), abs=1e-6)


def test_a_head_that_looks_around_is_asked_for_everything() -> None:
    torch.manual_seed(0)
    model = LooksAround(BertConfig(**SIZES, is_decoder=True)).eval()
    prepare_model(model)
    forward = Forward(model, seed_profile())
    scores, _ = forward.score(pieces_of(IDS), 1)
    with torch.no_grad():
        for ids, score in zip(IDS, scores, strict=True):
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
            expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
            assert score.nll == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "opt"])
def test_only_what_is_asked_for_is_scored(family: str) -> None:
    forward = Forward(make(family), seed_profile())
    whole = [score.nll for score in forward.score(pieces_of(IDS), 100)[0]]
    parts, _ = forward.score([Piece(IDS[3], 12, 20), Piece(IDS[1], 16, 17), Piece(IDS[3], 1, 30)], 100)
    assert parts[0].nll == pytest.approx(whole[3][11:19], abs=1e-5)
    assert parts[1].nll == pytest.approx(whole[1][15:], abs=1e-5)


def test_the_model_is_as_before_afterwards() -> None:
    model = make("bert")
    with torch.no_grad():
        before = model(input_ids=torch.tensor([IDS[0]])).logits
        Forward(model, seed_profile()).score(pieces_of(IDS), 40)
        assert torch.equal(model(input_ids=torch.tensor([IDS[0]])).logits, before)


def test_whoever_follows_hears_of_every_batch_and_can_end_it() -> None:
    heard: list[int] = []
    forward = Forward(make("bert"), seed_profile())
    forward.score(pieces_of(IDS), 40, heard.append)
    assert heard == [1, 2, 3]

    def stop(_: int) -> None:
        raise StopRequested

    with pytest.raises(StopRequested):
        forward.score(pieces_of(IDS), 40, stop)


def test_sixteen_bits_are_near() -> None:
    model = make("bert")
    exact = Forward(model, seed_profile()).score(pieces_of(IDS), 100)[0]
    rough = Forward(model, seed_profile(), precision="bf16").score(pieces_of(IDS), 100)[0]
    for one, other in zip(exact, rough, strict=True):
        assert one.nll == pytest.approx(other.nll, abs=0.3) and (one.nll != other.nll).any()
