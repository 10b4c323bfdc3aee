"""Studies that never happened, whose truth is known: what `bench protocol` and the tests try the protocol on.

`closed_form` is the estimator written out by hand, for many studies at once. It is the oracle of the product's own,
which goes by statsmodels, and a thousand times as fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bcecore.evaluation.planning import Components
from bcecore.evaluation.statistics import Cells

Array = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

SHAPES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t3": lambda rng, shape: rng.standard_t(3, size=shape) / math.sqrt(3),
    "skewed": lambda rng, shape: rng.exponential(size=shape) - 1,
}
"""Each with mean 0 and variance 1; the skewed one has a skewness of 2."""

LENGTHS: dict[str, Draw] = {
    # Paragraphs of wikitext-2's valid.txt: half of them within 70 and 160 words, a few beyond 300.
    "paragraphs": lambda rng, shape: np.maximum(2, rng.gamma(2.5, 48, size=shape)).astype(np.int64),
    # Some documents hold ten times the tokens of the middle one.
    "very unequal": lambda rng, shape: np.maximum(2, rng.lognormal(3, 1.2, size=shape)).astype(np.int64),
}

_AT_ONCE = 2_000_000
"""Cells held in memory together."""


@dataclass(frozen=True)
class World:
    """Where studies are drawn from: how results vary, over which documents, and what is true."""

    parts: Components
    seeds: int = 5
    documents: int = 100
    shape: str = "normal"
    """Of what documents and cells add."""
    shape_of_seeds: str = "normal"
    lengths: str = "paragraphs"
    truth: float = 0.0
    """The true difference, nats per token."""


class Studies(NamedTuple):
    """Many studies of one world."""

    sums: Array
    """(R, S, D), nats."""
    tokens: npt.NDArray[np.int64]
    """(R, D)."""


def draw(world: World, studies: int, rng: np.random.Generator) -> Studies:
    """So many independent studies, each with seeds and documents of its own."""
    tokens = LENGTHS[world.lengths](rng, (studies, world.documents))
    of = SHAPES[world.shape]
    parts = world.parts
    seed = math.sqrt(parts.seed) * SHAPES[world.shape_of_seeds](rng, (studies, world.seeds, 1))
    document = math.sqrt(parts.document) * of(rng, (studies, 1, world.documents))
    rest = math.sqrt(parts.residual) * of(rng, (studies, world.seeds, world.documents))
    return Studies((world.truth + seed + document + rest) * tokens[:, None, :], tokens)


def batches(world: World, studies: int, rng: np.random.Generator) -> Iterator[Studies]:
    """The same in parts that fit into memory."""
    size = max(1, _AT_ONCE // (world.seeds * world.documents))
    for start in range(0, studies, size):
        yield draw(world, min(size, studies - start), rng)


def as_cells(studies: Studies, number: int) -> Cells:
    """One of them as the product takes it."""
    sums, tokens = studies.sums[number], studies.tokens[number]
    return Cells(np.arange(len(sums)), np.arange(len(tokens)), tokens.astype(np.int64), sums)


class Fits(NamedTuple):
    """What the estimator says of many studies, (R,) each."""

    value: Array
    error: Array


def closed_form(studies: Studies) -> Fits:
    """Token-weighted mean and two-way clustered error, floored at the larger one-way error, from the formulas.

    With scores u_sd = d_sd − m_d·mean and M = S·Σm: V of a clustering = G/(G − 1)·Σ_g(Σ_{sd in g} u_sd)² / M².
    """
    sums, tokens = studies
    _, seeds, documents = sums.shape
    all_tokens = seeds * tokens.sum(axis=1)
    value = sums.sum(axis=(1, 2)) / all_tokens
    scores = sums - value[:, None, None] * tokens[:, None, :]

    def variance(clusters: Array) -> Array:
        count = clusters.shape[1]
        return count / (count - 1) * (clusters**2).sum(axis=1) / all_tokens**2

    by_seed, by_document = variance(scores.sum(axis=2)), variance(scores.sum(axis=1))
    by_cell = variance(scores.reshape(len(scores), seeds * documents))
    two_way = by_seed + by_document - by_cell
    return Fits(value, np.sqrt(np.maximum(two_way, np.maximum(by_seed, by_document))))
