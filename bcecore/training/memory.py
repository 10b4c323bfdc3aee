"""What the BCE regulariser remembers of earlier steps: averages, a reward signal, and the latest pooled states.

Used first and updated afterwards, once per optimizer step, without gradient. It lives beside the model, not in it (a
module buffer would change what `from_pretrained` finds), and is saved with every checkpoint.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from bcecore.training.dispersion import Dispersion

MEMORY_FILE = "bce_memory.safetensors"


class StateMemory:
    """The latest `size` states (each a vector of `dim` numbers), with averages over all states so far.

    Tensors are made at the first update, on the device and in the number format of the states.
    """

    def __init__(self, size: int, *, character_decay: float, context_decay: float, reward_decay: float) -> None:
        self._size = size
        self._decays = {"character": character_decay, "context": context_decay}
        self._reward_decay = reward_decay
        self._averages: torch.Tensor | None = None  # (2, dim): character and context, not yet corrected for their bias
        self._gains: torch.Tensor | None = None  # (2, 1): how much of a new value each takes
        self._updates = 0
        self._states: torch.Tensor | None = None  # (size, dim), a ring
        self._units: torch.Tensor | None = None  # the same ring scaled to length 1, once it is asked for
        self._written = 0
        self._usual_ce: torch.Tensor | None = None
        self._reward: torch.Tensor | None = None
        # Made from the above when first asked for after an update.
        self._moments: tuple[torch.Tensor, torch.Tensor] | None = None
        self._directions: torch.Tensor | None = None
        self._dispersion: Dispersion | None = None
        self._fresh: list[int] = []  # rows of the ring that `_dispersion` has not seen yet

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

    def units(self) -> torch.Tensor:
        """The kept states scaled to length 1 (a zero state stays zero). Shape (count, dim)."""
        if self._units is None:
            assert self._states is not None
            self._units = _scaled_to_one(self._states)
        return self._units[: self.count]

    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance (dividing by the count) of the kept states, each of shape (dim,)."""
        if self._moments is None:
            mean = self.states.mean(dim=0)
            # Not torch.var_mean, which takes three times as long over the first dimension.
            self._moments = mean, (self.states - mean).square_().mean(dim=0)
        return self._moments

    def average(self, name: str) -> torch.Tensor | None:
        """The bias-corrected moving average `character` or `context`, shape (dim,); None before the first update."""
        if self._averages is None:
            return None
        return self._averages[list(self._decays).index(name)] / (1 - self._decays[name] ** self._updates)

    def directions(self) -> torch.Tensor:
        """`character` and `context` scaled to length 1. Shape (2, dim); there has to have been an update."""
        if self._directions is None:
            assert self._averages is not None
            # The bias correction is only a factor, which the scaling takes away again.
            lengths = torch.linalg.vector_norm(self._averages, dim=1, keepdim=True)
            self._directions = self._averages / lengths.clamp_min(1e-12)
        return self._directions

    @property
    def reward(self) -> torch.Tensor | None:
        """`m`: the moving average of how much CE improved over earlier steps; None before the first update."""
        return self._reward

    def dispersion(self) -> tuple[float, float]:
        """The spread and the mean cosine distance of the kept states, of which there have to be two."""
        self._tell_dispersion()
        assert self._dispersion is not None
        return self._dispersion.values(self.count)

    def _tell_dispersion(self) -> None:
        """Pass on which states were kept since the last time."""
        if self._states is None:
            return
        if self._dispersion is None:
            self._dispersion = Dispersion(*self._states.shape)
        slots = list(dict.fromkeys(self._fresh))
        if slots:
            fresh = self._states[slots[0]].unsqueeze(0) if len(slots) == 1 else self._states[slots]
            self._dispersion.replace(slots, fresh)
            self._fresh.clear()

    # -- update

    @torch.no_grad()
    def update(self, states: torch.Tensor, ce: torch.Tensor) -> None:
        """Take in one optimizer step: all its pooled states, shape (examples, dim), and its CE, a scalar."""
        mean = states[0] if len(states) == 1 else states.mean(dim=0)
        if self._averages is None or self._gains is None:
            decays = [[decay] for decay in self._decays.values()]
            self._gains = 1 - states.new_tensor(decays)
            self._averages = mean * self._gains
        else:
            self._averages.lerp_(mean, self._gains)
        self._updates += 1
        self._directions = None
        self._take_reward(ce.to(states.dtype))
        self.keep(states)

    @torch.no_grad()
    def keep(self, states: torch.Tensor) -> None:
        """Only keep these states, shape (examples, dim), leaving the averages and the reward as they are."""
        if self._states is None:
            self._states = states.new_zeros(self._size, states.shape[1])
        states = states[-self._size :]
        start = self._written % self._size
        first = min(len(states), self._size - start)  # up to the end of the ring, the rest from its beginning
        rings = [(self._states, states)]
        if self._units is not None:
            rings.append((self._units, _scaled_to_one(states)))
        for ring, rows in rings:
            ring[start : start + first] = rows[:first]
            if first < len(rows):
                ring[: len(rows) - first] = rows[first:]
        self._fresh.extend((start + number) % self._size for number in range(len(states)))
        if len(self._fresh) > 2 * self._size:  # between rare log records: each row once is enough
            self._fresh = list(dict.fromkeys(self._fresh))
        # Counted modulo two rings: the number only tells where to write and whether the ring is full.
        self._written += len(states)
        if self._written >= 2 * self._size:
            self._written -= self._size
        self._moments = None

    def _take_reward(self, ce: torch.Tensor) -> None:
        if self._usual_ce is None or self._reward is None:
            self._usual_ce = ce.clone()
            self._reward = torch.zeros_like(ce)
            return
        usual = self._usual_ce.clamp_min(torch.finfo(ce.dtype).tiny)
        gained = ((usual - ce) / usual).clamp_(-1, 1)
        self._reward.lerp_(gained, 1 - self._reward_decay)
        self._usual_ce.lerp_(ce, 1 - self._reward_decay)

    # -- disk

    def save(self, directory: Path) -> None:
        """Write the memory into a checkpoint directory; nothing before the first update."""
        if self._states is None:
            return
        self._tell_dispersion()
        assert self._dispersion is not None
        tensors = {"states": self._states, "counters": torch.tensor([self._updates, self._written])}
        tensors |= {f"dispersion.{name}": value for name, value in self._dispersion.state().items()}
        if self._units is not None:
            tensors["units"] = self._units
        if self._averages is not None and self._usual_ce is not None and self._reward is not None:
            tensors |= {"averages": self._averages, "usual_ce": self._usual_ce, "reward": self._reward}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / MEMORY_FILE)

    def load(self, directory: Path, device: torch.device) -> None:
        """Read the memory from a checkpoint directory; one without a memory leaves it empty."""
        path = directory / MEMORY_FILE
        if not path.is_file():
            return
        # Copied, because a matrix product can differ in its last bit with where its operands start in memory: torch
        # starts every tensor of its own at a multiple of 64 bytes, those read from a file start anywhere.
        tensors = {name: tensor.clone() for name, tensor in load_file(path, device=str(device)).items()}
        self._states, self._units = tensors["states"], tensors.get("units")
        self._usual_ce, self._reward = tensors.get("usual_ce"), tensors.get("reward")
        self._averages = tensors.get("averages")
        self._gains = 1 - self._states.new_tensor([[decay] for decay in self._decays.values()])
        self._updates, self._written = (int(number) for number in tensors["counters"])
        prefix = "dispersion."
        saved = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        self._dispersion = Dispersion.restored(self._states, saved)
        self._fresh.clear()
        self._moments = self._directions = None


def _scaled_to_one(states: torch.Tensor) -> torch.Tensor:
    lengths = torch.linalg.vector_norm(states, dim=1, keepdim=True)
    return torch.div(states, lengths.clamp_min_(torch.finfo(states.dtype).tiny))
