"""Sides of a comparison, made by hand."""

from __future__ import annotations

from typing import Any

from bcecore.config import RunConfig
from bcecore.report.comparability import Side
from bcecore.store.columns import Columns, block_of
from bcecore.store.imported import Imported
from bcecore.store.record import RunRecord, Status, now

TEXTS = {"train": "t1", "validation": "v1"}


def side(
    name: str,
    values: dict[str, dict[int, float]],
    *,
    config: RunConfig | None = None,
    run_id: str | None = None,
    step: int | None = None,
    status: Status = "finished",
    texts: dict[str, str] | None = None,
    imported: Imported | None = None,
    **record: Any,
) -> Side:
    """A side with `values` as `{key: {step: value}}`; by default on the same texts as every other."""
    columns = Columns()
    for key, series in values.items():
        columns.add(block_of([(at, {key: value}) for at, value in series.items()]))
    dataset = {"fingerprints": TEXTS if texts is None else texts, "cut": 0} | record.pop("dataset", {})
    moment = now()
    written = RunRecord(
        id=run_id or name, name=name, created=moment, status=status, status_since=moment, dataset=dataset, **record
    )
    return Side(name, written, config, columns, imported, step)
