"""The examples of an evaluation on disk, as Parquet: what is scored of each text, written in parts and put together.

`parts/part-NNNNN.parquet` while there are more to do, `examples.parquet` once the evaluation is finished.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore.files import disk_full_explained, replacing
from bcecore.store.objective import BCE_PARTS

if TYPE_CHECKING:
    import pyarrow

EXAMPLES_FILE = "examples.parquet"
_PARTS = "parts"


def examples_schema() -> pyarrow.Schema:
    """The columns of the examples, one row for each checkpoint, split and example.

    On and off need none: the objective is `ce` plus the weight (in the result) times `bce_loss`.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("checkpoint", pa.int32()),  # its step
            pa.field("split", pa.string()),  # its name
            pa.field("example", pa.int32()),  # the row in the split's file, from 0
            pa.field("text", pa.string()),
            pa.field("label", pa.string()),  # null in a set without labels
            pa.field("tokens", pa.int32()),  # predicted ones
            pa.field("length", pa.int32()),  # tokens of the whole text, special ones included
            pa.field("bytes", pa.int32()),  # UTF-8 bytes of what was scored
            pa.field("windows", pa.int32()),
            pa.field("cut", pa.bool_()),  # whether the end of the text was not scored
            pa.field("ce", pa.float64()),  # nats per predicted token
            pa.field("nll", pa.float64()),  # nats, the sum
            pa.field("bce_loss", pa.float64()),
            *(pa.field(name, pa.float64()) for name in BCE_PARTS),
            # One value for each predicted token; starts and ends count characters of the text.
            pa.field("token_ids", pa.list_(pa.int32())),
            pa.field("token_nll", pa.list_(pa.float32())),
            pa.field("token_starts", pa.list_(pa.int32())),
            pa.field("token_ends", pa.list_(pa.int32())),
            # In a labelled set: the log-likelihood of each of the split's labels, the same for a token, and the label
            # with the highest.
            pa.field("label_scores", pa.list_(pa.float64())),
            pa.field("label_means", pa.list_(pa.float64())),
            pa.field("predicted", pa.string()),
        ]
    )


def parts(directory: Path) -> list[Path]:
    """The parts of the evaluation in `directory` that are whole, in the order in which they were written."""
    return sorted((directory / _PARTS).glob("part-*.parquet"))


def write_part(directory: Path, number: int, rows: Iterable[dict[str, Any]]) -> Path:
    """Write one part of the examples, atomically; keys as in `examples_schema`, missing ones are null.

    Raises ValueError for other keys, DiskFullError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, schema = list(rows), examples_schema()
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:  # Arrow would leave them out without a word
        raise ValueError(f"examples have no {', '.join(sorted(unknown))}")
    table = pa.Table.from_pylist(rows, schema=schema)
    path = directory / _PARTS / f"part-{number:05d}.parquet"
    with disk_full_explained(path):
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
    return path


def merge_parts(directory: Path) -> Path:
    """Put the parts together as `examples.parquet`, in their order, then delete them; returns its path.

    One part at a time is in memory. After a merge that was cut short it can be called again, and also where there is
    nothing left to merge. Raises DiskFullError; the parts then stay.
    """
    import pyarrow.parquet as pq

    path = directory / EXAMPLES_FILE
    if not path.exists():
        schema = examples_schema()
        with (
            disk_full_explained(path),
            replacing(path) as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for part in parts(directory):
                writer.write_table(pq.read_table(part, schema=schema))
    shutil.rmtree(directory / _PARTS, ignore_errors=True)
    return path


def read_examples(
    directory: Path, columns: list[str] | None, filters: list[tuple[str, str, Any]] | None
) -> pyarrow.Table:
    """What is there of the examples in `directory`: all, or the parts so far; rows that fulfil `filters`.

    Raises FileNotFoundError where the parts are put together meanwhile, ArrowException for damaged files.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = directory / EXAMPLES_FILE
    files = [whole] if whole.exists() else parts(directory)
    schema = examples_schema()
    if not files:
        empty = schema.empty_table()
        return empty if columns is None else empty.select(columns)
    tables = [pq.read_table(file, columns=columns, filters=filters, schema=schema) for file in files]
    return pa.concat_tables(tables)
