"""What is looked at before a study is launched: faults that would make its results worthless, and weaker ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.evaluation.study.drafting import Prepared
from bcecore.findings.finding import Finding
from bcecore.findings.of_study import before_launch
from bcecore.settings import flatten, with_values
from bcecore.store.studies import Arm

FEWEST_DOCUMENTS = 2
"""With a single document nothing can be said of how much documents differ."""


class RefusedError(RunError):
    """A study that may not be launched, with everything that was noticed."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        """`findings`: everything that was noticed."""
        self.findings = tuple(findings)
        forbids = [f"({each.id}) {each.sentence} {each.what_to_do}" for each in findings if each.blocks]
        super().__init__("This study cannot be launched.\n" + "\n".join(forbids))


@dataclass(frozen=True)
class Preflight:
    """What was found."""

    findings: tuple[Finding, ...]
    overlapping: dict[str, tuple[int, ...]]
    """For each split the documents, from 0, that the runs would also learn from; splits without any are left out."""

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """What forbids the launch."""
        return tuple(finding for finding in self.findings if finding.blocks)


def is_off(arm: Arm) -> bool:
    """Whether an arm is meant to be without BCE: it is called off, or switches it off."""
    return arm.name == "off" or arm.changes.get("bce.enabled") is False


def without_declared(arm: Arm, config: RunConfig, base: RunConfig) -> RunConfig:
    """The settings of a run as they would be without what its arm declares to be different outside BCE.

    A positive control differs from its twins on purpose; whatever else differs in it is still no twin's.
    """
    if not arm.planted:
        return config
    as_declared = flatten(with_values(base, arm.changes))
    plain, present = flatten(base), flatten(config)
    return with_values(config, {key: plain[key] for key in arm.changes if present[key] == as_declared[key]})


def preflight(ready: Prepared, accepted: Collection[str] = ()) -> Preflight:
    """Look at a prepared study; raises RefusedError if a finding forbids its launch whose rule is not `accepted`. Pure.

    Raises RunError where too few documents remain for any statistics.
    """
    draft, base = ready.draft, ready.base
    runs = [
        (arm.name, seed, without_declared(arm, with_values(base, {**arm.changes, "training.seed": seed}), base))
        for seed in draft.seeds[: draft.looks[0]]
        for arm in draft.arms
    ]
    found = before_launch(
        "the study",
        runs,
        frozenset(arm.name for arm in draft.arms if is_off(arm)),
        ready.checked.text.train,
        {split.name: split.texts for split in ready.splits},
    )
    if any(finding.id not in accepted for finding in found.blocking):
        raise RefusedError(found.findings)
    for name, overlap in found.overlaps.items():
        if len(overlap.clean) < FEWEST_DOCUMENTS:
            raise RunError(
                f"“{name}” has {len(overlap.clean)} document that the runs do not learn from. A study needs "
                f"{FEWEST_DOCUMENTS} at least, and 100 to see anything but large differences.",
                field="held_out",
            )
    overlapping = {
        name: tuple(pair.held_out for pair in overlap.pairs)
        for name, overlap in found.overlaps.items()
        if overlap.pairs
    }
    return Preflight(found.findings, overlapping)
