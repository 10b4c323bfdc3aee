"""Which points of a long series a chart shows. Pure.

A chart a few hundred pixels wide cannot show ten thousand points, and a browser pays for each of them. The series is
cut into bins whose width is a power of two, and of each bin the lowest and the highest point are kept. Bins of such a
width stay where they are while points arrive (until the width doubles), so a growing curve does not shimmer, and no
spike is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]


def thin(values: Sequence[float] | npt.NDArray[np.float64], limit: int) -> Indices:
    """The positions of the points to show, in order: at most `limit`, and every point that is not finite.

    Always among them: the first and the last point, the lowest and the highest. `limit` is at least 4. A series that
    is short enough is kept whole.
    """
    if limit < 4:
        raise ValueError(f"first, last, lowest and highest make 4 points; the limit was {limit}")
    series = np.asarray(values, dtype=np.float64)
    length = len(series)
    if length <= limit:
        return np.arange(length)
    width = bin_width(length, limit)
    bins = -(-length // width)
    padded = np.full(bins * width, np.nan)
    padded[:length] = series
    padded[~np.isfinite(padded)] = np.nan
    rows = padded.reshape(bins, width)  # (bins, width)
    starts = np.arange(bins) * width
    # argmin over infinities in place of NaN: a bin without a finite point yields its first one, dropped again below.
    lowest = starts + np.argmin(np.where(np.isnan(rows), np.inf, rows), axis=1)
    highest = starts + np.argmax(np.where(np.isnan(rows), -np.inf, rows), axis=1)
    keep = np.zeros(length, dtype=bool)
    filled = ~np.isnan(rows).all(axis=1)
    keep[lowest[filled]] = True
    keep[highest[filled]] = True
    keep[~np.isfinite(series)] = True
    keep[[0, -1]] = True
    return np.flatnonzero(keep)


def bin_width(length: int, limit: int) -> int:
    """The smallest power of two so that two points of each bin, with the first and the last, stay within `limit`."""
    width = 1
    while 2 * -(-length // width) + 2 > limit:
        width *= 2
    return width
