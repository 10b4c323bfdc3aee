"""Cuts in the Trainer's own work around a step. Each leaves the weights identical in every bit; a test says so.

With a small model, what the Trainer does besides forward, backward and the optimizer's step is a large part of the
time: it walks all modules and parameters several times a step for things that do not change.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import accelerate.optimizer
from torch import nn


@contextmanager
def less_overhead(model: nn.Module) -> Iterator[None]:
    """While in use, what cannot change during a run is not asked again at every step.

    `model.train()` in training mode and `model.zero_grad()` do not walk all modules: the mode is only ever changed
    through the root here, so that its flag tells for all of them, and the list of parameters is fixed. accelerate
    does not search the disk twice a step for an optimizer package (LOMO) that nobody can have installed meanwhile.
    """
    look_for_lomo = accelerate.optimizer.is_lomo_available
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    walk = type(model).train

    def train(mode: bool = True) -> nn.Module:
        return model if model.training is mode else walk(model, mode)

    def zero_grad(set_to_none: bool = True) -> None:
        for parameter in parameters:
            parameter.grad = None

    replaced: dict[str, Any] = {"train": train, "zero_grad": zero_grad}
    for name, function in replaced.items():
        object.__setattr__(model, name, function)
    accelerate.optimizer.is_lomo_available = functools.cache(look_for_lomo)
    try:
        yield
    finally:
        accelerate.optimizer.is_lomo_available = look_for_lomo
        for name in replaced:
            object.__delattr__(model, name)
