"""What a planned look found, as it is kept in the study's state: every number that a page or a report shows of it.

Differences are an arm's value less the reference's; of a loss, negative is better. None stands for what there is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict

from bcecore.evaluation.statistics import StudyEstimate
from bcecore.evaluation.verdict import Verdict
from bcecore.findings.finding import Finding
from bcecore.store.acknowledged import Acknowledgement
from bcecore.store.studies import StudyPlan, StudyState


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Difference(_Kept):
    """A mean difference with its interval."""

    value: float | None
    low: float | None
    high: float | None
    level: float
    p: float | None = None
    """Of no difference at all."""
    p_holm: float | None = None
    """The same, raised by Holm for the number of tests that belong together."""
    seeds: int = 0
    documents: int = 0
    tokens: int = 0


class SeedDifference(_Kept):
    """One seed: how its twins differ, and how well these two models are told apart (not: another seed)."""

    seed: int
    value: float
    low: float | None
    high: float | None
    ce_reference: float
    ce_arm: float


class Secondary(_Kept):
    """A result besides the one that the verdict is about."""

    metric: str
    """`CE` in nats per token, or `bits per byte`."""
    split: str
    difference: Difference


class LengthGroup(_Kept):
    """Documents of about one length."""

    label: str
    difference: Difference


class Gradient(_Kept):
    """What BCE added to the gradient of an arm's runs."""

    measured: int
    """Steps at which it was measured, all runs together."""
    largest: float | None
    """The largest norm of ∇(w·R) at any of them; None where none was measured or it was not finite."""


class Comparison(_Kept):
    """One arm against the reference."""

    arm: str
    reference: str
    planted: bool
    verdict_values: dict[str, Any]
    """As `Verdict.as_json` gives it; `verdict` reads it."""
    findings: tuple[Finding, ...]
    clean_documents: int
    left_out: int
    """Documents that are in the training text and do not count."""
    identical_weights: bool
    """Whether the trained weights of every seed's twins are the same in every bit."""
    gradient: Gradient | None
    """None for an arm without BCE, and where nothing was recorded."""
    difference: Difference | None = None
    """The primary one, in nats per token; None where something forbids it."""
    error: float | None = None
    """Its standard error."""
    error_seeds: float | None = None
    error_documents: float | None = None
    ce_reference: float | None = None
    """Over all seeds and clean documents, weighted by tokens."""
    ce_arm: float | None = None
    seeds: tuple[SeedDifference, ...] = ()
    secondary: tuple[Secondary, ...] = ()
    lengths: tuple[LengthGroup, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on this arm."""
        return Verdict.from_json(self.verdict_values)

    @property
    def perplexity_reference(self) -> float | None:
        """exp(CE)."""
        return _exp(self.ce_reference)

    @property
    def perplexity_arm(self) -> float | None:
        """exp(CE)."""
        return _exp(self.ce_arm)


class Outcome(_Kept):
    """Everything that one planned look found."""

    seeds: tuple[int, ...]
    comparisons: tuple[Comparison, ...]
    """Each arm against the reference, in the order of the plan; the positive control, if there is one, among them."""
    looks_planned: int
    arms_compared: int
    """Arms besides the reference and the positive control: so many comparisons share the error."""

    @property
    def is_blocked(self) -> bool:
        """Whether something forbade every comparison, so that nobody has seen a result."""
        return all(found.verdict.kind == "blocked" for found in self.comparisons)


@dataclass(frozen=True)
class Curve:
    """The held-out CE of one arm over training, as its runs logged it: mean and spread over the seeds of a look."""

    arm: str
    steps: tuple[int, ...]
    """At which every seed was checked."""
    mean: tuple[float, ...]
    """Nats per token."""
    deviation: tuple[float, ...]
    """Sample standard deviation over the seeds; 0 for a single one."""
    seeds: int


@dataclass(frozen=True)
class Cost:
    """What an arm took in time beside the reference, seed by seed on the same machine."""

    arm: str
    reference: str
    pairs: tuple[tuple[int, float, float], ...]
    """Seed, and steps per second of the reference and of the arm, checks and checkpoints included."""

    @property
    def ratio(self) -> float | None:
        """The median of the arm's pace over the reference's: 0.95 means 5 % slower. None without a pair."""
        return median(arm / reference for _, reference, arm in self.pairs) if self.pairs else None


@dataclass(frozen=True)
class Foretold:
    """What is known of a study before it is launched."""

    seeds: int
    """Of the first look."""
    documents: int
    """Clean ones of the primary text."""
    tokens: int
    """Predicted ones of these documents."""
    runs: int
    """Of the first look."""
    pilot: str | None
    """The study whose spread tells what this one can see; None where there is none, and the spread is assumed."""
    mde: float | None
    """The smallest difference it will likely see, nats per token; None where one seed or document tells no spread."""
    mde_low: float | None
    mde_high: float | None
    """Between these it lies in four of five cases, as a pilot of few seeds knows the spread only roughly; None without
    a pilot."""
    seconds: float | None
    """Of training, all runs of the first look one after the other; None where nobody has measured."""
    places: int
    """Runs at once."""


@dataclass(frozen=True)
class StudyMaterial:
    """All that a study's report is made of."""

    plan: StudyPlan
    state: StudyState
    progress: str
    """How far it is, in a sentence."""
    troubles: Sequence[tuple[str, str]]
    """What is the matter with single runs, and what to do."""
    alteration: str | None
    """What was changed of what was frozen, in a sentence."""
    outcome: Outcome | None
    """Of the last look that was taken."""
    curves: Sequence[Curve]
    costs: Sequence[Cost]
    foretold: Foretold | None
    machines: Sequence[str]
    """Devices and versions that the runs were trained with."""
    now: datetime
    earlier: Sequence[Outcome] = ()
    """Of the looks before the last one, each with its own verdict."""
    accepted: Sequence[Acknowledgement] = ()
    """The findings that somebody has accepted, with the reasons."""


def difference_of(
    estimate: StudyEstimate, level: float, *, p: float | None = None, p_holm: float | None = None
) -> Difference:
    """An estimate as it is kept."""
    low, high = estimate.interval(level)
    return Difference(
        value=finite(estimate.value),
        low=finite(low),
        high=finite(high),
        level=level,
        p=finite(estimate.p_value if p is None else p),
        p_holm=None if p_holm is None else finite(p_holm),
        seeds=estimate.seeds,
        documents=estimate.documents,
        tokens=estimate.tokens,
    )


def finite(value: float) -> float | None:
    """The number, or None if it is none."""
    return value if math.isfinite(value) else None


def _exp(value: float | None) -> float | None:
    return None if value is None or value > 700 else math.exp(value)
