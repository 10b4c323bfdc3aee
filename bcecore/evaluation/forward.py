"""One pass of a model over pieces of text: the loss of each predicted token and the R of each piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from bcecore.evaluation.batching import batches
from bcecore.evaluation.head import Head, token_losses
from bcecore.training.regularizer import Regularizer, pool


class Piece(NamedTuple):
    """Tokens that are read together, and which of them are scored: those from `first` to `last` (exclusive)."""

    ids: Sequence[int]
    first: int
    last: int


class PieceScore(NamedTuple):
    """What one pass says of a piece."""

    nll: npt.NDArray[np.float32]
    """Negative log-likelihood of each scored token, nats. Shape (last - first,)."""
    bce_loss: float
    """R, before weighting."""
    components: npt.NDArray[np.float32]
    """The regulariser's components, in the order of `regularizer.COMPONENTS`. Shape (9,)."""


class Forward:
    """A model in evaluation mode together with the regulariser, whose memory is only read.

    `precision` is the arithmetic: "fp32", "bf16" or "fp16". `pad_id` fills short rows; it is masked.
    """

    def __init__(
        self, model: PreTrainedModel, regularizer: Regularizer, *, pad_id: int = 0, precision: str = "fp32"
    ) -> None:
        self._model = model.eval()
        self._base = model.base_model
        self._regularizer = regularizer
        self._pad_id = pad_id
        self._precision = precision
        # Neither is looked at here, and both cost time and memory.
        model.config.use_cache = False
        model.config.output_hidden_states = False
        self._head = Head(model, self._arithmetic)

    def score(
        self, pieces: Sequence[Piece], batch_tokens: int, after_batch: Callable[[int], None] = lambda _: None
    ) -> tuple[list[PieceScore], int]:
        """Score `pieces` in batches of at most `batch_tokens` tokens; their scores in order, and the number of batches.

        Up to rounding (1e-5 in float32) a score does not depend on what else is in the batch. `after_batch` is told how
        many pieces each batch had; what it raises ends the scoring.
        """
        scores: dict[int, PieceScore] = {}
        grouped = batches([len(piece.ids) for piece in pieces], batch_tokens)
        for positions in grouped:
            batch = self._batch([pieces[position] for position in positions])
            scores.update(zip(positions, batch, strict=True))
            after_batch(len(positions))
        return [scores[position] for position in range(len(pieces))], len(grouped)

    @torch.inference_mode()
    def _batch(self, pieces: list[Piece]) -> list[PieceScore]:
        ids, mask = self._padded(pieces)
        width = ids.shape[1]
        # The token at one position is predicted from the hidden state at the position before.
        counts = [piece.last - piece.first for piece in pieces]
        where = np.concatenate(
            [np.arange(piece.first, piece.last) + row * width - 1 for row, piece in enumerate(pieces)]
        )
        index = torch.from_numpy(where).to(ids.device)
        targets = ids.flatten()[index + 1]
        with self._arithmetic():
            output = self._base(input_ids=ids, attention_mask=mask)
        hidden = output[0]  # (B, T, H)
        if self._head.is_by_state:
            nll = self._head.losses(output, hidden.flatten(0, 1)[index], targets)
        else:
            # The body runs twice; such models are rare.
            with self._arithmetic():
                logits = self._model(input_ids=ids, attention_mask=mask).logits  # (B, T, V)
            nll = token_losses(logits.flatten(0, 1)[index], targets)
        bce = self._regularizer(pool(hidden, mask))
        parts = np.split(nll.cpu().numpy(), np.cumsum(counts)[:-1])
        losses, components = bce.loss.tolist(), bce.components.cpu().numpy()
        return [PieceScore(*values) for values in zip(parts, losses, components, strict=True)]

    def _padded(self, pieces: list[Piece]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and mask, each of shape (B, T)."""
        width = max(len(piece.ids) for piece in pieces)
        ids = np.full((len(pieces), width), self._pad_id, dtype=np.int64)
        mask = np.zeros((len(pieces), width), dtype=np.int64)
        for row, piece in enumerate(pieces):
            ids[row, : len(piece.ids)] = piece.ids
            mask[row, : len(piece.ids)] = 1
        device = self._model.device
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        if self._precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self._precision == "bf16" else torch.float16
        return torch.autocast(self._model.device.type, dtype=dtype)
