"""What stands at the head of an imported run's page: how it learnt, how its checks went, what it says of BCE. Pure.

A log from elsewhere has values of any name and no settings: what it cannot tell is said to be unknown, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bcecore.report.acting import Acting
from bcecore.report.logged import Logged, check_losses, language_loss
from bcecore.report.metrics import Better, metric, origin_of
from bcecore.report.summary import At
from bcecore.report.words import percent
from bcecore.settings import readable_number
from bcecore.store.columns import Series
from bcecore.store.objective import has_bce
from bcecore.store.summary import trend_of

_LEARNING = ("loss", "train_loss", "reward")


@dataclass(frozen=True)
class Card:
    """One value of the headline: its last, its best, and its course."""

    title: str
    unit: str
    last: At | None = None
    """None: it is not in the log."""
    best: At | None = None
    """None where neither more nor less is better, no value is finite, or the best is that of one lucky batch."""
    trend: tuple[float, ...] = ()
    about: str = ""


@dataclass(frozen=True)
class Headline:
    """The three cards."""

    learning: Card
    check: Card
    bce: Acting


def headline(logged: Logged) -> Headline:
    """The cards of a log."""
    return Headline(_learning(logged), _check(logged), _bce(logged))


def _learning(logged: Logged) -> Card:
    ce = language_loss(logged)
    if len(ce.series):
        about = "How surprised the model is by the next token, on average, without BCE's term. Lower is better."
        if ce.worked_out:
            about += " The log has the loss with BCE's term; this is what is left without it."
        return _card("CE (language loss)", "nats per token", ce.series, about)
    key = next((key for key in _LEARNING if key in logged.keys), None)
    if key is None:
        return Card("Training loss", "", about="The log has no values of the training itself.")
    about = "What the training made smaller, as the log has it." if key == "loss" else "As the log has it."
    name = "Training loss" if key == "loss" else metric(key).name
    return _card(name, "", logged.series(key), about)


def _check(logged: Logged) -> Card:
    keys = check_losses(logged) or [key for key in logged.keys if metric(key).group == "check" and metric(key).better]
    if not keys:
        return Card("Check loss", "", about="The log has no check of the model.")
    name = metric(keys[0], origin_of(logged.keys, ours=False)).name
    about = (
        "What the Trainer logged when it checked the model. Whether the model learnt from that text too, the log does "
        "not say."
    )
    series = logged.series(keys[0])
    return _card(name[0].upper() + name[1:], "", series, about, _best(series, metric(keys[0]).better))


def _card(title: str, unit: str, series: Series, about: str, best: At | None = None) -> Card:
    last = At(float(series.values[-1]), int(series.steps[-1]))
    return Card(title, unit, last, best, trend_of(series), about)


def _best(series: Series, better: Better | None) -> At | None:
    finite = series.at(np.isfinite(series.values))
    if not len(finite) or better is None:
        return None
    row = int(np.argmin(finite.values) if better == "lower" else np.argmax(finite.values))
    return At(float(finite.values[row]), int(finite.steps[row]))


def _bce(logged: Logged) -> Acting:
    weights, ratios = logged.series("bce_weight"), logged.series("bce_grad_ratio")
    if not has_bce(logged.keys):
        explanation = "It was trained without BCE, or BCE's values were not logged."
        if any(key.endswith("bce_loss") for key in logged.keys):
            explanation += (
                " The “bce loss” of this log is taken for binary cross-entropy. Here BCE is something else: the "
                "Behavioral Consciousness Engine."
            )
        return Acting("off", "BCE: not in this log", explanation)
    if len(weights) and not weights.values.any():
        return Acting("off", "BCE: weight 0 at every logged step", "What is logged is ordinary training.")
    weight = f", weight {readable_number(float(f'{weights.values[-1]:.2g}'))} at the end" if len(weights) else ""
    if len(ratios):
        ratio = float(ratios.values[-1])
        effect = "adds nothing to the gradient" if ratio == 0 else f"adds {percent(ratio)} to the gradient"
        measured = f"Measured at step {int(ratios.steps[-1]):,}."
        return Acting("idle" if ratio == 0 else "acting", f"BCE: on{weight}, {effect}", measured)
    return Acting(
        "unknown",
        f"BCE: on{weight}, effect not known",
        "The log has BCE's values, but not how much they add to the gradient: whether BCE changed what the model "
        "learnt cannot be told from it.",
    )
