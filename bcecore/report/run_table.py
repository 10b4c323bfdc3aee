"""The table of runs: which of them are listed, in which order, with which columns. Pure: rows in, rows out.

A column has a code, which is what addresses and settings hold: `status`, or a logged key and what is wanted of it, as
in `eval_loss.best`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bcecore.findings.tally import tally_of
from bcecore.report.finding_words import SEVERITY_WORDS
from bcecore.report.metrics import Better, metric
from bcecore.report.progress import done_share
from bcecore.report.words import age, duration, number
from bcecore.store.record import STATUSES, RunRecord, Tally
from bcecore.store.summary import Basics, BceKind, LogSummary

Kind = Literal["text", "number", "whole", "progress", "tags", "trend"]
Value = str | float | None

NAME = "name"
BCE_WORDS: dict[BceKind, str] = {
    "off": "off",
    "seed": "seed",
    "active": "active",
    "logged": "on, kind not known",
    "unknown": "unknown",
}
"""What BCE's kind is called in the table."""
DEFAULT_COLUMNS = (
    "status",
    "progress",
    "ce.last",
    "loss.last",
    "eval_loss.best",
    "eval_loss.best_step",
    "perplexity",
    "bce",
    "trend",
    "findings",
    "when",
)
DEFAULT_ORDER = "when"
DIFFERENCE = ".difference"
"""What a column's code is followed by where the difference to the pinned run stands."""

# An id is a date, a name and four characters: a single digit occurs in every one.
_ID_CHARACTERS = 4
# exp of more is no float, and no perplexity that anybody would read.
_LARGEST_CE = 700.0
_NAMED = 3


class Row(NamedTuple):
    """One run, as far as the table knows it."""

    record: RunRecord
    log: LogSummary
    basics: Basics


@dataclass(frozen=True)
class Query:
    """Which runs are wanted: those that pass every filter. An empty filter passes all."""

    search: str = ""
    """Words that all must occur in the name, the notes, the tags or, from four characters on, the id."""
    statuses: frozenset[str] = frozenset()
    bce: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    """Any one of them is enough."""
    archived: bool = False
    """Whether runs that were put away are listed too."""
    studies: frozenset[str] = frozenset()
    """Ids of studies; any one of them is enough."""

    @property
    def filters(self) -> int:
        """How many filters are set, the search not counted."""
        return sum(map(bool, (self.statuses, self.bce, self.tags, self.studies)))


@dataclass(frozen=True)
class Column:
    """One column: what it is called, what stands in it, and by what it is sorted."""

    code: str
    label: str
    help: str
    kind: Kind
    value: Callable[[Row], Value]
    """By this it is sorted; None and NaN come last."""
    better: Better | None = None
    format: str = "%.4g"
    """Of a number, as printf has it."""
    head: str = ""
    """What stands above the column where that is shorter than its name."""

    @property
    def best_first(self) -> bool:
        """Whether the order that one expects first is the descending one."""
        if self.better is not None:
            return self.better == "higher"
        return self.kind in ("number", "whole", "progress") or self.code == "when"


def matching(rows: Iterable[Row], query: Query) -> list[Row]:
    """The rows that a query wants, in their order."""
    words = query.search.casefold().split()
    return [row for row in rows if _is_wanted(row, query, words)]


def _is_wanted(row: Row, query: Query, words: Sequence[str]) -> bool:
    record = row.record
    if record.archived and not query.archived:
        return False
    if query.statuses and record.status not in query.statuses:
        return False
    if query.bce and row.basics.bce not in query.bce:
        return False
    if query.tags and query.tags.isdisjoint(record.tags):
        return False
    if query.studies and record.study not in query.studies:
        return False
    if not words:
        return True
    text = "\n".join((record.name, record.notes, *record.tags)).casefold()
    return all(word in text or (len(word) >= _ID_CHARACTERS and word in record.id) for word in words)


def in_order(rows: Sequence[Row], column: Column, *, descending: bool) -> list[Row]:
    """The rows sorted by a column; those without a value last, and equals as they came."""
    with_value: list[tuple[Any, Row]] = []
    without = []
    for row in rows:
        value = column.value(row)
        if value is None or value != value:  # NaN
            without.append(row)
        else:
            with_value.append((value, row))
    with_value.sort(key=lambda pair: pair[0], reverse=descending)
    return [row for _, row in with_value] + without


# -- columns


def column(code: str) -> Column:
    """The column with this code. Raises KeyError for none."""
    if code in _COLUMNS:
        return _COLUMNS[code]
    key, _, part = code.rpartition(".")
    if not key or part not in _PARTS:
        raise KeyError(code)
    return _metric_column(code, key, part)


def columns_for(rows: Iterable[Row]) -> list[str]:
    """The codes of all columns that these runs can fill, besides the name."""
    keys: dict[str, None] = {}
    seen: set[int] = set()
    for row in rows:
        if id(row.log.keys) not in seen:  # most runs share one tuple with others
            seen.add(id(row.log.keys))
            keys |= dict.fromkeys(row.log.keys)
    codes = [code for code in _COLUMNS if code != NAME]
    for key in sorted(keys.keys() - _NOT_WORTH_A_COLUMN, key=_metric_order):
        parts = ("last", "best", "best_step") if metric(key).better else ("last", "lowest", "highest")
        codes += [f"{key}.{part}" for part in parts]
    return codes


def labels(codes: Sequence[str]) -> dict[str, str]:
    """What each of these columns is called; two never the same, whatever foreign Trainers call their values."""
    named: dict[str, str] = {}
    taken: set[str] = set()
    for code in codes:
        label = column(code).label
        named[code] = label if label not in taken else f"{label} ({code})"
        taken.add(named[code])
    return named


def has_difference(column: Column) -> bool:
    """Whether the difference to another run says something in this column."""
    return column.kind == "number"


_GROUPS = ("learning", "check", "other", "optimiser", "bce", "components", "pace", "totals")
_NOT_WORTH_A_COLUMN = {"time"}
_PARTS = {
    "last": "{name}",
    "best": "Best {name}",
    "best_step": "Best {name} at step",
    "lowest": "Lowest {name}",
    "highest": "Highest {name}",
}
_HELP = {
    "last": "The newest value.",
    "best": "The best value over the run.",
    "best_step": "The step at which it was best.",
    "lowest": "The lowest value over the run.",
    "highest": "The highest value over the run.",
}
_BOTH_ORIGINS = {"eval_loss": "check loss", "eval_perplexity": "check perplexity"}
_ELSEWHERE = {
    "ce": " Of a log from elsewhere that has only the loss with BCE’s term, it is what is left without the term.",
    "loss": " Of a log from elsewhere, whatever its Trainer called the loss.",
    "eval_loss": " It is CE on held-out text for runs that were made here; a log from elsewhere does not say of which "
    "text it is, nor whether it is CE.",
}
_SCIENTIFIC = ("learning_rate", "total_flos")


def _metric_order(key: str) -> tuple[int, str]:
    return _GROUPS.index(metric(key).group), metric(key).name.casefold()


@lru_cache(maxsize=4096)
def _metric_column(code: str, key: str, part: str) -> Column:
    about = metric(key)
    # The checks of our own runs and those of other Trainers stand in one column.
    checks = about.group == "check"
    name = _BOTH_ORIGINS.get(key, about.name)
    label = _PARTS[part].format(name=name)
    sense = f" {about.better.capitalize()} is better." if about.better and part != "best_step" else ""
    unit = f" In {about.unit}." if about.unit and part != "best_step" else ""
    if unit and key in _ELSEWHERE:
        unit = f"{unit[:-1]} for runs that were made here."
    digits = "%.2e" if key in _SCIENTIFIC else "%.3f" if about.group == "learning" or key == "eval_loss" else "%.4g"

    def value(row: Row) -> Value:
        # Of lines that the model also learnt from, the checks say nothing about text that it did not see.
        if checks and row.basics.holds_out is False:
            return None
        figures = row.log.figures(key)
        if figures is None:
            return None
        match part:
            case "last":
                return figures.last
            case "lowest":
                return figures.lowest
            case "highest":
                return figures.highest
        low = about.better != "higher"
        if part == "best":
            return figures.lowest if low else figures.highest
        step = figures.lowest_step if low else figures.highest_step
        return step if step >= 0 else None

    kind: Kind = "whole" if part == "best_step" else "number"
    better = None if kind == "whole" else about.better
    head = "at step" if part == "best_step" else ""
    help = f"{_HELP[part]}{unit}{sense}{_ELSEWHERE.get(key, '')}"
    return Column(code, _capital(label), help, kind, value, better, digits, head)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def perplexity(ce: float) -> float:
    """exp(CE), and of nothing else; NaN for a CE that is none."""
    return math.exp(ce) if ce < _LARGEST_CE else math.nan


def _perplexity(row: Row) -> Value:
    ce = row.log.figures("ce")
    return None if ce is None else perplexity(ce.last)


def trend(row: Row) -> list[float]:
    """The course of CE in a few points, or of the loss where CE was not logged."""
    trends = row.log.trends
    return list(trends.get("ce") or trends.get("loss") or ())


def _gravity(tally: Tally | None) -> Value:
    """By what is noticed about a run, as one number: any serious finding counts more than all warnings."""
    return None if tally is None else float(tally.serious * 10**12 + tally.warnings * 10**6 + tally.notes)


def findings_cell(tally: Tally | None) -> str | None:
    """`✕ 1 serious, ▲ 2 warnings`, `✓ none`; None where that is not known."""
    if tally is None:
        return None
    parts = [
        f"{sign} {number:,} {word if number == 1 or word == 'serious' else word + 's'}"
        for number, sign, word in (
            (tally.serious, SEVERITY_WORDS["B"].sign, "serious"),
            (tally.warnings, SEVERITY_WORDS["W"].sign, "warning"),
            (tally.notes, SEVERITY_WORDS["N"].sign, "note"),
        )
        if number
    ]
    return ", ".join(parts) or ("✓ none but accepted" if tally.accepted else "✓ none")


def _took(row: Row) -> Value:
    record = row.record
    return None if record.started is None or record.ended is None else (record.ended - record.started).total_seconds()


_COLUMNS: dict[str, Column] = {
    column.code: column
    for column in (
        Column(NAME, "Name", "What the run is called.", "text", lambda row: row.record.name.casefold()),
        Column("status", "Status", "Where the run stands.", "text", lambda row: STATUSES.index(row.record.status)),
        Column(
            "progress", "Progress", "How many of its steps are done.", "progress", lambda row: done_share(row.record)
        ),
        Column(
            "steps",
            "Steps done",
            "The last step that was made.",
            "whole",
            lambda row: row.record.progress.step if row.record.progress else None,
        ),
        Column(
            "perplexity",
            "Perplexity",
            "exp(CE), of the newest CE: as if the model had to choose between so many words. Lower is better.",
            "number",
            _perplexity,
            "lower",
        ),
        Column(
            "bce",
            "BCE",
            "Off, or its kind: the seed profile adds nothing to the gradient, the active one does. A log from "
            "elsewhere may have BCE’s values and not tell its kind, or not tell anything.",
            "text",
            lambda row: BCE_WORDS[row.basics.bce],
        ),
        Column(
            "trend",
            "Trend",
            "CE over the run; the loss where CE was not logged.",
            "trend",
            lambda row: trend(row)[-1] if trend(row) else None,
            "lower",
        ),
        Column(
            "findings",
            "Findings",
            "What was noticed about the run, without what was accepted; its page says it. A run at work tells it above "
            "the table, and one that nobody has looked over yet is looked over when it is listed here.",
            "text",
            lambda row: _gravity(tally_of(row.record)),
            "lower",
        ),
        Column("tags", "Tags", "Words that you gave the run.", "tags", lambda row: ", ".join(row.record.tags) or None),
        Column("model", "Model", "Which model learns.", "text", lambda row: row.basics.model),
        Column("notes", "Notes", "What you wrote about the run.", "text", lambda row: row.record.notes or None),
        Column("took", "Took", "From the start of training to its end.", "text", _took),
        Column("id", "Id", "The name of the run's folder.", "text", lambda row: row.record.id),
        Column("when", "When", "When the run was made.", "text", lambda row: row.record.created.timestamp()),
    )
}


# -- cells


def worked_out_words(names: Sequence[str]) -> str:
    """Of which runs CE, and what is made from it, was not logged itself; there is at least one."""
    shown = ", ".join(f"“{name}”" for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"CE of {shown}{more} is worked out: the logged loss less BCE’s term."


def run_table(
    rows: Sequence[Row],
    codes: Sequence[str],
    status_words: Mapping[str, str],
    now: datetime,
    baseline: Row | None = None,
    first: int = 1,
) -> pd.DataFrame:
    """One row a run, numbered from `first`: its name and these columns; what is not known is empty.

    With a `baseline`, a column of differences to it stands beside every number.
    """
    cells: dict[str, list[Any]] = {NAME: [row.record.name for row in rows]}
    for code in codes:
        wanted = column(code)
        cells[code] = _numbers([_cell(row, wanted, status_words, now) for row in rows], wanted)
        if baseline is not None and has_difference(wanted):
            cells[code + DIFFERENCE] = [difference(row, baseline, wanted) for row in rows]
    return pd.DataFrame(cells, index=pd.RangeIndex(first, first + len(rows)))


def _numbers(values: list[Any], column: Column) -> Any:
    """A column's values as numbers; as words where one was logged and is not finite, which is not the same as none."""
    if column.kind not in ("number", "whole", "progress"):
        return values
    if all(value is None or math.isfinite(value) for value in values):
        return np.array(values, dtype=np.float64)
    words = [
        value if value is None else column.format % value if math.isfinite(value) else "not finite" for value in values
    ]
    return np.array(words, dtype=object)


def _cell(row: Row, column: Column, status_words: Mapping[str, str], now: datetime) -> Any:
    record = row.record
    match column.code:
        case "status":
            return status_words[record.status]
        case "progress":
            return round(done_share(record), 2)
        case "trend":
            return trend(row)
        case "tags":
            return list(record.tags)
        case "when":
            return age(record.created, now)
        case "findings":
            return findings_cell(tally_of(record))
        case "took":
            took = column.value(row)
            return None if took is None else duration(float(took))
        case _:
            return column.value(row)


def difference(row: Row, baseline: Row, column: Column) -> str | None:
    """How a run's value differs from the pinned run's, and whether that is better: `−0.031 better`, `same`."""
    if row.record.id == baseline.record.id:
        return "★"
    mine, other = column.value(row), column.value(baseline)
    if not isinstance(mine, float) or not isinstance(other, float):
        return None
    by = mine - other
    if not math.isfinite(by):
        return None
    if by == 0:
        return "same"
    words = f"{'+' if by > 0 else '−'}{number(abs(by))}"
    # What a log from elsewhere was measured on is not known: a lower loss may only mean an easier text.
    if column.better is None or "imported" in (row.record.status, baseline.record.status):
        return words
    return f"{words} {'better' if (by < 0) == (column.better == 'lower') else 'worse'}"
