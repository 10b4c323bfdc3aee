"""Records of jobs on disk: how one is read, changed by several processes at once, and kept safe from damage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import filelock

from bcecore.errors import RunError
from bcecore.files import write_json
from bcecore.store.identity import ProcessIdentity, place_of
from bcecore.store.record import JobRecord, Status, check_transition, now

_LOCK_SECONDS = 10.0

R = TypeVar("R", bound=JobRecord)
_FileState = tuple[int, int, int]
# The records that this process has read, by folder of runs and kind: every look at a page makes stores of its own.
_KNOWN: dict[tuple[Path, str], dict[str, tuple[_FileState, Any]]] = {}


class RecordStore(Generic[R]):
    """Records of one kind, each in its job's directory, which a subclass knows how to find from the job's key.

    The record is in two files: `STEM.json`, and `STEM.copy.json` as of the last change of status, for when the first is
    damaged. `STEM.lock` is held while the record is changed.
    """

    def __init__(self, model: type[R], stem: str, root: Path) -> None:
        self._model = model
        self._kind = (root, stem)
        self._file, self._copy, self._lock = f"{stem}.json", f"{stem}.copy.json", f"{stem}.lock"

    @property
    def noun(self) -> str:
        """What a sentence calls one of these jobs."""
        return self._model.noun

    def directory(self, key: str) -> Path:
        """The directory of a job. Raises RunError for a key that is none or whose job is not there."""
        raise NotImplementedError

    def _place(self, key: str) -> Path:
        """Where the directory of a job would be, without looking."""
        raise NotImplementedError

    def _damaged(self, key: str, message: str) -> R:
        """What can be said of a job whose record cannot be read."""
        raise NotImplementedError

    def has_record(self, directory: Path) -> bool:
        """Whether a directory holds a record of this kind, be it damaged."""
        return (directory / self._file).is_file() or (directory / self._copy).is_file()

    # -- reading

    def record(self, key: str) -> R:
        """The record of a job; its second copy where the first is damaged.

        Raises RunError for one that is not there or cannot be read.
        """
        path = self.directory(key) / self._file
        try:
            return self._model.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            try:
                return self._model.model_validate_json(path.with_name(self._copy).read_bytes())
            except (OSError, ValueError):
                pass
            what = f"The record of {self._model.noun} {key} ({path})"
            raise RunError(f"{what} is damaged and cannot be read: {error}") from error

    def _record_path(self, key: str) -> str:
        """Where the record of a job is, without looking."""
        return f"{self._place(key)}{os.sep}{self._file}"

    def _listed(self, keys: Iterable[str], *, all_there_are: bool) -> list[R]:
        """The records of these jobs; those that have not changed are not read again.

        One that is damaged beyond reading is there too, as `_damaged` has it: no job may disappear.
        """
        found = []
        known = _KNOWN.get(self._kind, {})
        fresh: dict[str, tuple[_FileState, R]] = {}
        for key in keys:
            # With ten thousand runs this is what a look costs: one question to the file system for each, and no more.
            try:
                file = os.lstat(self._record_path(key))
                state = (file.st_ino, file.st_mtime_ns, file.st_size)
            except OSError:
                state = (0, 0, 0)
            before = known.get(key)
            if before is None or before[0] != state:
                try:
                    before = (state, self.record(key))
                except RunError as error:
                    if self.has_record(self._place(key)):  # and was not deleted a moment ago
                        found.append(self._damaged(key, str(error)))
                    continue
            fresh[key] = before
            found.append(before[1])
        _KNOWN[self._kind] = fresh if all_there_are else {**known, **fresh}
        return found

    # -- writing

    def update(self, key: str, *, durable: bool = True, **changes: Any) -> R:
        """Change fields of a job's record (not its status) and return the new record."""
        assert "status" not in changes, "a status changes through `transition`"
        with self.locked(key):
            record = self.record(key).model_copy(update=changes)
            self._write(self.directory(key), record, durable=durable)
        return record

    def transition(self, key: str, status: Status, **changes: Any) -> R:
        """Give a job a new status, with other changes in the same write. Raises RunError if it may not follow."""
        with self.locked(key):
            before = self.record(key)
            check_transition(before, status)
            directory = self.directory(key)
            if status in ("queued", "starting"):
                changes["place"] = place_of(directory)
            record = before.model_copy(update={**changes, "status": status, "status_since": now()})
            self._write(directory, record)
        return record

    def mark_dead(self, key: str, expected: R, status: Status, **changes: Any) -> R:
        """Like `transition`, but only if the record is still in the state that `expected` shows.

        For a judgement that somebody else's process is gone, made on a record that may have changed since.
        """
        with self.locked(key):
            before = self.record(key)
            if (before.status, before.process) != (expected.status, expected.process):
                return before
            check_transition(before, status)
            record = before.model_copy(update={**changes, "status": status, "status_since": now()})
            self._write(self.directory(key), record)
        return record

    def adopt(self, key: str, process: ProcessIdentity) -> None:
        """Record which process was started for a job, unless that process has already done so itself."""
        with self.locked(key):
            record = self.record(key)
            if record.status == "starting" and record.process is None:
                self._write(self.directory(key), record.model_copy(update={"process": process}))

    def _write(self, directory: Path, record: R, *, durable: bool = True) -> None:
        content = record.model_dump(mode="json")
        write_json(directory / self._file, content, durable=durable)
        if durable:  # all but the progress, which is written too often and can be lost
            write_json(directory / self._copy, content, durable=False)

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Nobody else changes the job's record meanwhile. Raises RunError if somebody else does not finish."""
        path = self.directory(key) / self._lock
        try:
            with filelock.FileLock(path, timeout=_LOCK_SECONDS):
                yield
        except filelock.Timeout:
            who = f"{self._model.noun.capitalize()} {key}"
            raise RunError(f"{who} is being changed by another process that does not finish. Try again.") from None
