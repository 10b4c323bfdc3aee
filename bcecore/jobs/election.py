"""Which process is the supervisor of a folder of runs: whoever holds the lock. Started by whoever needs one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from bcecore.files import write_bytes_atomically
from bcecore.jobs.local import spawn
from bcecore.store.preferences import SUPERVISOR_DIRECTORY, supervisor_directory
from bcecore.store.runs import RunStore

_WAKE = "wake"
# Whoever looks whether there is a supervisor holds the lock for a moment, too.
_ELECTION_SECONDS = 2.0


def ring(store: RunStore) -> None:
    """Tell the supervisor, if there is one, that something has changed."""
    # A new file each time: two within one tick of the clock would leave the same time on an old one.
    write_bytes_atomically(supervisor_directory(store) / _WAKE, b"", durable=False)


def wake(store: RunStore) -> None:
    """Tell the supervisor that something has changed, and start one if there is none. Never waits for it.

    What changed has to be on disk before: a supervisor that goes looks once more after it gave up the lock.
    """
    ring(store)
    see_to_supervisor(store)


def see_to_supervisor(store: RunStore) -> None:
    """Start a supervisor if there is none: without one nothing starts, and nobody notices how a run ended."""
    if not is_supervised(store):
        log = supervisor_directory(store) / "supervisor.log"
        spawn(["-m", "bcecore", "supervise", "--detached", "--runs-dir", str(store.root)], log)


def is_supervised(store: RunStore) -> bool:
    """Whether a supervisor is at work for these runs."""
    path = store.root / SUPERVISOR_DIRECTORY / "lock"
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True


@contextmanager
def elected(store: RunStore) -> Iterator[bool]:
    """Be the supervisor while in use, if nobody else is; gives whether that is so."""
    lock = filelock.FileLock(supervisor_directory(store) / "lock", timeout=_ELECTION_SECONDS)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


class Bell:
    """Notices `wake`."""

    def __init__(self, store: RunStore) -> None:
        self._path: Path = supervisor_directory(store) / _WAKE
        self._seen: tuple[int, int] | None = None

    def rang(self) -> bool:
        """Whether `wake` was called since the last look; the first look says yes."""
        try:
            status = self._path.stat()
            found = (status.st_ino, status.st_mtime_ns)
        except FileNotFoundError:
            found = (0, 0)
        rang = found != self._seen
        self._seen = found
        return rang
