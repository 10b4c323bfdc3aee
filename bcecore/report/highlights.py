"""The schedule highlights of a run and its final snapshot: what was logged at the steps that matter. Pure.

A step that was not logged takes the nearest one that was, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bcecore.config import RunConfig
from bcecore.report.log_facts import Extent, rate_seen, weight_seen
from bcecore.report.logged import Logged, language_loss, training_steps
from bcecore.store.columns import Series, Steps

COLUMNS = ("epoch", "loss", "ce", "grad_norm", "learning_rate", "bce_weight", "bce_loss")
"""What is shown of each step."""

_ASKED = "Asked for"
_QUARTERS = ((1, "A quarter"), (2, "Half"), (3, "Three quarters"))


class Milestones(NamedTuple):
    """The steps at which a run's schedules turn. None where there is no such thing, or it is not known."""

    first: int
    last: int
    """The last logged step."""
    total: int
    """What the quarters are of: the last step of the run while it is going on, and of the log once it is over.

    Of a log from elsewhere: the last step of its run, where that is known.
    """
    rate_warmup: int | None = None
    """The step that ends the learning rate's warm-up."""
    weight_warmup: int | None = None
    """The step that ends the warm-up of the BCE weight."""
    boost_end: int | None = None
    """Where the boost of the BCE weight ends, or the run before it."""
    last_name: str = "Last step"
    """What the last logged step is to the run."""
    of_log: bool = False
    """Whether the quarters are only those of the log, because its run's length is not known."""


def milestones(
    logged: Logged,
    config: RunConfig | None,
    planned_steps: int | None = None,
    *,
    over: bool = True,
    extent: Extent | None = None,
) -> Milestones | None:
    """The milestones of a run: from its settings, or without them as its log shows them; None for an empty log.

    `planned_steps`: how long the run was meant to be, where that is known; `over`: nothing more will be logged;
    `extent`: how much of its run a log from elsewhere holds, instead of both.
    """
    steps = training_steps(logged)
    if not len(steps):
        return None
    first, last = int(steps[0]), int(steps[-1])
    total = last if over else max(last, planned_steps or 0)
    if config is None:
        return _seen_milestones(logged, first, last, extent or Extent(last, last, planned_steps, over))
    bce, warmup = config.bce, config.training.warmup_steps
    boosts = bce.enabled and bce.max_weight > 0
    return Milestones(
        first,
        last,
        total,
        warmup if warmup and config.training.lr_scheduler != "constant" else None,
        bce.warmup_steps if bce.enabled and bce.warmup_steps else None,
        min(bce.warmup_steps + bce.boost_span, total) if boosts else None,
        "Last step" if last == total else "Last step so far",
    )


def _seen_milestones(logged: Logged, first: int, last: int, extent: Extent) -> Milestones:
    rate = rate_seen(logged.series("learning_rate"), extent.planned or extent.reached)
    weight = weight_seen(logged.series("bce_weight"))
    end = None
    if weight is not None and weight.slope:
        # One that goes on where the log ends is ended by the run's end, and by nothing else.
        end = weight.boost_end if weight.boost_end is not None or not extent.ended else extent.reached
    total, name = extent.total, "Last step"
    if total is None or not extent.ended:
        name = "Last step of this log"
    elif last < total:
        name = "Last logged step"
    return Milestones(
        first,
        last,
        last if total is None else total,
        (rate.warmup_steps or None) if rate is not None else None,
        (weight.warmup_steps or None) if weight is not None else None,
        end,
        name,
        of_log=total is None,
    )


class Stage(NamedTuple):
    """A step that matters, and why."""

    step: int
    names: tuple[str, ...]


def stages(turns: Milestones, extra: Iterable[int] = ()) -> list[Stage]:
    """The steps to show, in order, those beyond the last logged one left out; `extra` are asked for by somebody.

    One row a step: where several reasons fall on one step, it has all their names.
    """
    named: list[tuple[int, str]] = [(turns.first, "First step")]
    if turns.rate_warmup is not None and turns.rate_warmup == turns.weight_warmup:
        named.append((turns.rate_warmup, "End of both warm-ups"))
    else:
        if turns.rate_warmup is not None:
            named.append((turns.rate_warmup, "End of the learning rate’s warm-up"))
        if turns.weight_warmup is not None:
            named.append((turns.weight_warmup, "End of BCE’s warm-up"))
    of_what = " of this log" if turns.of_log else ""
    named += [(round(turns.total * quarter / 4), f"{name}{of_what}") for quarter, name in _QUARTERS]
    if turns.boost_end is not None:
        begin = turns.weight_warmup or 0
        named.append(((begin + turns.boost_end) // 2, "Middle of BCE’s boost"))
    named.append((turns.last, turns.last_name))
    named += [(step, _ASKED) for step in extra]
    found: dict[int, list[str]] = {}
    for step, name in named:
        if turns.first <= step <= turns.last:
            found.setdefault(step, []).append(name)
    return [Stage(step, tuple(dict.fromkeys(found[step]))) for step in sorted(found)]


@dataclass(frozen=True)
class Highlight:
    """One row of the highlights."""

    names: tuple[str, ...]
    asked: int
    """The step that is meant."""
    step: int
    """The step that is shown: the nearest logged one."""
    values: dict[str, float]
    """What was logged there, by the keys of COLUMNS; one that was not is left out, one that is not finite is there."""

    @property
    def stage(self) -> str:
        """Its names, and what is to be known of its step."""
        words = " · ".join(self.names)
        return words if self.step == self.asked else f"{words} (step {self.asked:,} was not logged; the nearest is)"


def highlights(logged: Logged, turns: Milestones, extra: Iterable[int] = ()) -> list[Highlight]:
    """The rows of the highlights. A step in `extra` beyond the log is left out."""
    steps = training_steps(logged)
    columns = shown_columns(logged)
    rows: list[Highlight] = []
    for stage in stages(turns, extra):
        step = nearest(steps, stage.step)
        values = {key: value for key, series in columns.items() if (value := value_at(series, step)) is not None}
        if rows and rows[-1].step == step and _ASKED not in stage.names:
            continue  # a coarse log: the row before shows this step already
        rows.append(Highlight(stage.names, stage.step, step, values))
    return rows


def shown_columns(logged: Logged) -> dict[str, Series]:
    """The columns that this log has something for; CE is worked out where it can be."""
    found = {key: language_loss(logged).series if key == "ce" else logged.series(key) for key in COLUMNS}
    return {key: series for key, series in found.items() if len(series)}


def nearest(steps: Steps, wanted: int) -> int:
    """The one of these ascending steps that is nearest to `wanted`; the earlier of two that are as near."""
    place = int(np.searchsorted(steps, wanted))
    around = [int(steps[i]) for i in (place - 1, place) if 0 <= i < len(steps)]
    return min(around, key=lambda step: (abs(step - wanted), step))


def value_at(series: Series, step: int) -> float | None:
    """The value logged at a step; None if there was none."""
    place = int(np.searchsorted(series.steps, step))
    return float(series.values[place]) if place < len(series) and series.steps[place] == step else None


_SNAPSHOT_LAST = ("eval_loss", "eval_perplexity", "tokens")


@dataclass(frozen=True)
class Snapshot:
    """The values at a run's last logged step."""

    step: int
    values: dict[str, float]
    """By key, in the order of the report's table."""


def snapshot(logged: Logged) -> Snapshot | None:
    """The final snapshot; None for an empty log."""
    steps = training_steps(logged)
    if not len(steps):
        return None
    step = int(steps[-1])
    columns = shown_columns(logged) | {key: logged.series(key) for key in ("bce_term", *_SNAPSHOT_LAST)}
    values = {key: value for key, series in columns.items() if (value := value_at(series, step)) is not None}
    return Snapshot(step, values)
