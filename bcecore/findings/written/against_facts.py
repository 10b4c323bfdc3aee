"""A table of a run's facts: how long, how fast, how many steps, which schedules. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from bcecore import schedule
from bcecore.findings.written.against_log import Claim, check_row
from bcecore.findings.written.document import Cells, WrittenTable
from bcecore.findings.written.evidence import RunLog
from bcecore.findings.written.figures import Figure, figures_in
from bcecore.findings.written.ledger import Ledger, Spot, like
from bcecore.findings.written.words import fact

_AT_STEP = re.compile(r"^\s*at step\s*$", re.IGNORECASE)
_LOGGED_VALUES = re.compile(r"\s*logged values\b")
_WARMUP = re.compile(r"warm-?\s?up", re.IGNORECASE)
_SAME = 1e-6
_MOST_TURNS = 4
_WHOLE = ("epochs", "batch_size", "block_size", "steps", "seed", "parameters", "warmup_steps", "lines")
_KEY_OF = {"final_loss": "loss", "last_ce": "ce", "held_out": "eval_loss", "bce_weight": "bce_weight"}


def check_facts(table: WrittenTable, log: RunLog, ledger: Ledger) -> None:
    """The rows of a table of facts against the log and what is known of the run."""
    rows: dict[str, tuple[Cells, list[Figure]]] = {}
    for row in table.rows:
        if len(row.cells) < 2 or (name := fact(row.cells[0])) is None:
            continue
        found = figures_in(row.cells[1])
        if not found:
            continue
        rows.setdefault(name, (row, found))
        rest = _at_steps(row, found, _KEY_OF.get(name), log, ledger)
        if name == "learning_rate":
            _rate(row, rest, log, ledger)
        elif name == "bce_weight":
            _weight(row, rest, log, ledger)
        elif rest:
            _plain(name, row, rest, log, ledger)
    _times(rows, log, ledger)


def _spot(row: Cells, figure: Figure) -> Spot:
    return Spot(row.line, 1, figure.start)


def _at_steps(row: Cells, found: Sequence[Figure], key: str | None, log: RunLog, ledger: Ledger) -> list[Figure]:
    """Sees to `0.44 at step 2,000`; returns the other figures."""
    rest, place = [], 0
    while place < len(found):
        here = found[place]
        following = found[place + 1] if place + 1 < len(found) else None
        if key and following and _AT_STEP.match(row.cells[1][here.end : following.start]):
            claim = Claim(_spot(row, here), here, key)
            check_row(_spot(row, following), int(following.value), [claim], log, ledger)
            place += 2
        else:
            rest.append(here)
            place += 1
    return rest


def _plain(name: str, row: Cells, found: Sequence[Figure], log: RunLog, ledger: Ledger) -> None:
    """The first figure of a cell against what is known; of `lines`, and in brackets, every figure that is known."""
    truths = list(log.facts.get(name, ()))
    if name == "final_loss":
        truths += _final_losses(log)
    elif name in ("last_ce", "held_out"):
        series = log.series(_KEY_OF[name])
        truths += [float(value) for value in series.values[-1:]]
    found = [one for one in found if not _count(row, one, "loss", log, ledger)]
    # What stands in brackets behind it is something else, unless it is a time again.
    claims = [one for one in found if one.seconds is not None] if name == "wall_clock" else found[:1]
    for claim in claims or found[:1]:
        value = claim.seconds if name == "wall_clock" and claim.seconds is not None else claim.value
        timed = Figure(claim.text, claim.start, claim.end, value, _digit(claim, value), claim.about)
        if any(map(timed.fits, truths)):
            ledger.right([_spot(row, claim)])
        elif truths:
            shown = like(claim, truths[0])
            others = f" ({_others(claim, truths)})" if len(truths) > 1 and name not in _WHOLE else ""
            ledger.wrong(_spot(row, claim), "figure", name, shown, log.source, f"It is {shown}{others}.")


def _count(row: Cells, figure: Figure, key: str, log: RunLog, ledger: Ledger) -> bool:
    """Sees to `2,000 logged values`; tells whether it was one."""
    if not _LOGGED_VALUES.match(row.cells[1][figure.end :]):
        return False
    logged = len(log.series(key))
    if figure.value == logged:
        ledger.right([_spot(row, figure)])
    else:
        why = f"The log has {logged:,} values of it."
        ledger.wrong(_spot(row, figure), "count", f"values of {key}", f"{logged:,}", log.source, why)
    return True


def _digit(figure: Figure, value: float) -> float:
    """A unit of the last digit, in the unit in which the value is compared."""
    return figure.last_digit * (value / figure.value if figure.value and figure.last_digit < figure.value else 1.0)


def _others(figure: Figure, truths: Sequence[float]) -> str:
    return "or " + ", ".join(dict.fromkeys(like(figure, truth) for truth in truths[1:]))


def _final_losses(log: RunLog) -> list[float]:
    """What is called the final training loss: the mean of the logged ones, as Trainers tell it, or the last."""
    values = log.series("loss").values
    values = values[np.isfinite(values)]
    return [float(values.mean()), float(values[-1])] if len(values) else []


# -- schedules


def _rate(row: Cells, found: Sequence[Figure], log: RunLog, ledger: Ledger) -> None:
    """The peak and the warm-up of the learning rate: right if a schedule with them gives every logged value."""
    rates = log.series("learning_rate")
    rates = rates.at(np.isfinite(rates.values))
    if not len(rates):
        return
    text = row.cells[1]
    found = [one for one in found if not _count(row, one, "learning_rate", log, ledger)]
    peak = next((one for one in found if 0 < one.value < 1), None)
    if peak is None:
        return
    warmup = next((one for one in found if one is not peak and _is_warmup(text, one)), None)
    top = int(np.argmax(rates.values))
    highest, at = float(rates.values[top]), int(rates.steps[top])
    dense = len(rates) > 1 and int(rates.steps[1] - rates.steps[0]) == 1 and int(rates.steps[0]) == 1
    peaks = [*log.facts.get("learning_rate", ()), highest]
    if any(map(peak.fits, peaks)):
        ledger.right([_spot(row, peak)])
    elif dense:
        shown = like(peak, peaks[0])
        source = f"{log.source}, step {at:,}"
        why = f"The highest logged learning rate is {shown}."
        ledger.wrong(_spot(row, peak), "schedule", "learning rate", shown, source, why)
    if warmup is None:
        return
    known = log.facts.get("warmup_steps", ())
    steps = float(at - 1)
    if any(map(warmup.fits, known)) or (not known and _gives(rates, highest, int(warmup.value), log)):
        ledger.right([_spot(row, warmup)])
    elif known or dense:
        true = like(warmup, known[0] if known else steps)
        source = f"{log.source}, step {at:,}"
        why = f"The learning rate rises over {true} steps, as the log has it."
        ledger.wrong(_spot(row, warmup), "schedule", "warm-up", true, source, why)


def _is_warmup(text: str, figure: Figure) -> bool:
    near = text[max(0, figure.start - 18) : figure.end + 18]
    return bool(_WARMUP.search(near)) and figure.value == int(figure.value)


def _gives(rates: object, peak: float, warmup: int, log: RunLog) -> bool:
    """Whether some schedule with this warm-up gives the logged rates again."""
    steps, values = rates.steps, rates.values  # type: ignore[attr-defined]
    totals = [int(total) for total in log.facts.get("steps", ())] or [log.last_step]
    kinds = [kind for kind in schedule.LEARNING_RATE_SCHEDULES if kind != "polynomial" or peak > 1e-7]
    for total in totals:
        for kind in kinds:
            made = np.array(
                [
                    schedule.learning_rate(int(t), peak=peak, warmup_steps=warmup, total_steps=total, schedule=kind)
                    for t in steps[:: max(1, len(steps) // 500)]
                ]
            )
            if np.abs(made - values[:: max(1, len(steps) // 500)]).max() <= _SAME * peak:
                return True
    return False


def _weight(row: Cells, found: Sequence[Figure], log: RunLog, ledger: Ledger) -> None:
    """The schedule of the BCE weight: its base, its warm-up, and a maximum with the span that leads to it."""
    weights = log.series("bce_weight")
    weights = weights.at(np.isfinite(weights.values))
    if len(weights) < 4:
        return
    steps, values = weights.steps.astype(float), weights.values
    slopes = np.diff(values) / np.diff(steps)
    turns = 1 + np.flatnonzero(np.abs(np.diff(slopes)) > _SAME * max(float(np.abs(slopes).max()), 1e-12))
    if len(turns) > _MOST_TURNS:
        return  # not made of straight pieces
    ends = [0, *turns.tolist(), len(values) - 1]
    late, base, at = float(slopes[-1]), float(values[ends[-2]]), float(steps[ends[-2]])
    known = [0.0, *log.facts.get("bce", ()), *(float(slopes[end]) for end in ends[:-1])]
    known += [float(values[end]) for end in ends] + [float(steps[end]) for end in ends]
    known += [float(steps[after] - steps[before]) for before, after in pairwise(ends)]
    left = [one for one in found if not any(one.fits(truth) for truth in known)]
    ledger.right(_spot(row, one) for one in found if one not in left)
    if late and (pair := _rise(found, base, late)) is not None:
        # A maximum that the run did not come to shows in how steep the way to it is.
        ledger.right(_spot(row, one) for one in pair)
        left = [one for one in left if one not in pair]
    group = "BCE weight"
    what = f"it is {base:.6g} at step {at:,.0f}, then changes by {late:.6g} a step, and is {values[-1]:.6g} at the end"
    for one in left:
        ledger.wrong(_spot(row, one), "schedule", group, "", log.source, f"In the log {what}.")


def _rise(found: Sequence[Figure], base: float, late: float) -> tuple[Figure, Figure] | None:
    """A maximum and a span, as printed, that give the last slope."""
    pairs = ((top, span) for top in found for span in found if top is not span)
    return next(
        ((top, span) for top, span in pairs if top.value != base and span.fits((top.value - base) / late)), None
    )


# -- what has to agree with each other


def _times(rows: dict[str, tuple[Cells, list[Figure]]], log: RunLog, ledger: Ledger) -> None:
    """Steps, time and pace: where two of them are not known otherwise, the three have to fit."""
    if not {"steps", "wall_clock", "steps_per_second"} <= set(rows):
        return
    (_, (steps, *_)), (time_row, (time, *_)), (pace_row, (pace, *_)) = (
        rows[name] for name in ("steps", "wall_clock", "steps_per_second")
    )
    spots = [_spot(time_row, time), _spot(pace_row, pace)]
    if time.seconds is None or all(map(ledger.seen, spots)):
        return
    scale = time.seconds / time.value if time.value else 1.0
    low, high = (time.seconds + sign * time.slack * scale for sign in (-1, 1))
    if low * pace.low <= steps.value <= high * pace.high:
        ledger.right(spots)
        return
    true = like(pace, steps.value / time.seconds)
    why = f"{steps.text} steps in {time.text} s are {true} a second, not {pace.text}."
    if not ledger.seen(spots[1]):
        ledger.wrong(spots[1], "contradiction", "pace", true, "the report itself: steps and time", why)
