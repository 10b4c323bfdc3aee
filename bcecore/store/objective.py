"""What the objective of a logged run was made of: whether BCE had a part in it, and CE without that part. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np

from bcecore.store.columns import Mask, Series, Steps, Values

BCE_COMPONENTS = ("rl", "iso", "dcycle", "dbscan", "auto", "bayes", "fuzzy", "ethics", "master")
"""Names of the nine components of the BCE value (DESIGN §5)."""
BCE_PARTS = tuple(f"bce_{name}" for name in BCE_COMPONENTS)
"""Their keys in a log, and in the examples of an evaluation."""

_ONLY_OURS = frozenset({"bce_weight", "bce_term", *BCE_PARTS})


class Log(Protocol):
    """The logged values of a run, row by row."""

    @property
    def steps(self) -> Steps:
        """The logged steps, ascending."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that was logged besides the step."""

    def column(self, key: str) -> Values:
        """The values of a key at all logged steps; NaN where there is none."""


def has_bce(keys: Collection[str]) -> bool:
    """Whether a log with these keys is of a run with BCE.

    `bce_loss` alone says nothing: under that name others log binary cross-entropy.
    """
    return not _ONLY_OURS.isdisjoint(keys)


def worked_out_ce(log: Log) -> Series | None:
    """CE as loss - w·R, for a log that has all three and no CE of its own; else None."""
    if "ce" in log.keys or not {"loss", "bce_weight", "bce_loss"} <= set(log.keys):
        return None
    return where_known(log, log.column("loss") - log.column("bce_weight") * log.column("bce_loss"))


def where_known(log: Log, values: Values) -> Series:
    """Values for all rows of a log, without those rows where one is NaN."""
    known: Mask = ~np.isnan(values)
    return Series(log.steps, values, log.column("epoch"), log.column("time")).at(known)
