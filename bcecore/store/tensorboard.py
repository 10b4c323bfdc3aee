"""TensorBoard's event files, read and written by TensorBoard's own code, which is an optional extra.

A Trainer gives its values other names there (`train/loss`, `eval/loss`); they get the ones of its log back. TensorBoard
keeps 32-bit numbers: they are read as the shortest decimal number that it would store so.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bcecore.errors import BceError
from bcecore.store.history import History
from bcecore.store.metrics import RESUME
from bcecore.store.trainer_log import FROM_EVENTS

REQUIREMENTS = "requirements-tensorboard.txt"

_NAME = re.compile(r"\.tfevents\.")
_TRAINING = "train/"
# What a Trainer writes in its log with "_" and in an event file with "/" behind it.
_CHECKS = ("eval", "test")
_REPOSITORY = Path(__file__).parent.parent.parent


class TensorBoardMissingError(BceError):
    """TensorBoard is needed and not installed."""

    def __init__(self) -> None:
        self.command = f"{sys.executable} -m pip install -r {_REPOSITORY / REQUIREMENTS}"
        super().__init__(
            "TensorBoard's files need the package tensorboard, which is an optional extra. Install it and try again: "
            + self.command
        )


def is_installed() -> bool:
    """Whether TensorBoard's files can be read and written."""
    return find_spec("tensorboard") is not None


class Session(NamedTuple):
    """What one event file says."""

    records: list[dict[str, Any]]
    """Each with `step`, `time` (seconds since 1970) and its values; in the order of the file."""

    @property
    def began(self) -> float:
        return float(self.records[0]["time"])

    @property
    def ended(self) -> float:
        return float(self.records[-1]["time"])


def is_event_file(name: str) -> bool:
    """Whether a file is one of TensorBoard's, by its name."""
    return _NAME.search(name) is not None


def read_events(path: Path) -> Session:
    """All scalars of an event file; whole ones only, where it is cut off. Raises TensorBoardMissingError, OSError."""
    records: list[dict[str, Any]] = []
    kind = None
    for step, time, tag, value in _scalars(path):
        key = key_of(tag)
        # The report's script logs BCE's values apart, under the step before their own; they have to stay apart.
        is_bce = kind if key == "epoch" else key.startswith("bce_")
        if not records or records[-1]["step"] != step or key in records[-1] or is_bce is not kind:
            records.append({"step": step, "time": time})
        kind = is_bce
        records[-1][key] = value
    return Session(records)


def _scalars(path: Path) -> Iterator[tuple[int, float, str, float]]:
    try:
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
        from tensorboard.util.tensor_util import make_ndarray
    except ModuleNotFoundError:
        raise TensorBoardMissingError from None
    plugins: dict[str, str] = {}  # only the first value of a tag has to say to which one it belongs
    for event in LegacyEventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if plugin := value.metadata.plugin_data.plugin_name:
                plugins[value.tag] = plugin
            if value.HasField("simple_value"):
                number = np.float32(value.simple_value)
            elif value.HasField("tensor") and plugins.get(value.tag) == "scalars":
                number = make_ndarray(value.tensor).reshape(-1)[0]
            else:
                continue
            yield int(event.step), float(event.wall_time), value.tag, float(str(number))


def key_of(tag: str) -> str:
    """The key of a Trainer's log for a tag: `train/loss` → `loss`, `eval/loss` → `eval_loss`, others as they are."""
    for check in _CHECKS:
        if tag.startswith(f"{check}/"):
            return f"{check}_{tag.removeprefix(f'{check}/')}"
    return tag.removeprefix(_TRAINING) or tag


def tag_of(key: str) -> str:
    """The tag under which a Trainer writes a key of its log."""
    for check in _CHECKS:
        if key.startswith(f"{check}_"):
            return f"{check}/{key.removeprefix(f'{check}_')}"
    return _TRAINING + key


def log_of(sessions: Sequence[Session]) -> bytes:
    """The event files of one run as one log, a record a line.

    A file that begins after all earlier ones have ended is a training that went on, or began anew: what they say of
    steps beyond its first was computed again.
    """
    lines: list[dict[str, Any]] = [{"event": FROM_EVENTS}]
    ended = None
    for session in sorted((session for session in sessions if session.records), key=lambda session: session.began):
        if ended is not None and session.began > ended:
            lines.append({"event": RESUME, "from": session.records[0]["step"]})
        lines += session.records
        ended = session.ended if ended is None else max(ended, session.ended)
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(errors="replace")


def write_events(history: History, path: Path, otherwise: float) -> None:
    """Write all values of a run as an event file.

    `otherwise` is the time (seconds since 1970) of what was logged without one. Raises TensorBoardMissingError,
    OSError.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ModuleNotFoundError:
        raise TensorBoardMissingError from None
    tags = {key: tag_of(key) for key in history.keys if key != "time"}
    logged = {key: np.isin(history.steps, history.series(key).steps) for key in tags}
    times = np.where(np.isfinite(history.column("time")), history.column("time"), otherwise)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".events-") as folder:
        writer = EventFileWriter(folder, max_queue_size=1000)
        try:
            for row, (step, time) in enumerate(zip(history.steps.tolist(), times.tolist(), strict=True)):
                values = [
                    Summary.Value(tag=tag, simple_value=history.column(key)[row])
                    for key, tag in tags.items()
                    if logged[key][row]
                ]
                writer.add_event(Event(step=step, wall_time=time, summary=Summary(value=values)))
        finally:
            writer.close()
        (written,) = Path(folder).iterdir()
        written.replace(path)
