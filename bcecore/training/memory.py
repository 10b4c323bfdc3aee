"""What the BCE regulariser remembers of earlier steps: averages, a reward signal, and the latest pooled states.

Used first and updated afterwards, once per optimizer step, without gradient. It lives beside the model, not in it (a
module buffer would change what `from_pretrained` finds), and is saved with every checkpoint.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

MEMORY_FILE = "bce_memory.safetensors"


class StateMemory:
    """The latest `size` states (each a vector of `dim` numbers), with the averages over all states so far.

    Tensors are made at the first update, on the device and in the number format of the states.
    """

    def __init__(self, size: int, *, character_decay: float, context_decay: float, reward_decay: float) -> None:
        self._size = size
        self._decays = {"character": character_decay, "context": context_decay}
        self._reward_decay = reward_decay
        self._averages: dict[str, torch.Tensor] = {}
        self._updates = 0
        self._states: torch.Tensor | None = None  # (size, dim), a ring
        self._units: torch.Tensor | None = None  # (size, dim), the same states at length 1
        self._written = 0
        self._usual_ce: torch.Tensor | None = None
        self._reward: torch.Tensor | None = None
        # Both are made when first asked for after an update.
        self._moments: tuple[torch.Tensor, torch.Tensor] | None = None
        self._directions: torch.Tensor | None = None

    # -- use

    @property
    def count(self) -> int:
        """How many states are kept now."""
        return min(self._written, self._size)

    @property
    def states(self) -> torch.Tensor:
        """The kept states, in no particular order. Shape (count, dim)."""
        assert self._states is not None
        return self._states[: self.count]

    @property
    def units(self) -> torch.Tensor:
        """The kept states scaled to length 1 (a zero state stays zero). Shape (count, dim)."""
        assert self._units is not None
        return self._units[: self.count]

    def average(self, name: str) -> torch.Tensor | None:
        """The bias-corrected moving average `character` or `context`, shape (dim,); None before the first update."""
        if not self._updates:
            return None
        return self._averages[name] / (1 - self._decays[name] ** self._updates)

    def directions(self) -> torch.Tensor:
        """`character` and `context` scaled to length 1. Shape (2, dim); there has to have been an update."""
        if self._directions is None:
            # The bias correction is only a factor, which the scaling takes away again.
            averages = torch.stack((self._averages["character"], self._averages["context"]))
            self._directions = averages / torch.linalg.vector_norm(averages, dim=1, keepdim=True).clamp_min(1e-12)
        return self._directions

    @property
    def reward(self) -> torch.Tensor | None:
        """`m`: the moving average of how much CE improved over earlier steps; None before the first update."""
        return self._reward

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance (dividing by the count) of the kept states, each of shape (dim,)."""
        if self._moments is None:
            mean = self.states.mean(dim=0)
            # Not torch.var_mean, which takes three times as long over the first dimension.
            self._moments = mean, (self.states - mean).square_().mean(dim=0)
        return self._moments

    def spread(self) -> torch.Tensor:
        """How far apart the kept states are: the root of their mean variance over the dimensions. A scalar."""
        return self.moments()[1].mean().sqrt()

    def cosine_distance(self) -> torch.Tensor:
        """The mean of 1 − cos over all pairs of kept states. A scalar; at least two states are needed."""
        n = self.count
        units = self.units
        total = units.sum(dim=0).square().sum()  # the sum of cos over all ordered pairs, each with itself too
        return 1 - (total - torch.dot(units.flatten(), units.flatten())) / (n * (n - 1))

    # -- update

    @torch.no_grad()
    def update(self, states: torch.Tensor, ce: torch.Tensor) -> None:
        """Take in one optimizer step: all its pooled states, shape (examples, dim), and its CE, a scalar."""
        if self._states is None:
            self._states = states.new_zeros(self._size, states.shape[1])
            self._units = torch.zeros_like(self._states)
        mean = states.mean(dim=0)
        for name, decay in self._decays.items():
            if name in self._averages:
                self._averages[name].mul_(decay).add_(mean, alpha=1 - decay)
            else:
                self._averages[name] = mean * (1 - decay)
        self._updates += 1
        self._moments = self._directions = None
        self._keep(states)
        self._take_reward(ce.to(states.dtype))

    def _keep(self, states: torch.Tensor) -> None:
        assert self._states is not None and self._units is not None
        states = states[-self._size :]
        lengths = states.norm(dim=1, keepdim=True)
        units = states / lengths.clamp_min(torch.finfo(states.dtype).tiny)
        start = self._written % self._size
        first = min(len(states), self._size - start)  # up to the end of the ring, the rest from its beginning
        for ring, new in ((self._states, states), (self._units, units)):
            ring[start : start + first] = new[:first]
            if first < len(states):
                ring[: len(states) - first] = new[first:]
        # Counted modulo two rings: the number only tells where to write and whether the ring is full.
        self._written += len(states)
        if self._written >= 2 * self._size:
            self._written -= self._size

    def _take_reward(self, ce: torch.Tensor) -> None:
        if self._usual_ce is None or self._reward is None:
            self._usual_ce = ce.clone()
            self._reward = torch.zeros_like(ce)
            return
        usual = self._usual_ce.clamp_min(torch.finfo(ce.dtype).tiny)
        gained = ((usual - ce) / usual).clamp(-1, 1)
        self._reward.mul_(self._reward_decay).add_(gained, alpha=1 - self._reward_decay)
        self._usual_ce.mul_(self._reward_decay).add_(ce, alpha=1 - self._reward_decay)

    # -- disk

    def save(self, directory: Path) -> None:
        """Write the memory into a checkpoint directory; nothing before the first update."""
        if self._states is None or self._usual_ce is None or self._reward is None or self._units is None:
            return
        tensors = {
            "states": self._states,
            "units": self._units,
            "usual_ce": self._usual_ce,
            "reward": self._reward,
            "counters": torch.tensor([self._updates, self._written]),
            **{f"average.{name}": value for name, value in self._averages.items()},
        }
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / MEMORY_FILE)

    def load(self, directory: Path, device: torch.device) -> None:
        """Read the memory from a checkpoint directory; one without a memory leaves it empty."""
        path = directory / MEMORY_FILE
        if not path.is_file():
            return
        # Copied, because a matrix product can differ in its last bit with where its operands start in memory: torch
        # starts every tensor of its own at a multiple of 64 bytes, those read from a file start anywhere.
        tensors = {name: tensor.clone() for name, tensor in load_file(path, device=str(device)).items()}
        self._states, self._units = tensors["states"], tensors["units"]
        self._usual_ce, self._reward = tensors["usual_ce"], tensors["reward"]
        self._updates, self._written = (int(number) for number in tensors["counters"])
        self._averages = {name: tensors[f"average.{name}"] for name in self._decays}
        self._moments = self._directions = None
