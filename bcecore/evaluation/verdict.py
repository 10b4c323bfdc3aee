"""Did the second arm of a study help? What DESIGN §11 lets one say, in words, and how it came to that. Pure.

The rules are tried in a fixed order and the first that applies is the verdict. They were laid down before any result
was seen; nothing here may be chosen by looking at one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol, Self

from bcecore.evaluation.paired import FEW_DOCUMENTS, MARGIN
from bcecore.evaluation.planning import smallest_likely_seen
from bcecore.evaluation.statistics import FEW_SEEDS, StudyEstimate, levels

Kind = Literal[
    "blocked",
    "nothing-changed",
    "exploratory",
    "better",
    "worse",
    "no-meaningful-difference",
    "better-size-uncertain",
    "worse-size-uncertain",
    "inconclusive",
]
"""`better` and `worse` are the second arm's; a lower loss is better."""

_FEWEST_DECIMALS, _MOST_DECIMALS = 3, 9
_MINUS = "−"


class Blocker(Protocol):
    """A finding that forbids a verdict."""

    @property
    def id(self) -> str: ...
    @property
    def sentence(self) -> str: ...
    @property
    def what_to_do(self) -> str: ...


@dataclass(frozen=True)
class Despite:
    """A finding that would forbid the verdict, had not somebody accepted it."""

    sentence: str
    reason: str

    def __str__(self) -> str:
        return f"{_within_a_sentence(self.sentence)}, accepted because “{self.reason}”"


@dataclass(frozen=True)
class Arms:
    """What the two arms are called."""

    first: str = "off"
    """The one that the other is measured against."""
    second: str = "BCE"
    """What stands after "Better with"; the default is for BCE on against off."""

    @property
    def plain(self) -> bool:
        """Whether the arms are simply BCE on and off, so that "BCE" alone says what is meant."""
        return (self.first, self.second) == ("off", "BCE")

    @property
    def better(self) -> str:
        return "Better with BCE" if self.plain else f"Better with “{self.second}” than with “{self.first}”"

    @property
    def worse(self) -> str:
        return "Worse with BCE" if self.plain else f"Worse with “{self.second}” than with “{self.first}”"

    @property
    def unchanged(self) -> str:
        return "BCE changed nothing" if self.plain else f"“{self.second}” changed nothing against “{self.first}”"

    @property
    def of_both(self) -> str:
        """What follows a word about the two of them: nothing where it is plain which are meant."""
        return "" if self.plain else f" (“{self.second}” against “{self.first}”)"


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on."""

    estimate: StudyEstimate | None
    """None where it could not be computed: then something has to block, or the weights have to be identical."""
    blocking: Sequence[Blocker] = ()
    accepted: Sequence[Despite] = ()
    """What would block as well, and was accepted: the verdict states it."""
    identical_weights: bool = False
    """Whether the trained weights of every seed's twins are the same in every bit."""
    identical_losses: bool = False
    """Whether every document has the very same loss in both arms, at every seed."""
    clean_documents: int | None = None
    """Held-out documents that are in no training text; all that were scored where nothing is said."""
    margin: float = MARGIN
    looks: int = 1
    """How many looks were planned before the first result was seen."""
    comparisons: int = 1
    """How many pairs of arms the study compares."""
    arms: Arms = Arms()


@dataclass(frozen=True)
class Reason:
    """One rule of the protocol, in its place, and what it found."""

    applies: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """One sentence, one number with its interval, and how it was reached. Differences are in nats per token."""

    kind: Kind
    headline: str
    value: float
    """Second arm − first arm, so negative favours the second; NaN where there is none."""
    low: float
    high: float
    level: float
    """Of the interval: 0.95 for a single look and comparison."""
    equivalence_low: float
    equivalence_high: float
    equivalence_level: float
    margin: float
    mde: float
    """The smallest difference that this study would likely have seen, given how much its results vary."""
    seeds: int
    documents: int
    reasons: tuple[Reason, ...]
    """The rules in their order; the last one applies."""
    what_to_do: tuple[str, ...]
    """Empty where there is nothing that would make the answer better."""
    blocked_by: tuple[str, ...] = ()
    """Ids of the findings that block."""
    despite: tuple[str, ...] = ()
    """The findings that would block, each with the reason for which it was accepted; the headline has them too."""

    @property
    def winner(self) -> Literal["first", "second"] | None:
        """The arm that the protocol lets one call better, if it does."""
        if self.kind in ("better", "better-size-uncertain"):
            return "second"
        return "first" if self.kind in ("worse", "worse-size-uncertain") else None

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON, which has no NaN: None stands for it."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The verdict that `as_json` was made of. Raises TypeError or KeyError for anything else."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name != "despite"}
        known |= {name: math.nan for name, value in known.items() if value is None}
        known["reasons"] = tuple(Reason(**reason) for reason in known["reasons"])
        known["what_to_do"], known["blocked_by"] = tuple(known["what_to_do"]), tuple(known["blocked_by"])
        # Verdicts from before anything could be accepted do not have it.
        return cls(**known, despite=tuple(values.get("despite", ())))


def verdict(evidence: Evidence) -> Verdict:
    """Apply the protocol. Raises ValueError for evidence with no estimate in which nothing explains why."""
    return _Judgement(evidence).verdict()


class _Judgement:
    """The numbers of one verdict, and the rules one after the other."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.arms = evidence.arms
        self.levels = levels(evidence.looks, evidence.comparisons)
        estimate = evidence.estimate
        self.seeds = estimate.seeds if estimate else 0
        self.documents = estimate.documents if estimate else 0
        if evidence.clean_documents is not None:
            self.documents = min(self.documents, evidence.clean_documents)
        self.value = self.low = self.high = self.narrow_low = self.narrow_high = self.mde = math.nan
        if estimate:
            self.value = estimate.value
            self.low, self.high = estimate.interval(self.levels.difference)
            self.narrow_low, self.narrow_high = estimate.interval(self.levels.equivalence)
            self.mde = smallest_likely_seen(estimate.error, estimate.freedom, self.levels.difference)

    def verdict(self) -> Verdict:
        reasons = []
        for kind, reason, headline, advice in self._rules():
            reasons.append(reason)
            if reason.applies:
                return self._verdict(kind, headline, tuple(reasons), advice)
        raise AssertionError("the last rule always applies")

    def _rules(self) -> Iterator[tuple[Kind, Reason, str, tuple[str, ...]]]:
        """In the order of DESIGN §11: the kind, what was found, the headline and the advice if it applies."""
        evidence, arms, margin = self.evidence, self.arms, self.evidence.margin

        blocking = evidence.blocking
        found = " ".join(each.sentence for each in blocking) or "No finding forbids the comparison."
        if evidence.accepted and not blocking:
            found = (
                f"No finding forbids the comparison but what was accepted: {'; '.join(map(str, evidence.accepted))}."
            )
        advice = tuple(dict.fromkeys(each.what_to_do for each in blocking))
        first = blocking[0].sentence if blocking else ""
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        headline = f"No valid comparison{arms.of_both}: {_within_a_sentence(first)}{more}."
        yield "blocked", Reason(bool(blocking), found), headline, advice

        if evidence.identical_weights:
            proof = "after training, the twins’ weights are the same in every bit, so the difference is exactly 0"
        elif evidence.identical_losses:
            proof = "every loss on these documents is the same in every bit, so the difference is exactly 0"
        else:
            proof = "training came out different"
        same = evidence.identical_weights or evidence.identical_losses
        found = f"{arms.unchanged if same else 'The twins are not identical'}: {proof}."
        yield "nothing-changed", Reason(same, found), found, ()

        if evidence.estimate is None:
            raise ValueError("no estimate, though nothing blocks and the twins differ")
        counted = f"{_count(self.seeds, 'seed')} and {_count(self.documents, 'document')}"
        needed = f"{FEW_SEEDS} seeds and {FEW_DOCUMENTS} documents"
        few = self.seeds < FEW_SEEDS or self.documents < FEW_DOCUMENTS
        headline = f"Exploratory{arms.of_both}: {self._number()}; {counted} cannot name a winner, {needed} could."
        found = f"{counted}; a verdict takes at least {needed}."
        yield "exploratory", Reason(few, found), headline, (f"Run a study of at least {needed}.",)

        wide, narrow = _percent(self.levels.difference), _percent(self.levels.equivalence)
        interval = f"The {wide} interval, from {self._signed(self.low)} to {self._signed(self.high)},"
        matters = f"a change of {margin:g} would matter"
        favours = self.value < 0
        beyond = self.high < -margin or self.low > margin
        found = f"{interval} {'lies' if beyond else 'does not lie'} beyond the margin of ±{margin:g}."
        headline = f"{arms.better if favours else arms.worse}: {self._number()}; {matters}."
        yield "better" if favours else "worse", Reason(beyond, found), headline, ()

        inside = evidence.estimate.equivalent(margin, self.levels.equivalence)
        found = (
            f"The {narrow} interval, from {self._signed(self.narrow_low)} to {self._signed(self.narrow_high)}, "
            f"{'lies' if inside else 'does not lie'} inside the margin of ±{margin:g}."
        )
        if inside and (self.low > 0 or self.high < 0):
            found += " The difference is there, and too small to matter."
        headline = f"No meaningful difference{arms.of_both}: {self._number()}; {matters}."
        yield "no-meaningful-difference", Reason(inside, found), headline, ()

        apart = self.low > 0 or self.high < 0
        found = f"{interval} {'leaves out' if apart else 'holds'} 0."
        headline = (
            f"{arms.better if favours else arms.worse}, size uncertain: {self._number()}; it may be less than the "
            f"{margin:g} that would matter."
        )
        larger = "More seeds or documents, in a new study, would tell its size."
        yield "better-size-uncertain" if favours else "worse-size-uncertain", Reason(apart, found), headline, (larger,)

        seen = self._digits(self.mde)
        found = f"Neither a difference nor its absence is shown; one of {seen} or more would likely have shown."
        headline = (
            f"Inconclusive{arms.of_both}: {self._number()}; this test would likely have seen a difference of {seen} "
            "or more."
        )
        larger = "A new study with more seeds or documents could see smaller differences."
        yield "inconclusive", Reason(True, found), headline, (larger,)

    def _verdict(self, kind: Kind, headline: str, reasons: tuple[Reason, ...], advice: tuple[str, ...]) -> Verdict:
        value, low, high = self.value, self.low, self.high
        narrow_low, narrow_high, mde = self.narrow_low, self.narrow_high, self.mde
        if kind == "blocked":  # a comparison that is not valid has no number
            value = low = high = narrow_low = narrow_high = mde = math.nan
        elif kind == "nothing-changed":
            value = low = high = narrow_low = narrow_high = 0.0
            mde = math.nan
        despite = () if kind == "blocked" else tuple(map(str, self.evidence.accepted))
        return Verdict(
            kind=kind,
            headline=f"{headline} Despite this: {'; '.join(despite)}." if despite else headline,
            value=value,
            low=low,
            high=high,
            level=self.levels.difference,
            equivalence_low=narrow_low,
            equivalence_high=narrow_high,
            equivalence_level=self.levels.equivalence,
            margin=self.evidence.margin,
            mde=mde,
            seeds=self.seeds,
            documents=self.documents,
            reasons=reasons,
            what_to_do=advice,
            blocked_by=tuple(each.id for each in self.evidence.blocking),
            despite=despite,
        )

    # -- numbers in words

    def _number(self) -> str:
        value = f"{self._signed(self.value)} nats per token"
        if math.isnan(self.low):
            return f"{value}, with no interval"
        level = _percent(self.levels.difference)
        return f"{value}, {level} between {self._signed(self.low)} and {self._signed(self.high)}"

    def _signed(self, x: float) -> str:
        words = self._digits(x)
        return f"+{words}" if x > 0 and float(words) else words

    def _digits(self, x: float) -> str:
        words = f"{x:.{self._decimals}f}"
        # What rounds to zero has no sign.
        return words.lstrip("-") if float(words) == 0 else words.replace("-", _MINUS)

    @property
    def _decimals(self) -> int:
        """As few as show on which side of 0 and of the margin each end lies, and that the interval has a width."""
        ends = [x for x in (self.low, self.high, self.narrow_low, self.narrow_high) if math.isfinite(x)]
        width = (self.high - self.low) / 2 if ends else 0.0

        def faithful(decimals: int) -> bool:
            sides = all(
                (x > edge) == (round(x, decimals) > edge) and (x < edge) == (round(x, decimals) < edge)
                for x in ends
                for edge in (0.0, self.evidence.margin, -self.evidence.margin)
            )
            return sides and (width == 0 or round(width, decimals) > 0)

        tried = range(_FEWEST_DECIMALS, _MOST_DECIMALS + 1)
        return next((decimals for decimals in tried if faithful(decimals)), _MOST_DECIMALS)


def _within_a_sentence(sentence: str) -> str:
    """A finding's sentence as the end of another: without its full stop, its first word small unless it is a name."""
    text = sentence.strip().removesuffix(".")
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first[1:].islower() or len(first) == 1 else text


def _percent(level: float) -> str:
    return f"{100 * level:.4g} %"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
