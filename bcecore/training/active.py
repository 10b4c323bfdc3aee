"""The components of the active profile and their gradient, in closed form.

Written out instead of left to autograd: on a small model each of the thirty nodes that autograd would walk costs as
much as the arithmetic in it, and together they were half of what BCE costs a step.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from bcecore.training.memory import StateMemory

_ISO_MIN_STATES = 16
_DBSCAN_MIN_STATES = 8
# A dimension in which the kept states hardly differ would otherwise dominate the distance.
_VARIANCE_FLOOR = 0.01

# What depends on the state, in this order: iso, dbscan, cos(v, character), cos(v, context), tanh(‖v‖/√d).
VARIABLES = 5


class StateVariables(torch.autograd.Function):
    """What the active profile's components are made of: (B, d) states in, (B, VARIABLES) numbers out.

    Applied to `(v, memory, neighbors, width)`. A state of zeros has no direction: its cosines are 0 and without
    gradient. While the memory is empty, character and context are the state itself, whose cosine is constant.
    """

    @staticmethod
    def forward(ctx: Any, v: torch.Tensor, memory: StateMemory, neighbors: int, width: float) -> torch.Tensor:
        dim = v.shape[1]
        length = torch.linalg.vector_norm(v, dim=1, keepdim=True)
        inverse = length.reciprocal().nan_to_num_(posinf=0.0)
        unit = v * inverse
        size = (length / math.sqrt(dim)).tanh_()
        ctx.iso = ctx.near = ctx.directions = None
        nothing = torch.zeros_like(length)
        iso, dbscan = nothing, nothing
        if memory.count >= _ISO_MIN_STATES:
            mean, variance = memory.moments()
            floor = (_VARIANCE_FLOOR * variance.mean()).clamp_min(torch.finfo(v.dtype).tiny)
            scaled = torch.maximum(variance, floor).reciprocal_().mul_(1 / dim)
            away = v - mean
            pull = away * scaled  # half the gradient of the distance
            iso = (1 + torch.linalg.vecdot(away, pull).unsqueeze(1)).reciprocal_()  # 1 / (1 + D²/d)
            ctx.iso = iso, pull
        if memory.count >= _DBSCAN_MIN_STATES:
            units = memory.units()
            # ‖a − b‖² = 2 − 2 cos for unit vectors, (B, count)
            nearest, which = (unit @ units.T).topk(neighbors, dim=1, sorted=False)
            likeness = ((nearest - 1) / width**2).exp_()
            dbscan = likeness.mean(dim=1, keepdim=True)
            ctx.near = likeness, which, units, 1 / (neighbors * width**2)
        if memory.reward is None:
            cosines = (length > 0).to(v.dtype).expand(-1, 2)
        else:
            ctx.directions = memory.directions()
            cosines = unit @ ctx.directions.T
        ctx.state = unit, inverse, size
        return torch.cat((iso, dbscan, cosines, size), dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        unit, inverse, size = ctx.state
        # What turns the state, (B, d): it acts across its direction only, and the weaker the longer the state is.
        turn = torch.zeros_like(unit) if ctx.directions is None else gradient[:, 2:4] @ ctx.directions
        if ctx.near is not None:
            likeness, which, units, factor = ctx.near
            share = likeness * (gradient[:, 1:2] * factor)
            turn = torch.baddbmm(turn.unsqueeze(1), share.unsqueeze(1), units[which]).squeeze(1)
        along = torch.linalg.vecdot(turn, unit).unsqueeze(1) * inverse
        stretch = gradient[:, 4:] * (1 - size * size) / math.sqrt(unit.shape[1])
        result = torch.addcmul((stretch - along) * unit, turn, inverse)
        if ctx.iso is not None:
            iso, pull = ctx.iso
            result = result.addcmul_(pull, gradient[:, :1] * (-2 * iso * iso))
        return result, None, None, None
