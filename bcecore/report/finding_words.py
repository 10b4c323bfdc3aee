"""What findings are called, and how many there are, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bcecore.findings.finding import Finding, Severity, by_severity
from bcecore.report.words import count
from bcecore.store.acknowledged import Acknowledgement, acknowledgement_of

_NAMES = {
    "metric-contains-regulariser": "BCE’s term in a metric",
    "scored-twice": "One model scored twice",
    "off-not-off": "Off was not off",
    "future-leak": "The model sees ahead",
    "split-reuse": "Checked on training lines",
    "overlap": "Checking text in the training text",
    "twin-mismatch": "No twins",
    "non-finite": "No finite number",
    "no-gradient": "BCE adds no gradient",
    "twins-identical": "Twins end the same",
    "too-small": "Little text to check on",
    "single-run": "Few seeds",
    "claim-mismatch": "A report that its log contradicts",
    "loss-spike": "Loss spike",
    "divergence": "Divergence",
    "plateau": "Plateau",
    "overfit": "Learning by heart",
    "exploding-grad": "Exploding gradient",
    "collapse": "Hidden states collapse",
    "clamp-saturated": "BCE at its limit",
    "lr-zero": "Learning rate 0",
    "averaging": "A loss that depends on the batch",
    "padding": "Padding is learnt",
    "accumulation": "Accumulation changes the step",
    "too-good": "Too good to be true",
    "few-drivers": "Few documents decide",
    "nondeterminism": "Not the same twice",
    "duplicates": "Lines that are there twice",
    "cut-lines": "Lines that are cut",
    "unknown-tokens": "Words the tokenizer does not know",
    "boost-unfinished": "A boost that does not end",
    "weight-zero": "A BCE weight of 0",
    "disk-room": "No room on the disk",
}


class SeverityWords(NamedTuple):
    """How serious a finding is: never by colour alone."""

    icon: str
    """For Streamlit's labels."""
    sign: str
    """The same as one character, for table cells."""
    one: str
    many: str
    color: Literal["red", "orange", "blue"]

    def counted(self, number: int) -> str:
        """`1 warning`, `2 warnings`."""
        return f"{number:,} {self.one if number == 1 else self.many}"


SEVERITY_WORDS: dict[Severity, SeverityWords] = {
    "B": SeverityWords(":material/block:", "✕", "serious finding", "serious findings", "red"),
    "W": SeverityWords(":material/warning:", "▲", "warning", "warnings", "orange"),
    "N": SeverityWords(":material/info:", "·", "note", "notes", "blue"),
}


@dataclass(frozen=True)
class Noted:
    """A finding, and its acceptance if somebody has accepted it."""

    finding: Finding
    accepted: Acknowledgement | None = None


def noted(findings: Iterable[Finding], accepted: Sequence[Acknowledgement]) -> tuple[Noted, ...]:
    """Each finding with its acceptance, the most serious first."""
    return tuple(Noted(finding, acknowledgement_of(finding, accepted)) for finding in by_severity(findings))


def name_of(rule: str) -> str:
    """What a rule's finding is called in a few words."""
    return _NAMES.get(rule) or rule.replace("-", " ").capitalize()


def counts_words(severities: Iterable[Severity]) -> str:
    """`1 serious finding, 2 warnings`; empty where there is nothing."""
    each = list(severities)
    parts = [words.counted(each.count(severity)) for severity, words in SEVERITY_WORDS.items() if severity in each]
    return ", ".join(parts)


def accepted_words(accepted: Acknowledgement) -> str:
    """When a finding was accepted, and why."""
    return f"Accepted on {accepted.when.astimezone():%Y-%m-%d, %H:%M}, because: {accepted.reason}"


def looked_words(rules: int) -> str:
    """Where nothing was noticed."""
    return f"Nothing noticed: {count(rules, 'rule')} looked at this run."
