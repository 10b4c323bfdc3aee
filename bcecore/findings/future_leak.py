"""future-leak (B): the model sees the words that it has to predict. Pure.

Its loss is then not that of a language model: it copies. Told by the probe that every run makes before its first step;
by what the finished model makes of random tokens, which nobody can foresee; or from the settings alone: a model of the
BERT family attends to both sides of a word unless `is_decoder` says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.text.sources import BERT_FAMILY

THRESHOLD = 1e-4
"""A larger change of an earlier logit is no matter of rounding: in a model that does not leak it is exactly 0, and in
the report's it was 3.27."""

BELOW_CHANCE = 0.1
"""Nats by which the CE of random tokens has to lie below ln V: a model that has learnt anything is above it."""

_WHAT_TO_DO = (
    "Switch “Reads left to right” on and train again. Figures of a model that sees the future cannot be compared with "
    "those of one that does not, and say nothing about what it learnt."
)


def future_leak(
    subject: str,
    probe: Mapping[str, Any] | None,
    architecture: Mapping[str, Any] | None = None,
    random: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """The finding about a model, if there is one.

    `probe` is what a run's record has under `leak_probe`: `largest_change` of a logit when later tokens were changed,
    and at how many `positions`. `architecture` is a model's `config.json`, or `architecture_of` some settings. `random`
    is what the record has under `random_tokens`: the `ce` of tokens drawn at random, and ln V as `chance`.
    """
    change = None if probe is None else probe.get("largest_change")
    # Not "> THRESHOLD": a change that is no number at all is no proof that there is none.
    measured = isinstance(change, (int, float)) and not change <= THRESHOLD
    by_design = architecture is not None and (
        architecture.get("model_type") in BERT_FAMILY and not architecture.get("is_decoder", False)
    )
    foreseen = random is not None and random["ce"] < random["chance"] - BELOW_CHANCE
    if not measured and not by_design and not foreseen:
        return []
    numbers: dict[str, Any] = {}
    if probe is not None and isinstance(change, (int, float)):
        numbers |= {"largest_change": change if math.isfinite(change) else None, "positions": probe.get("positions")}
    if architecture is not None:
        numbers |= {
            "model_type": architecture.get("model_type"),
            "is_decoder": bool(architecture.get("is_decoder", False)),
        }
    if random is not None and foreseen:
        numbers |= {"random_ce": random["ce"], "chance": random["chance"]}
    if measured:
        why = f"changing later words moved its predictions for earlier ones by up to {change:.3g} (it has to be 0)"
    elif random is not None and foreseen:
        why = (
            f"it predicts tokens drawn at random, which nobody can foresee, with a CE of {random['ce']:.3f}, where "
            f"chance is {random['chance']:.3f}"
        )
    else:
        assert architecture is not None
        why = (
            f"it is of the kind “{architecture['model_type']}” and is not set up as a decoder, so that every word sees "
            "those behind it"
        )
    return [
        Finding(
            id="future-leak",
            severity="B",
            subject=subject,
            numbers=numbers,
            sentence=f"The model sees the words that it has to predict: {why}.",
            what_to_do=_WHAT_TO_DO,
        )
    ]


def architecture_of(config: RunConfig) -> dict[str, Any] | None:
    """What the settings alone say of the model: None unless it is built here or made to see the future.

    Only a model of the BERT family can be (`jobs.submit` refuses the others), whichever of them it is.
    """
    if config.model.kind == "offline" or not config.model.causal:
        return {"model_type": "bert", "is_decoder": config.model.causal}
    return None
