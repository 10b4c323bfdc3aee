"""Which points of a long series a chart shows. Pure.

A chart a few hundred pixels wide cannot show ten thousand points, and a browser pays for each of them. The series is
cut into bins whose width is a power of two, and of each bin the lowest and the highest point are kept. Bins of such a
width stay where they are while points arrive (until the width doubles), so a growing curve does not shimmer, and no
spike is lost.

Points that are not finite have a share of the room to themselves. While they are few, all of them stay; where they are
too many, the first of each bin does, so that every stretch that has some still shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]
_FLOATS = npt.NDArray[np.float64]

LEAST = 6
"""First, last, lowest and highest, and two points that are not finite."""
_STRANGE_SHARE = 10


def thin(values: Sequence[float] | _FLOATS, limit: int) -> Indices:
    """The positions of the points to show, in order: at most `limit`, which is at least `LEAST`.

    Always among them: the first and the last point, the lowest and the highest, and every point that is not finite, as
    long as those are no more than `strange_room(limit)`. A series that is short enough is kept whole.
    """
    if limit < LEAST:
        raise ValueError(f"a chart of a series needs room for {LEAST} points at least; the limit was {limit}")
    series = np.asarray(values, dtype=np.float64)
    length = len(series)
    if length <= limit:
        return np.arange(length)
    finite = np.isfinite(series)
    all_finite = bool(finite.all())
    width = bin_width(length, limit)
    kept = [
        _of_each_bin(series if all_finite else np.where(finite, series, np.inf), width, np.argmin),
        _of_each_bin(series if all_finite else np.where(finite, series, -np.inf), width, np.argmax),
    ]
    if not all_finite:
        # A bin without a finite point has answered with one that is not; those are chosen next.
        kept = [places[finite[places]] for places in kept]
        kept.append(_strange(finite, length, strange_room(limit)))
    return np.unique(np.concatenate([*kept, np.array([0, length - 1], dtype=np.intp)]))


def thin_for_logarithm(values: Sequence[float] | _FLOATS, limit: int) -> Indices:
    """The same for a logarithmic axis, where the first points are far apart and the last ones close together.

    The series is cut where its length doubles (quadruples and so on, where there is little room), and each piece gets
    as much room as any other. At most `limit` points, which is at least `LEAST`.
    """
    series = np.asarray(values, dtype=np.float64)
    length = len(series)
    if length <= limit:
        return np.arange(length)
    most_pieces = max(1, limit // LEAST)
    doublings = -(-length.bit_length() // most_pieces)
    cuts = [0, *(2**n for n in range(doublings, length.bit_length(), doublings)), length]
    room = limit // (len(cuts) - 1)
    return np.concatenate([start + thin(series[start:end], room) for start, end in pairwise(cuts)])


def strange_room(limit: int) -> int:
    """How many of `limit` points are set aside for those that are not finite."""
    return max(1, limit // _STRANGE_SHARE)


def bin_width(length: int, limit: int) -> int:
    """The smallest power of two so that two points of each bin, the first, the last and the strange fit in `limit`."""
    return _width(length, (limit - strange_room(limit) - 2) // 2)


def _width(length: int, bins: int) -> int:
    width = 1
    while -(-length // width) > max(1, bins):
        width *= 2
    return width


def _of_each_bin(series: _FLOATS, width: int, choose: Callable[..., Any]) -> Indices:
    whole = len(series) // width
    rows = series[: whole * width].reshape(whole, width)  # (bins, width)
    places = choose(rows, axis=1) + np.arange(whole) * width
    rest = series[whole * width :]
    if len(rest):
        places = np.append(places, whole * width + choose(rest))
    return np.asarray(places, dtype=np.intp)


def _strange(finite: npt.NDArray[np.bool_], length: int, room: int) -> Indices:
    places = np.flatnonzero(~finite)
    if len(places) <= room:
        return places
    bins = places // _width(length, room)
    return places[np.flatnonzero(np.diff(bins, prepend=-1))]
