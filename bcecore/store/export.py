"""A run's logged values for other programs: as a table with one row a step, or every number as it was logged.

All digits are kept: whoever reads a file gets the same numbers again. What is not finite is written `nan`, `inf` and
`-inf`; what was not logged is empty.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bcecore.errors import RunError
from bcecore.files import disk_full_explained
from bcecore.store.history import IMPORTED_DIRECTORY, METRICS_FILE, STATE_FILE, History
from bcecore.store.metrics import MetricsTail
from bcecore.store.runs import RunStore, slug
from bcecore.store.tensorboard import write_events
from bcecore.store.trainer_log import TrainerLog, numbers, placed, read_trainer_log, step_as_logged

TableFormat = Literal["csv", "parquet"]
Format = Literal["csv", "parquet", "tensorboard"]

_RECORDS = pa.schema(
    [
        ("file", pa.string()),
        ("record", pa.int64()),
        ("step", pa.int64()),
        ("step_as_logged", pa.int64()),
        ("key", pa.string()),
        ("column", pa.string()),
        ("value", pa.float64()),
    ]
)
_BATCH = 50_000
# A spreadsheet takes a text that begins so for a formula, and would run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Row(NamedTuple):
    """One number of a log, as it was logged."""

    file: str
    record: int
    """Place of its record in the file, from 0."""
    step: int
    """To which it belongs."""
    step_as_logged: int | None
    """None where the record bears none."""
    key: str
    column: str | None
    """Its name in the table; None where it is not there, as the step itself."""
    value: float


def file_name(run_name: str, format: Format, *, records: bool = False) -> str:
    """What an export is called, after its run."""
    stem = f"{slug(run_name)}{'-records' if records else ''}"
    # TensorBoard finds its files by their name.
    return f"events.out.tfevents.0.{stem}" if format == "tensorboard" else f"{stem}.{format}"


def export(store: RunStore, run_id: str, path: Path, format: Format, *, records: bool = False) -> None:
    """Write a run's values to a file, which is whole or not there; one that is there is replaced.

    `records`: every number as it was logged, instead of one row a step. Raises RunError for a run or a file that
    cannot be, LogError, TensorBoardMissingError, DiskFullError, OSError.
    """
    directory = store.directory(run_id)
    if format == "tensorboard" and records:
        raise RunError("TensorBoard's files have one value for a step. Write all records as csv or parquet.")
    if path.is_dir() or not path.parent.is_dir():
        raise RunError(f"{path} cannot be a file: it is a folder, or its folder is not there. Name another file.")
    with disk_full_explained(path), tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        unfinished = Path(folder) / "export"
        if records:
            with unfinished.open("wb") as file:
                write_records(directory, file, "csv" if format == "csv" else "parquet")
        else:
            history = History(directory)
            history.refresh()
            if format == "tensorboard":
                write_events(history, unfinished, otherwise=store.record(run_id).created.timestamp())
            else:
                with unfinished.open("wb") as file:
                    write_table(history, file, format)
        unfinished.replace(path)


def write_table(history: History, file: IO[bytes], format: TableFormat) -> None:
    """Write one row for each step and a column for each key; a later value of a step replaces an earlier one."""
    names, columns = ["step"], [pa.array(history.steps)]
    for key in history.keys:
        series = history.series(key)
        rows = np.searchsorted(history.steps, series.steps)
        values = np.zeros(len(history.steps))
        missing = np.ones(len(history.steps), dtype=bool)
        values[rows], missing[rows] = series.values, False
        names.append(_safe(key) if format == "csv" else key)
        columns.append(pa.array(values, mask=missing))
    table = pa.Table.from_arrays(columns, names=names)
    if format == "csv":
        pa.csv.write_csv(table, file)
    else:
        pa.parquet.write_table(table, file)


def write_records(run_directory: Path, file: IO[bytes], format: TableFormat) -> None:
    """Write every number of a run's logs, one a row (see `Row`): also those that a later one replaces in the table.

    Of an imported log nothing is missing. Raises LogError for a log that was damaged since, OSError.
    """
    writer = pa.csv.CSVWriter(file, _RECORDS) if format == "csv" else pa.parquet.ParquetWriter(file, _RECORDS)
    with writer:
        rows: list[Row] = []
        for row in logged_rows(run_directory):
            if format == "csv":
                row = row._replace(key=_safe(row.key), column=row.column and _safe(row.column))
            rows.append(row)
            if len(rows) == _BATCH:
                writer.write(_batch(rows))
                rows = []
        writer.write(_batch(rows))


def _batch(rows: list[Row]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(_RECORDS)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _RECORDS, strict=True)], schema=_RECORDS
    )


def _safe(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA) else name


def logged_rows(run_directory: Path) -> Iterator[Row]:
    """Every number of a run's logs in the order of its files: the imported ones, else the live log."""
    imported = sorted((run_directory / IMPORTED_DIRECTORY).glob("*.json*"))
    live = run_directory / METRICS_FILE
    if not imported and live.is_file():
        # Read line by line, because it may be long; each of its lines bears its own step.
        for position, record in enumerate(MetricsTail(live).read()):
            step = step_as_logged(record)
            for number in numbers(record) if step is not None else ():
                yield Row(live.name, position, step or 0, step, *number)
        return
    for path in imported or [run_directory / STATE_FILE]:
        if path.is_file():
            yield from _rows_of(path.name, read_trainer_log(path))


def _rows_of(name: str, log: TrainerLog) -> Iterator[Row]:
    for record in placed(log):
        said = log.records[record.position]
        for key, column, value in numbers(said):
            # The epoch of a record that was moved is that of another step.
            shown = column if column in record.values else None
            yield Row(name, record.position, record.step, step_as_logged(said), key, shown, value)
