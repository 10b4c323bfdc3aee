"""The table of all runs. Pure: records and summaries in, rows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd

from bcecore.config import RunConfig
from bcecore.report.progress import done_share
from bcecore.report.summary import RunSummary
from bcecore.report.words import age
from bcecore.store.record import RunRecord


def run_table(
    records: Sequence[RunRecord],
    summaries: Mapping[str, RunSummary],
    configs: Mapping[str, RunConfig],
    status_words: Mapping[str, str],
    now: datetime,
) -> pd.DataFrame:
    """One row a run, in the given order and numbered from 1. What is not known is empty."""
    rows = []
    for record in records:
        summary = summaries[record.id]
        config = configs.get(record.id)
        held_out = summary.held_out if config is not None and config.data.holds_out else None
        rows.append(
            {
                "name": record.name,
                "status": status_words[record.status],
                "progress": round(done_share(record), 2),
                "ce": summary.ce.value if summary.ce else None,
                "loss": summary.loss.value if summary.loss else None,
                "held_out": held_out.value if held_out else None,
                "trend": list(summary.trend),
                "bce": bce_words(config),
                "age": age(record.created, now),
            }
        )
    table = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1))
    numbers = ["progress", "ce", "loss", "held_out"]
    table[numbers] = table[numbers].astype("float64")
    return table


def bce_words(config: RunConfig | None) -> str:
    """`off`, or the kind of BCE; `unknown` when the settings cannot be read."""
    if config is None:
        return "unknown"
    return config.bce.profile if config.bce.enabled else "off"
