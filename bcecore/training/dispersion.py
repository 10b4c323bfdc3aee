"""How far apart the kept states are, kept up to date at a cost that does not depend on how many are kept."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch


class Dispersion:
    """Spread and mean cosine distance of the rows of a ring of states, asked for at every log record.

    Holds three sums over the rows and a copy of the rows they are over. What was written to the ring since the last
    question is put into the sums and what it replaced is taken out, in float64, where adding and taking away float32
    numbers leaves no error that could be seen. Computing all anew takes many times as long beside a training step,
    which has swept the rows out of the processor's cache.
    """

    def __init__(self, size: int, dim: int) -> None:
        self._rows = np.zeros((size, dim))
        self._sum = np.zeros(dim)
        self._sum_of_units = np.zeros(dim)
        self._squares = 0.0
        self._nonzero = 0

    def replace(self, slots: list[int], states: torch.Tensor) -> None:
        """The ring's rows at `slots` are now `states`, shape (len(slots), dim)."""
        for slot, new in zip(slots, states.cpu().double().numpy(), strict=True):
            old = self._rows[slot]
            self._add(old, -1)
            self._add(new, 1)
            self._rows[slot] = new

    def _add(self, row: npt.NDArray[np.float64], sign: int) -> None:
        square = float(row @ row)
        if square == 0:
            return  # an unused row, or a state of zeros, which has no direction and adds nothing to any sum
        self._nonzero += sign
        self._squares += sign * square
        self._sum += sign * row
        self._sum_of_units += (sign / math.sqrt(square)) * row

    def values(self, count: int) -> tuple[float, float]:
        """Spread and mean cosine distance of the first `count` rows (at least two).

        The spread is the root of the variance averaged over the dimensions; the distance is the mean of 1 − cos over
        all pairs, where a state of zeros has cos 0 with all others.
        """
        mean_square = float(self._sum @ self._sum) / count**2
        variance = (self._squares / count - mean_square) / len(self._sum)
        pairs = float(self._sum_of_units @ self._sum_of_units) - self._nonzero
        return math.sqrt(max(variance, 0.0)), 1 - pairs / (count * (count - 1))

    def state(self) -> dict[str, torch.Tensor]:
        """What has to be saved so that a resumed run logs the same values to the last bit."""
        return {
            "sum": torch.from_numpy(self._sum.copy()),
            "sum_of_units": torch.from_numpy(self._sum_of_units.copy()),
            "scalars": torch.tensor([self._squares, float(self._nonzero)], dtype=torch.float64),
        }

    @classmethod
    def restored(cls, rows: torch.Tensor, state: dict[str, torch.Tensor]) -> Dispersion:
        """What `state` saved, with the rows it was over, shape (size, dim)."""
        dispersion = cls(*rows.shape)
        dispersion._rows = rows.cpu().double().numpy().copy()
        dispersion._sum = state["sum"].cpu().numpy().copy()
        dispersion._sum_of_units = state["sum_of_units"].cpu().numpy().copy()
        squares, nonzero = state["scalars"].tolist()
        dispersion._squares, dispersion._nonzero = squares, int(nonzero)
        return dispersion
