"""Logs that any Hugging Face Trainer left (`trainer_state.json`), as they are found: whole, cut off, or odd.

What is read: the state of a Trainer; its `log_history` alone; one record a line. Marks at the beginning (BOM), bare
NaN and Infinity, numbers written as text and a missing end are no obstacle. Nothing is left out: every number of every
record can be told as it was written (`numbers`), and has its place in the table (`placed`).
"""

from __future__ import annotations

import codecs
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from bcecore.errors import BceError
from bcecore.store.columns import Block, block_of
from bcecore.store.metrics import RESUME

RENAMED = {"bce_eff_w": "bce_weight", "lr": "learning_rate"}
"""Keys of other people's logs, and the names that they have here."""

FROM_EVENTS = "tensorboard"
"""The event in the first record of a log that was made from TensorBoard's files (see `tensorboard.py`)."""

ADVICE = "Choose the file named trainer_state.json in the run's folder or in one of its checkpoints."

# What a record calls its step; the first that is there counts.
_STEP_KEYS = ("step", "current_steps", "global_step")
_EVENTS = (RESUME, FROM_EVENTS)
_LOG_HISTORY = '"log_history"'
# Beyond it, a number is no step and would not fit where steps are kept.
_LATEST_STEP = 2**62
_SAID_OF_THE_FILE = 120
_DEEPEST = 20
# Of a longer list, the rest is in the export of all records only: nobody looks at a thousand charts.
_LIST_COLUMNS = 32


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

    @property
    def is_from_events(self) -> bool:
        """Whether it was made from TensorBoard's files, which keep only seven digits of a number."""
        return bool(self.records) and self.records[0].get("event") == FROM_EVENTS


class PlacedRecord(NamedTuple):
    """One record of a log at the step to which it belongs."""

    position: int
    """Its place among the records, from 0."""
    step: int
    values: dict[str, float]
    """Its numbers by their names here, the step left out."""
    shifted: bool = False
    """Whether its step was moved by one: its own, and its epoch, are those before the step."""


class Number(NamedTuple):
    """One number of a record."""

    key: str
    """As it is written in the log; what stands within another value has that one's key and "/" before its own."""
    column: str | None
    """Its name in the table; None for what is not there: the step itself, and the end of a very long list."""
    value: float


def read_trainer_log(path: Path) -> TrainerLog:
    """Read a log. Raises LogError for a file that is none, with what was found in it; OSError."""
    return parse_trainer_log(path.read_bytes(), path.name)


def parse_trainer_log(data: bytes, name: str) -> TrainerLog:
    """A log from the content of a file. Raises LogError for one that is none, with what was found in it."""
    try:
        return _parsed(data, name)
    except RecursionError:
        raise LogError(f"{name} is not a Trainer's log: its values are nested too deeply. {ADVICE}") from None


def _parsed(data: bytes, name: str) -> TrainerLog:
    text, notes = _text(data, name)
    try:
        content = json.loads(text)
    except ValueError:
        return _cut_off(name, text, notes)
    if isinstance(content, dict) and isinstance(content.get("log_history"), list):
        state = {key: value for key, value in content.items() if key != "log_history"}
        return _checked(name, content["log_history"], state, notes)
    if isinstance(content, list):
        return _checked(name, content, {}, notes)
    if isinstance(content, dict) and any(key in content for key in _STEP_KEYS):
        return _checked(name, [content], {}, notes)
    raise LogError(f"{name} is not a Trainer's log: {_json_words(content, text)}. {ADVICE}")


# How files begin that are chosen by mistake, and what they are.
_KINDS = (
    (b"PK\x03\x04", "it is an archive, such as PyTorch makes of weights; unpack a .zip first"),
    (b"\x1f\x8b", "it is compressed; unpack it first"),
    (b"\x80", "it is a Python pickle, which is never opened here because it could run anything"),
    (b"PAR1", "it is a Parquet table"),
    (b"%PDF", "it is a PDF document"),
    (b"\x89PNG", "it is a picture"),
    (b"\xff\xd8\xff", "it is a picture"),
)
_JSON_KINDS = (
    ("model_type", "it holds the settings of a model"),
    ("architectures", "it holds the settings of a model"),
    ("weight_map", "it lists the files of a model's weights"),
    ("tokenizer_class", "it holds the settings of a tokenizer"),
    ("added_tokens", "it holds a tokenizer"),
    ("train_runtime", "it holds the final figures of a run without its course"),
    ("eval_runtime", "it holds the figures of a check without the run's course"),
    ("cells", "it is a notebook"),
)


def _text(data: bytes, name: str) -> tuple[str, list[str]]:
    if not data.strip():
        raise LogError(f"{name} is empty. {ADVICE}")
    kind = next((kind for start, kind in _KINDS if data.startswith(start)), None)
    if kind is None and data[8:10] == b'{"' and b"\x00" in data[:8]:
        kind = "it holds the weights of a model"
    if kind is not None:
        raise LogError(f"{name} is not a Trainer's log: {kind}. {ADVICE}")
    encoding = json.detect_encoding(data)  # by the mark at its beginning, or by where its zeros are
    try:
        # A file that is cut off may end within a character, which is then left out.
        return codecs.getincrementaldecoder(encoding)().decode(data).removeprefix("\ufeff"), []
    except UnicodeDecodeError:
        if b"\x00" in data[:4096]:
            raise LogError(f"{name} is not a Trainer's log: it is no text. {ADVICE}") from None
        return data.decode("utf-8", errors="replace"), ["Some characters of the file could not be read."]


def _json_words(content: Any, text: str) -> str:
    if not isinstance(content, dict):
        return _said(text)
    for key, words in _JSON_KINDS:
        if key in content:
            return words
    keys = ", ".join(list(content)[:6])
    return f"it has no list “log_history”, but {keys}" if keys else "there is nothing in it"


def _cut_off(name: str, text: str, notes: list[str]) -> TrainerLog:
    """The records of a file that is not whole JSON: one record a line, or a state that ends in the middle."""
    lines = _records_by_line(text)
    if lines is not None:
        records, whole = lines
        if not whole:
            notes = [*notes, f"The last line is not whole; {len(records):,} records were read before it."]
        return _checked(name, records, {}, notes)
    key = text.find(_LOG_HISTORY)
    begin = text.find("[", key) if key >= 0 else (text.index("[") if text.lstrip().startswith("[") else -1)
    if begin < 0:
        if any(word in text for word in (_LOG_HISTORY, '"global_step"', '"best_metric"')):
            raise LogError(f"{name} ends before its first record: nothing can be read from it. {ADVICE}")
        raise LogError(f"{name} is not a Trainer's log: {_said(text)}. {ADVICE}")
    records, whole = _records_from(text, begin + 1)
    note = f"The file ends in the middle; {len(records):,} whole records were read from it."
    if whole:  # the records are all there, something behind them is not
        note = f"The file is damaged behind its {len(records):,} records, which are whole."
    return _checked(name, records, _state_before(text, key), [*notes, note])


def _records_by_line(text: str) -> tuple[list[Any], bool] | None:
    """The records of a file with one in each line, and whether the last is whole; None if it is something else."""
    # Not `splitlines`: it also splits at characters that may stand within a text.
    lines = [line for line in text.split("\n") if line.strip()]
    records: list[Any] = []
    for number, line in enumerate(lines):
        try:
            record = json.loads(line)
        except ValueError:
            return (records, False) if number and number == len(lines) - 1 else None
        if not isinstance(record, dict):
            return None
        records.append(record)
    return records, True


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


def _state_before(text: str, key: int) -> dict[str, Any]:
    """What a state that is cut off says before the key of its records; -1: it has none."""
    try:
        state = json.loads(text[: max(key, 0)].rstrip().rstrip(",") + "}")
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def _said(text: str) -> str:
    start = " ".join(text[:_SAID_OF_THE_FILE].split())
    if not start.isprintable():
        return "it is no text"
    return f"it holds “{start[:40]}…”" if len(start) > 40 else f"it holds “{start}”"


def _checked(name: str, records: Sequence[Any], state: dict[str, Any], notes: list[str]) -> TrainerLog:
    kept = [record for record in records if isinstance(record, dict)]
    if len(kept) < len(records):
        notes = [*notes, f"{len(records) - len(kept):,} entries of the log are no records and were passed over."]
    log = TrainerLog(kept, state, tuple(notes))
    if not any(record.values for record in placed(log)):
        raise LogError(f"{name} holds no logged values: its log is empty. {ADVICE}")
    return log


# -- the numbers of a record


def numbers(record: Mapping[str, Any]) -> Iterator[Number]:
    """Every number of a record, its step included, in the order in which they are written."""
    if record.get("event") in _EVENTS:
        return
    step_key = _step_key(record)
    for key, value in record.items():
        yield from _numbers_in(value, key, None if key == step_key else _column(key), _DEEPEST)
    # Our live log has null for a number that is not finite, and names it here.
    nonfinite = record.get("nonfinite")
    for key in nonfinite if isinstance(nonfinite, list) else ():
        if isinstance(key, str) and record.get(key) is None:
            yield Number(key, _column(key), math.nan)


def _numbers_in(value: Any, key: str, column: str | None, depth: int) -> Iterator[Number]:
    if isinstance(value, (Mapping, list)) and depth:
        inner = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, one in inner:
            is_shown = column is not None and (isinstance(name, str) or name < _LIST_COLUMNS)
            yield from _numbers_in(
                one, f"{key}/{name}", f"{column}/{_column(str(name))}" if is_shown else None, depth - 1
            )
    elif (number := as_number(value)) is not None:
        yield Number(key, column, number)


@lru_cache(maxsize=4096)
def _column(key: str) -> str:
    """A key as the name of a column: half of a character that takes two, which cannot be stored, is replaced."""
    return RENAMED.get(key, key).encode(errors="replace").decode()


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


def _step_key(record: Mapping[str, Any]) -> str | None:
    for key in _STEP_KEYS:
        if key in record:
            return key
    return None


def step_as_logged(record: Mapping[str, Any]) -> int | None:
    """The step that a record bears, which need not be the one to which it belongs; None if it bears none."""
    key = _step_key(record)
    return None if key is None else _whole(record[key])


def _whole(value: Any) -> int | None:
    """A step: a whole number from 0, also one written as a decimal or as text."""
    number = as_number(value)
    if number is None or not 0 <= number < _LATEST_STEP or number != int(number):
        return None
    return int(number)


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
        own = step_as_logged(record)
        if own is None and step_of is not None:
            own = step_of(position)
        if own is not None:
            step = own
        values = _values(record)
        moved = shift and _is_bce_record(record)
        if moved:
            values.pop("epoch", None)
        yield PlacedRecord(position, step + moved, values, moved)


def _values(record: Mapping[str, Any]) -> dict[str, float]:
    step_key = _step_key(record)
    if step_key == "step" and "event" not in record and "nonfinite" not in record:
        values = {_column(key): value for key, value in record.items() if type(value) is float and key != step_key}
        if len(values) == len(record) - 1:  # nothing but numbers, as in nearly all records: the short way
            return values
    return {number.column: number.value for number in numbers(record) if number.column is not None}


def _is_bce_record(record: Mapping[str, Any]) -> bool:
    return "loss" not in record and any(key.startswith("bce_") for key in record)


def _bce_records_lag(records: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the BCE records bear the step before their own: they begin at 0, before the first loss."""
    for record in records:
        if _is_bce_record(record):
            return step_as_logged(record) == 0
        if "loss" in record:
            return False
    return False


def _steps_from_epochs(log: TrainerLog) -> Any:
    """Where no record at all has a step: what gives one, from the epoch if the state tells how long those are."""
    if any(step_as_logged(record) is not None for record in log.records):
        return None
    total, epochs = _whole(log.state.get("max_steps")), as_number(log.state.get("num_train_epochs"))

    def step_of(position: int) -> int:
        epoch = as_number(log.records[position].get("epoch"))
        if total and epochs and epoch is not None and math.isfinite(epoch):
            return _whole(round(epoch / epochs * total)) or 0
        return position + 1

    return step_of


# -- several logs of one run


def merged(logs: Iterable[TrainerLog]) -> Block:
    """The values of several logs of one run, as from the checkpoints of one folder.

    Where two say different things of one step, the one that was written at the later step counts; what was made from
    TensorBoard's files counts least, for its numbers are rounded. The order in which they are given does not matter.
    """
    return block_of([line for log in _in_order(logs) for line in _lines(log)])


def _in_order(logs: Iterable[TrainerLog]) -> Iterator[TrainerLog]:
    alike = defaultdict(list)
    for log in logs:
        alike[not log.is_from_events, log.last_step, len(log.records)].append(log)
    for key in sorted(alike):
        # All that is left to tell them apart is what they say, which takes time to compare.
        yield from alike[key] if len(alike[key]) == 1 else sorted(alike[key], key=_content)


def _content(log: TrainerLog) -> str:
    return json.dumps([log.records, log.state], sort_keys=True)


def _lines(log: TrainerLog) -> list[tuple[int, dict[str, float]]]:
    """The placed values of one log; after a resume, those beyond its step are dropped: they were computed again."""
    lines: list[tuple[int, dict[str, float]]] = []
    for record in placed(log):
        said = log.records[record.position]
        if said.get("event") == RESUME and (origin := _whole(said.get("from"))) is not None:
            lines = [line for line in lines if line[0] <= origin]
        elif record.values:
            lines.append((record.step, record.values))
    return lines


def adds_nothing_to(log: TrainerLog, longer: TrainerLog) -> bool:
    """Whether all that a log says, as one of an earlier checkpoint, stands at the beginning of a longer one."""
    if len(log.records) > len(longer.records) or _steps_from_epochs(log) is not None:
        return False
    return longer.records[: len(log.records)] == log.records
