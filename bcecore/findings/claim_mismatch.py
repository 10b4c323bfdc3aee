"""claim-mismatch (W): a written report says what its log, its files or its own other figures do not. Pure.

A figure is wrong if no value that may be meant rounds to it at the digits to which it is printed. What the words around
a figure leave open is not guessed at: it is counted as unchecked, and the count is told with what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bcecore.findings.finding import Finding, counted, listed
from bcecore.findings.written.ledger import Check, Mismatch

_FEWEST = 10
_MOST_SHOWN = 8

_WHAT_TO_DO = "Put the true figure in, or say from which other record the figure was taken."
_OF_KIND = {
    "perplexity": "Give exp(CE) as perplexity: one taken from a loss with BCE’s term in it moves with the weight.",
    "percentage": "Work percentages out from the values in the files, and round last.",
    "weight": "Score again with weight 0 at every step before calling it off.",
    "contradiction": "Find out which of the two figures is right, and correct the other.",
}


def claim_mismatch(subject: str, report: str, check: Check) -> list[Finding]:
    """What is wrong with a report: one finding for each row or statement.

    If most of the figures that could be checked are wrong, there is one for all of them: then it is likely to be the
    report of another run.
    """
    wrong = sum(len(group) for group in check.groups.values())
    if check.checked >= _FEWEST and 2 * wrong > check.checked:
        return [_another_run(subject, report, check, wrong)]
    return [_of_group(subject, report, group, check) for group in check.groups.values()]


def _of_group(subject: str, report: str, group: Sequence[Mismatch], check: Check) -> Finding:
    first = group[0]
    return Finding(
        id="claim-mismatch",
        severity="W",
        subject=subject,
        numbers=_numbers(report, first.kind, group, check),
        sentence=f"{report}, {_lines(group)}: {_sentence(group)}",
        what_to_do=_OF_KIND.get(first.kind, _WHAT_TO_DO),
        steps=_steps(first),
    )


def _numbers(report: str, kind: str, group: Sequence[Mismatch], check: Check) -> dict[str, Any]:
    return {
        "report": report,
        "kind": kind,
        "wrong": [
            {
                "line": one.place.line,
                "section": one.place.section,
                "row": one.place.row,
                "column": one.place.column,
                "claimed": one.claimed,
                "true": one.true,
                "source": one.source,
            }
            for one in group
        ],
        "checked": check.checked,
        "figures": check.figures,
    }


def _lines(group: Sequence[Mismatch]) -> str:
    lines = [f"{line:,}" for line in sorted({one.place.line for one in group})]
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {listed(lines)}"


def _sentence(group: Sequence[Mismatch]) -> str:
    first = group[0]
    match first.kind:
        case "row" if len(group) > 1 or first.place.column:
            step = _steps(first)
            where = f"step {step[0]:,}" if step else f"“{first.place.row}”"
            if len(group) == 1 and first.claimed.replace(",", "") == str(step[0] if step else ""):
                return first.why
            told = [f"{one.place.column} is given as {one.claimed} (it was {one.true})" for one in group[:_MOST_SHOWN]]
            return f"the row for {where} does not match the log’s record of that step: {listed(told)}."
        case "perplexity":
            pairs = dict.fromkeys(f"{one.claimed} has to be {one.true}" for one in group)
            return f"{_perplexities(len(pairs))} of a loss with BCE’s term in it, not of CE: {listed(list(pairs))}."
        case "percentage" | "weight" | "contradiction":
            return first.why
        case _:
            claims = " and ".join(dict.fromkeys(one.claimed for one in group[:_MOST_SHOWN]))
            return f"it says {claims}. {first.why}"


def _perplexities(number: int) -> str:
    return "a perplexity is the exponential" if number == 1 else f"{number} perplexities are the exponentials"


def _steps(first: Mismatch) -> tuple[int, ...]:
    """The step that a row is about, for the charts."""
    head, _, step = first.group.rpartition(" ")
    return (int(step),) if head in ("row of step", "step") and step.isdigit() and int(step) else ()


def _another_run(subject: str, report: str, check: Check, wrong: int) -> Finding:
    return Finding(
        id="claim-mismatch",
        severity="W",
        subject=subject,
        numbers=_numbers(report, "most", check.mismatches, check),
        sentence=(
            f"{report}: {wrong:,} of the {counted(check.checked, 'figure')} that could be checked are wrong. Either it "
            "is the report of another run, or it was not written from this one’s files."
        ),
        what_to_do="Make sure that the report and the log belong together; then see the figures one by one.",
    )
