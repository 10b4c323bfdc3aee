"""Observations on a run as its report has them: sentences written by rules, each with its figures. Pure.

A sentence is written only where its figures are there and say so; nothing here judges what the log cannot show
(`report.limits`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bcecore.config import RunConfig
from bcecore.report.logged import LanguageLoss, Logged, bce_term, check_losses, language_loss, written
from bcecore.report.metrics import metric, origin_of
from bcecore.report.throughput import Throughput
from bcecore.report.words import count, number, percent
from bcecore.store.columns import Series, Values
from bcecore.store.objective import has_bce

SEED_RANGE = (-0.465570, -0.421126)
"""All values that R can have in the seed profile, unless its scale, limits or gain were changed."""

_ROUNDING = 1e-5
_FEWEST = 10
# The values of single steps jump; a mean over this many does not, nor over a tenth of a short run, or some.
_WINDOW = 100
_SMALLEST_WINDOW = 3
# What a change must be, as a share of what it was, to be called one.
_CHANGED = 0.05


@dataclass(frozen=True)
class Observation:
    """One sentence about a run, or a few, and its figures."""

    key: str
    text: str
    figures: dict[str, float]


class Observed(NamedTuple):
    """What the rules look at."""

    logged: Logged
    config: RunConfig | None
    pace: Throughput
    over: bool
    part: bool
    ce: LanguageLoss
    term: Series


def observations(
    logged: Logged, config: RunConfig | None, pace: Throughput, *, over: bool, part: bool = False
) -> list[Observation]:
    """What there is to say of a run, in the order of the report.

    `over`: nothing more will be logged; `part`: the log may end before its run did.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a log may have values near the largest number there is
        seen = Observed(logged, config, pace, over, part, language_loss(logged), bce_term(logged))
        found = [rule(seen) for rule in _RULES]
    return [observation for observation in found if observation is not None]


def _mean(values: Values) -> float:
    """The mean, also of values whose sum is beyond the largest number."""
    scale = _scale(values)
    return float((values / scale).mean()) * scale


def _spread(values: Values) -> float:
    """The standard deviation, likewise."""
    scale = _scale(values)
    return float((values / scale).std()) * scale


def _scale(values: Values) -> float:
    return max(1.0, float(np.abs(values).max()))


def _ends(series: Series) -> tuple[float, float, int]:
    """The means of the first and the last finite values, and of how many each is."""
    values = series.values[np.isfinite(series.values)]
    window = max(_SMALLEST_WINDOW, min(_WINDOW, len(values) // 10))
    return _mean(values[:window]), _mean(values[-window:]), window


def _is_level(early: float, late: float) -> bool:
    return abs(late - early) <= _CHANGED * max(abs(early), abs(late))


def _is_lost_in_jumps(series: Series, early: float, late: float, window: int) -> bool:
    """Whether two means differ by no more than means of so many values do by chance."""
    jumps = _spread(series.values) / window**0.5
    return bool(abs(late - early) <= 2 * jumps)


def _run(seen: Observed) -> str:
    """What the logged values are of."""
    return "this log" if seen.part else "the run"


def _finite(series: Series) -> Series:
    return series.at(np.isfinite(series.values))


def _loss(seen: Observed) -> Observation | None:
    series = _finite(seen.logged.series("loss"))
    if len(series) < _FEWEST:
        return None
    first, last, mean = float(series.values[0]), float(series.values[-1]), _mean(series.values)
    early, late, window = _ends(series)
    verb = "fell" if late < early else "rose"
    if _is_level(early, late) or _is_lost_in_jumps(series, early, late, window):
        verb = f"hardly changed over {_run(seen)}"
    # The verb is that of the means. Single steps jump, and may go the other way.
    text = (
        f"The loss {verb}: the mean of its first {window:,} values is {written('loss', early)}, of its last {window:,} "
        f"{written('loss', late)}. At step {series.steps[0]:,} alone it was {written('loss', first)}, at step "
        f"{series.steps[-1]:,}{_epoch(series)} {written('loss', last)}."
    )
    figures = {"first": first, "last": last, "mean": mean, "mean_of_first": early, "mean_of_last": late}
    if mean > late + _CHANGED * abs(late):
        text += (
            f" The mean over {_run(seen)}, {written('loss', mean)}, is higher than that of its last values because it "
            "counts all the steps before them too."
        )
    return Observation("loss", text, figures)


def _epoch(series: Series) -> str:
    epoch = float(series.epochs[-1])
    return f" (epoch {epoch:.1f})" if np.isfinite(epoch) else ""


def _share_of_the_drop(seen: Observed) -> Observation | None:
    """How much of the fall of the objective is BCE's own term."""
    loss, term = _finite(seen.logged.series("loss")), _finite(seen.term)
    if len(loss) < _FEWEST or len(term) < _FEWEST or not term.values.any():
        return None
    early, late, window = _ends(loss)
    term_early, term_late, _ = _ends(term)
    ce = _finite(seen.ce.series)
    drop, of_term = early - late, term_early - term_late
    last = float(term.values[-1])
    figures = {"term_last": last, "drop": drop, "drop_of_term": of_term}
    text = f"BCE’s own term is part of the loss: at step {term.steps[-1]:,} it is {written('loss', last)}"
    if len(ce) and ce.steps[-1] == term.steps[-1]:
        ce_last = float(ce.values[-1])
        share = abs(last) / (abs(ce_last) + abs(last)) if ce_last or last else 0.0
        figures |= {"ce_last": ce_last, "share": share}
        text += f", beside a CE of {written('ce', ce_last)} ({percent(share)} of the two together, by size)"
    text += "."
    if drop > 0 and of_term > 0:
        text += (
            f" Of the fall by {written('loss', drop)} (means of the first and last {count(window, 'value')}), "
            f"{written('loss', of_term)} ({percent(of_term / drop)}) is that term growing, and not learning."
        )
    lowest = int(np.argmin(loss.values))
    if loss.values[lowest] < 0:
        figures["lowest_loss"] = float(loss.values[lowest])
        text += (
            f" At step {loss.steps[lowest]:,} the loss is {written('loss', float(loss.values[lowest]))}: a CE is never "
            "below 0."
        )
    return Observation("share", text, figures)


def _gradient_norm(seen: Observed) -> Observation | None:
    series = _finite(seen.logged.series("grad_norm"))
    if len(series) < _FEWEST:
        return None
    first, last = float(series.values[0]), float(series.values[-1])
    early, late, window = _ends(series)
    top = int(np.argmax(series.values))
    highest = float(series.values[top])
    verb = "cooled" if late < early else "rose"
    if _is_level(early, late):
        verb = "stayed level"
    elif _is_lost_in_jumps(series, early, late, window):
        verb = "jumps from step to step more than it changed"
    text = (
        f"The gradient norm {verb}: the mean of its first {window:,} values is {number(early)}, of its last {window:,} "
        f"{number(late)}. At step {series.steps[0]:,} alone it was {number(first)}, at step {series.steps[-1]:,} "
        f"{number(last)}; its highest was {number(highest)} at step {series.steps[top]:,}."
    )
    figures = {"first": first, "last": last, "mean_of_first": early, "mean_of_last": late, "highest": highest}
    return Observation("grad_norm", text, figures)


def _bce_weight(seen: Observed) -> Observation | None:
    series = _finite(seen.logged.series("bce_weight"))
    if len(series) < 2:
        return None
    first, last = float(series.values[0]), float(series.values[-1])
    figures = {"first": first, "last": last}
    if not series.values.any():
        return Observation("bce_weight", "The BCE weight was 0 at every logged step: ordinary training.", figures)
    rises = np.diff(series.values)
    # Of the logged steps in a row: across a gap it rises by more.
    rates = rises / np.diff(series.steps)
    steepest = float(np.abs(rates).max())
    figures["steepest"] = steepest
    if (rises >= -_ROUNDING * last).all() and rises.any():
        text = (
            f"The BCE weight rose from {written('bce_weight', first)} to {written('bce_weight', last)} and never fell, "
            f"by {written('bce_weight', float(f'{steepest:.3g}'))} a step at most."
        )
    elif not rises.any():
        text = f"The BCE weight was {written('bce_weight', last)} at every logged step."
    else:
        drop = int(np.argmin(rises))
        text = (
            f"The BCE weight went from {written('bce_weight', first)} to {written('bce_weight', last)}, and fell at "
            f"step {series.steps[drop + 1]:,}, which a schedule of this product never does."
        )
    return Observation("bce_weight", text, figures)


def _bce_loss(seen: Observed) -> Observation | None:
    series = _finite(seen.logged.series("bce_loss"))
    if len(series) < 2 or not has_bce(seen.logged.keys):
        return None
    low, high = float(series.values.min()), float(series.values.max())
    text = (
        f"The BCE loss stayed between {written('bce_loss', low)} and {written('bce_loss', high)} in all "
        f"{count(len(series), 'logged value')}."
    )
    if low == high:
        text = f"The BCE loss was {written('bce_loss', low)} in all {count(len(series), 'logged value')}."
    if (seen.config is None or seen.config.bce.profile == "seed") and within_seed_range(series):
        text += (
            f" All lie where the seed profile’s values can lie, {SEED_RANGE[0]:.6f} to {SEED_RANGE[1]:.6f}: ninety per "
            "cent of that is constant."
        )
    return Observation("bce_loss", text, {"lowest": low, "highest": high, "last": float(series.values[-1])})


def within_seed_range(series: Series) -> bool:
    """Whether all of the BCE losses could come from the seed profile."""
    values = series.values[np.isfinite(series.values)]
    low, high = SEED_RANGE
    return bool(len(values)) and bool(((values >= low - _ROUNDING) & (values <= high + _ROUNDING)).all())


def _bce_gradient(seen: Observed) -> Observation | None:
    series = _finite(seen.logged.series("bce_grad_ratio"))
    if not len(series):
        return None
    low, high, last = float(series.values.min()), float(series.values.max()), float(series.values[-1])
    figures = {"lowest": low, "highest": high, "last": last, "measured": float(len(series))}
    times = f"Measured at {count(len(series), 'step')}"
    if high == 0:
        text = f"{times}, BCE added exactly 0 to the gradient: it changed the logged loss, not what the model learnt."
    else:
        text = (
            f"{times}, BCE’s gradient was between {percent(low)} and {percent(high)} of the language loss’s, "
            f"{percent(last)} at the last."
        )
    return Observation("bce_gradient", text, figures)


def _throughput(seen: Observed) -> Observation | None:
    pace = seen.pace
    if pace.steady is None or pace.slowest is None or pace.fastest is None:
        return None
    span = f"between {number(pace.slowest)} and {number(pace.fastest)} steps/s in the tenths of {_run(seen)}"
    text = f"The pace was steady: {span}." if pace.steady else f"The pace varied: {span}."
    return Observation("throughput", text, {"slowest": pace.slowest, "fastest": pace.fastest})


def _held_out(seen: Observed) -> Observation | None:
    key = next(iter(check_losses(seen.logged)), None)
    if key is None:
        return None
    series = _finite(seen.logged.series(key))
    if len(series) < 2:
        return None
    name = check_name(key, seen.config)
    best = int(np.argmin(series.values))
    lowest, last = float(series.values[best]), float(series.values[-1])
    figures = {"best": lowest, "best_step": float(series.steps[best]), "last": last}
    at = f"{name} was best at step {series.steps[best]:,} ({written(key, lowest)})"
    if best == len(series) - 1:
        ended = "at the end of this log" if seen.part else "when the run ended" if seen.over else "so far"
        text = f"{at}, the last of {count(len(series), 'check')}: it was still falling {ended}."
    else:
        after = len(series) - 1 - best
        text = f"{at} and has risen since, to {written(key, last)} {count(after, 'check')} later, at step "
        text += f"{series.steps[-1]:,}."
        if last <= lowest * (1 + 0.005):
            text = f"{at} and about level since: {written(key, last)} at step {series.steps[-1]:,}."
    return Observation("held_out", text, figures)


def check_name(key: str, config: RunConfig | None) -> str:
    """What a check's loss is: held-out CE only where the text is known to be held out."""
    if config is None:
        return f"The loss of the check ({key})"
    if key != "eval_loss":
        return f"The {metric(key).name}"
    return "Held-out CE" if config.data.holds_out else "CE on the training lines that were re-used for checking"


def _non_finite(seen: Observed) -> Observation | None:
    counts, places = {}, []
    total = 0
    origin = origin_of(seen.logged.keys, ours=seen.config is not None)
    for key in ("loss", "ce", "grad_norm", *check_losses(seen.logged)):
        series = seen.logged.series(key)
        total += len(series)
        wrong = series.at(~np.isfinite(series.values))
        if len(wrong):
            counts[key] = float(len(wrong))
            places.append(f"{metric(key, origin).name}: {count(len(wrong), 'value')}, first at step {wrong.steps[0]:,}")
    if not total:
        return None
    if not counts:
        return Observation("non_finite", "Every logged loss and gradient norm is a finite number.", {"non_finite": 0})
    return Observation("non_finite", f"Some values are not finite numbers. {'; '.join(places)}.", counts)


_RULES: tuple[Callable[[Observed], Observation | None], ...] = (
    _loss,
    _share_of_the_drop,
    _held_out,
    _gradient_norm,
    _bce_weight,
    _bce_loss,
    _bce_gradient,
    _throughput,
    _non_finite,
)
