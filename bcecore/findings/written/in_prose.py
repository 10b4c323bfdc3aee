"""Figures in sentences, as far as the words around them leave no doubt about what they are. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from bcecore.findings.written.against_measured import check_count, counts_in
from bcecore.findings.written.document import Passage
from bcecore.findings.written.evidence import Evidence, RunLog
from bcecore.findings.written.figures import Figure, figures_in
from bcecore.findings.written.ledger import Ledger, Spot, like
from bcecore.findings.written.words import is_of_a_check, plain_words, quantity, split_named

PROSE_CELL = -1
"""Stands for the cell of a figure in running text."""

_ENDS = 0.05
"""What share of a run is its start, and its end, where somebody says "from … to …" of it."""
_CLAUSE = re.compile(r"(?<=[;:])\s|(?<=[.!?])\s+(?=[A-Z“\"(])")
_TERMS = re.compile(
    r"bce(?:’s own| effective| eff\.?)?\s+(?:weight|loss|term)|gradient norms?|grad norms?|learning rate|\blr\b"
    r"|held-out ce|perplexity|\bppl\b|\bce\b|\bloss\b",
    re.IGNORECASE,
)
_MEAN_OF_RUN = re.compile(r"(?:mean over the run|aggregate[^.;]*?)[\s,(]*$", re.IGNORECASE)
_PER_SECOND = re.compile(r"\s*(?:steps\s*/\s*s|steps per second|it/s)", re.IGNORECASE)
_OF_ANOTHER = re.compile(r"\b(?:compared|versus|vs|than|previous|baseline|earlier run|other run)\b", re.IGNORECASE)
_WHEN = re.compile(r"\s*when\s+(on|off)\b", re.IGNORECASE)


def check_passage(passage: Passage, evidence: Evidence, ledger: Ledger) -> None:
    """Every figure of a line that says what it is."""
    figures = figures_in(passage.text)
    split = split_named(passage.text.partition(":")[0], evidence.splits) or split_named(passage.text, evidence.splits)
    counts = counts_in(passage.text)
    for figure in figures:
        if split is not None and figure.start in counts:
            check_count(_spot(passage, figure), figure, split, evidence, ledger)
    _weights(passage, figures, evidence, ledger)
    if evidence.log is not None and not is_of_a_check(passage.title):
        _of_the_run(passage, figures, evidence.log, ledger)
    _of_a_split(passage, figures, split, evidence, ledger)


def _spot(passage: Passage, figure: Figure) -> Spot:
    return Spot(passage.line, PROSE_CELL, figure.start)


# -- the weight with BCE off


def _weights(passage: Passage, figures: Sequence[Figure], evidence: Evidence, ledger: Ledger) -> None:
    """`0.44 when on, 0.40 when off`: off is weight 0, and nothing else is."""
    if "weight" not in passage.text.casefold():
        return
    known = {
        mode: {
            one.values["weight"]: one.source for one in evidence.measured if one.mode == mode and "weight" in one.values
        }
        for mode in ("on", "off")
    }
    for figure in figures:
        when = _WHEN.match(passage.text[figure.end :])
        if when is None:
            continue
        mode = when[1].casefold()
        spot = _spot(passage, figure)
        if mode == "off" and figure.value != 0:
            source = next(iter(known["off"].values()), "the report itself")
            why = f"BCE is called off, but its weight was {figure.text.lstrip('~')}: it was not off."
            ledger.wrong(spot, "weight", "off was not off", "0", source, why)
        elif any(map(figure.fits, known[mode])) or (mode == "off" and not known["off"]):
            ledger.right([spot])
        elif known[mode]:
            value, source = next(iter(known[mode].items()))
            shown = like(figure, value)
            ledger.wrong(spot, "figure", f"weight {mode}", shown, source, f"It is {shown}.")


# -- the course of a run


def _of_the_run(passage: Passage, figures: Sequence[Figure], log: RunLog, ledger: Ledger) -> None:
    text = passage.text
    begin = 0
    bounds = [*(found.end() for found in _CLAUSE.finditer(text)), len(text)]
    for end in bounds:
        inside = [figure for figure in figures if begin <= figure.start < end]
        _from_to(passage, text[begin:end], begin, inside, log, ledger)
        begin = end
    for place, figure in enumerate(figures):
        before = text[: figure.start].rstrip("~ ")
        if _MEAN_OF_RUN.search(before):
            values = log.series("loss").values
            _one_of(passage, figure, [float(np.nanmean(values))] if len(values) else [], "mean loss", log, ledger)
        elif _PER_SECOND.match(text[figure.end :]):
            known = log.facts.get("steps_per_second", ())
            if any(map(figure.fits, known)):
                ledger.right([_spot(passage, figure)])
        elif place and _is_step(text, figures[place - 1]):
            _at_step(passage, figures[place - 1], figure, log, ledger)


def _is_step(text: str, figure: Figure) -> bool:
    return bool(re.search(r"\bat step\s$", text[: figure.start])) and figure.value == int(figure.value)


def _at_step(passage: Passage, step: Figure, figure: Figure, log: RunLog, ledger: Ledger) -> None:
    """`at step 2,000 (epoch 10) 0.4224`: the value of one of the quantities that the sentences speak of."""
    text = passage.text
    between = text[step.end : figure.start]
    if not re.fullmatch(r"(?: alone)?(?:\s(?:it|the loss|this) (?:is|was))?\s\(?", between):
        return
    named = {quantity(found[0]) for found in _TERMS.finditer(text)}
    named |= {"eval_loss"} if "held-out" in text.casefold() else set()
    keys = [key for key in sorted(filter(None, named)) if log.at(key, int(step.value))]
    truths = [value for key in keys for value in log.at(key, int(step.value))]
    if any(map(figure.fits, truths)):
        ledger.right([_spot(passage, step), _spot(passage, figure)])
    elif len(keys) == 1:
        shown = like(figure, truths[0])
        source = f"{log.source}, step {int(step.value):,}"
        group = f"line {passage.line}, step {int(step.value)}"
        ledger.wrong(_spot(passage, figure), "figure", group, shown, source, f"At that step it was {shown}.")


def _from_to(passage: Passage, clause: str, begin: int, figures: Sequence[Figure], log: RunLog, ledger: Ledger) -> None:
    """`dropped from ~10.8 at start to ~0.42 by epoch 10`: the first and the last values of what is named before."""
    found = re.search(r"\bfrom\s+[~≈]?\s?(?=[-−\d])", clause)
    named = [one[0] for one in _TERMS.finditer(clause[: found.start()])] if found else []
    key = quantity(named[0]) if named else None
    if found is None or key is None or _OF_ANOTHER.search(clause):
        return
    start = next((one for one in figures if one.start >= begin + found.end() - 1), None)
    series = log.series(key)
    values = series.values[np.isfinite(series.values)]
    if start is None or not len(values):
        return
    few = max(1, round(_ENDS * len(values)))
    _between(passage, start, values[:few], float(values[0]), "at the start", log, ledger)
    rest = passage.text[start.end :]
    to = re.match(r"[^.;\d]{0,24}\bto\s+[~≈]?\s?(?=[-−\d])", rest)
    if to is None:
        return
    after = next((one for one in figures if one.start >= start.end + to.end() - 1), None)
    if after is not None:
        _between(passage, after, values[-few:], float(values[-1]), "at the end", log, ledger)


def _between(
    passage: Passage, figure: Figure, values: np.ndarray, truth: float, when: str, log: RunLog, ledger: Ledger
) -> None:
    """Somebody who says "from … to …" may mean single values or smoothed ones: anything that occurs there is right."""
    spot = _spot(passage, figure)
    if figure.fits(truth) or values.min() - figure.slack <= figure.value <= values.max() + figure.slack:
        ledger.right([spot])
        return
    shown = like(figure, truth)
    group = f"line {passage.line} {when}"
    ledger.wrong(spot, "figure", group, shown, log.source, f"The log has {shown} {when}.")


def _one_of(passage: Passage, figure: Figure, truths: Sequence[float], what: str, log: RunLog, ledger: Ledger) -> None:
    spot = _spot(passage, figure)
    if any(map(figure.fits, truths)):
        ledger.right([spot])
    elif truths:
        shown = like(figure, truths[0])
        ledger.wrong(spot, "figure", f"{what}, line {passage.line}", shown, log.source, f"The {what} is {shown}.")


# -- what was measured on a text


def _of_a_split(
    passage: Passage, figures: Sequence[Figure], split: str | None, evidence: Evidence, ledger: Ledger
) -> None:
    """`mean 0.0583, PPL 1.0600`, `mean_total: on -0.1453, off -0.1268`, `CE 0.0303` of a text that the line names."""
    measured = evidence.of(split) if split else list(evidence.measured)
    if not measured:
        return
    ce = [v for one in measured for v in (*(one.values[k] for k in ("ce",) if k in one.values), *one.more_ce)]
    for figure in figures:
        spot = _spot(passage, figure)
        if ledger.seen(spot):
            continue
        lead = passage.text[: figure.start].rstrip(" ~≈:=")
        words = plain_words(lead).split()[-2:]
        last = words[-1] if words else ""
        if split and last in ("ppl", "perplexity") and (known := evidence.ce(split)):
            _measured(passage, figure, [float(np.exp(known[0]))], f"exp(CE) on {split}", known[1], ledger)
        elif last == "mean" or words == ["mean", "ce"]:
            if split:
                _measured(passage, figure, ce, f"mean CE on {split}", measured[0].source, ledger)
        elif last in ("on", "off") and "total" in lead:
            totals = [one.values["objective"] for one in measured if one.mode == last and "objective" in one.values]
            if split:
                _measured(passage, figure, totals, f"mean total with BCE {last} on {split}", measured[0].source, ledger)
        elif last == "ce":
            _if_any(figure, ce, spot, ledger)
        elif last in ("len", "length"):
            _if_any(figure, [length for one in measured for length in one.lengths], spot, ledger)
        elif split and passage.text[figure.end :].lstrip().startswith("absolute"):
            both = {one.mode: one.values["objective"] for one in measured if "objective" in one.values}
            if "on" in both and "off" in both:
                _if_any(figure, [abs(both["on"] - both["off"])], spot, ledger)


def _if_any(figure: Figure, truths: Sequence[float], spot: Spot, ledger: Ledger) -> None:
    """Right if a file has it; if none has, nobody knows: files show a few examples only."""
    if any(map(figure.fits, truths)):
        ledger.right([spot])


def _measured(
    passage: Passage, figure: Figure, truths: Sequence[float], what: str, source: str, ledger: Ledger
) -> None:
    spot = _spot(passage, figure)
    if any(map(figure.fits, truths)):
        ledger.right([spot])
    elif truths:
        shown = like(figure, truths[0])
        ledger.wrong(spot, "figure", f"{what}, line {passage.line}", shown, source, f"The {what} is {shown}.")
