"""What is looked at before a study is launched: faults that would make every result of it worthless, and weaker ones.

Pure: everything comes from a draft whose texts were read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bcecore.errors import RunError
from bcecore.evaluation.study.drafting import Prepared
from bcecore.findings.finding import Finding
from bcecore.findings.future_leak import architecture_of, future_leak
from bcecore.findings.off_not_off import off_not_off
from bcecore.findings.overlap import overlap, overlapping_rows
from bcecore.findings.sample_size import single_run, too_small
from bcecore.findings.split_reuse import split_reuse
from bcecore.store.studies import Arm


class Refused(RunError):
    """A study that may not be launched, with everything that forbids it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(
            "This study cannot be launched.\n" + "\n".join(f"{each.sentence} {each.what_to_do}" for each in findings)
        )
        self.findings = tuple(findings)


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

    def check(self) -> None:
        """Raise Refused if anything forbids the launch."""
        if self.blocking:
            raise Refused(self.blocking)


def is_off(arm: Arm) -> bool:
    """Whether an arm is meant to be without BCE: it says so by its name, or switches it off."""
    return arm.name == "off" or arm.changes.get("bce.enabled") is False


def preflight(ready: Prepared) -> Preflight:
    """Look at a prepared study."""
    found: list[Finding] = []
    for arm in ready.draft.arms:
        if is_off(arm):
            found += off_not_off(f"arm {arm.name}", ready.arms[arm.name].bce, ready.checked.total_steps)
    found += future_leak("the model", None, architecture_of(ready.base))
    train = ready.checked.text.train
    overlapping = {}
    for number, split in enumerate(ready.splits):
        subject = f"text {split.name}"
        re_used = split.kind == "own" and not ready.base.data.holds_out
        found += split_reuse(subject, train, split.texts, re_used_by_setting=re_used)
        rows = tuple(overlapping_rows(train, split.texts))
        if rows:
            overlapping[split.name] = rows
        found += overlap(subject, len(split.texts), rows)
        if number == 0:
            found += too_small(subject, len(split.texts) - len(rows))
    found += single_run("the study", ready.draft.looks[0])
    return Preflight(tuple(found), overlapping)
