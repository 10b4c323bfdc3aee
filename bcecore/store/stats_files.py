"""Reading the stats files that a report's evaluation left: `bce_eval_stats.json`, `wikitext_eval_stats.json`.

For each split and for BCE on and off, such a file has either means over the examples, with the best and worst of them
(`mean_ce`), or what a trainer logged (`eval_loss`). What its figures mean is for those who read it to say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bcecore.errors import BceError

ON, OFF = "bce_on", "bce_off"
ADVICE = "Choose one of the report's files, bce_eval_stats.json or wikitext_eval_stats.json."
MEANS_KEYS = ("mean_ce", "p50_ce", "p90_ce", "mean_total")
EDGE = 64
"""Tokens at which the two length buckets meet."""
_BUCKET_LABELS = (f"<={EDGE}", f">{EDGE}")
_SHOWN_ROWS = 3
_MOST_EXAMPLES = 10_000
_ROW_KEYS = ("idx", "text", "len", "ce_loss", "bce_loss", "total_loss", "bce_eff_w")


class StatsFileError(BceError):
    """A file that is not one of the report's stats files."""


@dataclass(frozen=True)
class StatsSide:
    """What a file says of one split with BCE on, or with it off."""

    values: Mapping[str, Any]
    """As it stands in the file; `MEANS_KEYS`, or `eval_loss`, are there and are numbers."""
    shown: tuple[dict[str, Any], ...] = ()
    """The best and worst examples, each once, in the order of the split."""
    weight: float | None = None
    """The BCE weight that they were scored with; None where the file shows no examples."""


@dataclass(frozen=True)
class StatsSplit:
    """What a file says of one split."""

    file: str
    name: str
    has_means: bool
    """Whether it was written example by example; else it is what a trainer logged."""
    on: StatsSide
    off: StatsSide

    @property
    def where(self) -> str:
        """For messages."""
        return _where(self.file, self.name)

    @property
    def shows_all(self) -> bool:
        """Whether the file shows every example."""
        lists = (self.on.values.get("best3", ()), self.on.values.get("worst3", ()))
        return self.has_means and all(len(rows) < _SHOWN_ROWS for rows in lists)

    @property
    def examples(self) -> int | None:
        """How many examples there were, as far as the file tells without saying so; None where it does not."""
        if not self.has_means:
            return _examples_by_time(self.on.values)
        return len(self.on.shown) if self.shows_all else _examples_by_buckets(self.on)


def _where(file: str, split: str) -> str:
    return f"“{split}” in {file}"


def read_stats_file(path: Path) -> list[StatsSplit]:
    """The splits of a file, in its order. Raises StatsFileError for anything else, with what was found."""
    return [_split(path, name, both) for name, both in _content(path).items()]


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StatsFileError(f"{path.name} could not be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise StatsFileError(f"{path.name} is not JSON ({error}). {ADVICE}") from error
    if not isinstance(content, dict):
        raise StatsFileError(f"{path.name} holds a {type(content).__name__}, not stats by split. {ADVICE}")
    if not content:
        raise StatsFileError(f"{path.name} holds no splits. {ADVICE}")
    return content


def _split(path: Path, name: str, both: Any) -> StatsSplit:
    if not isinstance(both, dict) or not all(isinstance(both.get(mode), dict) for mode in (ON, OFF)):
        keys = ", ".join(map(str, both)) if isinstance(both, dict) else repr(both)
        raise StatsFileError(f"“{name}” in {path.name} has no “{ON}” and “{OFF}”, but {keys[:80]}. {ADVICE}")
    on, off = both[ON], both[OFF]
    here = _where(path.name, name)
    if "mean_ce" in on:
        for side in (on, off):
            for key in MEANS_KEYS:
                number(here, side, key)
        examples = [_shown(here, side) for side in (on, off)]
        sides = [
            StatsSide(side, tuple(rows), _weight(here, rows)) for side, rows in zip((on, off), examples, strict=True)
        ]
        return StatsSplit(path.name, name, True, *sides)
    if "eval_loss" in on:
        for side in (on, off):
            number(here, side, "eval_loss")
        return StatsSplit(path.name, name, False, StatsSide(on), StatsSide(off))
    raise StatsFileError(f"{here} has neither “mean_ce” nor “eval_loss”, but {', '.join(on)[:80]}. {ADVICE}")


def number(here: str, values: Mapping[str, Any], key: str) -> float:
    """A value of a side that has to be a finite number. Raises StatsFileError."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise StatsFileError(f"{here}: “{key}” has to be a number, got {value!r}. {ADVICE}")
    return float(value)


def _shown(here: str, side: dict[str, Any]) -> list[dict[str, Any]]:
    """The best and the worst examples that one side of the file shows, each once, in the order of the split."""
    rows: dict[int, dict[str, Any]] = {}
    for key in ("best3", "worst3"):
        listed = side.get(key)
        if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
            raise StatsFileError(f"{here}: “{key}” has to be a list of examples, got {str(listed)[:40]!r}. {ADVICE}")
        for row in listed:
            missing = [column for column in _ROW_KEYS if column not in row]
            if missing:
                raise StatsFileError(f"{here}: an example in “{key}” has no {', '.join(missing)}. {ADVICE}")
            if not isinstance(row["text"], str):
                raise StatsFileError(f"{here}: “text” has to be a text, got {row['text']!r}. {ADVICE}")
            numbers = {column: number(here, row, column) for column in _ROW_KEYS if column != "text"}
            rows[int(numbers["idx"])] = {"text": row["text"], **numbers}
    if not rows:
        raise StatsFileError(f"{here} shows no examples, so nothing says which weight was used. {ADVICE}")
    return [rows[index] for index in sorted(rows)]


def _weight(here: str, rows: list[dict[str, Any]]) -> float:
    weights = {row["bce_eff_w"] for row in rows}
    if len(weights) > 1:
        listed = ", ".join(f"{weight:g}" for weight in sorted(weights))
        raise StatsFileError(f"{here} was scored with several weights ({listed}) on one side. {ADVICE}")
    return float(weights.pop())


# -- how many examples there were


def bucket_means(side: StatsSide) -> tuple[float | None, float | None]:
    """Mean CE of the examples of up to `EDGE` tokens, and of the longer ones; None for an empty bucket."""
    buckets = side.values.get("bucket_mean")
    found = [buckets.get(label) if isinstance(buckets, dict) else None for label in _BUCKET_LABELS]
    short, long = (float(value) if isinstance(value, (int, float)) else None for value in found)
    return short, long


def _examples_by_buckets(side: StatsSide) -> int | None:
    short, long = bucket_means(side)
    if short is None or long is None or short == long:
        return None
    # The mean over all is that of the buckets, each with its share of the examples.
    share = (side.values["mean_ce"] - short) / (long - short)
    for n in range(int(max(row["idx"] for row in side.shown)) + 1, _MOST_EXAMPLES):
        in_bucket = round(n * share)
        # The file's means were taken in single precision.
        if 0 < in_bucket < n and abs(in_bucket / n - share) < 1e-6:
            return n
    return None


def _examples_by_time(side: Mapping[str, Any]) -> int | None:
    """How many examples went by, where the runtime and the pace give nearly a whole number."""
    runtime, pace = side.get("eval_runtime"), side.get("eval_samples_per_second")
    if not isinstance(runtime, (int, float)) or not isinstance(pace, (int, float)):
        return None
    product = runtime * pace
    # Both are rounded, to four and three decimals.
    slack = 0.0005 * runtime + 0.00005 * pace
    if not math.isfinite(product) or slack >= 0.5:
        return None
    return round(product) if abs(product - round(product)) <= slack else None
