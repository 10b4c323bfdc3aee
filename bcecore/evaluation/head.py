"""From hidden states to the loss of each prediction: the product with the whole vocabulary, in small blocks.

For a small model this product is most of the work, and its result most of the memory of any. So it is done only for
states that predict something that counts, and never for the whole vocabulary and many states at once: what a block
yields is used while it is still in the processor's cache.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

# Numbers in one block of whole rows of the vocabulary, 4 bytes each. On a processor larger ones are no faster, and
# their memory, asked for in ever other sizes, is given back in pieces that fit nothing: with four times as many the
# process grew to twice its size. A graphics card needs more at a time to be busy.
_BLOCK_NUMBERS = 1 << 22
_BLOCK_NUMBERS_CARD = 1 << 26
# Fewer rows would read the whole matrix for hardly anything.
_MIN_BLOCK_ROWS = 128
# States and words in one tile: on a processor with 1 MB of cache a core, a third faster than whole rows.
_TILE_ROWS = 512
_TILE_WORDS = 1024
_AGREEMENT = 1e-3
_PROBE_LENGTHS = (9, 6)
# Far beyond what logits are, so that whatever is done to them shows.
_PLANTED = 1000.0


class Head:
    """What `model` does between its hidden states and the loss of each prediction.

    Every family has its own layers and factors there, all of them in the model's own `forward`. So that is called as it
    is; what it gets from its base is just the chosen states, in the base's own kind of output. `arithmetic` makes the
    context in which the model is to be called.
    """

    def __init__(self, model: PreTrainedModel, arithmetic: Callable[[], AbstractContextManager[Any]]) -> None:
        self._model = model
        self._base = model.base_model
        self._arithmetic = arithmetic
        self.is_by_state = self._base is not model and self._agrees()
        """Whether a state's logits depend on nothing but the state, so that it can be asked for some states only."""
        self.is_linear = self.is_by_state and self._ends_in_product()
        """Whether they end in a plain product with a matrix that has a row for each word."""

    @property
    def words(self) -> int:
        """The size of the vocabulary."""
        vectors = self._model.get_input_embeddings().weight
        assert isinstance(vectors, torch.Tensor)
        return len(vectors)

    def losses(self, output: Any, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss (nats, float32) of predicting each of `targets` (N,) from each of `states` (N, H).

        `output` is what the base gave, of which the states are some. Only where `is_by_state`.
        """
        if self.is_linear and states.device.type == "cpu":
            rows, loss = _TILE_ROWS, self._tiled
        else:
            numbers = _BLOCK_NUMBERS if states.device.type == "cpu" else _BLOCK_NUMBERS_CARD
            rows, loss = max(numbers // self.words, _MIN_BLOCK_ROWS), self._in_rows
        pairs = zip(states.split(rows), targets.split(rows), strict=True)
        return torch.cat([loss(output, some, wanted) for some, wanted in pairs])

    # -- two ways to the same

    def _in_rows(self, output: Any, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return token_losses(self._logits(output, states), targets)

    def _tiled(self, output: Any, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The same, some words at a time: log Σ exp of each tile, and of these of all tiles."""
        layer = self._product()
        assert layer is not None
        inputs = self._inputs_of_product(output, states)  # (N, H')
        sums, wanted = [], torch.empty(0)
        for begin in range(0, len(layer.weight), _TILE_WORDS):
            end = begin + _TILE_WORDS
            bias = None if layer.bias is None else layer.bias[begin:end]
            with self._arithmetic():
                logits = functional.linear(inputs, layer.weight[begin:end], bias).float()  # (N, words of the tile)
            # The loss of any one word is log Σ exp − its logit; torch has no faster way to log Σ exp on a processor.
            sums.append(logits[:, 0] - logits.log_softmax(dim=1)[:, 0])
            place = (targets - begin).clamp(0, logits.shape[1] - 1)
            found = logits.gather(1, place.unsqueeze(1)).squeeze(1)
            wanted = found if begin == 0 else torch.where(targets >= begin, found, wanted)
        return torch.stack(sums, dim=1).logsumexp(dim=1) - wanted

    # -- parts of the model

    def _logits(self, output: Any, states: torch.Tensor) -> torch.Tensor:
        """The logits (N, V) that the model makes of hidden states (N, H)."""
        given = copy.copy(output)
        given.last_hidden_state = states.unsqueeze(0)
        with _replaced(self._base, lambda *_, **__: given), self._arithmetic():
            logits = self._model(input_ids=states.new_zeros((1, len(states)), dtype=torch.long)).logits
        assert isinstance(logits, torch.Tensor)
        return logits[0]

    def _product(self) -> nn.Linear | None:
        layer = self._model.get_output_embeddings()
        return layer if type(layer) is nn.Linear else None

    def _inputs_of_product(self, output: Any, states: torch.Tensor) -> torch.Tensor:
        """What the model multiplies with its vocabulary, (N, H'), for hidden states (N, H)."""
        taken: list[torch.Tensor] = []

        def take(inputs: torch.Tensor) -> torch.Tensor:
            taken.append(inputs)
            return inputs[..., :1]

        layer = self._product()
        assert layer is not None
        with _replaced(layer, take):
            self._logits(output, states)
        return taken[0].flatten(0, -2)

    # -- what kind of head it is, found out on random tokens

    @torch.inference_mode()
    def _agrees(self) -> bool:
        output, mask, expected = self._probe()
        states = output[0][mask]
        try:
            # In another order, so that a head that looks at neighbours gives itself away.
            found = self._logits(output, states.flip(0)).flip(0)
        except (AttributeError, TypeError, ValueError, KeyError, IndexError, RuntimeError):
            return False  # whatever this family does there needs more than the states
        tolerance = _AGREEMENT if expected.dtype == torch.float32 else 10 * _AGREEMENT
        return found.shape == expected.shape and torch.allclose(
            found.float(), expected.float(), rtol=tolerance, atol=tolerance
        )

    @torch.inference_mode()
    def _ends_in_product(self) -> bool:
        layer = self._product()
        if layer is None or not all(torch.isfinite(tensor).all() for tensor in layer.parameters()):
            return False
        output, mask, _ = self._probe()
        states = output[0][mask]
        planted = torch.linspace(-_PLANTED, _PLANTED, len(layer.weight), device=states.device).to(layer.weight.dtype)
        planted = planted.expand(1, len(states), -1)
        with _replaced(layer, lambda _: planted):
            found = self._logits(output, states)
        return torch.equal(found.float(), planted[0].float())

    def _probe(self) -> tuple[Any, torch.Tensor, torch.Tensor]:
        """The base's output for random tokens, which of them are real (B, T), and the model's logits for those."""
        generator = torch.Generator().manual_seed(0)
        size = (len(_PROBE_LENGTHS), max(_PROBE_LENGTHS))
        ids = torch.randint(self.words, size, generator=generator).to(self._model.device)
        mask = torch.zeros_like(ids)
        for row, end in enumerate(_PROBE_LENGTHS):
            mask[row, :end] = 1
        with self._arithmetic():
            logits = self._model(input_ids=ids, attention_mask=mask).logits
            output = self._base(input_ids=ids, attention_mask=mask)
        return output, mask.bool(), logits[mask.bool()]


def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss of each prediction, nats, in float32. Logits (N, V), targets (N,); returns (N,)."""
    return functional.cross_entropy(logits.float(), targets, reduction="none")


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """While in use, `module` does `forward` instead of its own."""
    object.__setattr__(module, "forward", forward)
    try:
        yield
    finally:
        object.__delattr__(module, "forward")
