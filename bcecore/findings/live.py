"""The rules over logged rows, kept up to date while a run goes on. Pure: it looks at a history, not at the disk.

Each look feeds the rules the rows that are new since the one before, so that it costs as much as there is news; what
they say is the same as if they were given the whole log at once. After a resume from an earlier step, or whatever else
changed rows that were seen, they begin anew.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.clamp_saturated import ClampSaturated
from bcecore.findings.collapse import DISTANCE, RATIO, Collapse
from bcecore.findings.divergence import Divergence
from bcecore.findings.exploding_grad import ExplodingGrad
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.loss_spike import LossSpike
from bcecore.findings.lr_zero import LrZero
from bcecore.findings.no_gradient import NoGradient
from bcecore.findings.non_finite import KEYS, NonFinite
from bcecore.findings.overfit import Overfit
from bcecore.findings.plateau import RATE, Plateau
from bcecore.findings.rows import CE, RowRule, check_keys
from bcecore.findings.too_good import TooGood
from bcecore.store.columns import Columns, Series
from bcecore.store.history import History

_LOOKED_AT = (*KEYS, RATE, "bce_weight", DISTANCE, RATIO)


class LiveRules:
    """What is noticed in the log of one run. Ask the same object again and again while the run goes on."""

    def __init__(self, subject: str, config: RunConfig | None) -> None:
        """`config` is None for a run whose settings are not known, as of an imported one."""
        self._subject, self._config = subject, config
        # Held, not only its id: another history could get the same id once this one is gone.
        self._history: History | Columns | None = None
        self._begin(None)

    def _begin(self, seen: tuple[int, str | None] | None) -> None:
        self._seen = seen
        self._rows = 0
        self._newest: dict[str, int] = {}  # by key the last step that the rules were given
        self._non_finite = NonFinite()
        self._rules: tuple[RowRule, ...] = (
            Divergence(),
            LossSpike(),
            ExplodingGrad(),
            Plateau(),
            Overfit(),
            Collapse(),
            ClampSaturated(self._config),
            NoGradient(),
            TooGood(),
            LrZero(),
        )
        self._found: list[Finding] = []

    def look(self, history: History | Columns) -> list[Finding]:
        """What is noticed by now, the most serious first. The history is as it was refreshed last."""
        keys = history.keys
        source = loss_source(keys)
        seen = (history.rewrites, source)
        if history is not self._history or seen != self._seen:
            self._history = history
            self._begin(seen)
        new = self._new(history, keys)
        if new:
            loss = self._language_loss(history, new, source)
            self._rows = len(history.steps)
            self._non_finite.feed(new)
            # What a log calls its loss is another matter for each; non-finite speaks of the keys as they stand there.
            told = {key: series for key, series in new.items() if key != CE} | ({CE: loss} if loss is not None else {})
            for rule in self._rules:
                rule.feed(told)
            everyone: tuple[RowRule, ...] = (self._non_finite, *self._rules)
            self._found = by_severity(
                finding for rule in everyone for finding in rule.findings(self._subject, self._config)
            )
        return self._found

    def _new(self, history: History | Columns, keys: Collection[str]) -> dict[str, Series]:
        """What was logged since the last look. The last row is looked at again: a check joins the row of its step."""
        start = max(self._rows - 1, 0)
        wanted = [key for key in _LOOKED_AT if key in keys]
        wanted += [key for key in check_keys(keys) if key not in wanted]
        new = {}
        for key in wanted:
            series = history.series(key, start)
            if len(series) and series.steps[0] <= self._newest.get(key, -1):
                series = series.rows(1, len(series))
            if len(series):
                new[key] = series
                self._newest[key] = int(series.steps[-1])
        return new

    def _language_loss(self, history: History | Columns, new: dict[str, Series], source: str | None) -> Series | None:
        """CE of the new rows: as it was logged, worked out of the objective, or the loss of a run without BCE."""
        if source != _WORKED_OUT:
            return new.get(source) if source is not None else None
        loss = new.get("loss")
        if loss is None:
            return None
        first = int(np.searchsorted(history.steps, loss.steps[0]))
        rows = np.searchsorted(history.steps[first:], loss.steps)
        weight, r = (history.column(key)[first:][rows] for key in ("bce_weight", "bce_loss"))
        values = loss.values - weight * r
        return Series(loss.steps, values, loss.epochs, loss.times).at(~np.isnan(values))


_WORKED_OUT = "loss - bce_weight * bce_loss"


def loss_source(keys: Collection[str]) -> str | None:
    """Where the language loss in training is to be had from in a log with these keys (see `store.objective`)."""
    if CE in keys:
        return CE
    if {"loss", "bce_weight", "bce_loss"} <= set(keys):
        return _WORKED_OUT
    return "loss" if "loss" in keys else None
