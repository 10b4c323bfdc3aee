"""The figures in a line of a written report, with the precision to which they were printed. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+\-−]?\d+)?")
_ABOUT = re.compile(
    r"(?:[~≈∼]|\b(?:about|around|roughly|approximately|approx\.?|circa|ca\.|nearly))\s*$", re.IGNORECASE
)
_BOUND = re.compile(r"[<>≤≥]=?\s*$")
_UNIT = re.compile(r"\s?(%|ms\b|s\b|sec\b|seconds?\b|minutes?\b|min\b|m\b|hours?\b|h\b|days?\b|d\b)")
_LASTS = {"ms": 1e-3, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_LASTS |= {"d": 86_400, "day": 86_400}
_MINUS = "-−"
_SIGNS = ("-", "−", "+")
_NO_FIGURE = re.compile(r"[:.]\d|-\d|[/_]\w*\d*[._]|\^")
"""Behind a number that is the beginning of a time, a version, a date or a path."""
# What a computer's own numbers are short of the decimals that were meant.
_SLACK = 2.0**-50
_OF_A_DIGIT = 1e-9


@dataclass(frozen=True)
class Figure:
    """A number as it was printed."""

    text: str
    """As it stands there, with its sign and its percent sign."""
    start: int
    """Where it begins in its line."""
    end: int
    value: float
    last_digit: float
    """One unit of the last digit that was printed: 0.01 for `0.47`, 1 for `2,000`, 1e-7 for `4.9e-06`."""
    about: bool = False
    """Whether it is said to be so only about: `~85`."""
    percent: bool = False
    seconds: float | None = None
    """The same as a length of time, where it has a unit of time behind it."""

    @property
    def low(self) -> float:
        """The smallest value that would have been printed so."""
        return self.value - self.slack

    @property
    def high(self) -> float:
        """The largest value that would have been printed so."""
        return self.value + self.slack

    @property
    def slack(self) -> float:
        """What the value meant may differ: half a unit of the last digit, and a whole one where it is said to be about.

        People who write "about" cut digits off as often as they round.
        """
        return self.last_digit * ((1.0 if self.about else 0.5) + _OF_A_DIGIT) + _SLACK * abs(self.value)

    def fits(self, truth: float) -> bool:
        """Whether a value may be printed as this figure."""
        return math.isfinite(truth) and self.low <= truth <= self.high


def figures_in(text: str) -> list[Figure]:
    """Every figure in a line, in order.

    No figures are numbers within names (`wikitext-2`), dates, times, versions and bounds (`<=64`). What is written by
    two units of time (`1 m 47 s`) is one figure.
    """
    return list(_joined(text, [figure for found in _NUMBER.finditer(text) if (figure := _figure(text, found))]))


def _figure(text: str, found: re.Match[str]) -> Figure | None:
    before, after = text[: found.start()], text[found.end() :]
    sign = before[-1:] if before[-1:] in _SIGNS and not _ends_in_word(before[:-1]) else ""
    lead = before[: len(before) - len(sign)]
    if (not sign and lead.endswith(("-", "−", ".", "/", ":", "#", "@", "_"))) or _ends_in_word(lead):
        return None  # within a name, a date, a time, a version or a path: `wikitext-2`, `2026-11`
    if _NO_FIGURE.match(after):
        return None
    unit = _UNIT.match(after)
    if re.match(r"[^\W\d]", after) and (unit is None or after[:1] == " "):
        return None
    if _BOUND.search(lead):
        return None
    number = found[0].replace(",", "").replace("−", "-")
    value = float(number) * (-1 if sign and sign in _MINUS else 1)
    if not math.isfinite(value):
        return None
    end = found.end()
    name = unit[1] if unit else ""
    if name == "%":
        end = found.end() + unit.end() if unit else end
    lasts = _LASTS.get(name.rstrip("s") or name) if name != "%" else None
    if name and re.match(r"\s?/|\s?per\b", after[unit.end() :] if unit else ""):
        lasts = None
    return Figure(
        text=text[found.start() - len(sign) : end],
        start=found.start() - len(sign),
        end=end,
        value=value,
        last_digit=_last_digit(number),
        about=bool(_ABOUT.search(lead)),
        percent=name == "%",
        seconds=None if lasts is None else value * lasts,
    )


def _ends_in_word(text: str) -> bool:
    return bool(text) and (text[-1].isalnum() or text[-1] in "_.")


def _last_digit(number: str) -> float:
    mantissa, _, exponent = number.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(f"1e{int(exponent or 0) - decimals}")


def _joined(text: str, figures: list[Figure]) -> Iterator[Figure]:
    """Lengths of time in two units as one figure in seconds, cut off at the smaller unit."""
    place = 0
    while place < len(figures):
        first = figures[place]
        second = figures[place + 1] if place + 1 < len(figures) else None
        if (
            second is not None
            and first.seconds is not None
            and second.seconds is not None
            and re.fullmatch(r"\s?[a-z]+\s", text[first.end : second.start])
            and first.seconds / max(first.value, 1) > second.seconds / max(second.value, 1)
        ):
            unit = second.seconds / second.value if second.value else 1.0
            end = second.end
            total = first.seconds + second.seconds
            words = text[first.start : end] + re.match(r"\s?[a-z]*", text[end:])[0]  # type: ignore[index]
            yield Figure(words, first.start, end, total, unit, about=True, seconds=total)
            place += 2
        else:
            yield first
            place += 1
