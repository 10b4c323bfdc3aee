"""The nine components of the BCE value, for those who want to know what it is made of: what each measures, what it is
worth in the seed profile, and which of it ever changes. Pure.

The numbers are those of the design; the regulariser computes them in its own way (`training.regularizer`), and a test
holds the two together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from bcecore.report.metrics import COMPONENTS

OVERALL = 0.8
"""What the mean of the components is multiplied by before its sign is turned."""

_FUZZY_CONSTANT = 0.3 / (1 + math.exp(0.3)) + 0.2 * 0.95
_ABOUT = {
    "bce_rl": ("Whether recent steps made CE better than usual.", "learns from CE"),
    "bce_iso": ("How typical the hidden state is among the recent ones.", "near 1 for a typical state"),
    "bce_dcycle": ("How close the hidden state is to its long-term average, the character.", "follows that average"),
    "bce_dbscan": ("How close the hidden state is to its nearest recent neighbours.", "near 1 in a crowd"),
    "bce_auto": ("Whether automatic discovery is allowed. It always is.", "always 1"),
    "bce_bayes": ("How close the hidden state is to its recent average, the context.", "follows that average"),
    "bce_fuzzy": ("How strong the hidden state is: its length.", "grows with the length"),
    "bce_ethics": ("Whether the content is approved. It always is.", "always 1"),
    "bce_master": ("The best of several candidate actions. There are none.", "always 0"),
}


class Part(NamedTuple):
    """One component."""

    key: str
    name: str
    about: str
    """What it measures."""
    seed: float
    """Its value in the seed profile."""
    active: str
    """What becomes of it in the active profile, in words."""

    @property
    def share_of_r(self) -> float:
        """What it contributes to R in the seed profile."""
        return -OVERALL / len(COMPONENTS) * self.seed


def seed_parts(length: float) -> list[Part]:
    """The components of a hidden state of this length (from 0) in the seed profile.

    There the character and the context are the state itself, so that only its length counts, and that only in one of
    them. ValueError for a negative length.
    """
    if length < 0:
        raise ValueError(f"a length is at least 0, got {length}")
    something = length > 0
    values = {
        "bce_rl": 0.5,
        "bce_iso": 0.0,
        "bce_dcycle": 0.92 if something else 0.52,
        "bce_dbscan": 0.0,
        "bce_auto": 1.0,
        "bce_bayes": 1.0 if something else 0.5,
        "bce_fuzzy": _FUZZY_CONSTANT + 0.5 * math.tanh(length),
        "bce_ethics": 1.0,
        "bce_master": 0.0,
    }
    return [Part(key, name, _ABOUT[key][0], values[key], _ABOUT[key][1]) for key, name in COMPONENTS.items()]


def seed_loss(length: float) -> float:
    """R of a hidden state of this length in the seed profile."""
    return sum(part.share_of_r for part in seed_parts(length))
