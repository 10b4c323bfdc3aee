"""What a written report is held against: a run's log, figures that were measured, texts. Pure data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from bcecore.store.columns import Series
from bcecore.store.objective import Log, worked_out_ce


class Logged(Log, Protocol):
    """The logged values of a run: `store.history.History`, or `store.columns.Columns`."""

    def series(self, key: str) -> Series:
        """The steps at which a key was logged, and what."""


@dataclass(frozen=True)
class RunLog:
    """A run's log and what is known of the run besides."""

    source: str
    """The file or run that it is: what a mismatch names."""
    values: Logged
    borne: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """What records say under the step that they bear, where that is not the one to which they belong."""
    facts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By the names of `words.fact`: every value that is right to call so."""

    @property
    def last_step(self) -> int:
        """The last logged step; 0 for an empty log."""
        return int(self.values.steps[-1]) if len(self.values.steps) else 0

    def series(self, key: str) -> Series:
        """A key's values; CE is worked out where the log has all that it takes."""
        found = self.values.series(key)
        if key == "ce" and not len(found) and (worked_out := worked_out_ce(self.values)) is not None:
            return worked_out
        if key == "bce_term" and not len(found) and {"bce_weight", "bce_loss"} <= set(self.values.keys):
            weight = self.values.series("bce_weight")
            term = self.values.column("bce_weight") * self.values.column("bce_loss")
            known = ~np.isnan(term)
            return Series(self.values.steps[known], term[known], weight.epochs[:0], weight.times[:0])
        return found

    def at(self, key: str, step: int) -> list[float]:
        """Everything that was logged of a key for a step: as it belongs there, and as the records bear it.

        Step 0 is before the first update, whose record is the first one.
        """
        series = self.series(key)
        found: list[float] = []
        wanted = step
        if step == 0 and len(series) and series.steps[0] > 0:
            wanted = int(series.steps[0])
        place = int(np.searchsorted(series.steps, wanted))
        if place < len(series) and series.steps[place] == wanted:
            found.append(float(series.values[place]))
        if key in (borne := self.borne.get(step, {})):
            found.append(borne[key])
        return found

    def first_weight(self) -> float | None:
        """The BCE weight of the first step, with which a fresh trainer evaluates; None where it was not logged."""
        weights = self.series("bce_weight")
        return float(weights.values[0]) if len(weights) else None

    def bce_range(self) -> tuple[float, float] | None:
        """The smallest and the largest logged R."""
        values = self.series("bce_loss").values
        values = values[np.isfinite(values)]
        return (float(values.min()), float(values.max())) if len(values) else None


@dataclass(frozen=True)
class Measured:
    """What a file says was measured on one text, with BCE counted or left out."""

    source: str
    split: str
    """The text's name there; empty where the file does not say."""
    mode: Literal["on", "off"] | None
    values: Mapping[str, float]
    """`eval_loss`, `ce` (without BCE's term), `perplexity`, `objective`, `weight`, `eval_runtime`,
    `eval_samples_per_second`, `samples` …"""
    more_ce: tuple[float, ...] = ()
    """Other values of CE: of single examples, and of groups of them."""
    lengths: tuple[float, ...] = ()
    """Tokens of the examples that it shows."""

    @property
    def samples(self) -> int | None:
        """How many examples it was measured on: as it says, else by its time and pace where they leave no doubt."""
        if (said := self.values.get("samples")) is not None:
            return int(said)
        runtime, pace = self.values.get("eval_runtime"), self.values.get("eval_samples_per_second")
        if runtime is None or pace is None:
            return None
        product = runtime * pace
        # The Trainer rounds the time to four decimals and the pace to three; other hands to two.
        slack = 0.005 * runtime + 0.00005 * pace
        return round(product) if math.isfinite(product) and abs(product - round(product)) <= min(slack, 0.49) else None


@dataclass(frozen=True)
class Evidence:
    """Everything that a report can be held against."""

    log: RunLog | None = None
    measured: tuple[Measured, ...] = ()
    texts: Mapping[str, int] = field(default_factory=dict)
    """Lines of each text file, by its name without the ending."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of all texts."""
        named = [one.split for one in self.measured if one.split]
        return tuple(dict.fromkeys((*named, *self.texts)))

    def of(self, split: str, mode: str | None = None) -> list[Measured]:
        """What was measured on a text."""
        return [one for one in self.measured if one.split == split and (mode is None or one.mode in (mode, None))]

    def ce(self, split: str) -> tuple[float, str] | None:
        """CE on a text without BCE's term, and where it stands; None where the files do not tell.

        Where only losses were logged, that with BCE off is CE if the two differ by the first step's weight times a
        value that R can have: a fresh trainer stands at its first step.
        """
        for one in self.of(split):
            if "ce" in one.values:
                return one.values["ce"], one.source
        on, off = (next(iter(self.of(split, mode)), None) for mode in ("on", "off"))
        if on is None or off is None or on is off or not {"eval_loss"} <= set(on.values) & set(off.values):
            return None
        r = self.term_r(on.values["eval_loss"], off.values["eval_loss"])
        return (off.values["eval_loss"], off.source) if r is not None else None

    def term_r(self, on: float, off: float) -> float | None:
        """The R that makes a difference on − off BCE's own term at the first step's weight; None if none can."""
        weight = self.log.first_weight() if self.log is not None else None
        bounds = self.log.bce_range() if self.log is not None else None
        if not weight or bounds is None:
            return None
        r = (on - off) / weight
        slack = 2.0**-23 * (abs(on) + abs(off)) / weight
        return r if bounds[0] - slack <= r <= bounds[1] + slack else None

    def losses(self, split: str, mode: str | None) -> list[tuple[float, str]]:
        """Every value that may rightly be printed as the loss of a check, and where it stands or how it comes about.

        With BCE counted: what was logged, CE plus the term at the first step's weight, and at the checkpoint's.
        """
        found: list[tuple[float, str]] = []
        weight = self.log.first_weight() if self.log is not None else None
        for one in self.of(split, mode):
            where = f"{one.source}, {split}"
            found += [(one.values[key], where) for key in ("eval_loss", "ce", "objective") if key in one.values]
            if weight and one.mode != "off" and {"ce", "bce_loss"} <= set(one.values):
                with_term = one.values["ce"] + weight * one.values["bce_loss"]
                found.append((with_term, f"{where}: CE and BCE’s term at weight {weight:g}"))
        return found
