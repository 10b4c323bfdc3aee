"""From scored examples to the figures of one checkpoint on one split. Pure.

Examples come in pieces, as they are scored; what is kept of one is a number, so that memory stays flat.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BUCKETS = (16, 32, 64, 128, 256, 512, 1024, 2048)
"""Longest text of each length bucket but the last, in tokens, special ones included."""


@dataclass
class Bucket:
    """Examples of about one length."""

    examples: int = 0
    tokens: int = 0
    nll: float = 0.0


@dataclass
class Totals:
    """Sums over the examples of one checkpoint on one split.

    `components` names the regulariser's parts; an example has each under `bce_<name>`. The same examples in the same
    pieces give the same sums to the last bit, however often the work was interrupted between two pieces.
    """

    components: Sequence[str]
    examples: int = 0
    tokens: int = 0
    bytes: int = 0
    cut: int = 0
    nll: float = 0.0
    bce_loss: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    buckets: list[Bucket] = field(default_factory=lambda: [Bucket() for _ in range(len(BUCKETS) + 1)])
    ce: array[float] = field(default_factory=lambda: array("d"))
    """CE of every example, for the median: eight bytes each, all that is kept of one."""

    @property
    def columns(self) -> list[str]:
        """The columns of the examples that `add` looks at."""
        return ["tokens", "length", "bytes", "cut", "ce", "nll", "bce_loss", *(f"bce_{c}" for c in self.components)]

    def add(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Take in some examples, given as columns (`columns` says which)."""
        self.examples += len(columns["ce"])
        self.tokens += sum(columns["tokens"])
        self.bytes += sum(columns["bytes"])
        self.cut += sum(columns["cut"])
        self.nll += math.fsum(columns["nll"]) if _finite(columns["nll"]) else math.nan
        self.bce_loss += math.fsum(columns["bce_loss"]) if _finite(columns["bce_loss"]) else math.nan
        self.ce.extend(columns["ce"])
        for name in self.components:
            values = columns[f"bce_{name}"]
            self.parts[name] = self.parts.get(name, 0.0) + (math.fsum(values) if _finite(values) else math.nan)
        for length, tokens, nll in zip(columns["length"], columns["tokens"], columns["nll"], strict=True):
            bucket = self.buckets[_bucket_of(length)]
            bucket.examples += 1
            bucket.tokens += tokens
            bucket.nll += nll


def _finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))


def _bucket_of(length: int) -> int:
    return next((number for number, up_to in enumerate(BUCKETS) if length <= up_to), len(BUCKETS))


def summary(totals: Totals, *, weight: float, first_weight: float, runtime: float, steps: int) -> dict[str, Any]:
    """The figures of `result.json` for one checkpoint on one split; nan or inf where a figure does not exist.

    `weight` is the BCE weight at the checkpoint's step and `first_weight` at step 1, both 0 where BCE is off;
    `runtime` the seconds and `steps` the forward passes that scoring took. `ce` weights tokens, `ce_mean` examples, as
    the report does. `bce_loss` is a mean over examples. The `report_eval_loss_*` are what a fresh trainer logs, which
    takes itself to be at step 1.
    """
    examples, tokens = totals.examples, totals.tokens
    ce = totals.nll / tokens if tokens else math.nan
    per_example = np.frombuffer(totals.ce, dtype=np.float64) if examples else np.array([math.nan])
    ce_mean = float(per_example.mean())
    with np.errstate(invalid="ignore"):  # an example may be infinite
        median, p90 = np.percentile(per_example, [50, 90])
    r = totals.bce_loss / examples if examples else math.nan
    return {
        "examples": examples,
        "tokens": tokens,
        "bytes": totals.bytes,
        "cut": totals.cut,
        "ce": ce,
        "perplexity": math.exp(ce) if ce < 700 else math.inf if ce == ce else math.nan,
        "bits_per_byte": totals.nll / math.log(2) / totals.bytes if totals.bytes else math.nan,
        "ce_mean": ce_mean,
        "ce_median": float(median),
        "ce_p90": float(p90),
        "bce_loss": r,
        "components": {name: value / examples for name, value in totals.parts.items()} if examples else {},
        "weight": weight,
        "objective_on": ce + weight * r if weight else ce,
        "objective_off": ce,
        "objective_on_mean": ce_mean + weight * r if weight else ce_mean,
        "objective_off_mean": ce_mean,
        "report_eval_loss_on": ce_mean + first_weight * r if first_weight else ce_mean,
        "report_eval_loss_off": ce_mean,
        "buckets": [
            {"up_to": up_to, "examples": bucket.examples, "tokens": bucket.tokens, "ce": bucket.nll / bucket.tokens}
            for up_to, bucket in zip([*BUCKETS, None], totals.buckets, strict=True)
            if bucket.examples
        ],
        "runtime": runtime,
        "samples_per_second": examples / runtime if runtime > 0 else math.nan,
        "steps_per_second": steps / runtime if runtime > 0 else math.nan,
        "steps": steps,
    }
