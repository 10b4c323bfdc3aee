"""Looking through the examples of an evaluation: length buckets, the hardest and easiest, search and filters. Pure.

Works on the rows of `examples.parquet` for one checkpoint and one split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from bcecore.evaluation.summarising import BUCKETS
from bcecore.text.splitting import normalised

REPORT_EDGES = (64,)
"""The report's two buckets: up to 64 tokens, and longer."""
FINE_EDGES = BUCKETS

Order = Literal["hardest", "easiest", "longest", "shortest", "as in the file"]
Overlap = Literal["any", "also in training", "not in training"]


@dataclass(frozen=True)
class Bucket:
    """The examples of some length: more than `above` tokens, up to `up_to` (None: any number)."""

    above: int
    up_to: int | None
    examples: int | None
    tokens: int | None
    """Predicted ones. These two are None where somebody else's figures do not tell."""
    ce: float | None
    """Token-weighted, nats per token; None in an empty bucket."""
    ce_mean: float | None
    """The mean over the examples, as the report's."""

    @property
    def title(self) -> str:
        """`up to 64`, `65 to 128`, `over 128` (tokens)."""
        if self.up_to is None:
            return f"over {self.above:,}" if self.above else "any length"
        return f"{self.above + 1:,} to {self.up_to:,}" if self.above else f"up to {self.up_to:,}"


def length_buckets(examples: pd.DataFrame, edges: Sequence[int] = REPORT_EDGES) -> tuple[Bucket, ...]:
    """CE by the length of the text, from the columns `length`, `tokens`, `nll` and `ce`.

    `edges` rise; there is one bucket more than edges, empty ones included.
    """
    where = _bucket_of(examples["length"], edges)
    nll, tokens, ce = (examples[name].to_numpy(dtype=np.float64) for name in ("nll", "tokens", "ce"))
    found = []
    for number, (above, up_to) in enumerate(zip((0, *edges), (*edges, None), strict=True)):
        inside = where == number
        count, predicted = int(inside.sum()), int(tokens[inside].sum())
        found.append(
            Bucket(
                above,
                up_to,
                count,
                predicted,
                float(nll[inside].sum() / predicted) if predicted else None,
                float(ce[inside].mean()) if count else None,
            )
        )
    return tuple(found)


def _bucket_of(length: pd.Series, edges: Sequence[int]) -> npt.NDArray[np.intp]:
    if not all(low < high for low, high in zip((0, *edges), edges, strict=False)):
        raise ValueError(f"the edges of length buckets rise from above 0, got {edges}")
    return np.searchsorted(np.asarray(edges), length.to_numpy(), side="left")


def in_training(texts: Iterable[str], training: Iterable[str]) -> npt.NDArray[np.bool_]:
    """For each text, whether it is also a training text: the same but for case, white space and punctuation."""
    known = {_identity(text) for text in training}
    return np.array([_identity(text) in known for text in texts], dtype=np.bool_)


def _identity(text: str) -> str:
    return normalised(text) or text  # as `text.splitting` divides texts: of all punctuation, only the very same count


def choose(
    examples: pd.DataFrame,
    *,
    search: str = "",
    above: int = 0,
    up_to: int | None = None,
    overlap: Overlap = "any",
    order: Order = "hardest",
) -> pd.DataFrame:
    """The examples that fit, in the order asked for; those that tie stay as in the file.

    `search` counts case, white space and punctuation as nothing, and every word of it has to occur; `above` and `up_to`
    bound the length in tokens. `overlap` needs a column `in_training`. A loss that is not a number counts as hardest.
    """
    fits = examples["length"].to_numpy() > above
    if up_to is not None:
        fits &= examples["length"].to_numpy() <= up_to
    if overlap != "any":
        fits &= examples["in_training"].to_numpy(dtype=np.bool_) == (overlap == "also in training")
    if search.strip():
        fits &= _found(examples["text"], search)
    kept = examples[fits].sort_values("example", kind="stable")
    if order == "as in the file":
        return kept
    column = "ce" if order in ("hardest", "easiest") else "length"
    falling = order in ("hardest", "longest")
    return kept.sort_values(column, ascending=not falling, kind="stable", na_position="first" if falling else "last")


def _found(texts: pd.Series, search: str) -> npt.NDArray[np.bool_]:
    words = normalised(search).split()
    if not words:  # a search for signs only: look for just those
        return np.array([search.strip() in text for text in texts], dtype=np.bool_)
    return np.array([all(word in text for word in words) for text in map(normalised, texts)], dtype=np.bool_)
