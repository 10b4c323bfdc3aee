"""The learning rate and the BCE weight as pure functions of the optimizer step `t`, counted from 1.

The training loop, the charts on the Launch page and the checks of a log all call these same functions. No torch.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

LearningRateSchedule = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"
]
LEARNING_RATE_SCHEDULES: tuple[LearningRateSchedule, ...] = get_args(LearningRateSchedule)

# Hugging Face's own defaults for what the Trainer does not pass on (`transformers.optimization`).
POLYNOMIAL_END_LR = 1e-7
INVERSE_SQRT_TIMESCALE = 10_000


def learning_rate(t: int, *, peak: float, warmup_steps: int, total_steps: int, schedule: LearningRateSchedule) -> float:
    """The learning rate with which step `t` (from 1) updates the weights.

    Equal in every bit to what Hugging Face's schedulers give (`transformers.optimization`), which count from 0 and
    multiply the peak by a factor; the factor is therefore computed first and the multiplication done last.
    Raises ValueError for a step before the first or a polynomial peak not above its end value.
    """
    if t < 1:
        raise ValueError(f"steps are counted from 1, got {t}")
    return peak * _factor(t - 1, peak, warmup_steps, total_steps, schedule)


def _factor(done: int, peak: float, warmup: int, total: int, schedule: LearningRateSchedule) -> float:
    """The share of the peak after `done` finished steps."""
    if schedule == "constant":
        return 1.0
    if done < warmup:
        return done / warmup
    decay_steps = max(1, total - warmup)
    if schedule == "constant_with_warmup":
        return 1.0
    if schedule == "linear":
        return max(0.0, (total - done) / decay_steps)
    if schedule == "inverse_sqrt":
        timescale = warmup or INVERSE_SQRT_TIMESCALE
        return 1.0 / math.sqrt((done + (timescale - warmup)) / timescale)
    if schedule == "polynomial":
        return _polynomial_factor(done, peak, warmup, total)
    progress = (done - warmup) / decay_steps
    if schedule == "cosine":
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    if progress >= 1.0:  # cosine_with_restarts, one cycle
        return 0.0
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * (progress % 1.0))))


def _polynomial_factor(done: int, peak: float, warmup: int, total: int) -> float:
    if peak <= POLYNOMIAL_END_LR:
        raise ValueError(f"a polynomial schedule ends at {POLYNOMIAL_END_LR}; the peak must be larger, got {peak}")
    if done > total:
        return POLYNOMIAL_END_LR / peak
    remaining = 1 - (done - warmup) / (total - warmup)
    return ((peak - POLYNOMIAL_END_LR) * remaining + POLYNOMIAL_END_LR) / peak


def bce_weight(
    t: int, *, base: float, target: float, maximum: float, warmup_steps: int, boost_span: int, enabled: bool = True
) -> float:
    """The weight `w(t)` of the BCE loss at step `t` (from 1); 0 at every step when BCE is off.

    It rises linearly from 0 to `min(base, target)` over `warmup_steps`, then linearly to `maximum` over the next
    `boost_span` steps and stays there; `maximum = 0` means no boost.
    Raises ValueError for a step before the first or a span below 1.
    """
    if t < 1:
        raise ValueError(f"steps are counted from 1, got {t}")
    if boost_span < 1:
        raise ValueError(f"the boost span is at least 1 step, got {boost_span}")
    if not enabled:
        return 0.0
    cap = min(base, target)
    if t <= warmup_steps:
        return cap * (t / warmup_steps)
    if maximum <= 0:
        return cap
    return cap + (maximum - cap) * min(1.0, (t - warmup_steps) / boost_span)


def total_steps(examples: int, *, batch_size: int, accumulation: int, epochs: float, max_steps: int | None) -> int:
    """Optimizer steps of a run, counted as Hugging Face's Trainer counts them.

    A batch holds `batch_size` examples, a step `accumulation` batches; the last of each may be short.
    """
    if max_steps is not None:
        return max_steps
    return math.ceil(epochs * steps_per_epoch(examples, batch_size=batch_size, accumulation=accumulation))


def steps_per_epoch(examples: int, *, batch_size: int, accumulation: int) -> int:
    """Optimizer steps of one pass over the text; at least 1."""
    batches = math.ceil(examples / batch_size)
    return max(1, math.ceil(batches / accumulation))


def times(total_steps: int, every: int) -> int:
    """How often something happens that is done every `every` steps and at the last one."""
    return total_steps // every + (total_steps % every > 0)
