"""Which checkpoint of a run to keep, from what was logged, and why; or that nothing logged can tell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bcecore.findings.finding import Finding
from bcecore.report.comparability import Side
from bcecore.report.comparison import best_of, figure, small
from bcecore.report.metrics import metric
from bcecore.report.summary import At

_HELD_OUT = "eval_loss"


@dataclass(frozen=True)
class Advice:
    """Which step to keep, and the reason in a sentence or two."""

    step: int | None
    """None where nothing logged can tell."""
    reason: str


def which_to_keep(side: Side, saved: Sequence[int]) -> Advice:
    """The saved checkpoint with the lowest loss of a check; of a run without checkpoints, the step that had it.

    Of our own runs that loss is held-out CE.
    `saved` are the steps of the whole checkpoints.
    """
    cannot = _nothing_can_tell(side)
    if cannot is not None:
        return Advice(None, cannot)
    series = side.series(_HELD_OUT)
    best = best_of(series, metric(_HELD_OUT))
    if best is None:
        return Advice(None, "No check gave a finite number, so nothing logged can tell.")
    checked = series.at(np.isin(series.steps, np.asarray(saved, dtype=np.int64)))
    kept = best_of(checked, metric(_HELD_OUT)) if saved else best
    if kept is None:
        return Advice(
            None,
            f"{_check_name(side)} was lowest at step {best.step:,} ({figure(best.value)}), but no saved checkpoint was "
            "checked at its own step, so nothing logged can tell which of them to keep.",
        )
    return Advice(
        kept.step, _reason(kept, best, At(float(series.values[-1]), int(series.steps[-1])), bool(saved), side)
    )


def within(advice: Advice, findings: Sequence[Finding]) -> Advice:
    """The advice as far as findings about the run allow it: none where one blocks.

    A loss that stopped being a number blocks only what came after: the steps before are as good as they were.
    """
    if advice.step is None:
        return advice
    for finding in findings:
        came_later = finding.id == "non-finite" and finding.numbers.get("first_step", 0) > advice.step
        if finding.blocks and not came_later:
            return Advice(None, f"Nothing logged can tell. {finding.sentence} {finding.what_to_do}")
    return advice


def _check_name(side: Side) -> str:
    return "Held-out CE" if side.origin == "ours" else "Loss of the check"


def _nothing_can_tell(side: Side) -> str | None:
    config = side.config
    probe = side.record.facts.get("leak_probe")
    if probe is not None and probe["leaks"]:
        return (
            "Nothing logged can tell: this model sees the words that it has to predict, so a low loss says nothing "
            "about what it learnt."
        )
    if config is not None and config.data.validation == "first_rows_of_training":
        return (
            "Nothing logged can tell: the model was checked on lines that it also learns from, which shows memory and "
            "not learning."
        )
    if not len(side.series(_HELD_OUT)):
        if side.origin != "ours":
            return "Nothing logged can tell: the log has no loss of a check (eval_loss)."
        return (
            "Nothing logged can tell: the model was not checked on held-out text. CE while learning also falls when a "
            "model learns by heart."
        )
    return None


def _reason(kept: At, best: At, last: At, is_saved: bool, side: Side) -> str:
    of_what = "the saved checkpoints" if is_saved else "all checks"
    name = _check_name(side)
    words = f"Its {name[:1].lower()}{name[1:]} of {figure(kept.value)} is the lowest of {of_what}"
    if kept.step == last.step:
        words += ", and it is the last check."
    elif not np.isfinite(last.value):
        words += f"; at the last check, step {last.step:,}, it was not finite."
    elif last.value >= kept.value:
        words += f": {small(last.value - kept.value)} lower than at the last check, step {last.step:,}."
    else:
        words += "."
    if best.step != kept.step:
        words += f" It was lower still at step {best.step:,} ({figure(best.value)}), which was not saved."
    if side.config is None:
        words += " Whether the model never learnt from that text, its log does not say."
    return words
