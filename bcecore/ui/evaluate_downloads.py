"""What can be taken away from an evaluation: its tables as Markdown and CSV, its examples as CSV and Parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from bcecore.evaluation.decomposition import Difference, differences
from bcecore.findings.finding import Finding
from bcecore.report.evaluation_tables import (
    as_markdown,
    on_off_table,
    report_table,
    statistics_table,
    timing_table,
)
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore
from bcecore.store.examples import EXAMPLES_FILE, examples_schema
from bcecore.store.runs import RunStore
from bcecore.ui.words import plain

_LISTS = ("token_ids", "token_nll", "token_starts", "token_ends", "label_scores", "label_means")
ON_OFF_TITLES = {
    "split": "Text",
    "checkpoint": "Step",
    "measure": "Measured",
    "average": "Average",
    "on": "BCE on",
    "off": "BCE off",
    "change": "Difference",
    "change_in_ce": "Change in CE",
    "change_in_term": "Change in w·R",
    "weight_on": "Weight on",
    "weight_off": "Weight off",
    "why": "Why",
}
REPORT_TITLES = {
    "split": "Split",
    "checkpoint": "Step",
    "mode": "Mode",
    "eval_loss": "eval_loss",
    "eval_loss_change": "Δ vs BCE-on",
    "perplexity": "perplexity",
    "perplexity_change": "Δ vs BCE-on ",
    "note": "Note",
}
_FIGURES = {
    "split": "Text",
    "checkpoint": "Step",
    "examples": "Texts",
    "tokens": "Tokens",
    "ce": "CE",
    "perplexity": "Perplexity",
    "bits_per_byte": "Bits per byte",
    "ce_mean": "Mean CE",
    "ce_median": "Median CE",
    "ce_p90": "90th percentile",
    "bce_loss": "BCE loss R",
    "weight": "BCE weight",
}
_TIMING = {
    "split": "Text",
    "checkpoint": "Step",
    "runtime": "eval_runtime",
    "samples_per_second": "eval_samples_per_second",
    "steps_per_second": "eval_steps_per_second",
}

Found = Mapping[int, Mapping[str, Sequence[Difference]]]
"""The differences of each split, by the step of the checkpoint."""


def differences_of(result: Mapping[str, Any], first_weight: float) -> Found:
    """All differences of a `result.json`, by checkpoint and split."""
    found: dict[int, dict[str, tuple[Difference, ...]]] = {}
    for split, entry in result["splits"].items():
        for step, summary in entry["checkpoints"].items():
            found.setdefault(int(step), {})[split] = differences(summary, first_weight)
    return dict(sorted(found.items()))


def all_on_off(found: Found) -> pd.DataFrame:
    """On, off and the parts of their difference for every checkpoint, text, measure and average."""
    return _of_all({step: on_off_table(splits) for step, splits in found.items()})


def _of_all(tables: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for step, table in tables.items():
        part = table.copy()
        part.insert(1, "checkpoint", step)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def tables_markdown(
    title: str, about: str, found: Found, result: Mapping[str, Any], noticed: Sequence[Finding] = ()
) -> str:
    """All tables of an evaluation as one Markdown page, figures unrounded but for the report's own table.

    What was noticed comes first: it limits what the tables say.
    """
    printed = _of_all({step: report_table(splits) for step, splits in found.items()})
    sections = {
        "BCE vs No-BCE, as the report measured it": as_markdown(printed, REPORT_TITLES),
        "Where each difference comes from": as_markdown(all_on_off(found), ON_OFF_TITLES),
        "Figures": as_markdown(statistics_table(result), _FIGURES),
        "Timing": as_markdown(timing_table(result), _TIMING),
    }
    body = "\n".join(f"## {heading}\n\n{table}" for heading, table in sections.items())
    limits = "\n".join(f"- **{plain(each.sentence)}** {plain(each.what_to_do)} ({each.id})" for each in noticed)
    before = f"## What was noticed\n\n{limits}\n\n" if limits else ""
    return f"# {plain(title)}\n\n{plain(about)}\n\n{before}{body}"


def tables_csv(found: Found, result: Mapping[str, Any]) -> str:
    """On and off with everything that belongs to a checkpoint and a text, as CSV, unrounded."""
    others = statistics_table(result).merge(timing_table(result), on=["split", "checkpoint"])
    csv: str = all_on_off(found).merge(others, on=["split", "checkpoint"], how="left").to_csv(index=False)
    return csv


def examples_csv(store: RunStore, record: EvaluationRecord, result: Mapping[str, Any]) -> str:
    """One line for each checkpoint, text and example, with both objectives; the tokens are in the Parquet file."""
    found = EvaluationStore(store)
    columns = [name for name in examples_schema().names if name not in _LISTS]
    examples = found.examples(record.key, columns).to_pandas()
    weights = {
        (split, int(step)): summary["weight"]
        for split, entry in result["splits"].items()
        for step, summary in entry["checkpoints"].items()
    }
    places = zip(examples["split"], examples["checkpoint"], strict=True)
    examples["weight"] = [weights.get((split, int(step))) for split, step in places]
    examples["objective_on"] = examples["ce"] + (examples["weight"] * examples["bce_loss"]).where(
        examples["weight"] != 0, 0.0
    )
    examples["objective_off"] = examples["ce"]
    csv: str = examples.to_csv(index=False)
    return csv


def examples_parquet(store: RunStore, record: EvaluationRecord) -> bytes:
    """The file itself, or of an unfinished evaluation what there is of it."""
    found = EvaluationStore(store)
    path: Path = found.directory(record.key) / EXAMPLES_FILE
    if path.is_file():
        return path.read_bytes()
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(found.examples(record.key), buffer, compression="zstd")
    return buffer.getvalue()


def show_downloads(
    store: RunStore,
    record: EvaluationRecord,
    about: str,
    found: Found,
    result: Mapping[str, Any],
    noticed: Sequence[Finding],
) -> None:
    """The buttons; a file is made when it is asked for. `noticed` is what the rules say of the evaluation."""
    files: dict[str, tuple[str, str, str, Any]] = {
        "tables-markdown": (
            "All tables (Markdown)",
            f"{record.id}.md",
            "text/markdown",
            lambda: tables_markdown(record.name, about, found, result, noticed),
        ),
        "tables-csv": ("All figures (CSV)", f"{record.id}.csv", "text/csv", lambda: tables_csv(found, result)),
        "examples-csv": (
            "Examples (CSV)",
            f"{record.id}-examples.csv",
            "text/csv",
            lambda: examples_csv(store, record, result),
        ),
        "examples-parquet": (
            "Examples with their tokens (Parquet)",
            f"{record.id}-examples.parquet",
            "application/vnd.apache.parquet",
            lambda: examples_parquet(store, record),
        ),
    }
    st.markdown("Figures are unrounded. Texts are in the examples, one row for each checkpoint and text.")
    with st.container(horizontal=True, key="evaluation-downloads"):
        for key, (label, name, mime, make) in files.items():
            st.download_button(
                label,
                make,
                file_name=name,
                mime=mime,
                on_click="ignore",
                icon=":material/download:",
                key=f"download-{key}",
            )
