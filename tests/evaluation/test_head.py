"""The head of a model alone: what it is found to be, and the same losses by every way."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from transformers import PreTrainedModel

from bcecore.evaluation import head as module
from bcecore.evaluation.head import Head, token_losses
from tests.evaluation.test_forward import FAMILIES, SIZES, WORDS, LooksAround, make

# Squeezed logits end in no plain product; OPT's model does not call its base as a whole.
BY_STATE = set(FAMILIES) - {"opt"}
LINEAR = BY_STATE - {"gemma2"}


def head_of(model: PreTrainedModel) -> Head:
    return Head(model, nullcontext)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kind_of_head_is_found_out(family: str) -> None:
    head = head_of(make(family))
    assert (head.is_by_state, head.is_linear, head.words) == (family in BY_STATE, family in LINEAR, WORDS)


def test_a_head_that_looks_around_is_found_out() -> None:
    head = head_of(LooksAround(FAMILIES["bert"][1]).eval())
    assert not head.is_by_state and not head.is_linear and SIZES["vocab_size"] == head.words


@pytest.mark.parametrize("family", sorted(BY_STATE))
@pytest.mark.parametrize("size", [1, 7, 5000])
@torch.inference_mode()
def test_the_losses_are_those_of_the_whole_model(family: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks and tiles of any size, those that do not divide the whole included."""
    monkeypatch.setattr(module, "_BLOCK_NUMBERS", 0)
    for name in ("_MIN_BLOCK_ROWS", "_TILE_ROWS", "_TILE_WORDS"):
        monkeypatch.setattr(module, name, size)
    model = make(family)
    ids = torch.randint(5, WORDS, (3, 8), generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([0, WORDS - 1, *range(1, 23)])  # the first and the last word too
    expected = token_losses(model(input_ids=ids).logits.flatten(0, 1), targets)
    head = head_of(model)
    output = model.base_model(input_ids=ids)
    found = head.losses(output, output[0].flatten(0, 1), targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-6)


@torch.inference_mode()
def test_a_head_with_numbers_that_are_none_is_not_tiled() -> None:
    model = make("bert")
    model.cls.predictions.bias[3] = -torch.inf  # a word that is never predicted
    head = head_of(model)
    assert not head.is_linear
    ids = torch.tensor([[5, 6, 7]])
    output = model.base_model(input_ids=ids)
    losses = head.losses(output, output[0][0], torch.tensor([3, 6, 7]))
    assert losses[0] == torch.inf and losses[1:].isfinite().all()


def test_the_model_is_as_before_afterwards() -> None:
    model = make("bert")
    head_of(model)
    assert all("forward" not in vars(part) for part in model.modules())
