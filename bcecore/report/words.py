"""Numbers, times and sizes as people read them: with units, and no more digits than they are worth."""

from __future__ import annotations

import math
from datetime import datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LARGEST_IN_FULL = 1e9
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SIZES = ((1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))
NOT_A_NUMBER = "not a number"


def duration(seconds: float) -> str:
    """A length of time by its two largest units: `0.4 s`, `47 s`, `1 m 47 s`, `2 h 5 m`, `3 d 4 h`."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, name, smaller, smaller_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "m"),
        (_MINUTE, "m", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def roughly(seconds: float) -> str:
    """A length of time that is only guessed, by one unit: `5 s`, `25 s`, `2 min`, `3 h`, `2 days`."""
    if seconds < 57.5:
        return f"{max(5, 5 * round(seconds / 5))} s"
    for size, name, below in ((_MINUTE, "min", 59.5 * _MINUTE), (_HOUR, "h", 47.5 * _HOUR)):
        if seconds < below:
            return f"{max(1, round(seconds / size))} {name}"
    return count(round(seconds / _DAY), "day")


def number(x: float) -> str:
    """A number with three or four significant digits: `1,312`, `18.7`, `2.31`, `0.204`, `5.0e-5`, `1.0e300`.

    Whole ones in full, up to a thousand million.
    """
    if not math.isfinite(x):
        return _not_finite(x)
    size = abs(x)
    if size > _LARGEST_IN_FULL:
        return scientific(x)
    if x == int(x):
        return f"{int(x):,}"
    if size >= 999.5:
        return f"{x:,.0f}"
    if size >= 99.95:
        return f"{x:.0f}"
    if size >= 9.995:
        return f"{x:.1f}"
    if size >= 0.9995:
        return f"{x:.2f}"
    if size >= 0.01:
        return f"{x:.3f}"
    return scientific(x)


def scientific(x: float) -> str:
    """A very small or very large number: `5.0e-5`, `3.13e-8`, `0`."""
    if not math.isfinite(x):
        return _not_finite(x)
    if x == 0:
        return "0"
    mantissa, _, exponent = f"{x:.2e}".partition("e")
    if mantissa.endswith("0"):
        mantissa = mantissa[:-1]
    return f"{mantissa}e{int(exponent)}"


def _not_finite(x: float) -> str:
    if math.isnan(x):
        return NOT_A_NUMBER
    return "infinite" if x > 0 else "minus infinite"


def percent(share: float) -> str:
    """A share of 1 as a percentage: `65 %`, `0.4 %`."""
    if not math.isfinite(share):
        return _not_finite(share)
    value = 100 * share
    if value and abs(value) < 0.05:
        return "under 0.1 %"
    return f"{value:.0f} %" if abs(value) >= 9.95 or value == int(value) else f"{value:.1f} %"


def size(bytes: int) -> str:
    """A number of bytes: `53 MB`, `1.2 GB`."""
    for unit, name in _SIZES:
        if bytes >= unit:
            value = bytes / unit
            return f"{value:.1f} {name}" if value < 9.95 else f"{value:.0f} {name}"
    return count(bytes, "byte")


def count(n: int, noun: str, plural: str | None = None) -> str:
    """A number of things: `1 step`, `3,600 steps`, `2 epochs`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def moment(when: datetime) -> str:
    """A moment in this machine's time zone: `12 Nov, 14:03`."""
    local = when.astimezone()
    return f"{local.day} {_MONTHS[local.month - 1]}, {local:%H:%M}"


def age(when: datetime, now: datetime) -> str:
    """How long ago something was: `just now`, `5 m ago`, `3 h ago`, `2 d ago`; after a month, the date."""
    seconds = (now - when).total_seconds()
    if seconds < _MINUTE:
        return "just now"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} m ago"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h ago"
    if seconds < 30 * _DAY:
        return f"{seconds // _DAY:.0f} d ago"
    local = when.astimezone()
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
