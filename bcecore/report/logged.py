"""What the tables and sentences of a report are made from: the values of one log, and how they are written. Pure.

A log that has the objective and BCE's values but not CE still tells CE: it is the objective less BCE's term.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from bcecore.report.metrics import CHECK_PREFIXES, metric
from bcecore.report.words import number
from bcecore.settings import readable_number
from bcecore.store.columns import Series, Steps
from bcecore.store.objective import Log, has_bce, where_known, worked_out_ce

NOT_LOGGED = "–"
_DECIMALS = 4
_LARGEST_WITH_DECIMALS = 1e5


class Logged(Log, Protocol):
    """The logged values of a run: `store.history.History`, or `store.columns.Columns`."""

    def series(self, key: str) -> Series:
        """The steps at which a key was logged, and what."""


class LanguageLoss(NamedTuple):
    """CE over a run."""

    series: Series
    """Empty where it is neither logged nor to be worked out."""
    worked_out: bool
    """Whether it is the logged loss less BCE's term."""


def language_loss(logged: Logged) -> LanguageLoss:
    """CE as logged; else worked out as loss - w·R where the log has all three."""
    worked_out = worked_out_ce(logged)
    return LanguageLoss(logged.series("ce"), False) if worked_out is None else LanguageLoss(worked_out, True)


def bce_term(logged: Logged) -> Series:
    """BCE's part of the objective, w·R: as logged, else worked out; empty where the log has neither."""
    if "bce_term" in logged.keys:
        return logged.series("bce_term")
    return where_known(logged, logged.column("bce_weight") * logged.column("bce_loss"))


def training_steps(logged: Logged) -> Steps:
    """The steps of which training values were logged, not only those of a check."""
    for key in ("loss", "ce", "learning_rate"):
        if key in logged.keys:
            return logged.series(key).steps
    return logged.steps


def check_losses(logged: Logged) -> list[str]:
    """The keys of the losses that checks logged, `eval_loss` first: `eval_g0_loss`, `predict_loss` …"""
    found = [key for key in logged.keys if key.startswith(CHECK_PREFIXES) and key.endswith("_loss")]
    if has_bce(logged.keys):  # else it is binary cross-entropy, a loss like others
        found = [key for key in found if not key.endswith("_bce_loss")]
    return sorted(found, key=lambda key: key != "eval_loss")


def written(key: str, value: float | None) -> str:
    """A logged value as tables show it: losses with four decimals, as Trainers print them, rates in full."""
    if value is None:
        return NOT_LOGGED
    if not math.isfinite(value):
        return number(value)
    if value == 0 and key != "epoch":
        return "0"
    if key == "epoch":
        return f"{value:.2f}" if value >= 0.1 else f"{value:.3g}"
    if key == "learning_rate":
        return _in_full(value)
    if key == "bce_weight":
        return readable_number(float(f"{value:.5g}"))
    if key == "grad_norm" and abs(value) >= 1:
        return f"{value:,.2f}"
    known = metric(key)
    if value == int(value) and known.group not in ("learning", "check", "bce"):
        return f"{int(value):,}"
    if known.group in ("pace", "totals") and abs(value) >= 1:
        return number(value)
    if 10**-_DECIMALS * 5 <= abs(value) < _LARGEST_WITH_DECIMALS:
        return f"{value:,.{_DECIMALS}f}"
    return readable_number(float(f"{value:.4g}"))


def _in_full(rate: float) -> str:
    """A learning rate with as many digits as one has that a schedule gives: `3.128125e-5`."""
    mantissa, _, exponent = f"{rate:.6e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
