"""How long a run that waits is likely to take, from the pace of past runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bcecore.config import RunConfig
from bcecore.store.record import RunRecord


def seconds_expected(
    record: RunRecord, config: RunConfig, past: Iterable[RunRecord], configs: Mapping[str, RunConfig]
) -> float | None:
    """Seconds from the start of a waiting run to its end; None if no run like it has trained here.

    `past` comes newest first, and the first one that decides the pace by the same settings is taken.
    """
    wanted = _decides_pace(record, config)
    for other in past:
        progress, other_config = other.progress, configs.get(other.id)
        if other.id == record.id or progress is None or not progress.steps_per_second or other_config is None:
            continue
        if _decides_pace(other, other_config) == wanted:
            return _steps_left(record, config) / progress.steps_per_second
    return None


def _steps_left(record: RunRecord, config: RunConfig) -> int:
    done = 0
    if record.resume_from is not None:
        done = (
            int(record.resume_from) if record.resume_from.isdigit() else record.progress.step if record.progress else 0
        )
    return max(0, config.total_steps(record.dataset.get("train_examples", 0)) - done)


def _decides_pace(record: RunRecord, config: RunConfig) -> tuple[Any, ...]:
    training = config.training
    return (
        config.model,
        config.data.block_size,
        record.dataset.get("fingerprints"),
        training.batch_size,
        training.gradient_accumulation_steps,
        training.optimizer,
        training.precision,
        training.device,
        config.bce.profile if config.bce.enabled else None,
    )
