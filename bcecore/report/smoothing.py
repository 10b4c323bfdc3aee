"""Smoothing of logged values. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

MOST = 0.99
"""The strongest smoothing: the latest 100 points or so count."""


def smooth(values: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    """The exponential moving average, one value per point; `weight` is the share that the past keeps, 0 to 0.99.

    Debiased: the first points are averages of what there is, and not drawn towards zero. Points that are not finite
    stay as they are and do not count for their neighbours.
    """
    if not 0 <= weight <= MOST:
        raise ValueError(f"the weight of the past is from 0 to {MOST}; it was {weight}")
    if weight == 0 or len(values) < 2:
        return values
    finite = np.isfinite(values)
    known = values if finite.all() else np.where(finite, values, np.nan)
    average = pd.Series(known).ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean().to_numpy()
    return np.where(finite, average, values)
