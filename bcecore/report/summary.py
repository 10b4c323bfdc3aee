"""The few values that stand for a whole run: in the run table, in the headline of the Run page, in the facts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bcecore.report.thinning import thin
from bcecore.store.columns import Series

SeriesOf = Callable[[str], Series]
"""Gives the steps at which a key was logged, and what (`store.history.History.series`)."""

_SPARK_POINTS = 60


@dataclass(frozen=True)
class At:
    """A value and the step it was logged at."""

    value: float
    step: int


@dataclass(frozen=True)
class RunSummary:
    """Where a run stands. A value that was never logged is None; one that was not finite is NaN."""

    loss: At | None = None
    ce: At | None = None
    held_out: At | None = None
    best_held_out: At | None = None
    gradient_ratio: At | None = None
    """The newest measurement of how much gradient BCE adds, as a share of the language loss's."""
    trend: tuple[float, ...] = ()
    """CE over the run in a few points, for a sparkline."""
    held_out_trend: tuple[float, ...] = ()
    points: int = 0
    """Logged training steps."""


def summarise(series_of: SeriesOf) -> RunSummary:
    """The summary of what has been logged so far, which may be nothing."""
    ce = series_of("ce")
    held_out = series_of("eval_loss")
    return RunSummary(
        loss=_last(series_of("loss")),
        ce=_last(ce),
        held_out=_last(held_out),
        best_held_out=_lowest(held_out),
        gradient_ratio=_last(series_of("bce_grad_ratio")),
        trend=_trend(ce),
        held_out_trend=_trend(held_out),
        points=len(ce),
    )


def _trend(series: Series) -> tuple[float, ...]:
    finite = series.values[np.isfinite(series.values)]
    return tuple(finite[thin(finite, _SPARK_POINTS)].tolist())


def _last(series: Series) -> At | None:
    return At(float(series.values[-1]), int(series.steps[-1])) if len(series) else None


def _lowest(series: Series) -> At | None:
    finite = np.isfinite(series.values)
    if not finite.any():
        return None
    row = int(np.argmin(np.where(finite, series.values, np.inf)))
    return At(float(series.values[row]), int(series.steps[row]))
