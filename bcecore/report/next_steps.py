"""What to do after a run to better its figures, or to have them say more: by rules, from its log and record. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from bcecore.config import RunConfig
from bcecore.report.logged import Logged, check_losses
from bcecore.store.columns import Series
from bcecore.store.record import RunRecord


class NextStep(NamedTuple):
    """Something worth doing next."""

    text: str
    command: str = ""
    """How to do it at the command line; empty where there is no one way."""


def next_steps(
    record: RunRecord,
    config: RunConfig | None,
    logged: Logged,
    checkpoints: Sequence[int],
    told: Collection[str] = (),
) -> list[NextStep]:
    """What would make the figures better, or say more. `checkpoints`: the steps of those that are whole, in order.

    `told`: the rules whose findings stand beside it with what to do, which need not be said again.
    """
    clone = f"python -m bcecore clone {record.id} --set"
    found = []
    checks = check_losses(logged)
    probe = record.facts.get("leak_probe")
    if probe is not None and probe["leaks"] and "future-leak" not in told:
        found.append(
            NextStep(
                "Train again with a model that reads from left to right, for losses that mean something.",
                f"{clone} model.causal=true",
            )
        )
    if config is None:
        if not checks:
            found.append(NextStep("Check the model on text that it does not learn from, for an objective measure."))
    elif config.data.validation == "none":
        found.append(NextStep("Set lines aside and check the model on them.", f"{clone} data.validation=fraction"))
    elif not config.data.holds_out:
        if "split-reuse" not in told:
            found.append(
                NextStep(
                    "Check on lines that are set aside instead of lines that were trained on.",
                    f"{clone} data.validation=fraction",
                )
            )
    elif checks and record.status == "finished" and "overfit" not in told:
        found += _length(record, config, logged.series(checks[0]))
    if len(checkpoints) > 1:
        first, last = f"{record.id}@{checkpoints[0]}", f"{record.id}@{checkpoints[-1]}"
        found.append(
            NextStep(
                "Compare checkpoints, to see whether the later training helped.",
                f"python -m bcecore compare {first} {last}",
            )
        )
    if config is not None and config.bce.enabled:
        if config.bce.profile == "seed" and "no-gradient" not in told:
            found.append(NextStep("Try the profile that acts on the model.", f"{clone} bce.profile=active"))
        found.append(
            NextStep(
                "To find out whether BCE helps, train the twin without it, and repeat both with other seeds.",
                f"{clone} bce.enabled=false",
            )
        )
    found.append(
        NextStep(
            "If there are labelled examples, measure accuracy or F1 on them: a loss does not say how useful it is."
        )
    )
    return found


def _length(record: RunRecord, config: RunConfig, checks: Series) -> list[NextStep]:
    finite = checks.at(np.isfinite(checks.values))
    if len(finite) < 2:
        return []
    best = int(np.argmin(finite.values))
    if best < len(finite) - 1:
        return [
            NextStep(
                f"Held-out CE was best at step {finite.steps[best]:,}: use the checkpoint nearest to it, or train less."
            )
        ]
    length = "--epochs 1" if config.training.max_steps is None else f"--steps {finite.steps[-1]}"
    return [
        NextStep(
            "Held-out CE was still falling at the end: train further.",
            f"python -m bcecore extend {record.id} {length}",
        )
    ]
