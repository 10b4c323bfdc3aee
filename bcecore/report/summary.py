"""The few values that stand for a whole run: in the run table, in the headline of the Run page, in the facts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bcecore.report.thinning import thin

SeriesOf = Callable[[str], pd.DataFrame]
"""Gives the rows at which a key was logged: columns step and the key itself (`store.history.History.series`)."""

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
        loss=_last(series_of("loss"), "loss"),
        ce=_last(ce, "ce"),
        held_out=_last(held_out, "eval_loss"),
        best_held_out=_lowest(held_out, "eval_loss"),
        gradient_ratio=_last(series_of("bce_grad_ratio"), "bce_grad_ratio"),
        trend=_trend(ce, "ce"),
        held_out_trend=_trend(held_out, "eval_loss"),
        points=len(ce),
    )


def _trend(rows: pd.DataFrame, key: str) -> tuple[float, ...]:
    values = rows[key].to_numpy(dtype=np.float64)
    finite = values[np.isfinite(values)]
    return tuple(finite[thin(finite, _SPARK_POINTS)].tolist())


def _last(rows: pd.DataFrame, key: str) -> At | None:
    return At(float(rows[key].iloc[-1]), int(rows["step"].iloc[-1])) if len(rows) else None


def _lowest(rows: pd.DataFrame, key: str) -> At | None:
    values = rows[key].to_numpy(dtype=np.float64)
    if not np.isfinite(values).any():
        return None
    position = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
    return At(float(values[position]), int(rows["step"].iloc[position]))
