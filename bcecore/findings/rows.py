"""What the rules over logged rows have in common: how they are fed, how they group values, which keys they look at.

A rule is fed the rows of a log in their order, in any pieces, and says at any time what it has noticed so far. It keeps
what it needs of the past in a few numbers, so that a page can feed it every two seconds what a run has added since.
However the rows were cut, the findings are the same: nothing depends on where a piece ends. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bcecore.config import RunConfig
from bcecore.errors import ConfigError
from bcecore.findings.finding import Finding, Fix
from bcecore.settings import flatten, with_values
from bcecore.store.columns import Series, Steps, Values

CE = "ce"
"""Under this key rules get the language loss in training, whatever a log calls it (`live.loss_source`)."""

BUCKET = 10
"""Rows that are judged together. A training loss is that of other texts at every step: a single row says little, the
median of ten is steadier by a factor of 2.5, and a run of 300 steps still has thirty of them."""

MOST_STEPS = 20
"""Marks that one finding puts on a chart; the numbers tell how many there were."""

_CHECK = re.compile(r"eval(_.+)?_loss")

Logged = Mapping[str, Series]
"""By their keys the values of some rows of a log; a key that none of the rows has may be missing."""


class RowRule(Protocol):
    """A rule over the rows of a log."""

    def feed(self, new: Logged) -> None:
        """Take note of further rows, which all come behind those before."""

    def findings(self, subject: str, config: RunConfig | None) -> list[Finding]:
        """What was noticed so far; at most one finding. `config` is None where the settings are not known."""


def noticed(rule: RowRule, subject: str, logged: Logged, config: RunConfig | None = None) -> list[Finding]:
    """What a new `rule` says of a whole log."""
    rule.feed(logged)
    return rule.findings(subject, config)


def check_keys(keys: Collection[str]) -> list[str]:
    """The keys of held-out losses: `eval_loss`, and `eval_NAME_loss` where a log has several texts."""
    return [key for key in keys if _CHECK.fullmatch(key) and not key.endswith("bce_loss")]


def finite(series: Series | None) -> tuple[Steps, Values]:
    """Steps and values without those that are no finite numbers, which are the matter of non-finite."""
    if series is None:
        return np.empty(0, np.int64), np.empty(0)
    if np.isfinite(series.values).all():
        return series.steps, series.values
    good = np.isfinite(series.values)
    return series.steps[good], series.values[good]


def spread(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far values lie apart, along the last axis: 1.4826 times the median distance from the median.

    Of a normal distribution that is the standard deviation; single values that stick out do not move it.
    """
    middle = np.median(values, axis=-1, keepdims=True)
    apart: npt.NDArray[np.float64] = 1.4826 * np.median(np.abs(values - middle), axis=-1)
    return apart


class Buckets:
    """Cuts values into buckets of ten, in the order in which they come."""

    def __init__(self) -> None:
        self._steps: Steps = np.empty(0, np.int64)
        self._values: Values = np.empty(0)

    def feed(self, steps: Steps, values: Values) -> tuple[Steps, Values]:
        """The buckets that are full now and were not before, both of shape (buckets, 10)."""
        if len(self._values):
            steps, values = np.concatenate([self._steps, steps]), np.concatenate([self._values, values])
        end = len(values) // BUCKET * BUCKET
        # Copies: the log's own arrays are written to as it grows.
        self._steps, self._values = steps[end:].copy(), values[end:].copy()
        return steps[:end].reshape(-1, BUCKET), values[:end].reshape(-1, BUCKET)


def fix_of(config: RunConfig | None, label: str, changes: Mapping[str, Any]) -> Fix | None:
    """A fix, where the settings are known, it changes something and the changed settings are possible."""
    if config is None:
        return None
    before = flatten(config)
    if all(before[key] == value for key, value in changes.items()):
        return None
    try:
        with_values(config, changes)
    except ConfigError:
        return None
    return Fix(label=label, changes=dict(changes))


def lower_learning_rate(config: RunConfig | None, factor: float) -> Fix | None:
    """The learning rate divided by `factor`."""
    if config is None:
        return None
    rate = float(f"{config.training.learning_rate / factor:.2g}")
    return fix_of(config, f"Use a learning rate of {rate:g}", {"training.learning_rate": rate})


def number(value: float) -> str:
    """A loss or a gradient as a sentence has it: 0.058, 4.27, 31.1, 5,490."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 6)}f}"
