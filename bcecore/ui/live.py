"""Reading the logs and settings of runs for pages: shared between all open pages, and only what is new.

Every open page of a run would otherwise read and keep the whole log for itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from bcecore.config import RunConfig
from bcecore.errors import BceError, RunError
from bcecore.findings.finding import Finding
from bcecore.findings.tally import look_over, tally_of
from bcecore.findings.watch import Watch
from bcecore.report.run_table import Row
from bcecore.store.history import History
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.summary import NOTHING_LOGGED, Basics, LogSummary, basics_of, read_summary, summarise_log

REFRESH_SECONDS = 2
HISTORY_BYTES = 160_000_000
"""What the open histories may take together. The latest one stays open whatever its size."""

_CONFIGS = 2_000
# The share of the time that summarising one growing log may take: a long one is summarised less often.
_SUMMARY_SHARE = 0.02


# -- histories


class _Shared:
    def __init__(self, store: RunStore, run_id: str) -> None:
        self.history = History(store.directory(run_id))
        self.watch = Watch(store, run_id)
        self.lock = Lock()
        self.bytes = 0
        self.summary: tuple[int, LogSummary] | None = None
        self.summarise_after = 0.0


class _Histories:
    """The open histories, those that were read last at the end."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, _Shared] = OrderedDict()
        self._lock = Lock()

    def get(self, store: RunStore, run_id: str) -> _Shared:
        directory = store.directory(run_id)
        with self._lock:
            if directory not in self._open:
                self._open[directory] = _Shared(store, run_id)
            self._open.move_to_end(directory)
            return self._open[directory]

    def close_others(self, shared: _Shared) -> None:
        """Close those that were not read for the longest time, until the rest takes no more than it may.

        Whoever is reading one goes on with it; the next one to ask reads its log anew.
        """
        with self._lock:
            total = sum(other.bytes for other in self._open.values())
            for directory, other in list(self._open.items()):
                if total <= HISTORY_BYTES:
                    return
                if other is not shared and not other.lock.locked():
                    del self._open[directory]
                    total -= other.bytes


_histories = _Histories()


@contextmanager
def open_history(store: RunStore, run_id: str) -> Iterator[History]:
    """The history of a run with all that has been logged by now; nobody else reads or grows it meanwhile."""
    with _opened(store, run_id) as shared:
        yield shared.history


@contextmanager
def _opened(store: RunStore, run_id: str) -> Iterator[_Shared]:
    shared = _histories.get(store, run_id)
    with shared.lock:
        if shared.history.refresh():
            shared.bytes = 8 * len(shared.history.steps) * (len(shared.history.keys) + 1)
            _histories.close_others(shared)
        yield shared


class Found(NamedTuple):
    """What is noticed about a run by now."""

    findings: list[Finding]
    """The most serious first."""
    whole: bool
    """Whether everything was looked at: large texts take their time."""


def findings_of(store: RunStore, run_id: str) -> Found:
    """What is noticed about a run. Raises RunError where it cannot be looked over."""
    with _opened(store, run_id) as shared:
        findings = shared.watch.look(shared.history)
        return Found(findings, not shared.watch.is_reading)


class Looked(NamedTuple):
    """What came of looking runs over."""

    done: int
    """Runs that were looked over now."""
    left: int
    """Those for which no time was left."""


# Runs as they were when they were last looked over here: one that cannot be would keep the page busy for ever.
_tried: dict[Path, dict[str, RunRecord]] = {}


def look_over_some(store: RunStore, records: Sequence[RunRecord], *, seconds: float) -> Looked:
    """Look over those of these runs that are over and that nobody has looked over.

    After so many `seconds` the rest has to wait for the next call.
    """
    until = time.monotonic() + seconds
    tried = _tried.setdefault(store.root, {})
    done = left = 0
    for record in records:
        if not record.is_over or tried.get(record.id) is record or tally_of(record) is not None:
            continue
        if time.monotonic() >= until:
            left += 1
            continue
        with suppress(BceError, OSError):
            look_over(store, record)
        tried[record.id] = record
        done += 1
    return Looked(done, left)


# -- the rows of the run table


class Rows(NamedTuple):
    """What the table can be made of now."""

    rows: list[Row]
    """One a record, in the given order."""
    unread: int
    """Rows whose log has not been looked at yet."""


_rows: dict[Path, dict[str, Row]] = {}
_reading = Lock()


def table_rows(store: RunStore, records: Sequence[RunRecord], *, seconds: float) -> Rows:
    """A row for each record, with what is known of its log.

    Thousands of logs that nobody has looked at before take their time: after so many `seconds` the rest has to wait for
    the next call.
    """
    # Two pages that are opened at once need not read the same logs twice.
    with _reading:
        until = time.monotonic() + seconds
        known = _rows.get(store.root, {})
        rows: dict[str, Row] = {}
        unread = []
        for record in records:
            row = known.get(record.id)
            if row is not None and row.record is record and not record.is_active:
                rows[record.id] = row  # what is not at work logs nothing
            elif time.monotonic() < until:
                rows[record.id] = (
                    _active_row(store, record) if record.is_active else Row(record, *read_summary(store, record))
                )
            else:
                unread.append(Row(record, NOTHING_LOGGED, Basics()))
        _rows[store.root] = dict(rows)
    rows |= {row.record.id: row for row in unread}
    return Rows([rows[record.id] for record in records], len(unread))


def _active_row(store: RunStore, record: RunRecord) -> Row:
    try:
        with _opened(store, record.id) as shared:
            log = _summary(shared)
    except RunError:  # deleted a moment ago
        log = NOTHING_LOGGED
    config = configs_of(store, [record]).get(record.id)
    return Row(record, log, Basics() if config is None else basics_of(config))


def _summary(shared: _Shared) -> LogSummary:
    version, moment = shared.history.version, time.monotonic()
    if shared.summary is None or (shared.summary[0] != version and moment >= shared.summarise_after):
        shared.summary = (version, summarise_log(shared.history.keys, shared.history.series))
        done = time.monotonic()
        shared.summarise_after = done + (done - moment) / _SUMMARY_SHARE
    return shared.summary[1]


# -- settings


class _Configs(Mapping[str, RunConfig]):
    """Settings by the id of the run, read when they are asked for; without those that cannot be read."""

    def __init__(self, store: RunStore, run_ids: Sequence[str]) -> None:
        self._root = store.root
        self._run_ids = dict.fromkeys(run_ids)

    def __getitem__(self, run_id: str) -> RunConfig:
        if run_id not in self._run_ids:
            raise KeyError(run_id)
        try:
            return _config(self._root, run_id)
        except BceError:  # a run whose settings cannot be read is still listed
            raise KeyError(run_id) from None

    def __iter__(self) -> Iterator[str]:
        return (run_id for run_id in self._run_ids if run_id in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def configs_of(store: RunStore, records: Sequence[RunRecord]) -> Mapping[str, RunConfig]:
    """The settings of these runs, by id; without those that cannot be read."""
    return _Configs(store, [record.id for record in records])


@lru_cache(maxsize=_CONFIGS)
def _config(root: Path, run_id: str) -> RunConfig:
    """Settings are frozen when a run is made, so they are read once."""
    return RunStore(root).config(run_id)
