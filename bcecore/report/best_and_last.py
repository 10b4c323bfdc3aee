"""The last, best, lowest and highest value of every logged metric, with their steps. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bcecore.report.logged import Logged, language_loss
from bcecore.report.metrics import Group, Metric, metric, origin_of
from bcecore.report.summary import At
from bcecore.store.columns import Series

_ORDER: tuple[Group, ...] = ("learning", "check", "other", "optimiser", "bce", "components", "pace", "totals")
# They say when and how far, not how well.
_NO_METRICS = {"epoch", "time", "tokens"}


@dataclass(frozen=True)
class BestAndLast:
    """One metric over a run. A last value that was not finite is NaN or infinite; the others are of the finite ones."""

    metric: Metric
    last: At
    best: At | None
    """None where neither lower nor higher is better, or no value is finite."""
    lowest: At | None
    highest: At | None
    values: int
    worked_out: bool = False
    """Whether it was not logged itself (`logged.language_loss`)."""


def best_and_last(logged: Logged, *, ours: bool = True) -> list[BestAndLast]:
    """A row for every metric of the log, those that tell how well the model learns first.

    `ours`: whether it is the log of a run of this product.
    """
    origin = origin_of(logged.keys, ours=ours)
    ce = language_loss(logged)
    series = {key: logged.series(key) for key in logged.keys if key not in _NO_METRICS}
    if ce.worked_out and len(ce.series):
        series = {"ce": ce.series} | series
    rows = [
        _row(metric(key, origin), values, ce.worked_out and key == "ce")
        for key, values in series.items()
        if len(values)
    ]
    return sorted(rows, key=lambda row: _ORDER.index(row.metric.group))


def _row(known: Metric, series: Series, worked_out: bool) -> BestAndLast:
    last = At(float(series.values[-1]), int(series.steps[-1]))
    finite = series.at(np.isfinite(series.values))
    if not len(finite):
        return BestAndLast(known, last, None, None, None, len(series), worked_out)
    lowest, highest = _at(finite, int(np.argmin(finite.values))), _at(finite, int(np.argmax(finite.values)))
    best = {"lower": lowest, "higher": highest, None: None}[known.better]
    return BestAndLast(known, last, best, lowest, highest, len(series), worked_out)


def _at(series: Series, place: int) -> At:
    return At(float(series.values[place]), int(series.steps[place]))
