"""The report's own stats files (`bce_eval_stats.json`, `wikitext_eval_stats.json`), in the shape of our evaluations.

`bce_eval_stats.json` holds, for each split and for BCE on and off, means over the examples and the best and worst three
of them; its weights are those at the end of training, and its "off" had a weight too. `wikitext_eval_stats.json` holds
what a fresh trainer logged. What a file does not say stays unknown; what was worked out is said in a note.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bcecore.errors import BceError
from bcecore.evaluation.decomposition import Difference, Side
from bcecore.evaluation.explorer import REPORT_EDGES, Bucket
from bcecore.schedule import bce_weight

REPORT_STEP = 2000
"""The checkpoint that the report scored. Its files do not name it; the weight 0.44 is that of this step."""
FIRST_WEIGHT = bce_weight(1, base=0.2, target=0.2, maximum=0.5, warmup_steps=400, boost_span=2000)
"""w(1) of the report's schedule, 0.0005: its evaluations began with a fresh trainer, which stands at step 1."""
SEED_RANGE = (-0.465570, -0.421126)
"""What R can be in the seed profile (DESIGN §5)."""

_ON, _OFF = "bce_on", "bce_off"
_SHOWN_ROWS = 3
_MOST_EXAMPLES = 10_000
(_EDGE,) = REPORT_EDGES
_BUCKET_LABELS = (f"<={_EDGE}", f">{_EDGE}")
_RUNTIME_KEYS = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
_MEANS_KEYS = ("mean_ce", "p50_ce", "p90_ce", "mean_total")
_ROW_KEYS = ("idx", "text", "len", "ce_loss", "bce_loss", "total_loss", "bce_eff_w")


class StatsFileError(BceError):
    """A file that is not one of the report's stats files."""


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
        for name, both in _content(path).items():
            if name in splits:
                raise StatsFileError(f"The split “{name}” is in {path.name} and in another file. Choose one of them.")
            splits[name] = _split(path, name, both)
    if not splits:
        raise StatsFileError("No stats file was given. Choose bce_eval_stats.json or wikitext_eval_stats.json.")
    return ReportStats(tuple(splits.values()), tuple(sources))


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StatsFileError(f"{path.name} could not be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise StatsFileError(f"{path.name} is not JSON ({error}). {_ADVICE}") from error
    if not isinstance(content, dict):
        raise StatsFileError(f"{path.name} holds a {type(content).__name__}, not stats by split. {_ADVICE}")
    if not content:
        raise StatsFileError(f"{path.name} holds no splits. {_ADVICE}")
    return content


_ADVICE = "Choose one of the report's files, bce_eval_stats.json or wikitext_eval_stats.json."


def _split(path: Path, name: str, both: Any) -> ReportSplit:
    if not isinstance(both, dict) or not all(isinstance(both.get(mode), dict) for mode in (_ON, _OFF)):
        keys = ", ".join(map(str, both)) if isinstance(both, dict) else repr(both)
        raise StatsFileError(f"“{name}” in {path.name} has no “{_ON}” and “{_OFF}”, but {keys[:80]}. {_ADVICE}")
    on, off = both[_ON], both[_OFF]
    where = f"“{name}” in {path.name}"
    if "mean_ce" in on:
        return _means(where, name, on, off)
    if "eval_loss" in on:
        return _logged(where, name, on, off)
    raise StatsFileError(f"{where} has neither “mean_ce” nor “eval_loss”, but {', '.join(on)[:80]}. {_ADVICE}")


def _number(where: str, values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise StatsFileError(f"{where}: “{key}” has to be a number, got {value!r}. {_ADVICE}")
    return float(value)


# -- what was written example by example


def _means(where: str, name: str, on: dict[str, Any], off: dict[str, Any]) -> ReportSplit:
    values = {(mode, key): _number(where, side, key) for mode, side in ((_ON, on), (_OFF, off)) for key in _MEANS_KEYS}
    shown = {mode: _shown(where, side) for mode, side in ((_ON, on), (_OFF, off))}
    weight = {mode: _weight(where, rows) for mode, rows in shown.items()}
    ce, ce_off = values[_ON, "mean_ce"], values[_OFF, "mean_ce"]
    if weight[_ON] == 0:
        raise StatsFileError(f"{where}: the weight with BCE on is 0, so nothing says what R was. {_ADVICE}")
    # The file has no mean of R, but the total is CE + w·R.
    r = (values[_ON, "mean_total"] - ce) / weight[_ON]
    r_off = (values[_OFF, "mean_total"] - ce_off) / weight[_OFF] if weight[_OFF] else r
    notes = []
    if weight[_OFF] != 0:
        notes.append(f"The side that was called off had a weight of {weight[_OFF]:.2f}: it was not off.")
    examples = _rows_as_examples(name, shown[_ON])
    n, all_shown = _examples(on, examples)
    if n is not None and not all_shown:
        notes.append(f"The file does not say how many examples there were; its length buckets make it {n:,}.")
    buckets = _buckets(on, n)
    summary: dict[str, Any] = {
        "examples": n,
        "ce_mean": ce,
        "ce_median": values[_ON, "p50_ce"],
        "ce_p90": values[_ON, "p90_ce"],
        "bce_loss": r,
        "weight": weight[_ON],
        "objective_on_mean": values[_ON, "mean_total"],
        "objective_off_mean": ce,
        "report_eval_loss_on": Side(ce, r, FIRST_WEIGHT).objective,
        "report_eval_loss_off": ce,
        "buckets": [
            {"up_to": bucket.up_to, "examples": bucket.examples, "ce_mean": bucket.ce_mean}
            for bucket in buckets
            if bucket.examples != 0
        ],
    }
    if all_shown:
        summary |= _token_weighted(examples, Side(ce, r, weight[_ON]))
    found = (
        Difference("report", "examples", Side(ce, r, FIRST_WEIGHT), Side(ce_off, r_off, 0.0)),
        Difference("objective", "examples", Side(ce, r, weight[_ON]), Side(ce_off, r_off, weight[_OFF])),
        Difference("model", "examples", Side(ce, r, 0.0), Side(ce_off, r_off, 0.0)),
    )
    return ReportSplit(name, found, summary, examples, buckets, tuple(notes))


def _shown(where: str, side: dict[str, Any]) -> list[dict[str, Any]]:
    """The best and the worst examples that one side of the file shows, each once, in the order of the split."""
    rows: dict[int, dict[str, Any]] = {}
    for key in ("best3", "worst3"):
        listed = side.get(key)
        if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
            raise StatsFileError(f"{where}: “{key}” has to be a list of examples, got {str(listed)[:40]!r}. {_ADVICE}")
        for row in listed:
            missing = [column for column in _ROW_KEYS if column not in row]
            if missing:
                raise StatsFileError(f"{where}: an example in “{key}” has no {', '.join(missing)}. {_ADVICE}")
            if not isinstance(row["text"], str):
                raise StatsFileError(f"{where}: “text” has to be a text, got {row['text']!r}. {_ADVICE}")
            numbers = {column: _number(where, row, column) for column in _ROW_KEYS if column != "text"}
            rows[int(numbers["idx"])] = {"text": row["text"], **numbers}
    if not rows:
        raise StatsFileError(f"{where} shows no examples, so nothing says which weight was used. {_ADVICE}")
    return [rows[index] for index in sorted(rows)]


def _weight(where: str, rows: list[dict[str, Any]]) -> float:
    weights = {row["bce_eff_w"] for row in rows}
    if len(weights) > 1:
        listed = ", ".join(f"{weight:g}" for weight in sorted(weights))
        raise StatsFileError(f"{where} was scored with several weights ({listed}) on one side. {_ADVICE}")
    return float(weights.pop())


def _rows_as_examples(split: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
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


def _examples(side: dict[str, Any], shown: pd.DataFrame) -> tuple[int | None, bool]:
    """How many examples the split has, and whether the file shows them all."""
    if len(side["best3"]) < _SHOWN_ROWS and len(side["worst3"]) < _SHOWN_ROWS:
        return len(shown), True
    short, long = (_bucket(side, label) for label in _BUCKET_LABELS)
    if short is None or long is None or short == long:
        return None, False
    # The mean over all is that of the buckets, each with its share of the examples.
    share = (side["mean_ce"] - short) / (long - short)
    for n in range(int(shown["example"].max()) + 1, _MOST_EXAMPLES):
        in_bucket = round(n * share)
        # The file's means were taken in single precision.
        if 0 < in_bucket < n and abs(in_bucket / n - share) < 1e-6:
            return n, False
    return None, False


def _bucket(side: dict[str, Any], label: str) -> float | None:
    buckets = side.get("bucket_mean")
    value = buckets.get(label) if isinstance(buckets, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def _buckets(side: dict[str, Any], n: int | None) -> tuple[Bucket, ...]:
    short, long = (_bucket(side, label) for label in _BUCKET_LABELS)
    in_long: int | None = None
    if short is None or long is None:
        in_long = (0 if long is None else n) if n is not None else None
    elif n is not None:
        in_long = round(n * (side["mean_ce"] - short) / (long - short))
    in_short = n - in_long if n is not None and in_long is not None else None
    return (
        Bucket(0, _EDGE, in_short, tokens=None, ce=None, ce_mean=short),
        Bucket(_EDGE, None, in_long, tokens=None, ce=None, ce_mean=long),
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


def _logged(where: str, name: str, on: dict[str, Any], off: dict[str, Any]) -> ReportSplit:
    loss_on, loss_off = _number(where, on, "eval_loss"), _number(where, off, "eval_loss")
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
    n = _examples_by_time(on)
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
    return ReportSplit(name, found, summary, _rows_as_examples(name, []), (), tuple(notes))


def _examples_by_time(side: dict[str, Any]) -> int | None:
    """How many examples went by, where the runtime and the pace give nearly a whole number."""
    runtime, pace = side.get("eval_runtime"), side.get("eval_samples_per_second")
    if not isinstance(runtime, (int, float)) or not isinstance(pace, (int, float)):
        return None
    product = runtime * pace
    # Both are rounded, to four and three decimals.
    slack = 0.0005 * runtime + 0.00005 * pace
    if not math.isfinite(product) or slack >= 0.5:
        return None
    return round(product) if abs(product - round(product)) <= slack else None
