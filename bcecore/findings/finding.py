"""What a rule says when it fires."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["B", "W", "N"]
"""B blocks a verdict, W is a warning, N a note."""


class Fix(BaseModel):
    """A change of settings that removes the cause of a finding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    """What a button says: `Set lines aside instead`."""
    changes: dict[str, Any]
    """The new values by the dotted names of their settings: `{"data.validation": "fraction"}`. All of them together
    are the fix; what they replace is shown before anything is launched."""


class Finding(BaseModel):
    """One thing that was noticed about a run, an evaluation, a study or some files. Frozen; as JSON by `model_dump`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """The rule: `off-not-off`, as the catalogue in the design has it."""
    severity: Severity
    subject: str
    """The id of the run, evaluation or study that it is about."""
    numbers: dict[str, Any]
    """What made the rule fire: plain values that JSON can hold."""
    sentence: str
    """What is the matter, for somebody who does not write code, with the numbers in it."""
    what_to_do: str
    field: str | None = None
    """The setting that causes it, by its dotted name; a form shows the finding beside that field."""
    steps: tuple[int, ...] = ()
    """The optimizer steps, counted from 1, at which charts mark it."""
    keys: tuple[str, ...] = ()
    """The logged keys whose charts carry the mark; empty means all."""
    fix: Fix | None = None

    @property
    def blocks(self) -> bool:
        """Whether no verdict may be given while it stands."""
        return self.severity == "B"


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Those that block first, then warnings, then notes; each in the order given."""
    return sorted(findings, key=lambda finding: "BWN".index(finding.severity))


def listed(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {noun}" + "s" * (number != 1)
