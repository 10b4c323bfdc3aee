"""What a study can see: the smallest difference it would likely find, before it is launched and after. Pure.

The difference of seed s on document d is taken as Δ + a_s + b_d + e_sd, in nats per token: how much more BCE does with
one seed than with another, on one document than on another, and the rest. A study of S seeds on documents with m_d
tokens then has the variance Var a/S + h·(Var b + Var e/S), where h = Σm²/(Σm)² is 1/D for documents of one length and
more where a few hold most of the tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bcecore.evaluation.comparable import NotComparable
from bcecore.evaluation.paired import LEVEL
from bcecore.evaluation.statistics import FEW_SEEDS, Cells, t_quantile

POWER = 0.80
"""A study "would likely see" what it finds in four of five cases."""
MOST_SEEDS = 100
_SURE = 0.80


@dataclass(frozen=True)
class Components:
    """How much a difference between two arms varies, in (nats per token)²."""

    seed: float
    """Var a: between seeds, the same on every document."""
    document: float
    """Var b: between documents, the same at every seed."""
    residual: float
    """Var e: what is left in a cell."""
    seeds: int = 0
    """How many seeds it was estimated from; 0 where it is assumed."""
    documents: int = 0

    @property
    def assumed(self) -> bool:
        return self.seeds == 0


ASSUMED = Components(seed=5e-6, document=9e-5, residual=8e-5)
"""What to plan with where there is no pilot; say that it is assumed.

Measured on three pairs of twins, BCE off against active (0.2 rising to 0.5): the model built here, 300 steps of 8
paragraphs of wikitext-2, 500 others to be checked on, cut at 64 tokens. From three seeds, the spread between seeds is
known to a factor of three, and another model, text or weight can be far from all of it: a pilot of the study's own
settings is what a plan should rest on.
"""


def components(pilot: Cells) -> Components:
    """The three variances from results that are there, by moments; each is unbiased unless it had to be raised to 0.

    Tokens weight them as they weight the result, so on documents of the pilot's lengths the predicted error is right
    also where long documents vary less than short ones. Raises NotComparable for fewer than two seeds or documents,
    which cannot tell the parts from each other.
    """
    count, documents = pilot.sums.shape
    if min(count, documents) < 2:
        raise NotComparable(
            f"A pilot takes at least 2 seeds and 2 documents, and this has {count} and {documents}. "
            "Run it with one more, or plan without a pilot."
        )
    share = pilot.tokens / pilot.tokens.sum()  # (D,)
    per_token = pilot.sums / pilot.tokens  # (S, D)
    of_seed, of_document = per_token @ share, per_token.mean(axis=0)
    mean = of_seed.mean()
    held = (share**2).sum()
    # What centring around the weighted mean leaves of a document's variance, with the weight it has in the result.
    left = (share**2 * (1 - 2 * share + held)).sum()
    rest = per_token - of_seed[:, None] - of_document + mean
    residual = (share**2 * rest**2).sum() / ((count - 1) * left)
    document = (share**2 * (of_document - mean) ** 2).sum() / left - residual / count
    seed = of_seed.var(ddof=1) - held * residual
    return Components(max(0.0, float(seed)), max(0.0, float(document)), float(residual), count, documents)


def spread(parts: Components, seeds: int, tokens: npt.ArrayLike) -> float:
    """How far results of such studies lie from the truth: their standard deviation, nats per token.

    `tokens` are the lengths of the documents, (D,).
    """
    held = _held(tokens)
    return math.sqrt(parts.seed / seeds + held * (parts.document + parts.residual / seeds))


def predicted_error(parts: Components, seeds: int, tokens: npt.ArrayLike) -> float:
    """The standard error that such a study will report, nats per token: the root of its mean square.

    It is near `spread` and not the same. The seeds' part of the reported variance varies like χ² with S − 1 degrees of
    freedom, and what falls below the documents' part is raised to it, so where nothing but single cells varies the
    error is 13 % larger at five seeds; and V_cell takes away a little of what documents add. A study sees what stands
    out from the error it reports, so plans go by this one. NaN with one seed.
    """
    freedom = seeds - 1
    if freedom < 1:
        return math.nan
    from scipy.special import chdtrc  # type: ignore[import-untyped]

    held = _held(tokens)
    by_seed = (parts.seed + held * parts.residual) / seeds
    by_document = held * (parts.document + parts.residual / seeds)
    by_cell = held * (parts.seed + parts.document + parts.residual) / seeds
    # The estimate is the largest of X·by_seed + by_document − by_cell, X·by_seed and by_document, with X = χ²/(S − 1):
    # by_document, and what X·by_seed has beyond `needed`.
    needed = by_document - max(0.0, by_document - by_cell)
    if by_seed == 0:
        return math.sqrt(by_document)
    at = freedom * needed / by_seed
    beyond = by_seed * float(chdtrc(freedom + 2, at)) - needed * float(chdtrc(freedom, at))
    return math.sqrt(by_document + beyond)


def _held(tokens: npt.ArrayLike) -> float:
    """h of the module's text."""
    lengths = np.asarray(tokens, dtype=np.float64)
    return float((lengths**2).sum() / lengths.sum() ** 2)


def power(effect: float, error: float, freedom: int, level: float = LEVEL) -> float:
    """How likely an interval at that level leaves out 0 if the true difference is `effect`.

    The interval's error is estimated from few seeds, which a noncentral t allows for. NaN without an error.
    """
    if freedom < 1 or math.isnan(error):
        return math.nan
    if error == 0:
        return 0.0 if effect == 0 else 1.0
    return _power(abs(effect) / error, freedom, level)


def _power(effect: float, freedom: int, level: float) -> float:
    from scipy.special import nctdtr

    edge = t_quantile(freedom, level)
    # Where a probability is too small to matter (below 1e-15) scipy has none.
    below, beyond = (float(np.nan_to_num(nctdtr(freedom, effect, at))) for at in (-edge, edge))
    return 1 - beyond + below


def smallest_likely_seen(error: float, freedom: int, level: float = LEVEL, likely: float = POWER) -> float:
    """The smallest true difference that the interval would leave 0 out for so often (MDE), nats per token.

    It is δ·SE, where a noncentral t with these degrees of freedom has that power at δ; NaN without an error.
    """
    if freedom < 1 or math.isnan(error):
        return math.nan
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    # An effect of t's own quantile is found about half the time; some quantiles more are enough for any power.
    highest = 20 * t_quantile(freedom, level)
    return error * float(brentq(lambda effect: _power(effect, freedom, level) - likely, 0, highest, xtol=1e-12))


@dataclass(frozen=True)
class Plan:
    """What a study of so many seeds and documents can see."""

    seeds: int
    documents: int
    error: float
    """The standard error that it will report, nats per token."""
    mde: float
    """The smallest difference it would likely see."""
    mde_low: float
    mde_high: float
    """Between these the true `mde` lies in four of five cases, as a pilot of few seeds knows their spread only roughly;
    NaN where the spread is assumed."""


def plan(parts: Components, seeds: int, tokens: npt.ArrayLike, level: float = LEVEL) -> Plan:
    """What so many seeds on documents of these lengths (D,) will see at that level."""
    documents = len(np.asarray(tokens))
    error = predicted_error(parts, seeds, tokens)
    mde = smallest_likely_seen(error, min(seeds, documents) - 1, level)
    low, high = _range_of_spread(parts.seeds - 1)
    return Plan(seeds, documents, error, mde, low * mde, high * mde)


def _range_of_spread(freedom: int) -> tuple[float, float]:
    """By which factors a true standard deviation may differ from one estimated with so many degrees of freedom."""
    if freedom < 1:
        return math.nan, math.nan
    from scipy.special import chdtri

    outside = (1 - _SURE) / 2
    # chdtri takes the upper tail.
    return math.sqrt(freedom / chdtri(freedom, outside)), math.sqrt(freedom / chdtri(freedom, 1 - outside))


def fewest_seeds(
    parts: Components, tokens: npt.ArrayLike, wished: float, level: float = LEVEL, most: int = MOST_SEEDS
) -> int | None:
    """How many seeds would likely see a difference of `wished` nats per token; at least those a verdict takes.

    None if `most` are not enough: then it is the documents that are too few, or too unlike each other.
    """
    for seeds in range(FEW_SEEDS, most + 1):
        if plan(parts, seeds, tokens, level).mde <= wished:
            return seeds
    return None
