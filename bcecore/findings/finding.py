"""What a rule says when it fires."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["B", "W", "N"]
"""B blocks a verdict, W is a warning, N a note."""


class Finding(BaseModel):
    """One thing that was noticed about a run, an evaluation or a study. Frozen, and as JSON by `model_dump`."""

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

    @property
    def blocks(self) -> bool:
        """Whether no verdict may be given while it stands."""
        return self.severity == "B"


def listed(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {noun}" + "s" * (number != 1)
