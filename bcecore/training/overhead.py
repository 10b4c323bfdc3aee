"""Cuts in the Trainer's own work around a step. Each leaves the weights identical in every bit; a test says so.

With a small model, what the Trainer does besides forward, backward and the optimizer's step is a large part of the
time: it walks all modules and parameters several times a step for things that do not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def less_module_walking(model: nn.Module) -> Iterator[None]:
    """While in use, `model.train()` in training mode and `model.zero_grad()` do not walk all modules.

    The mode is only ever changed through the root here, so that its flag tells for all of them. The list of
    parameters is fixed during a run.
    """
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
    try:
        yield
    finally:
        for name in replaced:
            object.__delattr__(model, name)
