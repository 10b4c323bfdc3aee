"""What has to be equal between twin runs, as hashes that the training process takes itself.

Twins start from the same weights, read the same batches in the same order and draw the same random numbers (dropout);
only then is what differs at their end the regulariser's doing. Here is what a run records about that. It is saved with
every checkpoint, so that a resumed run ends with the same record as one that nothing befell.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bcecore.files import read_json, write_json
from bcecore.store.weights import tensors_hash

TWIN_FILE = "twin.json"

_READ = ("input_ids", "attention_mask", "labels")
# On a graphics card each batch is fetched later, many at a time: fetching one would make the card wait at every step.
_PENDING_BATCHES = 64


class TwinWatch:
    """Gathers the record of one run while it trains.

    `run` is the run's id, "" for a Trainer of its own: a checkpoint that another run has saved is one that this run
    began from, and its record is not continued.
    """

    def __init__(self, run: str = "") -> None:
        self.run = run
        self._known = True
        """False after a resume from a checkpoint that says nothing of what came before it."""
        self._first_step = 0
        self._initial_weights: str | None = None
        self._random_start: str | None = None
        self._random_end: str | None = None
        self._order = b""
        self._gradients = 0
        self._largest: float | None = None
        self._begun = False
        self._pending: list[tuple[int, list[torch.Tensor]]] = []

    # -- while it trains

    def before_batch(self, done: int, model: nn.Module, device: torch.device) -> None:
        """To be called before every micro-batch; takes what there is at the run's beginning, after `done` steps."""
        if self._begun:
            return
        self._begun = True
        if self._known and self._initial_weights is None:
            self._first_step = done
            self._initial_weights = model_hash(model)
            self._random_start = random_hash(device)

    def take(self, step: int, inputs: dict[str, torch.Tensor]) -> None:
        """Take in one micro-batch of optimizer step `step` (from 1), as the model gets it; tensors of shape (B, T)."""
        if not self._known:
            return
        batch = [inputs[name] for name in _READ]
        if batch[0].is_cpu:
            self._chain(step, batch)
            return
        self._pending.append((step, batch))
        if len(self._pending) >= _PENDING_BATCHES:
            self._take_pending()

    def _take_pending(self) -> None:
        for step, batch in self._pending:
            self._chain(step, [tensor.cpu() for tensor in batch])
        self._pending.clear()

    def _chain(self, step: int, batch: list[torch.Tensor]) -> None:
        """Each link is a hash of the one before, the step and the batch: 32 bytes say all that was read so far."""
        digest = hashlib.sha256(self._order)
        digest.update(f"{step} {tuple(batch[0].shape)} ".encode())
        for tensor in batch:
            digest.update(tensor.numpy().tobytes())
        self._order = digest.digest()

    def take_gradient(self, norm: float) -> None:
        """Take in ‖∇(w·R)‖ of a step at which the weight was not 0 and it was measured."""
        self._gradients += 1
        if math.isfinite(norm):
            self._largest = norm if self._largest is None else max(self._largest, norm)

    # -- what it comes to

    def facts(self, steps: int, device: torch.device) -> dict[str, Any]:
        """The record after `steps` optimizer steps, at the end of training; None for what is not known.

        | key | what |
        |---|---|
        | first_step | steps that were done when the run began: 0, or where it went on from another run |
        | initial_weights | `model_hash` before the first step |
        | data_order | the chain over all micro-batches since |
        | random_start, random_end | `random_hash` before the first step and after the last: where both are equal, the same numbers were drawn between |
        | steps | optimizer steps behind the weights |
        | bce_gradient | at how many steps ‖∇(w·R)‖ was measured, and the largest (None: never, or not finite) |
        """  # noqa: E501
        self._take_pending()
        if self._begun:
            self._random_end = random_hash(device)
        return {"first_step": self._first_step, "steps": steps, **self._state()}

    def _state(self) -> dict[str, Any]:
        return {
            "initial_weights": self._initial_weights,
            "data_order": self._order.hex() if self._order and self._known else None,
            "random_start": self._random_start,
            "random_end": self._random_end if self._known else None,
            "bce_gradient": {"measured": self._gradients, "largest": self._largest},
        }

    # -- disk

    def save(self, directory: Path, device: torch.device) -> None:
        """Write the record so far into a checkpoint directory."""
        self._take_pending()
        if self._begun:
            self._random_end = random_hash(device)
        write_json(directory / TWIN_FILE, {"run": self.run, "first_step": self._first_step, **self._state()})

    def load(self, directory: Path) -> None:
        """Go on with the record in a checkpoint directory; begin a new one where another run has saved it."""
        try:
            saved = read_json(directory / TWIN_FILE)
        except FileNotFoundError:  # a checkpoint from before there were such records
            self._known = False
            return
        if saved["run"] != self.run:
            return
        self._first_step = saved["first_step"]
        self._initial_weights, self._random_start = saved["initial_weights"], saved["random_start"]
        self._known = self._initial_weights is not None
        self._random_end = saved["random_end"]
        self._order = bytes.fromhex(saved["data_order"] or "")
        self._gradients, self._largest = saved["bce_gradient"]["measured"], saved["bce_gradient"]["largest"]


def model_hash(model: nn.Module) -> str:
    """SHA-256 over the names, shapes, number formats and bytes of all parameters and buffers; tied ones count once."""
    tensors = sorted([*model.named_parameters(), *model.named_buffers()], key=lambda named: named[0])
    return tensors_hash((name, str(tensor.dtype), list(tensor.shape), _bytes(tensor)) for name, tensor in tensors)


def _bytes(tensor: torch.Tensor) -> Iterator[Any]:
    yield tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def random_hash(device: torch.device) -> str:
    """SHA-256 of the state of torch's random generators that a model on `device` can draw from."""
    digest = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    if device.type == "cuda":
        digest.update(torch.cuda.get_rng_state(device).numpy().tobytes())
    elif device.type == "mps":
        digest.update(torch.mps.get_rng_state().numpy().tobytes())
    return digest.hexdigest()
