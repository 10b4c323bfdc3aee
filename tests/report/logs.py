"""Logs for tests of the tables: the report's own, and small ones made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bcecore.config import RunConfig
from bcecore.report.material import Material
from bcecore.store.columns import Columns, block_of
from bcecore.store.imported import Imported, Source
from bcecore.store.record import RunRecord, Status, now
from bcecore.store.trainer_log import merged, read_trainer_log

RUN_ID = "20250101-120000-a-run-0a1b"


def logged(rows: Sequence[tuple[int, Mapping[str, float]]]) -> Columns:
    """What was logged: `(step, values)` for each step."""
    columns = Columns()
    columns.add(block_of(rows))
    return columns


def course(**columns: Sequence[float]) -> Columns:
    """Columns of values for the steps 1, 2, 3 …"""
    length = len(next(iter(columns.values())))
    return logged([(step + 1, {key: values[step] for key, values in columns.items()}) for step in range(length)])


def a_record(status: Status = "finished", **fields: Any) -> RunRecord:
    """A record of a run."""
    return RunRecord(id=RUN_ID, name="a run", created=now(), status=status, status_since=now(), **fields)


def imported_material(path: Path, **facts: str | float) -> Material:
    """The log of a Trainer as an imported run, with these facts given."""
    log = read_trainer_log(path)
    columns = Columns()
    columns.add(merged([log]))
    imported = Imported(
        sources=(Source(name=path.name, bytes=path.stat().st_size, sha256=""),), facts=facts, state=log.state
    )
    return Material(a_record("imported"), None, imported, columns, now())


def own_material(config: RunConfig, columns: Columns, **fields: Any) -> Material:
    """A run of ours with these settings and values; `fields` are of the record."""
    return Material(a_record(**fields), config, None, columns, now())
