"""What must be true of a run after whatever was done to it: it is as if nothing had happened."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bcecore.errors import BceError
from bcecore.files import read_json
from bcecore.store.history import History
from bcecore.store.metrics import RESUME, MetricsTail
from bcecore.store.runs import RunStore

Rows = dict[int, dict[str, Any]]
_SECOND_PROCESS = "Another process is at work on this run"


@dataclass(frozen=True)
class Reference:
    """What a run that nobody disturbed came to: its weights' bytes, and its log but for times and paces."""

    weights: bytes
    rows: Rows

    @property
    def steps(self) -> int:
        return max(self.rows)


def reference(store: RunStore, run_id: str) -> Reference:
    """What a finished run came to."""
    directory = store.directory(run_id)
    return Reference(_weights(directory), _rows(directory))


def problems_of(store: RunStore, run_id: str, expected: Reference) -> Iterator[str]:
    """What is wrong with a run that should have come to what `expected` holds."""
    try:
        record = store.record(run_id)
        if run_id not in store.ids():
            yield "is not in the list of runs"
    except BceError as error:
        yield f"is lost: {error}"
        return
    directory = store.directory(run_id)
    yield from log_problems(directory)
    if record.status != "finished":
        yield f"is {record.status}, not finished ({record.failure.message if record.failure else 'no failure'})"
        return
    if record.process is not None or record.ended is None or record.failure is not None:
        yield f"is finished, with process {record.process}, end {record.ended} and failure {record.failure}"
    if record.progress is None or record.progress.step != expected.steps:
        yield f"is finished with progress {record.progress}"
    if _weights(directory) != expected.weights:
        yield "has other weights than the undisturbed run"
    yield from _differences("metrics.jsonl", _rows(directory), expected.rows)
    yield from _differences("trainer_state.json", _state_rows(directory), expected.rows)
    # A temporary file may lie there for good: whoever is killed while writing one cannot take it away.
    left = [path.name for pattern in ("*.request", ".ballast") for path in directory.glob(pattern)]
    if left:
        yield f"has left {', '.join(left)} behind"


def log_problems(directory: Path) -> Iterator[str]:
    """What cannot be in the live log of a run at which never more than one process was at work at a time."""
    last = 0
    for line in MetricsTail(directory / "metrics.jsonl").read():
        if line.get("event") == RESUME:
            if line["from"] > last:
                yield f"resumes from step {line['from']}, but only {last} were logged"
            last = line["from"]
        elif "loss" in line:
            if line["step"] != last + 1:
                yield f"logged step {line['step']} after step {last}"
            last = line["step"]
    log = directory / "train.log"
    if log.exists() and _SECOND_PROCESS in log.read_text(errors="replace"):
        yield "was started a second time while it was at work"


def resumes_from_checkpoint(store: RunStore, run_id: str) -> int:
    """How often the run went on from a checkpoint, not from its beginning."""
    lines = MetricsTail(store.directory(run_id) / "metrics.jsonl").read()
    return sum(line.get("event") == RESUME and line["from"] > 0 for line in lines)


def _weights(directory: Path) -> bytes:
    try:
        return (directory / "model" / "model.safetensors").read_bytes()
    except FileNotFoundError:
        return b""


def _rows(directory: Path) -> Rows:
    """The logged values by step, as the charts get them."""
    history = History(directory)
    history.refresh()
    return {int(row["step"]): _comparable(row) for row in history.frame.to_dict("records")}


def _state_rows(directory: Path) -> Rows:
    """The same out of the Trainer's own file; a step that is in it twice gets a value that no log has."""
    rows: Rows = {}
    for record in read_json(directory / "trainer_state.json")["log_history"]:
        if "train_runtime" in record:  # the totals of the last session
            continue
        row = rows.setdefault(record["step"], {})
        kind = "eval_loss" if "eval_loss" in record else "loss"
        row |= {"twice": kind} if kind in row else _comparable(record)
    return rows


def _comparable(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The values that are there, without times and paces, which no two runs share."""
    return {
        key: value
        for key, value in row.items()
        if key != "time" and not key.endswith(("per_second", "runtime")) and not math.isnan(value)
    }


def _differences(where: str, found: Rows, expected: Rows) -> Iterator[str]:
    if found.keys() != expected.keys():
        missing, more = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        yield f"{where} misses steps {missing} and has {more} besides"
    for step in sorted(found.keys() & expected.keys()):
        if found[step] != expected[step]:
            keys = sorted(
                key
                for key in found[step].keys() | expected[step].keys()
                if found[step].get(key) != expected[step].get(key)
            )
            yield f"{where} differs from the undisturbed run from step {step} on, in {', '.join(keys)}"
            return
