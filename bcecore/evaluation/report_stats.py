"""The report's own stats files (`bce_eval_stats.json`, `wikitext_eval_stats.json`), in the shape of our evaluations.

`bce_eval_stats.json` holds, for each split and for BCE on and off, means over the examples and the best and worst three
of them; its weights are those at the end of training, and its "off" had a weight too. `wikitext_eval_stats.json` holds
what a fresh trainer logged. What a file does not say stays unknown; what was worked out is said in a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bcecore.evaluation.decomposition import Difference, Side
from bcecore.evaluation.explorer import Bucket
from bcecore.schedule import bce_weight
from bcecore.store.stats_files import ADVICE, EDGE, StatsFileError, StatsSide, StatsSplit, bucket_means, read_stats_file

REPORT_STEP = 2000
"""The checkpoint that the report scored. Its files do not name it; the weight 0.44 is that of this step."""
FIRST_WEIGHT = bce_weight(1, base=0.2, target=0.2, maximum=0.5, warmup_steps=400, boost_span=2000)
"""w(1) of the report's schedule, 0.0005: its evaluations began with a fresh trainer, which stands at step 1."""
SEED_RANGE = (-0.465570, -0.421126)
"""What R can be in the seed profile (DESIGN §5)."""

_RUNTIME_KEYS = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")


@dataclass(frozen=True)
class ReportSplit:
    """What the files say of one split."""

    name: str
    differences: tuple[Difference, ...]
    """As it was measured, the off arm's weight included; the first is always the fresh trainer's (`report`)."""
    summary: dict[str, Any]
    """The split's entry in `result.json`, as far as it is known; off means weight zero there, as everywhere."""
    examples: pd.DataFrame
    """The examples that the file shows, with the columns of `examples.parquet` that it knows."""
    buckets: tuple[Bucket, ...]
    """Mean CE by length; none where the file has none."""
    notes: tuple[str, ...]
    """Sentences about what was worked out, and what does not fit."""


@dataclass(frozen=True)
class ReportStats:
    """One or more stats files, read."""

    splits: tuple[ReportSplit, ...]
    sources: tuple[str, ...]
    """Names of the files."""

    def result(self) -> dict[str, Any]:
        """The content of a `result.json`."""
        return {
            "version": 1,
            "complete": True,
            "splits": {split.name: {"checkpoints": {str(REPORT_STEP): split.summary}} for split in self.splits},
            "settings": {"imported_from": list(self.sources), "first_weight": FIRST_WEIGHT},
        }

    def examples(self) -> pd.DataFrame:
        """The examples of all splits, as in `examples.parquet`."""
        frames = [split.examples for split in self.splits if len(split.examples)]
        return pd.concat(frames, ignore_index=True) if frames else _rows_as_examples("", [])


def read_report_stats(paths: Iterable[Path]) -> ReportStats:
    """Read one or more stats files, their splits in the order given.

    Raises StatsFileError for anything else, with what was found, and for a split that comes up twice.
    """
    splits: dict[str, ReportSplit] = {}
    sources = []
    for path in paths:
        sources.append(path.name)
        for split in read_stats_file(path):
            if split.name in splits:
                raise StatsFileError(
                    f"The split “{split.name}” is in {path.name} and in another file. Choose one of them."
                )
            splits[split.name] = _means(split) if split.has_means else _logged(split)
    if not splits:
        raise StatsFileError("No stats file was given. Choose bce_eval_stats.json or wikitext_eval_stats.json.")
    return ReportStats(tuple(splits.values()), tuple(sources))


# -- what was written example by example


def _means(split: StatsSplit) -> ReportSplit:
    on, off, weight, weight_off = split.on.values, split.off.values, split.on.weight, split.off.weight
    ce, ce_off = float(on["mean_ce"]), float(off["mean_ce"])
    if not weight or weight_off is None:
        raise StatsFileError(f"{split.where}: the weight with BCE on is 0, so nothing says what R was. {ADVICE}")
    # The file has no mean of R, but the total is CE + w·R.
    r = (on["mean_total"] - ce) / weight
    r_off = (off["mean_total"] - ce_off) / weight_off if weight_off else r
    notes = []
    if weight_off != 0:
        notes.append(f"The side that was called off had a weight of {weight_off:.2f}: it was not off.")
    examples = _rows_as_examples(split.name, split.on.shown)
    n = split.examples
    if n is not None and not split.shows_all:
        notes.append(f"The file does not say how many examples there were; its length buckets make it {n:,}.")
    buckets = _buckets(split.on, n)
    summary: dict[str, Any] = {
        "examples": n,
        "ce_mean": ce,
        "ce_median": float(on["p50_ce"]),
        "ce_p90": float(on["p90_ce"]),
        "bce_loss": r,
        "weight": weight,
        "objective_on_mean": float(on["mean_total"]),
        "objective_off_mean": ce,
        "report_eval_loss_on": Side(ce, r, FIRST_WEIGHT).objective,
        "report_eval_loss_off": ce,
        "buckets": [
            {"up_to": bucket.up_to, "examples": bucket.examples, "ce_mean": bucket.ce_mean}
            for bucket in buckets
            if bucket.examples != 0
        ],
    }
    if split.shows_all:
        summary |= _token_weighted(examples, Side(ce, r, weight))
    found = (
        Difference("report", "examples", Side(ce, r, FIRST_WEIGHT), Side(ce_off, r_off, 0.0)),
        Difference("objective", "examples", Side(ce, r, weight), Side(ce_off, r_off, weight_off)),
        Difference("model", "examples", Side(ce, r, 0.0), Side(ce_off, r_off, 0.0)),
    )
    return ReportSplit(split.name, found, summary, examples, buckets, tuple(notes))


def _rows_as_examples(split: str, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "checkpoint": [REPORT_STEP] * len(rows),
            "split": [split] * len(rows),
            "example": [int(row["idx"]) for row in rows],
            "text": [row["text"] for row in rows],
            # The first token of a text is given, not predicted.
            "tokens": [int(row["len"]) - 1 for row in rows],
            "length": [int(row["len"]) for row in rows],
            "ce": [row["ce_loss"] for row in rows],
            "nll": [row["ce_loss"] * (int(row["len"]) - 1) for row in rows],
            "bce_loss": [row["bce_loss"] for row in rows],
        }
    )
    whole = ("checkpoint", "example", "tokens", "length")
    kinds: dict[str, str] = dict.fromkeys(whole, "int32") | dict.fromkeys(("ce", "nll", "bce_loss"), "float64")
    return table.astype(kinds)


def _buckets(side: StatsSide, n: int | None) -> tuple[Bucket, ...]:
    short, long = bucket_means(side)
    in_long: int | None = None
    if short is None or long is None:
        in_long = (0 if long is None else n) if n is not None else None
    elif n is not None:
        in_long = round(n * (side.values["mean_ce"] - short) / (long - short))
    in_short = n - in_long if n is not None and in_long is not None else None
    return (
        Bucket(0, EDGE, in_short, tokens=None, ce=None, ce_mean=short),
        Bucket(EDGE, None, in_long, tokens=None, ce=None, ce_mean=long),
    )


def _token_weighted(examples: pd.DataFrame, mean: Side) -> dict[str, Any]:
    tokens = int(examples["tokens"].sum())
    side = Side(float(examples["nll"].sum()) / tokens, mean.bce_loss, mean.weight)
    return {
        "tokens": tokens,
        "ce": side.ce,
        "perplexity": side.perplexity,
        "objective_on": side.objective,
        "objective_off": side.ce,
    }


# -- what a trainer logged


def _logged(split: StatsSplit) -> ReportSplit:
    on = split.on.values
    loss_on, loss_off = float(on["eval_loss"]), float(split.off.values["eval_loss"])
    # Off was weight zero here, so its loss is CE; a scoring cannot change CE, so it is that of the other side too.
    r = (loss_on - loss_off) / FIRST_WEIGHT
    low, high = SEED_RANGE
    first = f"{FIRST_WEIGHT:g}"
    if low <= r <= high:
        notes = [
            f"The file has no value of R. If the whole difference is BCE’s term at weight {first}, R is {r:.4f}, and "
            f"that is a value which the seed profile can have ({low} to {high}): the difference is the term."
        ]
    else:
        notes = [
            f"The whole difference, if it were BCE’s term at weight {first}, would make R {r:.4f}, which the seed "
            f"profile cannot have ({low} to {high}): something else differs between the two sides."
        ]
    n = split.examples
    if n is not None:
        notes.append(f"By the file’s own timing, there were {n:,} examples.")
    summary: dict[str, Any] = {
        "examples": n,
        "ce_mean": loss_off,
        "bce_loss": r,
        "report_eval_loss_on": loss_on,
        "report_eval_loss_off": loss_off,
        "buckets": [],
        **{key.removeprefix("eval_"): on[key] for key in _RUNTIME_KEYS if key in on},
    }
    found = (
        Difference("report", "examples", Side(loss_off, r, FIRST_WEIGHT), Side(loss_off, r, 0.0)),
        Difference("model", "examples", Side(loss_off, r, 0.0), Side(loss_off, r, 0.0)),
    )
    return ReportSplit(split.name, found, summary, _rows_as_examples(split.name, []), (), tuple(notes))
