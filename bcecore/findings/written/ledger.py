"""The account of a check: every figure of a report is right, wrong, or could not be checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bcecore.findings.written.figures import Figure

Kind = Literal["figure", "row", "perplexity", "percentage", "count", "weight", "contradiction", "schedule"]
"""What is wrong: a figure on its own, those of a step's row, a perplexity that has BCE's term in it, a percentage, a
number of lines or steps, an "off" that was not, two figures that cannot both be right, a schedule."""


@dataclass(frozen=True)
class Place:
    """Where a figure stands."""

    line: int
    """In the file, from 1."""
    section: str
    """The nearest heading."""
    row: str = ""
    """What its row is called; empty in running text."""
    column: str = ""

    def __str__(self) -> str:
        parts = [f"“{self.section}”" if self.section else "", f"row “{self.row}”" if self.row else "", self.column]
        return f"line {self.line:,}" + "".join(f", {part}" for part in parts if part)


class Spot(NamedTuple):
    """One figure of the report: its line, its cell there, and where in the cell it begins."""

    line: int
    cell: int
    start: int


@dataclass(frozen=True)
class Mismatch:
    """One figure that is not so."""

    kind: Kind
    group: str
    """What belongs together and is told in one sentence."""
    place: Place
    claimed: str
    """As it is printed."""
    true: str
    """The true value with as many digits; empty where nobody knows it, only that this is not it."""
    source: str
    """Where the true value stands: a file and what in it."""
    why: str
    """A sentence about it."""


class Unchecked(NamedTuple):
    """A figure with which nothing could be compared."""

    place: Place
    figure: str


@dataclass(frozen=True)
class Check:
    """What came of a check."""

    figures: int
    """Figures in the report, commands left out."""
    checked: int
    mismatches: tuple[Mismatch, ...]
    unchecked: tuple[Unchecked, ...]

    @property
    def groups(self) -> dict[str, list[Mismatch]]:
        """The mismatches by what is told together, in the order of the report."""
        found: dict[str, list[Mismatch]] = {}
        for one in self.mismatches:
            found.setdefault(one.group, []).append(one)
        return found

    @property
    def words(self) -> str:
        """`31 of 54 figures checked, 3 of them wrong`."""
        wrong = len({(one.place, one.claimed) for one in self.mismatches})
        return f"{self.checked:,} of {self.figures:,} figures checked, {wrong:,} of them wrong"


@dataclass
class Ledger:
    """Collects what becomes of each figure. A figure that was found wrong once stays so."""

    _places: dict[Spot, tuple[Place, Figure]] = field(default_factory=dict)
    _right: set[Spot] = field(default_factory=set)
    _wrong: dict[tuple[Spot, str], Mismatch] = field(default_factory=dict)

    def enter(self, spot: Spot, place: Place, figure: Figure) -> None:
        """A figure of the report."""
        self._places[spot] = (place, figure)

    def right(self, spots: Iterable[Spot]) -> None:
        """These agree with something."""
        self._right.update(spots)

    def wrong(self, spot: Spot, kind: Kind, group: str, true: str, source: str, why: str) -> None:
        """This one does not."""
        place, figure = self._places[spot]
        self._wrong.setdefault((spot, kind), Mismatch(kind, group, place, figure.text, true, source, why))

    def seen(self, spot: Spot) -> bool:
        """Whether something was said of it already."""
        return spot in self._right or self.is_wrong(spot)

    def is_wrong(self, spot: Spot) -> bool:
        """Whether it was found wrong: what follows from it is then no second mistake."""
        return any(one == spot for one, _ in self._wrong)

    def check(self) -> Check:
        """The account."""
        wrong = {spot for spot, _ in self._wrong}
        told = self._right | wrong
        return Check(
            len(self._places),
            len(told),
            tuple(self._wrong[key] for key in sorted(self._wrong)),
            tuple(Unchecked(place, f.text) for spot, (place, f) in sorted(self._places.items()) if spot not in told),
        )


def like(figure: Figure, truth: float) -> str:
    """A true value with the digits of a printed one: `0.40%` beside `+0.47%`."""
    text = figure.text.lower()
    sign = "+" if text.startswith("+") and truth >= 0 else ""
    percent = "%" if figure.percent else ""
    if "e" in text:
        return f"{sign}{truth:.7g}{percent}"
    decimals = len(text.rstrip("%").strip().partition(".")[2])
    shown = f"{sign}{truth:,.{decimals}f}{percent}"
    # What would look the same as what is wrong gets the digits that tell them apart.
    same = shown.replace(",", "").lstrip("+") == figure.text.replace(",", "").replace("−", "-").lstrip("+")
    return f"{sign}{truth:,.{decimals + 3}f}{percent}" if same else shown
