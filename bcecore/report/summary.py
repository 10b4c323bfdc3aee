"""The few values that stand for a whole run: in the headline of the Run page, in the facts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bcecore.store.columns import Series
from bcecore.store.summary import SeriesOf, figures_of, trend_of

__all__ = ["At", "RunSummary", "SeriesOf", "summarise"]


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
        trend=trend_of(ce),
        held_out_trend=trend_of(held_out),
        points=len(ce),
    )


def _last(series: Series) -> At | None:
    return At(float(series.values[-1]), int(series.steps[-1])) if len(series) else None


def _lowest(series: Series) -> At | None:
    figures = figures_of(series)
    return At(figures.lowest, figures.lowest_step) if figures is not None and figures.lowest_step >= 0 else None
