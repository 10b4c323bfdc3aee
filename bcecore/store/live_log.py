"""Lines of the live log (`metrics.jsonl`) as blocks of arrays: a few lines at once by Python, many by Arrow."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from bcecore.store.columns import Block, Mask, Values, block_of
from bcecore.store.metrics import RESUME

# Below this, starting Arrow's reader costs more than it saves.
_FEW_BYTES = 50_000
_NOT_VALUES = frozenset({"step", "event", "from", "nonfinite"})


class Resumed(NamedTuple):
    """The run went on from this step; what was logged beyond it is computed again."""

    step: int


class Unreadable(NamedTuple):
    """So many lines could not be read."""

    lines: int


def parse_lines(data: bytes | memoryview) -> Iterator[Block | Resumed | Unreadable]:
    """What whole lines of the live log say, in order. Lines that are no JSON object are counted and passed over."""
    if len(data) > _FEW_BYTES:
        try:
            table = pj.read_json(io.BytesIO(data) if isinstance(data, bytes) else pa.BufferReader(pa.py_buffer(data)))
            yield from _from_table(table)
            return
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError):
            pass  # a line that is not like the others: the slow way tells which
    yield from _from_records(bytes(data))


def _from_records(data: bytes) -> Iterator[Block | Resumed | Unreadable]:
    lines: list[tuple[int, dict[str, float]]] = []
    unreadable = 0
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            unreadable += bool(line.strip())
            continue
        if not isinstance(record, dict):
            unreadable += 1
            continue
        if record.get("event") == RESUME:
            if (origin := _step(record.get("from"))) is not None:
                yield block_of(lines)
                lines = []
                yield Resumed(origin)
        elif (step := _step(record.get("step"))) is not None:
            lines.append((step, _values(record)))
    yield block_of(lines)
    if unreadable:
        yield Unreadable(unreadable)


def _step(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _values(record: dict[str, Any]) -> dict[str, float]:
    values = {
        key: float(value)
        for key, value in record.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in _NOT_VALUES
    }
    return values | dict.fromkeys(record.get("nonfinite") or (), math.nan)


def _from_table(table: pa.Table) -> Iterator[Block | Resumed]:
    names = set(table.column_names)
    if "step" not in names or not pa.types.is_integer(table["step"].type):
        raise TypeError("no steps to go by")
    steps = _numpy(table["step"], np.int64(-1))
    columns: dict[str, Values] = {}
    present: dict[str, Mask] = {}
    for name in table.column_names:
        column = table[name]
        kind = column.type
        if name in _NOT_VALUES or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            continue
        columns[name] = _numpy(column.cast(pa.float64(), safe=False), np.nan)
        present[name] = np.ones(len(column), dtype=bool) if not column.null_count else _numpy(column.is_valid(), False)
    if "nonfinite" in names:
        _mark_nonfinite(table["nonfinite"], columns, present)
    block = Block(steps, columns, present)
    yield from _split(block, _resumes(table, names))


def _split(block: Block, resumes: Sequence[tuple[int, int]]) -> Iterator[Block | Resumed]:
    begin = 0
    for position, step in [*resumes, (len(block.steps), -1)]:
        lines = block.rows(begin, position) if resumes else block
        with_step = lines.steps >= 0
        if with_step.all():
            yield lines
        else:
            yield Block(
                lines.steps[with_step],
                {key: values[with_step] for key, values in lines.columns.items()},
                {key: mask[with_step] for key, mask in lines.present.items()},
            )
        if position < len(block.steps):
            yield Resumed(step)
        begin = position + 1


def _numpy(column: pa.ChunkedArray, missing: Any) -> Any:
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(missing, column.type))
    return column.to_numpy()


def _resumes(table: pa.Table, names: set[str]) -> list[tuple[int, int]]:
    """Position and step of each resume among the lines."""
    if "event" not in names:
        return []
    positions = np.flatnonzero(_numpy(pc.equal(table["event"], RESUME), False))
    if "from" not in names:
        return []
    origins = [(int(position), table["from"][int(position)].as_py()) for position in positions]
    return [(position, origin) for position, origin in origins if origin is not None]


def _mark_nonfinite(named: pa.ChunkedArray, columns: dict[str, Values], present: dict[str, Mask]) -> None:
    length = len(named)
    for position in np.flatnonzero(_numpy(named.is_valid(), False)):
        for key in named[int(position)].as_py():
            if key not in columns:
                columns[key] = np.full(length, np.nan)
                present[key] = np.zeros(length, dtype=bool)
            if not present[key].flags.writeable:
                present[key] = present[key].copy()
            present[key][position] = True
