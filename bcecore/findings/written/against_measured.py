"""Tables of checks: losses, perplexities, percentages, and how many examples went by. Pure.

Perplexity is the exponential of CE and of nothing else: one taken from a loss that has BCE's term in it is wrong. A
percentage is that of the values as they were measured, not of what rounding left of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bcecore.findings.written.document import Cells, Written, WrittenTable
from bcecore.findings.written.evidence import Evidence
from bcecore.findings.written.figures import Figure, figures_in
from bcecore.findings.written.ledger import Ledger, Spot, like
from bcecore.findings.written.words import CHANGE, is_of_a_check, mode, quantity, split_named

_PERPLEXITY = ("perplexity", "eval_perplexity")
_LOSSES = ("eval_loss", "objective")
_PACES = ("eval_samples_per_second", "eval_steps_per_second")
_DASHES = ("–", "—", "-", "")


@dataclass
class Entry:
    """What a report says was measured on one text in one mode: one row of a table, or a whole table."""

    table: WrittenTable
    split: str | None
    mode: str | None
    name: str
    """What its row is called."""
    label: str
    """The same without the words for the mode."""
    figures: dict[str, tuple[Spot, Figure]]
    changes: list[tuple[str, Spot, Figure]]
    """Differences and percentages: of which quantity, where, what."""


def entries(written: Written, evidence: Evidence) -> list[Entry]:
    """Everything that the report's tables say of checks."""
    found = [entry for table in written.tables for entry in _of_table(table, evidence)]
    for entry in found:
        if entry.split is None and (alike := _alike(entry, found)) is not None:
            entry.split, entry.mode = alike.split, entry.mode or alike.mode
    only = {one.split for one in evidence.measured}
    for entry in found:
        if entry.split is None and len(only) == 1:
            entry.split = next(iter(only))
    return found


def _of_table(table: WrittenTable, evidence: Evidence) -> Iterator[Entry]:
    keys: tuple[str, ...] = () if evidence.log is None else evidence.log.values.keys
    of_a_check = is_of_a_check(table.context)
    columns = [quantity(header, keys, of_a_check=of_a_check) for header in table.header]
    measures = [name for name in columns if name in (*_LOSSES, *_PERPLEXITY)]
    split = next(
        (one for title in reversed((*table.section, table.caption)) if (one := split_named(title, evidence.splits))),
        None,
    )
    if measures:
        if any(name == "step" for name in columns):
            return
        for row in table.rows:
            yield _row_entry(table, row, columns, split, evidence)
        return
    if len(table.header) != 2 or not of_a_check:
        return
    figures: dict[str, tuple[Spot, Figure]] = {}
    for row in table.rows:
        name = quantity(row.cells[0], keys, of_a_check=True) if len(row.cells) == 2 else None
        values = figures_in(row.cells[1]) if len(row.cells) == 2 else []
        if name and len(values) == 1:
            figures.setdefault(name, (Spot(row.line, 1, values[0].start), values[0]))
    if figures:
        yield Entry(table, split, mode(table.title), "", "", figures, [])


def _row_entry(
    table: WrittenTable, row: Cells, columns: Sequence[str | None], split: str | None, evidence: Evidence
) -> Entry:
    words = [cell for cell, name in zip(row.cells, columns, strict=False) if name is None]
    own = next((one for word in words if (one := split_named(word, evidence.splits))), split)
    its_mode = next((m for word in words if (m := mode(word))), None)
    label = ", ".join(word for word in words if mode(word) is None)
    entry = Entry(table, own, its_mode, ", ".join(words), label, {}, [])
    before: str | None = None
    for at, (cell, name) in enumerate(zip(row.cells, columns, strict=False)):
        values = figures_in(cell)
        if name == CHANGE:
            if before and len(values) == 1:
                entry.changes.append((before, Spot(row.line, at, values[0].start), values[0]))
            continue
        before = name or before
        if name and len(values) == 1:
            entry.figures.setdefault(name, (Spot(row.line, at, values[0].start), values[0]))
    return entry


def _alike(entry: Entry, others: Sequence[Entry]) -> Entry | None:
    """Another entry, whose text is known, with the same figures: they are of the same check."""
    for other in others:
        shared = [name for name in entry.figures if name in other.figures and name in (*_LOSSES, *_PERPLEXITY)]
        if other.split and shared and all(entry.figures[n][1].text == other.figures[n][1].text for n in shared):
            return other
    return None


# -- the checks


def check_measured(found: Sequence[Entry], evidence: Evidence, ledger: Ledger) -> None:
    """All figures of all checks."""
    for entry in found:
        for name in _LOSSES:
            if name in entry.figures:
                _loss(entry, name, evidence, ledger)
        for name in _PERPLEXITY:
            if name in entry.figures:
                _perplexity(entry, name, evidence, ledger)
        _pace(entry, evidence, ledger)
        for name, spot, figure in entry.changes:
            _change(entry, name, spot, figure, found, evidence, ledger)
    _differences(found, ledger)


def _loss(entry: Entry, name: str, evidence: Evidence, ledger: Ledger) -> None:
    spot, figure = entry.figures[name]
    values = evidence.losses(entry.split, entry.mode) if entry.split else []
    if any(figure.fits(value) for value, _ in values):
        ledger.right([spot])
    elif values:
        value, where = min(values, key=lambda one: abs(one[0] - figure.value))
        shown = like(figure, value)
        ledger.wrong(spot, "figure", f"loss of {entry.split}", shown, where, f"It is {shown}.")


def _perplexity(entry: Entry, name: str, evidence: Evidence, ledger: Ledger) -> None:
    spot, figure = entry.figures[name]
    known = evidence.ce(entry.split) if entry.split else None
    loss = entry.figures.get("eval_loss")
    if known is not None:
        ce, where = known
        truth = math.exp(min(ce, 700))
        if figure.fits(truth):
            ledger.right([spot])
            return
        shown = like(figure, truth)
        of_objective = [
            v for v, _ in evidence.losses(entry.split or "", entry.mode) if figure.fits(math.exp(min(v, 700)))
        ]
        why = f"exp(CE) is {shown}: CE is {ce:.6g}."
        kind, group = ("perplexity", "perplexity") if of_objective else ("figure", f"perplexity of {entry.split}")
        if of_objective:
            why += f" This one is the exponential of {of_objective[0]:.6g}, a loss with BCE’s term in it."
        ledger.wrong(spot, kind, group, shown, f"{where}, {entry.split}", why)  # type: ignore[arg-type]
        return
    if loss is not None and not ledger.is_wrong(loss[0]):
        low, high = math.exp(min(loss[1].low, 700)), math.exp(min(loss[1].high, 700))
        if figure.low <= high and low <= figure.high:
            ledger.right([spot])
            return
        shown = like(figure, math.exp(min(loss[1].value, 700)))
        why = f"The exponential of the loss beside it, {loss[1].text}, is {shown}."
        ledger.wrong(
            spot, "contradiction", f"perplexity on line {spot.line}", shown, "the report itself: its loss", why
        )


def _pace(entry: Entry, evidence: Evidence, ledger: Ledger) -> None:
    """Time and pace of a check against the files, or against how many examples there were."""
    mine = evidence.of(entry.split, entry.mode) if entry.split else []
    names = ("eval_runtime", *_PACES)
    for name in names:
        if name in entry.figures and any(name in one.values for one in mine):
            spot, figure = entry.figures[name]
            truths = [one.values[name] for one in mine if name in one.values]
            if any(map(figure.fits, truths)):
                ledger.right([spot])
            else:
                shown = like(figure, truths[0])
                ledger.wrong(spot, "figure", f"{name} of {entry.split}", shown, mine[0].source, f"It is {shown}.")
    samples = samples_of(entry.split, evidence) if entry.split else None
    if "eval_runtime" not in entry.figures or samples is None:
        return
    spot, time = entry.figures["eval_runtime"]
    batch = next(iter(evidence.log.facts.get("batch_size", ())), None) if evidence.log is not None else None
    for name, count in zip(_PACES, (samples, samples if batch == 1 else None), strict=True):
        if count is None or name not in entry.figures or ledger.seen(entry.figures[name][0]):
            continue
        at, pace = entry.figures[name]
        if time.low * pace.low <= count <= time.high * pace.high:
            ledger.right([at, spot])
            continue
        shown = like(pace, count / time.value) if time.value else ""
        what = "examples" if name == _PACES[0] else "batches"
        why = f"{count:,} {what} in {time.text} s are {shown} a second."
        ledger.wrong(at, "contradiction", f"pace of {entry.split}", shown, "the number of examples, and the time", why)


def samples_of(split: str, evidence: Evidence) -> int | None:
    """How many examples a text has, by whatever tells."""
    counted = [one.samples for one in evidence.of(split) if one.samples is not None]
    return counted[0] if counted else evidence.texts.get(split)


# -- differences


def _counterpart(entry: Entry, found: Sequence[Entry]) -> Entry | None:
    """The row with BCE counted, to which one without it is compared."""
    alike = (o for o in found if o.table is entry.table and (o.split, o.label) == (entry.split, entry.label))
    return next((one for one in alike if one.mode == "on"), None)


def _true(entry: Entry, name: str, evidence: Evidence) -> list[float]:
    """The values as they were measured, before one of them was rounded to this figure."""
    if name not in entry.figures or entry.split is None:
        return []
    _, figure = entry.figures[name]
    losses = [value for value, _ in evidence.losses(entry.split, entry.mode)]
    if name in _PERPLEXITY:
        losses = [math.exp(min(value, 700)) for value in losses]
    return [value for value in losses if figure.fits(value)]


def _change(
    entry: Entry, name: str, spot: Spot, figure: Figure, found: Sequence[Entry], evidence: Evidence, ledger: Ledger
) -> None:
    """A percentage or a difference against the row with BCE counted."""
    on = _counterpart(entry, found)
    if on is None or on is entry or name not in on.figures or name not in entry.figures:
        return
    a, b = on.figures[name][1], entry.figures[name][1]
    true_on, true_off = _true(on, name, evidence), _true(entry, name, evidence)
    rounded = _relative(b.value, a.value, figure)
    if rounded is None:
        return
    if true_on and true_off:
        truths = [_relative(off, on, figure) for on in true_on for off in true_off]
        if any(truth is not None and figure.fits(truth) for truth in truths):
            ledger.right([spot])
            return
        truth = truths[0]
        assert truth is not None
        shown = like(figure, truth)
        why = f"From the values as they were measured, {true_on[0]:.7g} and {true_off[0]:.7g}, it is {shown}."
        if figure.fits(rounded):
            why = f"{figure.text} comes from the rounded figures {a.text} and {b.text}. " + why
        source = f"{evidence.of(entry.split or '', 'on')[0].source}, {entry.split}"
        ledger.wrong(spot, "percentage" if figure.percent else "figure", f"change of {entry.split}", shown, source, why)
        return
    if ledger.is_wrong(on.figures[name][0]) or ledger.is_wrong(entry.figures[name][0]):
        return
    ends = [value for x in (a.low, a.high) for y in (b.low, b.high) if (value := _relative(y, x, figure)) is not None]
    if not ends or (figure.high >= min(ends) and figure.low <= max(ends)):
        return  # it may be so: the figures beside it are too coarse to tell
    shown = like(figure, rounded)
    why = f"From the figures beside it, {a.text} and {b.text}, it is {shown}."
    ledger.wrong(spot, "contradiction", f"change on line {spot.line}", shown, "the report itself", why)


def _relative(value: float, base: float, figure: Figure) -> float | None:
    """The change as the figure tells it: in per cent, or as a difference."""
    if not figure.percent:
        return value - base
    return 100 * (value / base - 1) if base > 0 else None


def _differences(found: Sequence[Entry], ledger: Ledger) -> None:
    """A row named difference below two rows: one less the other, whichever way round."""
    for entry in found:
        if quantity(entry.name) != CHANGE:
            continue
        pair = [one for one in found if one.table is entry.table and one is not entry and one.mode]
        if len(pair) != 2:
            continue
        for name, (spot, figure) in entry.figures.items():
            if not all(name in one.figures and not ledger.is_wrong(one.figures[name][0]) for one in pair):
                continue
            a, b = (one.figures[name][1] for one in pair)
            slack = a.slack + b.slack + figure.slack
            if any(abs(figure.value - sign * (a.value - b.value)) <= slack for sign in (1, -1)):
                ledger.right([spot])
            else:
                shown = like(figure, a.value - b.value)
                why = f"{a.text} less {b.text} is {shown}."
                ledger.wrong(spot, "contradiction", f"difference on line {spot.line}", shown, "the report itself", why)


_COUNT = re.compile(
    r"(?:\bfirst\s+)?(?<![\d.,])(\d{1,3}(?:,\d{3})+|\d+)\s+(?:non-empty\s+|held-out\s+|validation\s+|training\s+|clean\s+)*"
    r"(?:lines|samples|examples|documents|rows|texts)\b",
    re.IGNORECASE,
)


def counts_in(text: str) -> list[int]:
    """Where in a text numbers of lines stand: `first 400 non-empty lines`, `29 samples`."""
    return [found.start(1) for found in _COUNT.finditer(text)]


def check_count(spot: Spot, figure: Figure, split: str, evidence: Evidence, ledger: Ledger) -> None:
    """A number of lines against the time that they took, the files that count them, and the text itself."""
    timed = [one for one in evidence.of(split) if one.samples is not None]
    known = {one.samples for one in timed} | ({evidence.texts[split]} if split in evidence.texts else set())
    if not known:
        return
    if figure.value in known:
        ledger.right([spot])
        return
    if timed:
        one = timed[0]
        samples, runtime, pace = one.samples, one.values.get("eval_runtime"), one.values.get("eval_samples_per_second")
        why = f"It was {samples:,}."
        if runtime is not None and pace is not None:
            why = f"They took {runtime:.1f} s at {pace:.1f} per second, which is {samples:,}."
        ledger.wrong(spot, "count", f"lines of {split}", f"{samples:,}", f"{one.source}, {split}", why)
    else:
        lines = evidence.texts[split]
        ledger.wrong(spot, "count", f"lines of {split}", f"{lines:,}", split, f"The text has {lines:,}.")
