"""Logged values as columns: one row per step, one array per key, growing at its end.

Built for long logs: a million steps of thirty keys are thirty arrays, and one new line costs microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Steps = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_FIRST_CAPACITY = 256
_GROWTH = 1.25
_STAMPS = ("epoch", "time")
"""When a line was written: each line of a row says so anew."""


class Series(NamedTuple):
    """The logged values of one key, in the order of their steps. All arrays have the same length."""

    steps: Steps
    values: Values
    """A value that was logged and was not finite is there too."""
    epochs: Values
    """NaN where the log does not say."""
    times: Values
    """Seconds since 1970; NaN where the log does not say."""

    def __len__(self) -> int:  # of a tuple it would be the number of fields
        return len(self.steps)

    def at(self, places: Mask | npt.NDArray[np.intp]) -> Series:
        """Some of the values: those where a mask is true, or those at these positions."""
        return Series(self.steps[places], self.values[places], self.epochs[places], self.times[places])

    def rows(self, start: int, end: int) -> Series:
        """The values from position `start` up to, not including, `end`: views, not copies."""
        cut = slice(start, end)
        return Series(self.steps[cut], self.values[cut], self.epochs[cut], self.times[cut])


class Block(NamedTuple):
    """Some lines of a log in their order, as arrays; a step may occur in several of them, and in any order."""

    steps: Steps
    columns: Mapping[str, Values]
    present: Mapping[str, Mask]
    """For each column, where the line had a value; a value may be NaN and present."""

    def rows(self, start: int, end: int) -> Block:
        """The lines from `start` up to, not including, `end`."""
        cut = slice(start, end)
        columns = {key: values[cut] for key, values in self.columns.items()}
        return Block(self.steps[cut], columns, {key: mask[cut] for key, mask in self.present.items()})


def block_of(lines: Sequence[tuple[int, Mapping[str, float]]]) -> Block:
    """A block from `(step, values)` pairs."""
    keys = dict.fromkeys(key for _, values in lines for key in values)
    columns = {key: np.full(len(lines), np.nan) for key in keys}
    present = {key: np.zeros(len(lines), dtype=bool) for key in keys}
    for position, (_, values) in enumerate(lines):
        for key, value in values.items():
            columns[key][position] = value
            present[key][position] = True
    return Block(np.array([step for step, _ in lines], dtype=np.int64), columns, present)


class _Growing:
    """An array that can be appended to without copying it each time."""

    def __init__(self, fill: Any, dtype: Any) -> None:
        self._fill = fill
        self._data = np.full(_FIRST_CAPACITY, fill, dtype=dtype)

    def reserve(self, length: int) -> None:
        if length > len(self._data):
            grown = np.full(max(length, int(len(self._data) * _GROWTH)), self._fill, dtype=self._data.dtype)
            grown[: len(self._data)] = self._data
            self._data = grown

    def view(self, length: int) -> npt.NDArray[Any]:
        self.reserve(length)
        return self._data[:length]

    def clear_beyond(self, length: int) -> None:
        self._data[length:] = self._fill

    def replace(self, data: npt.NDArray[Any]) -> None:
        self._data = data


class Columns:
    """Logged values, one row per step, in order. A later value for the same step and key replaces an earlier one."""

    def __init__(self) -> None:
        self._length = 0
        self._steps = _Growing(0, np.int64)
        self._columns: dict[str, _Growing] = {}
        # A value that is missing is NaN; those that are there and NaN are few, and are remembered here by their step.
        self._nan: dict[str, set[int]] = {}
        self.rewrites = 0
        """Grows when anything but adding behind the end was done: what was taken from earlier rows is out of date."""

    def __len__(self) -> int:
        return self._length

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys, in the order in which they first came."""
        return tuple(self._columns)

    @property
    def steps(self) -> Steps:
        """The steps of all rows, ascending."""
        return self._steps.view(self._length)

    def column(self, key: str) -> Values:
        """The values of a key at all rows; NaN where there is none. An unknown key has none anywhere."""
        if key not in self._columns:
            return np.full(self._length, np.nan)
        return self._columns[key].view(self._length)

    def present(self, key: str, start: int = 0) -> Mask:
        """At which rows, from row `start` on, the key was logged, non-finite values included."""
        mask: Mask = ~np.isnan(self._from(key, start))
        if logged := self._nan.get(key):
            rows = np.searchsorted(self.steps, np.fromiter(logged, dtype=np.int64)) - start
            mask[rows[rows >= 0]] = True
        return mask

    def _from(self, key: str, start: int) -> Values:
        """The values of a key from row `start` on, at a cost that does not depend on the rows before."""
        if key not in self._columns:
            return np.full(self._length - start, np.nan)
        return self._columns[key].view(self._length)[start:]

    def series(self, key: str, start: int = 0) -> Series:
        """The rows, from row `start` on, at which the key was logged."""
        mask = self.present(key, start)
        series = Series(
            self.steps[start:], self._from(key, start), self._from("epoch", start), self._from("time", start)
        )
        if not mask.any():
            return series.at(mask)
        # Most keys are there from some step on and without a gap: then nothing has to be copied.
        first, end = int(np.argmax(mask)), len(mask) - int(np.argmax(mask[::-1]))
        return series.rows(first, end) if mask[first:end].all() else series.at(mask)

    def block(self) -> Block:
        """All of it, to be merged into another table."""
        return Block(
            self.steps, {key: self.column(key) for key in self.keys}, {key: self.present(key) for key in self.keys}
        )

    def last(self, key: str) -> float:
        """The newest value of a key that was logged."""
        size = 64
        while True:
            start = max(0, self._length - size)
            found = np.flatnonzero(~np.isnan(self.column(key)[start:]))
            nan = max(self._nan.get(key, ()), default=None)
            if len(found) or start == 0:
                row = start + int(found[-1]) if len(found) else -1
                if nan is not None and (row < 0 or nan > self.steps[row]):
                    return float("nan")
                return float(self.column(key)[row])
            size *= 16

    def truncate(self, beyond: int) -> None:
        """Drop the rows of all steps after `beyond`."""
        self.rewrites += 1
        self._length = int(np.searchsorted(self.steps, beyond, side="right"))
        for key in list(self._columns):
            self._columns[key].clear_beyond(self._length)
            self._nan[key] = {step for step in self._nan.get(key, ()) if step <= beyond}
            if not self.present(key).any():
                del self._columns[key], self._nan[key]

    def add(self, block: Block) -> None:
        """Merge lines in, in their order."""
        if not len(block.steps):
            return
        new_steps, rows = _rows(block.steps)
        if self._length and new_steps[0] <= self.steps[-1]:
            self.rewrites += self._changes_rows(block)
            rows = self._make_room(new_steps)[rows]
        else:
            start = self._length
            self._length += len(new_steps)
            self._steps.view(self._length)[start:] = new_steps
            rows = rows + start
        for key, values in block.columns.items():
            mask = block.present[key]
            if not mask.any():
                continue
            column = self._columns.setdefault(key, _Growing(np.nan, np.float64)).view(self._length)
            everywhere = mask.all()
            at = rows if everywhere else rows[mask]
            given = values if everywhere else values[mask]
            column[at] = given  # where a row occurs twice, numpy keeps the last
            self._remember_nan(key, block.steps if everywhere else block.steps[mask], given)

    def _changes_rows(self, block: Block) -> bool:
        """Whether lines that are not all behind the end change what is there.

        The values of a check join the last row, which has none of them yet: that changes nothing.
        """
        last = int(self.steps[-1])
        if block.steps.min() < last:
            return True
        at_last = block.steps == last
        return any(
            bool(mask[at_last].any()) and bool(self.present(key, self._length - 1)[0])
            for key, mask in block.present.items()
            if key in self._columns and key not in _STAMPS
        )

    def _make_room(self, new_steps: Steps) -> npt.NDArray[np.intp]:
        """Insert rows for steps that come before the end; returns the row of each of `new_steps`."""
        old = self.steps
        merged = np.union1d(old, new_steps)
        if len(merged) != len(old):
            kept = np.searchsorted(merged, old)
            for column in self._columns.values():
                spread = np.full(len(merged), np.nan)
                spread[kept] = column.view(self._length)
                column.replace(spread)
            self._steps.replace(merged)
            self._length = len(merged)
        return np.searchsorted(merged, new_steps)

    def _remember_nan(self, key: str, steps: Steps, values: Values) -> None:
        before = self._nan.setdefault(key, set())
        nan = np.isnan(values)
        if not before and not nan.any():
            return
        for step, is_nan in zip(steps.tolist(), nan.tolist(), strict=True):
            if is_nan:
                before.add(step)
            else:
                before.discard(step)


def _rows(steps: Steps) -> tuple[Steps, npt.NDArray[np.intp]]:
    """The distinct steps in order, and for each line the place of its step among them."""
    if len(steps) == 1 or bool((steps[1:] > steps[:-1]).all()):
        return steps, np.arange(len(steps))
    distinct, places = np.unique(steps, return_inverse=True)
    return distinct, places.astype(np.intp)
