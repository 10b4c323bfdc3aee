"""Tables whose figures are those of steps: highlights by step, a snapshot, last and best values. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from bcecore.findings.written.document import Cells, WrittenTable
from bcecore.findings.written.evidence import RunLog
from bcecore.findings.written.figures import Figure, figures_in
from bcecore.findings.written.ledger import Ledger, Spot, like
from bcecore.findings.written.words import STEP, is_of_a_check, mode, plain_words, quantity, step_named

_PREFIX = re.compile(r"\blogged as (\w+_)")
# A value that occurs at more steps than this is no sign of where a row was taken from.
_TELLING = 3


class Claim(NamedTuple):
    """A figure that is said to be the value of a key at a step."""

    spot: Spot
    figure: Figure
    key: str


# -- a row a step


def step_column(table: WrittenTable) -> tuple[int, list[str | None]] | None:
    """Which column has the steps, and what its parts are (`Step / Epoch`); None for a table without one."""
    for column, header in enumerate(table.header):
        parts = [quantity(part) for part in header.split("/")]
        if STEP in parts:
            return column, parts
    return None


def check_steps(table: WrittenTable, log: RunLog, ledger: Ledger) -> None:
    """Every row against the record of its step."""
    found = step_column(table)
    if found is None:
        return
    column, parts = found
    of_a_check = is_of_a_check(table.context)
    keys = [
        None if at == column else quantity(header, log.values.keys, of_a_check=of_a_check)
        for at, header in enumerate(table.header)
    ]
    # Two columns of one quantity are those of two runs, or of two arms: which of them is this run's is not said.
    keys = [key if keys.count(key) == 1 else None for key in keys]
    for row in table.rows:
        cell = row.cells[column] if column < len(row.cells) else ""
        values = figures_in(cell)
        # In `2,000 (last)` and in `400 / 2.00` the parts are in the order of the header's.
        place = parts.index(STEP)
        if place >= len(values) or values[place].value != int(values[place].value):
            continue
        step = int(values[place].value)
        claims = [
            Claim(Spot(row.line, column, figure.start), figure, part)
            for figure, part in zip(values, parts, strict=False)
            if part is not None and part != STEP
        ]
        claims += [
            Claim(Spot(row.line, at, one.start), one, key)
            for at, key in enumerate(keys)
            if key is not None and at < len(row.cells) and len(one_of := figures_in(row.cells[at])) == 1
            for one in one_of
        ]
        check_row(Spot(row.line, column, values[place].start), step, claims, log, ledger)


def check_row(of_step: Spot | None, step: int, claims: Sequence[Claim], log: RunLog, ledger: Ledger) -> None:
    """Figures that are said to be those of one step. `of_step` is where the step itself stands."""
    known = {claim: values for claim in claims if (values := log.at(claim.key, step))}
    right = [claim for claim, values in known.items() if any(map(claim.figure.fits, values))]
    wrong = [claim for claim in known if claim not in right]
    ledger.right(claim.spot for claim in right)
    group = f"step {step}" if of_step is None else f"row of step {step}"
    if of_step is not None and not known and claims and step > log.last_step > 0:
        why = f"The log ends at step {log.last_step:,}: it has no step {step:,}."
        ledger.wrong(of_step, "count", group, f"{log.last_step:,}", log.source, why)
    elsewhere = _whole_row(known, step, log) if wrong and of_step is not None and len(known) > 1 else None
    if of_step is not None and elsewhere is not None:
        why = f"The figures of this row are those of step {elsewhere:,}, not of step {step:,}."
        ledger.wrong(of_step, "row", group, f"{elsewhere:,}", f"{log.source}, step {elsewhere:,}", why)
        ledger.right(claim.spot for claim in known)
        return
    if of_step is not None and known:
        ledger.right([of_step])
    for claim in wrong:
        truth = known[claim][0]
        shown = like(claim.figure, truth) if math.isfinite(truth) else str(truth)
        why = f"At step {step:,} it was {shown}{_where_it_is(claim, step, log)}."
        source = f"{log.source}, step {step:,}"
        ledger.wrong(claim.spot, "row" if of_step is not None else "figure", group, shown, source, why)


def _whole_row(known: Iterable[Claim], step: int, log: RunLog) -> int | None:
    """The nearest step at which all of these figures are right; None where there is none."""
    fitting: set[int] | None = None
    for claim in known:
        at = set(_steps_of(claim, log))
        fitting = at if fitting is None else fitting & at
    return min(fitting, key=lambda other: (abs(other - step), other)) if fitting else None


def _steps_of(claim: Claim, log: RunLog) -> list[int]:
    series = log.series(claim.key)
    low, high = claim.figure.low, claim.figure.high
    return [int(step) for step in series.steps[(series.values >= low) & (series.values <= high)]]


def _where_it_is(claim: Claim, step: int, log: RunLog) -> str:
    """Where the claimed value would be true."""
    steps = _steps_of(claim, log)
    if not steps:
        return f"; no step of the log has {claim.figure.text}"
    if len(steps) > _TELLING:
        return ""
    nearest = min(steps, key=lambda other: (abs(other - step), other))
    return f"; {claim.figure.text} is the value of step {nearest:,}"


# -- a row a quantity


def check_values(table: WrittenTable, log: RunLog, ledger: Ledger) -> None:
    """A table with a row for each quantity: at the one step that its heading names, or at those that its cells name."""
    prefix = match[1] if (match := _PREFIX.search(table.context)) else ""
    of_a_check = bool(prefix) or is_of_a_check(table.title)
    at_step = table_step(table)
    for row in table.rows:
        key = _key(row.cells[0] if row.cells else "", prefix, log, of_a_check)
        for at, header in enumerate(table.header[1:], 1):
            if at >= len(row.cells) or key is None:
                continue
            words = plain_words(header)
            of_column = step_named(header)
            if of_column is not None:
                if len(found := figures_in(row.cells[at])) == 1:
                    check_row(None, of_column, [Claim(Spot(row.line, at, found[0].start), found[0], key)], log, ledger)
            elif " step " in words:
                _value_and_step(row, at, key, log, ledger)
            elif " lowest " in words and " highest " in words:
                _ends(row, at, key, log, ledger)
            elif at_step is not None and len(found := figures_in(row.cells[at])) == 1:
                check_row(None, at_step, [Claim(Spot(row.line, at, found[0].start), found[0], key)], log, ledger)


def check_scored(table: WrittenTable, log: RunLog, ledger: Ledger) -> bool:
    """A table whose rows are one check with BCE's term counted and left out, at the step that its heading names.

    Tells whether it is one.
    """
    modes = [mode(row.cells[0]) if row.cells else None for row in table.rows]
    if not {"on", "off"} <= set(modes):
        return False
    step = table_step(table)
    columns = [quantity(header, log.values.keys, of_a_check=True) for header in table.header]
    for row, its_mode in zip(table.rows, modes, strict=True):
        if step is None or its_mode is None:
            continue
        claims = []
        for at, key in enumerate(columns[: len(row.cells)]):
            found = figures_in(row.cells[at])
            name = "eval_loss" if key == "eval_objective" and its_mode == "off" else key
            if at and name is not None and name.startswith("eval_") and len(found) == 1:
                claims.append(Claim(Spot(row.line, at, found[0].start), found[0], name))
        check_row(None, step, claims, log, ledger)
    return True


def table_step(table: WrittenTable) -> int | None:
    """The step whose values a table has, by its caption or the headings above it."""
    titles = (table.caption, *reversed(table.section))
    return next((step for title in titles if (step := step_named(title)) is not None), None)


def _key(label: str, prefix: str, log: RunLog, of_a_check: bool) -> str | None:
    keys = log.values.keys
    bare = re.sub(r"\s*\([^)]*\)\s*$", "", label).strip().casefold().replace(" ", "_")
    if prefix and f"{prefix}{bare}" in keys:
        return f"{prefix}{bare}"
    return quantity(label, keys, of_a_check=of_a_check)


def _value_and_step(row: Cells, at: int, key: str, log: RunLog, ledger: Ledger) -> None:
    """`0.6261 (2,000)`: a value and the step it was logged at."""
    found = figures_in(row.cells[at])
    if len(found) != 2 or found[1].value != int(found[1].value):
        return
    value, step = found
    claim = Claim(Spot(row.line, at, value.start), value, key)
    check_row(Spot(row.line, at, step.start), int(step.value), [claim], log, ledger)


def _ends(row: Cells, at: int, key: str, log: RunLog, ledger: Ledger) -> None:
    """`0.0100 … 14.1779`: the smallest and the largest value."""
    found = figures_in(row.cells[at])
    values = log.series(key).values
    values = values[np.isfinite(values)]
    if len(found) != 2 or not len(values):
        return
    for figure, truth, name in zip(found, (values.min(), values.max()), ("smallest", "largest"), strict=True):
        spot = Spot(row.line, at, figure.start)
        if figure.fits(float(truth)):
            ledger.right([spot])
        else:
            shown = like(figure, float(truth))
            why = f"The {name} logged value is {shown}."
            ledger.wrong(spot, "figure", f"{spot}", shown, f"{log.source}, {key}", why)
