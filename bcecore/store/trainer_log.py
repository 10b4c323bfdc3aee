"""Logs that any Hugging Face Trainer left (`trainer_state.json`), as they are found: whole, cut off, or odd.

What is read: the state of a Trainer; its `log_history` alone; one record a line. Marks at the beginning (BOM), bare
NaN and Infinity, numbers written as text and a missing end are no obstacle. Nothing is left out: every number of every
record has its place (`placed`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bcecore.errors import BceError
from bcecore.store.columns import Block, block_of

RENAMED = {"bce_eff_w": "bce_weight"}
"""Keys of the report's log, and the names that they have here."""

_LOG_HISTORY = '"log_history"'
_SAID_OF_THE_FILE = 120
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


class LogError(BceError):
    """A file that is not the log of a Trainer."""


class TrainerLog(NamedTuple):
    """A log as it stands in its file."""

    records: list[dict[str, Any]]
    state: dict[str, Any]
    """What else the file says: global_step, max_steps, num_train_epochs, train_batch_size …"""
    notes: tuple[str, ...] = ()
    """Sentences about what had to be mended."""

    @property
    def last_step(self) -> int:
        """The step at which the log was written."""
        step = _whole(self.state.get("global_step"))
        return step if step is not None else max((record.step for record in placed(self)), default=0)


class PlacedRecord(NamedTuple):
    """One record of a log at the step to which it belongs."""

    position: int
    """Its place among the records, from 0."""
    step: int
    values: dict[str, float]
    """Its numbers by their names here, the step left out."""
    shifted: bool = False
    """Whether its step was moved by one: its own, and its epoch, are those before the step."""


def read_trainer_log(path: Path) -> TrainerLog:
    """Read a log. Raises LogError for a file that is none, with what was found in it; OSError."""
    text, notes = _text(path)
    try:
        content = json.loads(text)
    except ValueError as error:
        return _cut_off(path, text, notes, error)
    except RecursionError:
        raise LogError(f"{path.name} is not a Trainer's log: its values are nested too deeply.") from None
    if isinstance(content, dict) and isinstance(content.get("log_history"), list):
        state = {key: value for key, value in content.items() if key != "log_history"}
        return _checked(path, content["log_history"], state, notes)
    if isinstance(content, list):
        return _checked(path, content, {}, notes)
    if isinstance(content, dict) and "step" in content:
        return _checked(path, [content], {}, notes)
    if isinstance(content, dict):
        keys = ", ".join(list(content)[:6]) or "nothing"
        raise LogError(
            f"{path.name} is not a Trainer's log: it has no “log_history”, but {keys}. "
            "Choose the file named trainer_state.json in the run's folder or in one of its checkpoints."
        )
    raise LogError(f"{path.name} is not a Trainer's log: it holds {_said(text)}. {_ADVICE}")


_ADVICE = "Choose the file named trainer_state.json in the run's folder or in one of its checkpoints."


def _text(path: Path) -> tuple[str, list[str]]:
    data = path.read_bytes()
    if not data.strip():
        raise LogError(f"{path.name} is empty. {_ADVICE}")
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding), []
    except UnicodeDecodeError:
        if b"\x00" in data[:4096]:
            raise LogError(f"{path.name} is not a Trainer's log: it is no text. {_ADVICE}") from None
        return data.decode(encoding, errors="replace"), ["Some characters of the file could not be read."]


def _cut_off(path: Path, text: str, notes: list[str], error: ValueError) -> TrainerLog:
    """The records of a file that is not whole JSON: one record a line, or a state that ends in the middle."""
    lines = _records_by_line(text)
    if lines is not None:
        return _checked(path, lines, {}, notes)
    begin = text.find(_LOG_HISTORY)
    begin = text.find("[", begin) if begin >= 0 else (0 if text.lstrip().startswith("[") else -1)
    if begin < 0:
        raise LogError(f"{path.name} is not a Trainer's log: it holds {_said(text)}. {_ADVICE}") from error
    records, whole = _records_from(text, text.index("[", begin) + 1)
    note = f"The file ends in the middle; {len(records):,} whole records were read from it."
    if whole:  # the records are all there, something behind them is not
        note = f"The file is damaged behind its {len(records):,} records, which are whole."
    return _checked(path, records, _state_before(text, begin), [*notes, note])


def _records_by_line(text: str) -> list[Any] | None:
    """The records of a file with one in each line, or None if it is something else. A last line may be unfinished."""
    lines = [line for line in text.splitlines() if line.strip()]
    records = []
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
        except ValueError:
            if number and number == len(lines) - 1:
                break
            return None
        if not isinstance(record, dict):
            return None
        records.append(record)
    return records


def _records_from(text: str, position: int) -> tuple[list[Any], bool]:
    """The records that can be read from `position` on, and whether their list ends there as it should."""
    decoder = json.JSONDecoder()
    records: list[Any] = []
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        if text[position : position + 1] == "]":
            return records, True
        try:
            record, position = decoder.raw_decode(text, position)
        except ValueError:
            return records, False
        records.append(record)


def _state_before(text: str, end: int) -> dict[str, Any]:
    """What a state that is cut off says before its records."""
    head = text[: text.rfind(_LOG_HISTORY, 0, end + 1)] if _LOG_HISTORY in text[: end + 1] else ""
    try:
        state = json.loads(head.rstrip().rstrip(",") + "}")
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def _said(text: str) -> str:
    start = " ".join(text[:_SAID_OF_THE_FILE].split())
    return f"“{start[:40]}…”" if len(start) > 40 else f"“{start}”"


def _checked(path: Path, records: Sequence[Any], state: dict[str, Any], notes: list[str]) -> TrainerLog:
    kept = [record for record in records if isinstance(record, dict)]
    if len(kept) < len(records):
        notes = [*notes, f"{len(records) - len(kept):,} entries of the log are no records and were passed over."]
    log = TrainerLog(kept, state, tuple(notes))
    if not any(record.values for record in placed(log)):
        raise LogError(f"{path.name} holds no logged values: its log is empty. {_ADVICE}")
    return log


# -- where each value belongs


def placed(log: TrainerLog) -> Iterator[PlacedRecord]:
    """Every record at its step.

    A record without a step joins the one before it. The report's BCE records, which begin at step 0 and come before the
    loss of the same step, belong one step later than they say; their epoch, as far off, is left out.
    """
    shift = _bce_records_lag(log.records)
    step_of = _steps_from_epochs(log)
    step = 0
    for position, record in enumerate(log.records):
        own = _whole(record.get("step"))
        if own is None and step_of is not None:
            own = step_of(position)
        if own is not None:
            step = own
        values = dict(_numbers(record))
        moved = shift and _is_bce_record(record)
        if moved:
            values.pop("epoch", None)
        yield PlacedRecord(position, step + moved, values, moved)


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        name = RENAMED.get(key, key)
        if key == "step" and not prefix:
            continue
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif (number := as_number(value)) is not None:
            yield prefix + name, number


def as_number(value: Any) -> float | None:
    """A logged value as a number, also where it was written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _whole(value: Any) -> int | None:
    """A step: a whole number from 0, also one written as a decimal or as text."""
    number = as_number(value)
    if number is None or not math.isfinite(number) or number < 0 or number != int(number):
        return None
    return int(number)


def _is_bce_record(record: Mapping[str, Any]) -> bool:
    return "loss" not in record and any(key.startswith("bce_") for key in record)


def _bce_records_lag(records: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the BCE records bear the step before their own: they begin at 0, before the first loss."""
    for record in records:
        if _is_bce_record(record):
            return _whole(record.get("step")) == 0
        if "loss" in record:
            return False
    return False


def _steps_from_epochs(log: TrainerLog) -> Any:
    """Where no record at all has a step: what gives one, from the epoch if the state tells how long those are."""
    if any(_whole(record.get("step")) is not None for record in log.records):
        return None
    total, epochs = _whole(log.state.get("max_steps")), as_number(log.state.get("num_train_epochs"))

    def step_of(position: int) -> int:
        epoch = as_number(log.records[position].get("epoch"))
        if total and epochs and epoch is not None and math.isfinite(epoch):
            return round(epoch / epochs * total)
        return position + 1

    return step_of


def merged(logs: Iterable[TrainerLog]) -> Block:
    """The values of several logs of one run, as from the checkpoints of one folder.

    Where two say different things of one step, the one that was written at the later step counts. The order in which
    they are given does not matter.
    """
    ordered = list(logs)
    if len(ordered) > 1:
        ordered.sort(key=lambda log: (log.last_step, len(log.records), json.dumps(log.records, sort_keys=True)))
    return block_of([(record.step, record.values) for log in ordered for record in placed(log)])
