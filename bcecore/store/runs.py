"""The run store: run directories under one root, their records, and the only way to change them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bcecore.config import RunConfig
from bcecore.errors import ConfigError, RunError
from bcecore.files import disk_full_explained, read_json, write_json
from bcecore.settings import parse_config
from bcecore.store.identity import place_of
from bcecore.store.imported import IMPORT_FILE, Fact, Imported, checked_facts
from bcecore.store.record import Failure, RunRecord, now
from bcecore.store.records import RecordStore

RUNS_DIR_VARIABLE = "BCE_RUNS_DIR"
MAX_NAME_CHARACTERS = 100
RECORD_FILE = "run.json"

_REPOSITORY = Path(__file__).parent.parent.parent
JOB_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9-]{1,40}-[0-9a-f]{4}", re.ASCII)
"""What the id of a run looks like, and of whatever is done with a run; nothing else is ever used as a path."""


def default_runs_directory() -> Path:
    """Where runs live: `BCE_RUNS_DIR` if set, else `runs/` beside app.py."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or _REPOSITORY / "runs").expanduser().resolve()


def slug(name: str) -> str:
    """A name as it may stand in a run id: lower-case ASCII letters, digits and hyphens, at most 40."""
    # ı has no decomposition, and "baski" reads better than "bask".
    plain = unicodedata.normalize("NFKD", name.replace("ı", "i")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "run"


def new_id(name: str, created: datetime) -> str:
    """An id that no other job has."""
    return f"{created:%Y%m%d-%H%M%S}-{slug(name)}-{secrets.token_hex(2)}"


def said_by(job_id: str) -> tuple[str, datetime]:
    """The name and the moment of creation that an id tells, for a job whose record cannot be read."""
    date, clock, rest = job_id.split("-", 2)
    try:
        created = datetime.strptime(date + clock, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # made up by somebody
        created = datetime(2000, 1, 1, tzinfo=UTC)
    return rest.rpartition("-")[0].replace("-", " "), created


class RunStore(RecordStore[RunRecord]):
    """The runs in one directory. Safe to use from several processes at once."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_runs_directory()).expanduser().resolve()
        super().__init__(RunRecord, "run", self.root)

    # -- where things are

    def directory(self, run_id: str) -> Path:
        """The directory of a run. Raises RunError for a name that is not a run id or a run that is not there."""
        directory = self._place(run_id)
        if not self.has_record(directory):
            raise RunError(f"There is no run {run_id} in {self.root}. `python -m bcecore runs` lists the runs.")
        return directory

    def _place(self, run_id: str) -> Path:
        if not JOB_ID.fullmatch(run_id):
            raise RunError(f"{run_id!r} is not the id of a run. `python -m bcecore runs` lists the runs.")
        return self.root / run_id

    def _record_path(self, run_id: str) -> str:
        return f"{self.root}{os.sep}{run_id}{os.sep}{RECORD_FILE}"

    def resolve(self, reference: str) -> str:
        """The run id that a person means by an id, the beginning or end of one, or a name.

        Raises RunError when there is no such run, or several.
        """
        if JOB_ID.fullmatch(reference) and self.has_record(self.root / reference):
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
        return [name for name in self.names() if self.has_record(self.root / name)]

    def names(self) -> list[str]:
        """Everything that is named like a run, newest first; whether it is one costs a look more (`ids`)."""
        if not self.root.is_dir():
            if self.root.exists():
                raise RunError(f"{self.root} is not a folder. Choose one with --runs-dir or {RUNS_DIR_VARIABLE}.")
            return []
        with os.scandir(self.root) as entries:
            return sorted((entry.name for entry in entries if JOB_ID.fullmatch(entry.name)), reverse=True)

    def records(self) -> list[RunRecord]:
        """The records of all runs, newest first; those that have not changed are not read again.

        One that is damaged beyond reading is there too, as crashed with the reason: no run may disappear.
        """
        return self._listed(self.names(), all_there_are=True)

    def _damaged(self, run_id: str, message: str) -> RunRecord:
        name, created = said_by(run_id)
        failure = Failure(message=message)
        return RunRecord(id=run_id, name=name, created=created, status="crashed", status_since=created, failure=failure)

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
        run_id = new_id(name, created)
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

    def discard(self, run_id: str) -> None:
        """Delete a run for good that was never started. The caller has made sure that nothing starts it meanwhile."""
        directory = self.directory(run_id)
        # Out of sight first, so that a deletion cut short leaves nothing that looks like a run.
        doomed = directory.with_name(f".new-{directory.name}")
        directory.rename(doomed)
        shutil.rmtree(doomed)

    def set_facts(self, run_id: str, facts: Mapping[str, Fact]) -> Imported:
        """Replace the facts that are given about an imported run, and return all that is known about it.

        Raises RunError for any other run, and for a fact that is unknown or cannot be right.
        """
        checked = checked_facts(facts)
        with self.locked(run_id):
            imported = self.imported(run_id).model_copy(update={"facts": checked})
            write_json(self.directory(run_id) / IMPORT_FILE, imported.model_dump(mode="json"))
            # What is noticed about the run may be something else now.
            self._write(self.directory(run_id), self.record(run_id).model_copy(update={"tally": None}), durable=False)
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


def check_name(name: str, noun: str = "run") -> str:
    """The name of a run, or of what `noun` says, as it is kept: one line, not empty, not too long. Raises RunError."""
    cleaned = " ".join(name.split())
    if not cleaned:
        raise RunError(f"A {noun} needs a name.", field="name")
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise RunError(
            f"A {noun}'s name has at most {MAX_NAME_CHARACTERS} characters, this one {len(cleaned)}.", field="name"
        )
    if not cleaned.isprintable():
        raise RunError(f"A {noun}'s name cannot hold control characters.", field="name")
    return cleaned
