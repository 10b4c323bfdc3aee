"""Two models on the same texts: the difference in CE with its interval, and which of them to keep. Pure.

The unit is the document (an example of the split): tokens of one text are not independent of each other. A comparison
is paired, text by text, so that how hard a text is cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bcecore.evaluation.comparable import NotComparable

FEW_DOCUMENTS = 30
"""Below this a comparison is only a first look (DESIGN §10, too-small)."""
MARGIN = 0.01
"""Nats per token: a smaller change of CE hardly matters (DESIGN §11)."""
LEVEL = 0.95

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over tokens, with what is needed for its interval."""

    value: float
    error: float
    """Standard error; NaN with fewer than two documents."""
    freedom: float
    """Degrees of freedom of the t distribution; NaN with fewer than two documents."""

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two ends of the interval; both NaN with fewer than two documents."""
        if math.isnan(self.error):
            return math.nan, math.nan
        # Imported here: it takes 0.2 s, and most pages compare nothing.
        from scipy.special import stdtrit  # type: ignore[import-untyped]

        half = float(stdtrit(self.freedom, 0.5 + level / 2)) * self.error
        return self.value - half, self.value + half


def token_weighted(sums: npt.ArrayLike, tokens: npt.ArrayLike) -> Estimate:
    """The mean over all tokens, from each document's sum (n,) and number of tokens (n,), documents as clusters.

    The mean is a ratio, Σd/Σm. Its standard error is linearised (W. G. Cochran, Sampling Techniques, 3rd ed. 1977,
    chapters 6 and 9A, on ratios and on clusters of unequal size): the residuals are e_i = d_i − m_i·mean. The
    textbook's factor n/(n−1) with n−1 degrees of freedom makes intervals too narrow where a few documents hold most of
    the tokens: in simulation they cover 82–93 % instead of 95 % with 5 to 29 documents of very unequal length. So each
    e_i² is divided by 1 − h_i, where h_i = m_i/Σm, and t has Satterthwaite's degrees of freedom (R. M. Bell and
    D. F. McCaffrey, Survey Methodology 28, 2002: "bias-reduced linearisation", known as CR2; here in closed form, for
    an intercept alone and a working variance in proportion to the tokens). With documents of one length that is exactly
    the textbook's formula; with unequal ones it covers 94–98 %. On clustered errors in evaluations see also E. Miller,
    "Adding error bars to evals", arXiv 2411.00640, 2024.

    Raises ValueError for no documents, a document without tokens, or shapes that differ.
    """
    d: Floats = np.asarray(sums, dtype=np.float64)
    m: Floats = np.asarray(tokens, dtype=np.float64)
    if d.shape != m.shape or d.ndim != 1 or not len(d):
        raise ValueError(f"one sum and one number of tokens a document, got shapes {d.shape} and {m.shape}")
    if m.min() <= 0:
        raise ValueError(f"every document has predicted tokens, got {m.min():g}")
    total = m.sum()
    mean = d.sum() / total
    if len(d) < 2:
        return Estimate(float(mean), math.nan, math.nan)
    share = m / total
    residuals = d - mean * m
    error = math.sqrt((residuals**2 / (1 - share)).sum()) / total
    leverage = share**2 / (1 - share)
    freedom = 1 / ((share**2).sum() + leverage.sum() ** 2 - (leverage**2).sum())
    return Estimate(float(mean), float(error), float(freedom))


@dataclass(frozen=True)
class Comparison:
    """Two sides on the same documents. Every difference is second − first: negative favours the second."""

    documents: int
    """With a finite loss on both sides; only they are compared."""
    tokens: int
    ce_first: float
    ce_second: float
    difference: Estimate
    """In nats per token; its value is NaN where no document could be compared."""
    level: float
    low: float
    high: float
    better: int
    """Documents on which the second side's CE is lower."""
    worse: int
    broken_first: int = 0
    """Documents whose loss is not a finite number on the first side."""
    broken_second: int = 0

    @property
    def same(self) -> int:
        """Documents on which nothing changed."""
        return self.documents - self.better - self.worse

    @property
    def share_better(self) -> float:
        """The share of documents on which the second side is better; NaN with no documents."""
        return self.better / self.documents if self.documents else math.nan

    @property
    def identical(self) -> bool:
        """Whether every document has the very same loss on both sides."""
        return self.documents > 0 and self.same == self.documents and not (self.broken_first or self.broken_second)

    @property
    def tells_apart(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def few(self) -> bool:
        """Whether there are too few documents for more than a first look."""
        return self.documents < FEW_DOCUMENTS

    @property
    def matters(self) -> bool:
        """Whether the difference is as large as one that would matter."""
        return abs(self.difference.value) >= MARGIN


def compare(first: pd.DataFrame, second: pd.DataFrame, level: float = LEVEL) -> Comparison:
    """Compare two sides by their rows of `examples.parquet` (one split, one checkpoint each), in any order.

    Needs the columns `example`, `tokens` (predicted) and `nll` (sum over them, nats). Raises NotComparable if the sides
    do not hold the same documents with the same numbers of tokens.
    """
    pairs = paired_rows(first, second)
    nll_first, nll_second = pairs["nll_first"].to_numpy(), pairs["nll_second"].to_numpy()
    fine_first, fine_second = np.isfinite(nll_first), np.isfinite(nll_second)
    fine = fine_first & fine_second
    tokens = pairs["tokens"].to_numpy()[fine]
    sums = nll_second[fine] - nll_first[fine]
    counted = int(tokens.sum())
    difference = token_weighted(sums, tokens) if counted else Estimate(math.nan, math.nan, math.nan)
    low, high = difference.interval(level)
    return Comparison(
        documents=int(fine.sum()),
        tokens=counted,
        ce_first=float(nll_first[fine].sum() / counted) if counted else math.nan,
        ce_second=float(nll_second[fine].sum() / counted) if counted else math.nan,
        difference=difference,
        level=level,
        low=low,
        high=high,
        better=int((sums < 0).sum()),
        worse=int((sums > 0).sum()),
        broken_first=int((~fine_first).sum()),
        broken_second=int((~fine_second).sum()),
    )


def changes(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """What changed on each document, the biggest change per token first; raises as `compare` does.

    Columns: example, text (where the sides have it), tokens, ce_first, ce_second, change (second − first, nats per
    token) and change_total (nats over the document, which is what it adds to the overall difference).
    """
    pairs = paired_rows(first, second)
    table = pairs[[name for name in ("example", "text", "tokens") if name in pairs]].copy()
    table["ce_first"] = pairs["nll_first"] / pairs["tokens"]
    table["ce_second"] = pairs["nll_second"] / pairs["tokens"]
    table["change_total"] = pairs["nll_second"] - pairs["nll_first"]
    table["change"] = table["change_total"] / table["tokens"]
    order = table["change"].abs().sort_values(ascending=False, kind="stable", na_position="first").index
    columns = [name for name in table if name != "change_total"]
    return table.loc[order, [*columns, "change_total"]].reset_index(drop=True)


def paired_rows(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One row a document of two sides: example, text, tokens, nll_first, nll_second, in order of `example`.

    Needs what `compare` needs and raises as it does.
    """
    for side in (first, second):
        if side["example"].duplicated().any():
            raise NotComparable(
                "A document comes up several times on one side. Choose one split and one checkpoint for each side."
            )
    kept = [name for name in ("example", "text", "tokens", "nll") if name in first]
    pairs = first[kept].merge(
        second[["example", "tokens", "nll"]], on="example", how="outer", suffixes=("_first", "_second"), indicator=True
    )
    alone = int((pairs["_merge"] != "both").sum())
    if alone:
        raise NotComparable(
            f"{alone:,} of {len(pairs):,} documents were scored on one side only. "
            "Let both evaluations finish, on the same file, and compare again."
        )
    unequal = pairs[pairs["tokens_first"] != pairs["tokens_second"]]
    if len(unequal):
        row = unequal.iloc[0]
        raise NotComparable(
            f"The sides do not see the same tokens: document {row['example'] + 1:,} has {row['tokens_first']:,} on one "
            f"side and {row['tokens_second']:,} on the other. Score both with the same tokenizer and windows."
        )
    pairs = pairs.rename(columns={"tokens_first": "tokens"}).drop(columns=["tokens_second", "_merge"])
    return pairs.sort_values("example", ignore_index=True)


# -- which to keep

Why = Literal["identical", "better", "not told apart", "broken", "nothing to compare"]


@dataclass(frozen=True)
class Choice:
    """Which of several sides to keep."""

    keep: int
    """Its place among the sides."""
    why: Why
    """`better`: every other one is told apart from it; `not told apart`: it is the earliest that could be the best."""
    lowest: int
    """The place of the side with the lowest CE."""
    against_lowest: tuple[Comparison | None, ...]
    """Each side against the lowest (second − first = lowest − side), None for that one itself."""


def which_to_keep(sides: Sequence[pd.DataFrame]) -> Choice:
    """Choose among sides on the same documents, given in the order in which they are preferred if all else is equal.

    Kept is the first that the text cannot tell from the one with the lowest CE: among checkpoints the earliest, which
    cost the least training. The intervals against the lowest have their level raised (Bonferroni), so that the more
    sides there are, the better does a difference have to be shown: the lowest of many is low partly by luck
    (comparisons with the best: J. C. Hsu, Multiple Comparisons: Theory and Methods, 1996, chapter 4).

    Raises ValueError for fewer than two sides, NotComparable.
    """
    if len(sides) < 2:
        raise ValueError(f"a choice takes two sides, got {len(sides)}")
    finite = [np.isfinite(side["nll"].to_numpy()) for side in sides]
    broken = [int((~rows).sum()) for rows in finite]
    ce = [_ce(side[rows]) for side, rows in zip(sides, finite, strict=True)]
    # A model whose loss is not a number on some text is no candidate beside one that always has one.
    whole = [place for place in range(len(sides)) if broken[place] == min(broken)]
    lowest = min(whole, key=lambda place: ce[place])
    level = 1 - (1 - LEVEL) / (len(sides) - 1)
    against = tuple(
        None if place == lowest else compare(side, sides[lowest], level) for place, side in enumerate(sides)
    )

    def could_be_best(place: int) -> bool:
        comparison = against[place]
        return comparison is None or (place in whole and not comparison.tells_apart)

    keep = next(place for place in range(len(sides)) if could_be_best(place))
    others = [comparison for comparison in against if comparison is not None]
    why: Why
    if any(comparison.documents == 0 for comparison in others):
        why = "nothing to compare" if len(whole) == len(sides) else "broken"
    elif all(comparison.identical for comparison in others):
        why = "identical"
    elif sum(could_be_best(place) for place in range(len(sides))) > 1:
        why = "not told apart"
    else:
        why = "broken" if len(whole) == 1 else "better"
    return Choice(keep, why, lowest, against)


def _ce(rows: pd.DataFrame) -> float:
    return float(rows["nll"].sum() / rows["tokens"].sum()) if len(rows) else math.inf
