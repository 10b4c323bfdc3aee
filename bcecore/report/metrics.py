"""What is known about a logged value from its key: its name, its unit, whether lower or higher is better. Pure.

Our own keys are named in words. Those of other Trainers are read from their usual spellings (`eval_loss`,
`eval_g0_accuracy`, `rouge-l`), and kept as they are where they say nothing. The same key can mean less there: what a
log calls `loss` need be no CE, and what it was checked on need not have been held out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bcecore.store.objective import BCE_PARTS, has_bce

Better = Literal["lower", "higher"]
Origin = Literal["ours", "bce", "other"]
"""Who logged a value: a run of this product, another Trainer with BCE, or another Trainer."""
Group = Literal["learning", "check", "optimiser", "bce", "components", "pace", "totals", "other"]

_COMPONENT_NAMES = (
    "reward",
    "typicality",
    "character",
    "neighbours",
    "discovery",
    "context",
    "strength",
    "ethics",
    "master",
)
COMPONENTS = dict(zip(BCE_PARTS, _COMPONENT_NAMES, strict=True))
"""The nine parts of the BCE value, by their key in the log."""

CHECK_PREFIXES = ("eval_", "test_", "predict_")
"""What a Trainer puts before the values of a check."""


@dataclass(frozen=True)
class Metric:
    """One logged key, as people read it."""

    key: str
    name: str
    unit: str = ""
    better: Better | None = None
    """None where neither is: a learning rate, a number of tokens."""
    group: Group = "other"
    format: str = ".4~r"
    """For Vega: so many significant digits, or an exponent."""

    def is_better(self, value: float, than: float) -> bool:
        """Whether the first of two values of this metric is the better one; never, where there is no better."""
        if self.better is None:
            return False
        return value < than if self.better == "lower" else value > than


_NATS = "nats per token"
_KNOWN = {
    metric.key: metric
    for metric in (
        Metric("ce", "CE", _NATS, "lower", "learning"),
        Metric("loss", "loss", _NATS, "lower", "learning"),
        Metric("eval_loss", "held-out CE", _NATS, "lower", "check"),
        Metric("eval_perplexity", "held-out perplexity", "", "lower", "check"),
        # A lower one is no better: it says nothing about what the model predicts.
        Metric("eval_bce_loss", "held-out BCE loss", "", None, "bce", ".5~r"),
        Metric("grad_norm", "gradient norm", "length of the gradient", None, "optimiser"),
        Metric("learning_rate", "learning rate", "", None, "optimiser", ".3e"),
        Metric("bce_weight", "BCE weight", "", None, "bce"),
        Metric("bce_loss", "BCE loss", "", None, "bce", ".5~r"),
        Metric("bce_term", "BCE term", _NATS, None, "bce", ".4~r"),
        Metric("bce_share", "BCE share of the loss", "share of 1", None, "bce"),
        Metric("bce_grad_ratio", "gradient ratio", "share of the language loss's gradient", None, "bce"),
        Metric("tokens_per_second", "tokens per second", "tokens/s", "higher", "pace"),
        Metric("steps_per_second", "steps per second", "steps/s", "higher", "pace"),
        Metric("tokens", "tokens seen", "tokens", None, "totals"),
        Metric("epoch", "epoch", "epochs", None, "totals", ".2f"),
        Metric("time", "time", "s", None, "totals"),
        Metric("train_loss", "mean training loss", _NATS, "lower", "totals"),
        Metric("train_runtime", "training time", "s", None, "totals"),
        Metric("total_flos", "arithmetic operations", "FLOPs", None, "totals", ".3e"),
        *(Metric(key, f"BCE {name}", "value, 0 to 1", None, "components") for key, name in COMPONENTS.items()),
    )
}

# Of a log from elsewhere: nobody knows on what it was checked.
_OF_A_CHECK = {
    metric.key: metric
    for metric in (
        Metric("eval_loss", "check loss (eval)", "", "lower", "check"),
        Metric("eval_perplexity", "perplexity (eval)", "", "lower", "check"),
        Metric("eval_bce_loss", "BCE loss (eval)", "", None, "bce", ".5~r"),
    )
}
# Without BCE nor what its loss is: that of a policy is no better for being lower.
_OF_ANY_TRAINER = {
    metric.key: metric
    for metric in (
        Metric("loss", "loss", "", None, "learning"),
        Metric("train_loss", "mean training loss", "", None, "totals"),
        Metric("ce", "CE", "", "lower", "learning"),
        # Most probably binary cross-entropy; beside a run with BCE, no lower one is better.
        Metric("bce_loss", "bce loss"),
        Metric("eval_bce_loss", "bce loss (eval)", "", "lower", "check"),
    )
}

_LOWER = ("loss", "perplexity", "ppl", "error", "wer", "cer", "mse", "mae", "rmse", "nll", "ter", "bpb")
_HIGHER = ("accuracy", "acc", "f1", "precision", "recall", "bleu", "rouge", "auc", "reward", "rewards", "score", "mcc")
_PACE = ("samples_per_second", "steps_per_second", "tokens_per_second")
_TIME = ("runtime", "jit_compilation_time", "model_preparation_time")


def origin_of(keys: Collection[str], *, ours: bool) -> Origin:
    """Who logged these keys."""
    return "ours" if ours else "bce" if has_bce(keys) else "other"


def least_known(origins: Collection[Origin]) -> Origin:
    """Of several origins the one that says least of a value; `ours` of none."""
    return max(origins, key=("ours", "bce", "other").index, default="ours")


@lru_cache(maxsize=4096)
def metric(key: str, origin: Origin = "ours") -> Metric:
    """What is known about a key that somebody logged."""
    if origin == "other" and key in _OF_ANY_TRAINER:
        return _OF_ANY_TRAINER[key]
    if origin != "ours" and key in _OF_A_CHECK:
        return _OF_A_CHECK[key]
    if key in _KNOWN:
        return _KNOWN[key]
    prefix = next((prefix for prefix in CHECK_PREFIXES if key.startswith(prefix)), "")
    rest = key.removeprefix(prefix)
    group: Group = "check" if prefix else "totals" if key.startswith("train_") else "other"
    name = f"{rest.replace('_', ' ')} ({prefix.rstrip('_')})" if prefix else key.replace("_", " ")
    if rest.endswith(_PACE):
        return Metric(key, name, rest.rpartition("_per_")[0].rpartition("_")[2] + "/s", "higher", "pace")
    if rest.endswith(_TIME):
        return Metric(key, name, "s", None, "pace")
    return Metric(key, name, "", _direction(rest), group)


def _direction(name: str) -> Better | None:
    words = name.lower().replace("/", " ").replace("_", " ").replace("-", " ").split()
    # Of `reward_std` neither more nor less is better.
    if not words or words[-1] in ("std", "var", "min", "max", "length", "len", "ratio"):
        return None
    if any(word in _LOWER for word in words):
        return "lower"
    if any(word in _HIGHER or word.startswith("rouge") for word in words):
        return "higher"
    return None
