"""Whether BCE really acts on a run, in words. Pure.

Three numbers answer it: the weight that the schedule gives it, its share of the objective, and how much gradient it
adds, which alone decides what the model learns. The seed profile has a weight and a share and adds no gradient; this is
where the product says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from bcecore.config import RunConfig
from bcecore.report.summary import At
from bcecore.report.words import percent
from bcecore.settings import readable_number

Light = Literal["off", "unknown", "warming", "acting", "idle"]
"""`idle`: it is on and does nothing to what the model learns."""

# A gradient below this share of the language loss's is lost in the noise of a single batch.
_HARDLY = 0.001


@dataclass(frozen=True)
class Acting:
    """What the light shows: its state, one line, and the sentences behind it."""

    light: Light
    headline: str
    explanation: str


def acting(config: RunConfig, latest: dict[str, Any], ratio: At | None) -> Acting:
    """The light of a run, from its settings, the newest logged values and the newest measured gradient ratio."""
    bce = config.bce
    if not bce.enabled:
        return Acting("off", "BCE: off", "Ordinary training: the BCE weight is 0 at every step.")
    if _always_zero(config):
        return Acting(
            "idle",
            "BCE: on, but its weight stays 0",
            "The settings keep the BCE weight at 0 at every step, so the run is ordinary training.",
        )
    weight = latest.get("bce_weight")
    if weight is None or not math.isfinite(weight):
        return Acting("unknown", "BCE: on, nothing measured yet", "The first measurement comes with the first step.")
    share = _share_words(latest)
    if ratio is not None and ratio.value == 0:
        return _without_gradient(config, weight, f"Measured at step {ratio.step:,}: it adds exactly 0. {share}")
    if ratio is None or not math.isfinite(ratio.value):
        if bce.profile == "seed":
            return _without_gradient(config, weight, share)
        return Acting("unknown", f"BCE: on, weight {_weight_words(weight)}, effect not measured yet", share)
    effect = f"adds {percent(ratio.value)} to the gradient"
    measured = (
        f"Its gradient is {percent(ratio.value)} of the language loss's, measured at step {ratio.step:,}. {share}"
    )
    if latest["step"] <= bce.warmup_steps:
        target = readable_number(min(bce.base_weight, bce.target_weight))
        return Acting("warming", f"BCE: warming up, weight {_weight_words(weight)} of {target}, {effect}", measured)
    if ratio.value < _HARDLY:
        return Acting("idle", f"BCE: on, weight {_weight_words(weight)}, hardly adds to the gradient", measured)
    return Acting("acting", f"BCE: on, weight {_weight_words(weight)}, {effect}", measured)


def _always_zero(config: RunConfig) -> bool:
    bce = config.bce
    return min(bce.base_weight, bce.target_weight) == 0 and bce.max_weight == 0


def _without_gradient(config: RunConfig, weight: float, measured: str) -> Acting:
    cause = (
        "The seed profile changes the loss that is logged, not what the model learns: its weights end up the same as "
        "with BCE off."
        if config.bce.profile == "seed"
        else "BCE changes the loss that is logged, but not what the model learns."
    )
    return Acting(
        "idle", f"BCE: on, weight {_weight_words(weight)}, adds nothing to the gradient", f"{cause} {measured}".strip()
    )


def _weight_words(weight: float) -> str:
    return readable_number(float(f"{weight:.2g}"))


def _share_words(latest: dict[str, Any]) -> str:
    share = latest.get("bce_share")
    if share is None or not math.isfinite(share):
        return ""
    return f"BCE's term makes up {percent(share)} of the logged loss."
