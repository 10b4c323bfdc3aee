"""The run store: run directories under one root, their records, and the only way to change them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from bcecore.config import RunConfig
from bcecore.errors import ConfigError, RunError
from bcecore.files import disk_full_explained, read_json, write_json
from bcecore.settings import parse_config
from bcecore.store.identity import ProcessIdentity, place_of
from bcecore.store.imported import IMPORT_FILE, Fact, Imported, checked_facts
from bcecore.store.record import Failure, RunRecord, Status, check_transition, now

RUNS_DIR_VARIABLE = "BCE_RUNS_DIR"
MAX_NAME_CHARACTERS = 100
RECORD_FILE = "run.json"
RECORD_COPY = "run.copy.json"
"""The record as of the last change of status, for when the first file is damaged."""

_REPOSITORY = Path(__file__).parent.parent.parent
_RUN_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9-]{1,40}-[0-9a-f]{4}", re.ASCII)
_LOCK_SECONDS = 10.0

_FileState = tuple[int, int, int]
# The records that this process has read, by folder of runs: every look at a page makes a store of its own.
_RECORDS: dict[Path, dict[str, tuple[_FileState, RunRecord]]] = {}


def default_runs_directory() -> Path:
    """Where runs live: `BCE_RUNS_DIR` if set, else `runs/` beside app.py."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or _REPOSITORY / "runs").expanduser().resolve()


def slug(name: str) -> str:
    """A name as it may stand in a run id: lower-case ASCII letters, digits and hyphens, at most 40."""
    # ı has no decomposition, and "baski" reads better than "bask".
    plain = unicodedata.normalize("NFKD", name.replace("ı", "i")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "run"


class RunStore:
    """The runs in one directory. Safe to use from several processes at once."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_runs_directory()).expanduser().resolve()

    # -- where things are

    def directory(self, run_id: str) -> Path:
        """The directory of a run. Raises RunError for a name that is not a run id or a run that is not there."""
        directory = self._checked(run_id)
        if not _has_record(directory):
            raise RunError(f"There is no run {run_id} in {self.root}. `python -m bcecore runs` lists the runs.")
        return directory

    def _checked(self, run_id: str) -> Path:
        if not _RUN_ID.fullmatch(run_id):
            raise RunError(f"{run_id!r} is not the id of a run. `python -m bcecore runs` lists the runs.")
        return self.root / run_id

    def resolve(self, reference: str) -> str:
        """The run id that a person means by an id, the beginning or end of one, or a name.

        Raises RunError when there is no such run, or several.
        """
        if _RUN_ID.fullmatch(reference) and _has_record(self.root / reference):
            return reference
        matches = [
            record.id
            for record in self.records()
            if reference
            and (record.name == reference or record.id.startswith(reference) or record.id.endswith(f"-{reference}"))
        ]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise RunError(f"There is no run {reference!r} in {self.root}. `python -m bcecore runs` lists the runs.")
        raise RunError(
            f"{reference!r} could be any of {len(matches)} runs: {', '.join(matches[:5])}. Give more of the id."
        )

    # -- reading

    def record(self, run_id: str) -> RunRecord:
        """The record of a run; its second copy where the first is damaged.

        Raises RunError for one that is not there or cannot be read.
        """
        path = self.directory(run_id) / RECORD_FILE
        try:
            return RunRecord.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            try:
                return RunRecord.model_validate_json(path.with_name(RECORD_COPY).read_bytes())
            except (OSError, ValueError):
                pass
            raise RunError(f"The record of run {run_id} ({path}) is damaged and cannot be read: {error}") from error

    def config(self, run_id: str) -> RunConfig:
        """The frozen settings of a run. Raises RunError when they cannot be read, and for an imported run."""
        path = self.directory(run_id) / "config.json"
        try:
            return parse_config(read_json(path))
        except (OSError, ValueError, ConfigError) as error:
            if isinstance(error, FileNotFoundError) and (path.parent / IMPORT_FILE).is_file():
                raise RunError(
                    f"Run {run_id} was imported: its log does not say with which settings it was trained."
                ) from None
            raise RunError(f"The settings of run {run_id} ({path}) cannot be read: {error}") from error

    def imported(self, run_id: str) -> Imported:
        """What is known about an imported run. Raises RunError for any other, or when it cannot be read."""
        path = self.directory(run_id) / IMPORT_FILE
        try:
            return Imported.model_validate(read_json(path))
        except (OSError, ValueError) as error:
            raise RunError(f"What is known about the imported run {run_id} ({path}) cannot be read: {error}") from error

    def ids(self) -> list[str]:
        """The ids of all runs, newest first."""
        return [name for name in self._names() if _has_record(self.root / name)]

    def _names(self) -> list[str]:
        """Everything that is named like a run, newest first."""
        if not self.root.is_dir():
            if self.root.exists():
                raise RunError(f"{self.root} is not a folder. Choose one with --runs-dir or {RUNS_DIR_VARIABLE}.")
            return []
        with os.scandir(self.root) as entries:
            return sorted((entry.name for entry in entries if _RUN_ID.fullmatch(entry.name)), reverse=True)

    def records(self) -> list[RunRecord]:
        """The records of all runs, newest first; those that have not changed are not read again.

        One that is damaged beyond reading is there too, as crashed with the reason: no run may disappear.
        """
        found = []
        known = _RECORDS.get(self.root, {})
        fresh: dict[str, tuple[_FileState, RunRecord]] = {}
        # With ten thousand runs this is what a look costs: one question to the file system for each, and no more.
        start, end = f"{self.root}{os.sep}", f"{os.sep}{RECORD_FILE}"
        for run_id in self._names():
            try:
                file = os.lstat(f"{start}{run_id}{end}")
                state = (file.st_ino, file.st_mtime_ns, file.st_size)
            except OSError:
                state = (0, 0, 0)
            before = known.get(run_id)
            if before is None or before[0] != state:
                try:
                    before = (state, self.record(run_id))
                except RunError as error:
                    if _has_record(self.root / run_id):  # and was not deleted a moment ago
                        found.append(_damaged(run_id, str(error)))
                    continue
            fresh[run_id] = before
            found.append(before[1])
        _RECORDS[self.root] = fresh
        return found

    # -- writing

    def create(
        self,
        config: RunConfig,
        name: str,
        fill: Callable[[Path], None],
        **fields: Any,
    ) -> str:
        """Make a run in status `queued` and return its id.

        `fill(directory)` writes the run's text and tokenizer. The directory appears under its name only when it is
        complete; when anything fails, nothing is left behind. `fields` are further ones of the record. Raises RunError
        for an unusable name or directory, DiskFullError.
        """
        return self._create("config.json", config.model_dump(mode="json"), name, fill, fields)

    def create_imported(self, imported: Imported, name: str, fill: Callable[[Path], None], **fields: Any) -> str:
        """Make a run in status `imported` and return its id; `fill(directory)` writes its logs. Else like `create`."""
        return self._create(IMPORT_FILE, imported.model_dump(mode="json"), name, fill, {**fields, "status": "imported"})

    def _create(
        self, about: str, content: dict[str, Any], name: str, fill: Callable[[Path], None], fields: dict[str, Any]
    ) -> str:
        name = check_name(name)
        created = now()
        run_id = f"{created:%Y%m%d-%H%M%S}-{slug(name)}-{secrets.token_hex(2)}"
        unfinished = self.root / f".new-{run_id}"
        self._make(unfinished)
        try:
            with disk_full_explained(unfinished):
                fill(unfinished)
            fields["place"] = place_of(unfinished)
            record = RunRecord(id=run_id, name=name, created=created, status_since=created, **fields)
            write_json(unfinished / about, content)
            self._write(unfinished, record)
            unfinished.rename(self.root / run_id)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return run_id

    def set_facts(self, run_id: str, facts: Mapping[str, Fact]) -> Imported:
        """Replace the facts that are given about an imported run, and return all that is known about it.

        Raises RunError for any other run, and for a fact that is unknown or cannot be right.
        """
        checked = checked_facts(facts)
        with self.locked(run_id):
            imported = self.imported(run_id).model_copy(update={"facts": checked})
            write_json(self.directory(run_id) / IMPORT_FILE, imported.model_dump(mode="json"))
        return imported

    def _make(self, directory: Path) -> None:
        try:
            with disk_full_explained(directory):
                directory.mkdir(parents=True)
        except OSError as error:
            reason = "writing there is not allowed" if isinstance(error, PermissionError) else error.strerror or error
            raise RunError(
                f"A run cannot be kept in {self.root}: {reason}. Choose another folder with --runs-dir or "
                f"{RUNS_DIR_VARIABLE}, or change the folder's permissions."
            ) from error

    def update(self, run_id: str, *, durable: bool = True, **changes: Any) -> RunRecord:
        """Change fields of a run's record (not its status) and return the new record."""
        assert "status" not in changes, "a status changes through `transition`"
        with self.locked(run_id):
            record = self.record(run_id).model_copy(update=changes)
            self._write(self.directory(run_id), record, durable=durable)
        return record

    def transition(self, run_id: str, status: Status, **changes: Any) -> RunRecord:
        """Give a run a new status, with other changes in the same write. Raises RunError if it may not follow."""
        with self.locked(run_id):
            before = self.record(run_id)
            check_transition(before, status)
            directory = self.directory(run_id)
            if status in ("queued", "starting"):
                changes["place"] = place_of(directory)
            record = before.model_copy(update={**changes, "status": status, "status_since": now()})
            self._write(directory, record)
        return record

    def mark_dead(self, run_id: str, expected: RunRecord, status: Status, **changes: Any) -> RunRecord:
        """Like `transition`, but only if the record is still in the state that `expected` shows.

        For a judgement that somebody else's process is gone, made on a record that may have changed since.
        """
        with self.locked(run_id):
            before = self.record(run_id)
            if (before.status, before.process) != (expected.status, expected.process):
                return before
            check_transition(before, status)
            record = before.model_copy(update={**changes, "status": status, "status_since": now()})
            self._write(self.directory(run_id), record)
        return record

    def adopt(self, run_id: str, process: ProcessIdentity) -> None:
        """Record which process was started for a run, unless that process has already done so itself."""
        with self.locked(run_id):
            record = self.record(run_id)
            if record.status == "starting" and record.process is None:
                self._write(self.directory(run_id), record.model_copy(update={"process": process}))

    def _write(self, directory: Path, record: RunRecord, *, durable: bool = True) -> None:
        content = record.model_dump(mode="json")
        write_json(directory / RECORD_FILE, content, durable=durable)
        if durable:  # all but the progress, which is written too often and can be lost
            write_json(directory / RECORD_COPY, content, durable=False)

    @contextmanager
    def locked(self, run_id: str) -> Iterator[None]:
        """Nobody else changes the run's record meanwhile. Raises RunError if somebody else does not finish."""
        path = self.directory(run_id) / "run.lock"
        try:
            with filelock.FileLock(path, timeout=_LOCK_SECONDS):
                yield
        except filelock.Timeout:
            raise RunError(
                f"Run {run_id} is being changed by another process that does not finish. Try again."
            ) from None


def _damaged(run_id: str, message: str) -> RunRecord:
    """What can be said of a run whose record cannot be read: what its id says."""
    date, clock, rest = run_id.split("-", 2)
    try:
        created = datetime.strptime(date + clock, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # made up by somebody
        created = datetime(2000, 1, 1, tzinfo=UTC)
    name = rest.rpartition("-")[0].replace("-", " ")
    return RunRecord(
        id=run_id, name=name, created=created, status="crashed", status_since=created, failure=Failure(message=message)
    )


def _has_record(directory: Path) -> bool:
    return (directory / RECORD_FILE).is_file() or (directory / RECORD_COPY).is_file()


def check_name(name: str) -> str:
    """A run's name as it is kept: one line, not empty, not too long. Raises RunError."""
    cleaned = " ".join(name.split())
    if not cleaned:
        raise RunError("A run needs a name.", field="name")
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise RunError(
            f"A run's name has at most {MAX_NAME_CHARACTERS} characters, this one {len(cleaned)}.", field="name"
        )
    if not cleaned.isprintable():
        raise RunError("A run's name cannot hold control characters.", field="name")
    return cleaned
