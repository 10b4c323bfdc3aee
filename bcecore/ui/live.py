"""Reading the logs and settings of runs for pages: shared between all open pages, and only what is new.

Every open page of a run would otherwise read and keep the whole log for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import streamlit as st

from bcecore.config import RunConfig
from bcecore.errors import BceError
from bcecore.report.summary import RunSummary, summarise
from bcecore.store.history import History
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore

REFRESH_SECONDS = 2
_OPEN_HISTORIES = 30
_SUMMARIES = 20_000


class _Shared:
    def __init__(self, directory: Path) -> None:
        self.history = History(directory)
        self.lock = Lock()


@st.cache_resource(max_entries=_OPEN_HISTORIES, show_spinner=False)
def _shared(directory: str) -> _Shared:
    return _Shared(Path(directory))


@contextmanager
def open_history(store: RunStore, run_id: str) -> Iterator[History]:
    """The history of a run with all that has been logged by now; nobody else reads or grows it meanwhile."""
    shared = _shared(str(store.directory(run_id)))
    with shared.lock:
        shared.history.refresh()
        yield shared.history


def run_summary(store: RunStore, record: RunRecord) -> RunSummary:
    """The summary of a run: kept for good once the run is over and its log stays as it is."""
    if record.is_active:
        with open_history(store, record.id) as history:
            return summarise(history.series)
    directory = store.directory(record.id)
    try:
        status = (directory / "metrics.jsonl").stat()
    except FileNotFoundError:
        return RunSummary()
    return _finished_summary(str(directory), (status.st_ino, status.st_size, status.st_mtime_ns))


@st.cache_data(max_entries=_SUMMARIES, show_spinner=False)
def _finished_summary(directory: str, signature: tuple[int, int, int]) -> RunSummary:
    history = History(Path(directory))
    history.refresh()
    return summarise(history.series)


def configs_of(store: RunStore, records: Sequence[RunRecord]) -> dict[str, RunConfig]:
    """The settings of these runs, by id; without those that cannot be read."""
    configs = {}
    for record in records:
        try:
            configs[record.id] = _config(str(store.root), record.id)
        except BceError:
            continue  # a run whose settings cannot be read is still listed
    return configs


@st.cache_data(max_entries=20_000, show_spinner=False)
def _config(root: str, run_id: str) -> RunConfig:
    """Settings are frozen when a run is made, so they are read once."""
    return RunStore(Path(root)).config(run_id)
