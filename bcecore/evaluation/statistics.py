"""A study's numbers: the difference between two arms over seeds and documents, and how sure it is. Pure.

A cell is one seed and one held-out document: both twins of that seed scored on that document. Seeds and documents are
both samples, so the result has to hold for other seeds and for other texts of the kind: its errors are clustered both
ways (DESIGN §11). Every difference is second arm − first arm in nats, so negative favours the second.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bcecore.evaluation.comparable import NotComparable
from bcecore.evaluation.paired import LEVEL, MARGIN, Estimate, Floats, paired_rows, token_weighted

FEW_SEEDS = 5
"""Below this a study is only a first look (DESIGN §10, single-run)."""
EQUIVALENCE_LEVEL = 0.90
"""Two one-sided tests at 5 % each are the interval at 90 % (D. J. Schuirmann, J. Pharmacokin. Biopharm. 15, 1987)."""


# -- cells


@dataclass(frozen=True, eq=False)
class Cells:
    """What a study measured: every seed on every document, S × D."""

    seeds: npt.NDArray[Any]
    """(S,), in order."""
    documents: npt.NDArray[Any]
    """(D,), in order."""
    tokens: npt.NDArray[np.int64]
    """(D,), predicted tokens of each document."""
    sums: Floats
    """(S, D), the difference of the summed losses in nats."""

    @property
    def identical(self) -> bool:
        """Whether every document has the very same loss in both arms, at every seed."""
        return not self.sums.any()


def cells(seeds: npt.ArrayLike, documents: npt.ArrayLike, sums: npt.ArrayLike, tokens: npt.ArrayLike) -> Cells:
    """Order a study's differences, given one row a cell, (n,) each and in any order.

    `sums` is the second arm's summed loss minus the first's, in nats; `tokens` how many tokens it was summed over.
    Raises NotComparable for a cell that is missing, double or not finite, and for a document whose tokens are none or
    not the same at every seed; ValueError for no rows or columns of unequal length.
    """
    table = {"seed": seeds, "document": documents, "sum": sums, "tokens": tokens}
    columns = {name: np.asarray(column) for name, column in table.items()}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) > 1 or any(len(shape) != 1 or not shape[0] for shape in shapes):
        raise ValueError(f"one seed, document, sum and number of tokens a cell, got shapes {sorted(shapes)}")
    rows = pd.DataFrame(columns)
    double = rows.duplicated(["seed", "document"])
    if double.any():
        raise NotComparable(
            f"{_first(rows, double)} comes up several times. Use one evaluation for each run of the study."
        )
    broken = ~np.isfinite(rows["sum"])
    if broken.any():
        raise NotComparable(
            f"{_first(rows, broken)} has a loss that is not a number, and so have {int(broken.sum()) - 1:,} more: "
            "there is no difference to speak of. See why that run broke, and run its seed again."
        )
    wide = rows.pivot(index="seed", columns="document", values=["sum", "tokens"])
    missing = wide["sum"].isna().to_numpy()
    if missing.any():
        seed, document = (int(at) for at in np.argwhere(missing)[0])
        where = f"document {wide['sum'].columns[document]} at seed {wide.index[seed]}"
        raise NotComparable(
            f"{int(missing.sum()):,} of {missing.size:,} results are missing, the first for {where}. "
            "Let every seed be scored on every document, or leave out the seeds that are not finished."
        )
    counted = wide["tokens"].to_numpy(dtype=np.int64)  # (S, D)
    unequal = (counted != counted[0]).any(axis=0) | (counted[0] <= 0)
    if unequal.any():
        place = int(unequal.argmax())
        raise NotComparable(
            f"Document {wide['sum'].columns[place]} has {counted[:, place].min():,} to {counted[:, place].max():,} "
            "predicted tokens from seed to seed. Every seed needs the same tokens, at least one: score all with the "
            "same tokenizer and windows."
        )
    return Cells(
        seeds=wide.index.to_numpy(),
        documents=wide["sum"].columns.to_numpy(),
        tokens=counted[0],
        sums=wide["sum"].to_numpy(dtype=np.float64),
    )


def differences(twins: Mapping[int, tuple[pd.DataFrame, pd.DataFrame]]) -> Cells:
    """The cells of two arms from each seed's rows of `examples.parquet`, first arm and second (one split each).

    Needs the columns `example`, `tokens` and `nll`. Raises NotComparable as `cells` does, and if the twins of a seed do
    not hold the same documents with the same numbers of tokens; ValueError for no seeds.
    """
    if not twins:
        raise ValueError("a study takes at least one seed, got none")
    parts = []
    for seed, (first, second) in twins.items():
        pairs = paired_rows(first, second)
        parts.append(
            pd.DataFrame(
                {
                    "seed": seed,
                    "example": pairs["example"],
                    "sum": pairs["nll_second"] - pairs["nll_first"],
                    "tokens": pairs["tokens"],
                }
            )
        )
    rows = pd.concat(parts)
    return cells(rows["seed"], rows["example"], rows["sum"], rows["tokens"])


def _first(rows: pd.DataFrame, chosen: pd.Series) -> str:
    at = int(chosen.to_numpy().argmax())
    return f"Document {rows['document'].iloc[at]} at seed {rows['seed'].iloc[at]}"


# -- the levels of a study


@dataclass(frozen=True)
class Levels:
    """How sure each test of a study has to be."""

    difference: float
    """The level of the interval that may name a winner."""
    equivalence: float
    """The level of the interval that may say that the arms do not differ by anything that matters."""


def levels(looks: int = 1, comparisons: int = 1) -> Levels:
    """The levels of one of several planned tests: 95 % and 90 % for a single one, as in DESIGN §11.

    A study that is looked at K times has K chances to be wrong, and so has one with several arms against the first. So
    that all together are wrong at most as often as a single one would be, each tests at 1/K of the error (Bonferroni).
    Sharper boundaries for repeated looks (O'Brien–Fleming, Lan–DeMets) rest on how the looks hang together, which
    with a handful of seeds has to be estimated from those seeds. Raises ValueError for less than one.
    """
    if looks < 1 or comparisons < 1:
        raise ValueError(f"a study is looked at and compares at least once, got {looks} and {comparisons}")
    tests = looks * comparisons
    return Levels(1 - (1 - LEVEL) / tests, 1 - (1 - EQUIVALENCE_LEVEL) / tests)


# -- the estimate


@dataclass(frozen=True)
class StudyEstimate:
    """The mean difference between two arms, nats per token, with its errors."""

    value: float
    error: float
    """Standard error: the two-way one, or the larger one-way one where that is larger. NaN with fewer than two seeds or
    documents, 0 where every cell has the same difference per token."""
    error_seeds: float
    """Clustered by seed alone; NaN with one seed."""
    error_documents: float
    """Clustered by document alone; NaN with one document."""
    error_two_way: float
    """NaN where `error` is, and where the two-way variance comes out below zero, as it can: then one of the others is
    used."""
    seeds: int
    documents: int
    tokens: int
    """Predicted tokens of all documents, at one seed."""

    @property
    def freedom(self) -> int:
        """Degrees of freedom: S − 1. With fewer documents than seeds those are what is few, and it is D − 1."""
        return min(self.seeds, self.documents) - 1

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two ends of the interval; both NaN where there is no error."""
        half = t_quantile(self.freedom, level) * self.error
        return self.value - half, self.value + half

    @property
    def p_value(self) -> float:
        """Of no difference at all, two-sided; NaN where there is no error."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return 2 * _upper_tail(abs(self.value) / self.error, self.freedom)

    def equivalence_p_value(self, margin: float = MARGIN) -> float:
        """Of a difference at least as large as the margin: the larger p of two one-sided tests (TOST)."""
        if self.error == 0:
            return 0.0 if abs(self.value) < margin else 1.0
        return _upper_tail((margin - abs(self.value)) / self.error, self.freedom)

    def equivalent(self, margin: float = MARGIN, level: float = EQUIVALENCE_LEVEL) -> bool:
        """Whether the interval lies within the margin, which is the same as a TOST p below (1 − level)/2."""
        low, high = self.interval(level)
        return -margin < low and high < margin


def t_quantile(freedom: int, level: float) -> float:
    """How many standard errors an interval reaches to each side; NaN without degrees of freedom."""
    if freedom < 1:
        return math.nan
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(freedom, 0.5 + level / 2))


def _upper_tail(t: float, freedom: int) -> float:
    if math.isnan(t) or freedom < 1:
        return math.nan
    from scipy.special import stdtr

    return float(stdtr(freedom, -t))


def estimate(study: Cells) -> StudyEstimate:
    """The token-weighted difference over all cells with its two-way clustered error (DESIGN §11).

    Least squares of the differences per token on an intercept, weighted with the tokens, covariance clustered by seed
    and by document: V = V_seed + V_document − V_cell, each with the factor G/(G − 1) (A. C. Cameron, J. B. Gelbach and
    D. L. Miller, J. Bus. Econ. Stat. 29, 2011). V can come out smaller than one of its one-way parts, or below zero; it
    is floored at the larger of the two.
    """
    # Imported here: it takes over a second, and a page that shows a stored verdict needs none of it.
    from statsmodels.regression.linear_model import WLS  # type: ignore[import-untyped]
    from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups  # type: ignore[import-untyped]

    count, documents = study.sums.shape
    per_token = (study.sums / study.tokens).ravel()
    weights = np.tile(study.tokens, count).astype(np.float64)
    fit = WLS(per_token, np.ones_like(per_token), weights=weights).fit()
    of_seed = np.repeat(np.arange(count), documents)
    of_document = np.tile(np.arange(documents), count)

    by_seed = by_document = two_way = math.nan
    if count > 1 and documents > 1:
        both, first, second = cov_cluster_2groups(fit, of_seed, of_document)
        two_way, by_seed, by_document = (float(matrix.item()) for matrix in (both, first, second))
    elif count > 1:
        by_seed = float(cov_cluster(fit, of_seed).item())
    elif documents > 1:
        by_document = float(cov_cluster(fit, of_document).item())
    error = math.nan if math.isnan(two_way) else math.sqrt(max(two_way, by_seed, by_document))
    return StudyEstimate(
        value=float(fit.params[0]),
        error=error,
        error_seeds=math.sqrt(by_seed),
        error_documents=math.sqrt(by_document),
        error_two_way=math.sqrt(two_way) if two_way >= 0 else math.nan,
        seeds=count,
        documents=documents,
        tokens=int(study.tokens.sum()),
    )


# -- the same, seen more closely


def per_seed(study: Cells) -> list[Estimate]:
    """The difference of each seed, in the order of `study.seeds`, with the error of its documents alone.

    Its interval says how well these two models are told apart, not how another seed would come out.
    """
    return [token_weighted(sums, study.tokens) for sums in study.sums]


def per_document(study: Cells) -> pd.DataFrame:
    """What each document says, over all seeds; the one that moves the result most comes first.

    Columns: document, tokens, change (nats per token), change_total (nats over the document; their sum over all tokens
    is the result) and lower (in how many seeds the second arm's loss is lower).
    """
    total = study.sums.mean(axis=0)
    table = pd.DataFrame(
        {
            "document": study.documents,
            "tokens": study.tokens,
            "change": total / study.tokens,
            "change_total": total,
            "lower": (study.sums < 0).sum(axis=0),
        }
    )
    order = table["change_total"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


@dataclass(frozen=True)
class Group:
    """Documents of one kind: a secondary result."""

    label: str
    estimate: StudyEstimate
    p_holm: float
    """Of no difference, raised by Holm for the number of groups; NaN where the group has no error."""


def by_group(study: Cells, kind_of: Mapping[Hashable, str]) -> list[Group]:
    """The difference within each kind of document, in the order in which `kind_of` first names the kinds.

    Raises KeyError for a document that has no kind.
    """
    kinds = np.array([kind_of[document] for document in study.documents.tolist()])
    found = [label for label in dict.fromkeys(kind_of.values()) if (kinds == label).any()]
    estimates = [estimate(_only(study, kinds == label)) for label in found]
    raised = holm([each.p_value for each in estimates])
    return [Group(*of) for of in zip(found, estimates, raised, strict=True)]


def by_length(study: Cells, groups: int = 4) -> list[Group]:
    """The difference by document length, in groups of about as many documents each, the shortest first."""
    ends = np.unique(np.quantile(study.tokens, np.arange(1, groups + 1) / groups, method="inverted_cdf"))
    place = np.searchsorted(ends, study.tokens)
    names = []
    for group in range(len(ends)):
        least, most = study.tokens[place == group].min(), study.tokens[place == group].max()
        reach = f"{least:,}" if least == most else f"{least:,}–{most:,}"
        names.append(f"{reach} {'token' if most == 1 else 'tokens'}")
    order = np.argsort(place, kind="stable")
    return by_group(study, {study.documents[at].item(): names[place[at]] for at in order})


def _only(study: Cells, chosen: npt.NDArray[np.bool_]) -> Cells:
    return Cells(study.seeds, study.documents[chosen], study.tokens[chosen], study.sums[:, chosen])


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of secondary results, raised so that all together are wrong as seldom as one (S. Holm, 1979).

    What is not a number stays so and does not count as a test.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    raised = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        raised[place] = highest
    return raised
