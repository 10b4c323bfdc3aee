"""The guard: two sides may be compared only if they saw the same texts, tokens and windows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bcecore.errors import BceError


class NotComparable(BceError):  # noqa: N818 - reads as the sentence it is
    """Two sides that did not see the same; the message says what differs and what to do."""


class Scored(Protocol):
    """What the guard needs to know of a split (`store.evaluations.SplitSpec` has it)."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def long_texts(self) -> str: ...
    @property
    def block_size(self) -> int: ...
    @property
    def stride(self) -> int | None: ...
    @property
    def template(self) -> str | None: ...
    @property
    def labels(self) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class SideOfComparison:
    """One side: how people call it, what it was scored on, and with which tokenizer."""

    name: str
    split: Scored
    tokenizer: str
    """Fingerprint of the tokenizer."""


@dataclass(frozen=True)
class Differs:
    """One thing in which two sides differ: what it is, and what each side has, in words."""

    what: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.what}: {self.first} and {self.second}"


def what_differs(first: SideOfComparison, second: SideOfComparison) -> tuple[Differs, ...]:
    """Everything that keeps the two sides from being compared; nothing if they may be."""
    found: list[Differs] = []
    a, b = first.split, second.split
    if a.sha256 != b.sha256:
        found.append(Differs("the texts", _texts(a), _texts(b)))
    if first.tokenizer != second.tokenizer:
        found.append(Differs("the tokenizer", first.tokenizer[:12], second.tokenizer[:12]))
    if _windows(a) != _windows(b):
        found.append(Differs("what is done with long texts", _windows(a), _windows(b)))
    if (a.template, a.labels) != (b.template, b.labels):
        found.append(Differs("what is asked about the labels", _question(a), _question(b)))
    return tuple(found)


def must_be_comparable(first: SideOfComparison, second: SideOfComparison) -> None:
    """Raise NotComparable if the two sides did not see the same."""
    found = what_differs(first, second)
    if not found:
        return
    advice = "Evaluate both on the same file with the same settings, then compare."
    if [difference.what for difference in found] == ["the tokenizer"]:
        # A fixed text has as many bytes for everybody, however it is cut into tokens.
        advice = "CE per token means something else for each; compare their bits per byte instead."
    listed = "; ".join(str(difference) for difference in found)
    raise NotComparable(f"“{first.name}” and “{second.name}” cannot be compared. They differ in {listed}. {advice}")


def shared_splits(first: Iterable[Scored], second: Iterable[Scored]) -> list[tuple[Scored, Scored]]:
    """The splits of two evaluations that hold the same texts, whatever they are called, in the first one's order."""
    known: Mapping[str, Scored] = {split.sha256: split for split in reversed(list(second))}
    return [(split, known[split.sha256]) for split in first if split.sha256 in known]


def _texts(split: Scored) -> str:
    return f"“{split.name}” ({split.rows:,} rows, {split.sha256[:8]})"


def _question(split: Scored) -> str:
    if split.template is None or split.labels is None:
        return "nothing"
    return f"“{split.template}” with {', '.join(split.labels)}"


def _windows(split: Scored) -> str:
    if split.long_texts == "window":
        stride = "no stride" if split.stride is None else f"a stride of {split.stride:,}"
        return f"windows of {split.block_size:,} tokens with {stride}"
    return f"cut after {split.block_size:,} tokens"  # nothing moves, so the stride does not count
