"""The tables of an evaluation, as data frames: numbers where a page formats them, words where digits are the point.

Pure: results in, tables out. What is not known is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bcecore.evaluation.decomposition import Difference, exponential, known
from bcecore.evaluation.explorer import Bucket
from bcecore.evaluation.labelled import LabelMetrics
from bcecore.evaluation.paired import Choice
from bcecore.report.evaluation_words import (
    AVERAGING_WORDS,
    MEASURE_WORDS,
    difference_sentence,
    fixed,
    percent_change,
    rounding_note,
)
from bcecore.report.token_html import Span

_ON_DECIMALS, _OFF_DECIMALS = 4, 5
"""Of the eval_loss in the report's table: it prints the two sides with different precision."""

_STATISTICS = (
    "examples",
    "tokens",
    "ce",
    "perplexity",
    "bits_per_byte",
    "ce_mean",
    "ce_median",
    "ce_p90",
    "bce_loss",
    "weight",
)
_TIMING = ("runtime", "samples_per_second", "steps_per_second")


def on_off_table(splits: Mapping[str, Sequence[Difference]]) -> pd.DataFrame:
    """On, off and their difference for every split, measure and average, each difference with its two parts.

    `change` = `change_in_ce` + `change_in_term` = on − off, nats per token; `why` is the sentence that follows.
    """
    rows = [
        {
            "split": split,
            "measure": MEASURE_WORDS[difference.measure],
            "average": AVERAGING_WORDS[difference.averaging],
            "on": difference.on.objective,
            "off": difference.off.objective,
            "change": difference.change,
            "change_in_ce": difference.change_in_ce,
            "change_in_term": difference.change_in_term,
            "weight_on": difference.on.weight,
            "weight_off": difference.off.weight,
            "why": difference_sentence(difference),
        }
        for split, found in splits.items()
        for difference in found
    ]
    columns = ["split", "measure", "average", "on", "off", "change", "change_in_ce", "change_in_term"]
    return pd.DataFrame(rows, columns=[*columns, "weight_on", "weight_off", "why"])


def report_table(splits: Mapping[str, Sequence[Difference]]) -> pd.DataFrame:
    """The report's table "BCE vs No-BCE", with its digits; its percentages come from unrounded values.

    Two rows a split that was measured as the report did; `note` says where the printed figures would give another
    percentage. The perplexity is the report's, exp(eval_loss), which BCE's term is in.
    """
    rows = []
    for split, found in splits.items():
        for difference in found:
            if difference.measure != "report":
                continue
            on, off = difference.on, difference.off
            printed_on, printed_off = fixed(on.objective, _ON_DECIMALS), fixed(off.objective, _OFF_DECIMALS)
            rows.append(_report_row(split, "BCE on", printed_on, "—", on.reported_perplexity, "—", ""))
            rows.append(
                _report_row(
                    split,
                    "BCE off",
                    printed_off,
                    percent_change(difference.off_against_on),
                    off.reported_perplexity,
                    percent_change(difference.perplexity_off_against_on),
                    rounding_note(difference, printed_on, printed_off) or "",
                )
            )
    columns = ["split", "mode", "eval_loss", "eval_loss_change", "perplexity", "perplexity_change", "note"]
    return pd.DataFrame(rows, columns=columns)


def _report_row(
    split: str, mode: str, loss: str, change: str, perplexity: float, perplexity_change: str, note: str
) -> dict[str, str]:
    return {
        "split": split,
        "mode": mode,
        "eval_loss": loss,
        "eval_loss_change": change,
        "perplexity": fixed(perplexity, 4),
        "perplexity_change": perplexity_change,
        "note": note,
    }


def totals_table(splits: Mapping[str, Sequence[Difference]]) -> pd.DataFrame:
    """The report's second set: mean CE and mean total loss over the examples, with the weight of each side."""
    rows = [
        {
            "split": split,
            "mode": mode,
            "weight": fixed(side.weight, 2),
            "mean_ce": fixed(side.ce, 4),
            "mean_total": fixed(side.objective, 4),
            "note": difference_sentence(difference),
        }
        for split, found in splits.items()
        for difference in found
        if difference.measure == "objective" and difference.averaging == "examples"
        for mode, side in (("BCE on", difference.on), ("BCE off", difference.off))
    ]
    return pd.DataFrame(rows, columns=["split", "mode", "weight", "mean_ce", "mean_total", "note"])


def statistics_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """One row a split and checkpoint of `result.json`: counts, CE in all its averages, perplexity, bits per byte."""
    return _from_result(result, _STATISTICS)


def timing_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """The report's timing rows for every split and checkpoint: runtime in seconds, samples and steps per second."""
    return _from_result(result, _TIMING)


def _from_result(result: Mapping[str, Any], keys: Sequence[str]) -> pd.DataFrame:
    rows = [
        {"split": split, "checkpoint": int(step), **{key: known(summary.get(key)) for key in keys}}
        for split, entry in result["splits"].items()
        for step, summary in sorted(entry["checkpoints"].items(), key=lambda item: int(item[0]))
    ]
    table = pd.DataFrame(rows, columns=["split", "checkpoint", *keys])
    table[list(keys)] = table[list(keys)].astype("float64")
    return table


def bucket_table(buckets: Sequence[Bucket]) -> pd.DataFrame:
    """CE by length: the tokens of the texts in words, how many there are, and both averages."""
    rows = [
        {
            "length": bucket.title,
            "examples": bucket.examples,
            "tokens": bucket.tokens,
            "ce": bucket.ce,
            "ce_mean": bucket.ce_mean,
        }
        for bucket in buckets
    ]
    table = pd.DataFrame(rows, columns=["length", "examples", "tokens", "ce", "ce_mean"])
    kinds: dict[str, str] = {"examples": "Int64", "tokens": "Int64", "ce": "float64", "ce_mean": "float64"}
    return table.astype(kinds)


def token_table(pieces: Sequence[Span]) -> pd.DataFrame:
    """The predicted tokens of one example in the order of the text: what they say, their loss and its chance.

    The same as the colours, for those who do not see them; tokens that share a character share a row.
    """
    rows = [
        {"token": piece.text or "(mark)", "nats": piece.loss, "chance": exponential(-piece.loss)}
        for piece in pieces
        if piece.nats
    ]
    table = pd.DataFrame(rows, columns=["token", "nats", "chance"])
    return table.astype({"nats": "float64", "chance": "float64"})


def choice_table(choice: Choice, names: Sequence[str]) -> pd.DataFrame:
    """One row a side: its CE and perplexity, how far it is from the lowest (nats per token, its interval), and `keep`.

    `behind` ≥ 0 is its CE less the lowest one; `low` and `high` are the ends of its interval. `better_on` is the share
    of the texts on which the lowest is better than it.
    """
    rows = []
    # The lowest is no comparison of its own; its CE stands in those of the others.
    lowest_ce = next(item.ce_second for item in choice.against_lowest if item is not None)
    for place, (name, comparison) in enumerate(zip(names, choice.against_lowest, strict=True)):
        ce = lowest_ce if comparison is None else comparison.ce_first
        rows.append(
            {
                "name": name,
                "ce": ce,
                "perplexity": exponential(ce),
                "behind": 0.0 if comparison is None else 0.0 - comparison.difference.value,
                "low": None if comparison is None else 0.0 - comparison.high,
                "high": None if comparison is None else 0.0 - comparison.low,
                "better_on": None if comparison is None else comparison.share_better,
                "keep": place == choice.keep,
            }
        )
    table = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1))
    numbers = ["ce", "perplexity", "behind", "low", "high", "better_on"]
    table[numbers] = table[numbers].astype("float64")
    return table


def class_table(metrics: LabelMetrics) -> pd.DataFrame:
    """Precision, recall and F1 of each label; empty where there is nothing to take a share of."""
    rows = [
        {
            "label": item.label,
            "texts": item.support,
            "predicted": item.predicted,
            "precision": item.precision,
            "recall": item.recall,
            "f1": item.f1,
        }
        for item in metrics.classes
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(("precision", "recall", "f1"), "float64"))


def confusion_table(metrics: LabelMetrics) -> pd.DataFrame:
    """True labels down, predicted ones across, numbers of texts."""
    return pd.DataFrame(
        metrics.confusion,
        index=pd.Index(metrics.labels, name="label"),
        columns=pd.Index(metrics.labels, name="predicted"),
    )


def reliability_table(metrics: LabelMetrics) -> pd.DataFrame:
    """How often the model is right for each degree of confidence; empty bins are left out."""
    rows = [
        {
            "confidence_from": item.low,
            "confidence_to": item.high,
            "texts": item.examples,
            "confidence": item.confidence,
            "accuracy": item.accuracy,
        }
        for item in metrics.calibration.bins
        if item.examples
    ]
    return pd.DataFrame(rows)


def as_markdown(table: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """A table as Markdown: the columns named in `titles`, under these titles, in this order."""
    lines = [_markdown_row(titles.values()), _markdown_row(["---"] * len(titles))]
    for row in table[list(titles)].itertuples(index=False, name=None):
        lines.append(_markdown_row("" if pd.isna(value) else value for value in row))
    return "\n".join(lines) + "\n"


def _markdown_row(values: Any) -> str:
    # A bar or a line break in somebody's text would start a new cell or row.
    cells = (" ".join(str(value).replace("\\", "\\\\").replace("|", "\\|").split()) for value in values)
    return f"| {' | '.join(cells)} |"
