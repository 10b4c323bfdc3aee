"""The BCE regulariser (Behavioral Consciousness Engine, not binary cross-entropy): pooled hidden states in, R out.

The idea and the component names are the Sollana Framework's; this is an independent implementation of the formulas in
the project's design. Everything is computed for a whole batch at once, on the model's device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bcecore.config import SEED_BEHAVIOR_DIM, BCEConfig
from bcecore.training.active import StateVariables
from bcecore.training.memory import StateMemory

COMPONENTS = ("rl", "iso", "dcycle", "dbscan", "auto", "bayes", "fuzzy", "ethics", "master")

_OVERALL = 0.8
_USER_TYPE = 1.0
_ENGAGEMENT = 0.6
_AUTO = 1.0  # automatic discovery is allowed
_ETHICS = 1.0  # approved
_MASTER = 0.0  # no candidates
_SEED_REWARD = 0.5
# The part of `fuzzy` that does not depend on the state: n = 2 and decay = 0.05.
_FUZZY_CONSTANT = 0.3 / (1 + math.exp(-0.1 * (2 - 5))) + 0.2 * (1 - 0.05)
_DCYCLE_CONSTANT = 0.4 * _USER_TYPE + 0.2 * _ENGAGEMENT
# The nine components of the seed profile: a constant, what is added where v is not 0 (cos(v, v) = 1; for v = 0 the
# whole cosine term of dcycle is 0), and what multiplies tanh‖v‖.
_SEED_TERMS = (
    (_SEED_REWARD, 0, _DCYCLE_CONSTANT, 0, _AUTO, 0.5, _FUZZY_CONSTANT, _ETHICS, _MASTER),
    (0, 0, 0.4, 0, 0, 0.5, 0, 0, 0),
    (0, 0, 0, 0, 0, 0, 0.5, 0, 0),
)
# The same of the active profile: constants, and what multiplies each of the state's variables. Its cosine terms are
# (1 + cos)/2, and none of its components can leave [0, 1], where the design clips them.
_ACTIVE_CONSTANTS = (0.5, 0, _DCYCLE_CONSTANT + 0.2, 0, _AUTO, 0.5, _FUZZY_CONSTANT, _ETHICS, _MASTER)
_ACTIVE_TERMS = (
    (0, 1, 0, 0, 0, 0, 0, 0, 0),  # iso
    (0, 0, 0, 1, 0, 0, 0, 0, 0),  # dbscan
    (0, 0, 0.2, 0, 0, 0, 0, 0, 0),  # cos(v, character)
    (0, 0, 0, 0, 0, 0.5, 0, 0, 0),  # cos(v, context)
    (0, 0, 0, 0, 0, 0, 0.5, 0, 0),  # tanh(‖v‖/√d)
)


def pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of the hidden states over the real tokens of each example.

    hidden (B, T, H), mask (B, T) with 1 for real tokens; returns (B, H), at least in float32.
    """
    if hidden.dtype in (torch.float16, torch.bfloat16):
        hidden = hidden.float()
    weights = mask.to(hidden.dtype)
    return torch.bmm(weights.unsqueeze(1), hidden).squeeze(1) / weights.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class BCEOutput:
    """The regulariser's values for a batch of B examples."""

    loss: torch.Tensor
    """R of each example, before weighting. Shape (B,)."""
    components: torch.Tensor
    """The nine components of each example, in the order of COMPONENTS. Shape (B, 9)."""


class Regularizer:
    """Computes R for the configured profile.

    `memory` is what the active profile compares new states with; the seed profile compares each state with itself and
    only keeps the states so that their spread can be watched. Call `update` once per optimizer step, in training only.
    """

    def __init__(self, config: BCEConfig) -> None:
        self._config = config
        self.memory = StateMemory(
            config.memory_size,
            character_decay=config.character_decay,
            context_decay=config.context_decay,
            reward_decay=config.reward_decay,
        )
        self._seed_terms: torch.Tensor | None = None  # (3, 9)
        self._active_terms: tuple[torch.Tensor, torch.Tensor] | None = None  # (VARIABLES, 9) and (9,)

    def __call__(self, pooled: torch.Tensor) -> BCEOutput:
        """R and its components for pooled states of shape (B, H). Reads the memory, never changes it."""
        components = self._active(pooled) if self.has_gradient else self._seed(pooled.detach())
        config = self._config
        loss = components.sum(dim=1) * (-_OVERALL / len(COMPONENTS) * config.scale)
        if config.gain != 0:
            loss = loss * (1 + config.gain * components[:, 0])
        if config.clamp_min is not None or config.clamp_max is not None:
            # The limits are those of the value before its sign.
            upper = None if config.clamp_min is None else -config.clamp_min
            lower = None if config.clamp_max is None else -config.clamp_max
            loss = loss.clamp(lower, upper)
        return BCEOutput(loss=loss, components=components)

    @property
    def has_gradient(self) -> bool:
        """Whether R can reach the weights; the seed profile's cannot."""
        return self._config.profile != "seed"

    def state(self, pooled: torch.Tensor) -> torch.Tensor:
        """The part of the pooled states that the active profile looks at and the memory keeps. Shape (B, d)."""
        dim = self._config.behavior_dim
        return pooled if dim is None or self._config.profile == "seed" else pooled[:, :dim]

    def update(self, pooled: torch.Tensor, ce: torch.Tensor) -> None:
        """Take one optimizer step into the memory: all its pooled states (examples, H), detached, and its CE."""
        if self._config.profile == "seed":
            self.memory.keep(pooled)
        else:
            self.memory.update(self.state(pooled), ce)

    def _seed(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, 9), without gradient: character and context are the state itself, so only its length matters."""
        if self._seed_terms is None:
            self._seed_terms = pooled.new_tensor(_SEED_TERMS)
        constant, of_nonzero, of_length = self._seed_terms
        # Zero-padding a shorter vector changes nothing here: only the length is used.
        length = torch.linalg.vector_norm(pooled[:, : self._config.behavior_dim or SEED_BEHAVIOR_DIM], dim=1)
        length = length.unsqueeze(1)
        # The sign of a length is 0 for v = 0 and 1 otherwise.
        return torch.addcmul(constant, length.sign(), of_nonzero).addcmul_(length.tanh(), of_length)

    def _active(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, 9), differentiable through the pooled states."""
        variables = StateVariables.apply(
            self.state(pooled), self.memory, self._config.neighbors, self._config.neighbor_width
        )
        if self._active_terms is None:
            self._active_terms = variables.new_tensor(_ACTIVE_TERMS), variables.new_tensor(_ACTIVE_CONSTANTS)
        terms, constants = self._active_terms
        reward = self.memory.reward
        if reward is not None:
            constants = torch.cat((reward.sigmoid().view(1), constants[1:]))
        return torch.addmm(constants, variables, terms)
