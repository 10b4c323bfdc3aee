"""Importing runs that were trained elsewhere: finding their logs, and keeping them as a read-only run.

Only logs are read and copied, by their content and under names made here: no weights, and never a pickle such as
`training_args.bin`. What a folder or an upload calls its files is shown, and used as a path nowhere.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from bcecore.errors import BceError, RunError
from bcecore.store.columns import Columns
from bcecore.store.history import IMPORTED_DIRECTORY
from bcecore.store.imported import Fact, Imported, Source, checked_facts
from bcecore.store.record import Progress, now
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore
from bcecore.store.tensorboard import Session, TensorBoardMissingError, is_event_file, log_of, read_events
from bcecore.store.trainer_log import (
    ADVICE,
    LogError,
    TrainerLog,
    adds_nothing_to,
    as_number,
    merged,
    parse_trainer_log,
    placed,
)

LOG_NAMES = ("trainer_state.json", "trainer_log.jsonl", "metrics.jsonl")
"""What is looked for in a folder, besides TensorBoard's files."""

EVENTS_COPY = "tensorboard.jsonl"
"""Under which name the values of TensorBoard's files are kept."""

_LARGEST_BYTES = 1_000_000_000
_DEEPEST = 4
_CHECKPOINT = re.compile(r"checkpoint-\d+")
# Folders within a run's own that belong to it.
_OF_A_RUN = ("checkpoints", "runs", "logs", "tensorboard", "logging")
_SAYS_NOTHING = {Path(name).stem for name in LOG_NAMES} | {"", ".", "..", "output", "outputs", "results", *_OF_A_RUN}
# Values that are alike in different runs.
_ALIKE = ("epoch", "learning_rate", "bce_weight", "time", "total_flos")
_NEARLY = 1e-3
_MOST_STATE_CHARACTERS = 50_000


@dataclass(frozen=True)
class Upload:
    """A file that came without a folder around it, as from a browser. Its name may have folders in it."""

    name: str
    data: bytes


class AlreadyImportedError(RunError):
    """All that is to be imported is in an imported run."""

    def __init__(self, run_id: str, name: str) -> None:
        super().__init__(
            f"This log was imported before, as “{name}” ({run_id}). Look at that run, or import it again with --again."
        )
        self.run_id = run_id
        self.name = name


class FoundLog(NamedTuple):
    """A log that will be kept."""

    kept_as: str
    content: bytes
    log: TrainerLog


@dataclass(frozen=True)
class Found:
    """The logs of one run, read and not yet imported."""

    name: str
    """What the run may be called, from its folder or file."""
    logs: tuple[FoundLog, ...]
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    """Sentences about what was mended, left out, or not read."""

    @property
    def newest(self) -> TrainerLog:
        """The log that was written last."""
        return self._newest.log

    @property
    def newest_name(self) -> str:
        """The name of the file in which that one stood."""
        kept_as = self._newest.kept_as
        return next((source.name for source in self.sources if source.kept_as == kept_as), kept_as)

    @property
    def _newest(self) -> FoundLog:
        return max(self.logs, key=lambda found: (not found.log.is_from_events, found.log.last_step))

    def columns(self) -> Columns:
        """The values of all logs, one row a step."""
        columns = Columns()
        columns.add(merged(found.log for found in self.logs))
        return columns


# -- finding


def find_logs(given: Sequence[Path | Upload]) -> Found:
    """The logs of one run in some files and folders: `trainer_state.json`, a checkpoint, a whole output folder.

    A file that was named is read whatever its name; in a folder, logs are looked for. Raises LogError for a file that
    is no log, RunError where there is no log or where there are those of several runs, TensorBoardMissingError,
    OSError.
    """
    files = list(_without_copies(_files(given)))
    logs: list[tuple[Source, bytes, TrainerLog]] = []
    events: list[tuple[Source, Session]] = []
    notes: list[str] = []
    for file in files:
        try:
            if is_event_file(PurePosixPath(file.name).name):
                session = _session(file)
                if session.records:  # those that only hold settings are no loss
                    events.append((file.source(), session))
            else:
                data = file.read()
                log = parse_trainer_log(data, file.name)
                logs.append((file.source(), data, log))
                notes += [f"{file.name}: {note}" if len(files) > 1 else note for note in log.notes]
        except TensorBoardMissingError:
            if all(is_event_file(other.name) for other in files):
                raise
            note = "TensorBoard's files were not read, because the optional package tensorboard is not installed."
            notes += [note] if note not in notes else []
        except LogError as error:
            if file.was_named:
                raise
            # A Trainer that is killed while it saves leaves a checkpoint like this.
            notes.append(f"Not read: {error.args[0].partition(ADVICE)[0].strip()}")
    if not logs and not events:
        raise RunError(f"No logged values were found in {_named(given)}. {ADVICE}")
    return _found(_name_of(files, given), logs, events, notes)


class _File(NamedTuple):
    name: str
    """With the folders below the one that was given."""
    place: Path | bytes
    was_named: bool
    """Whether it was given itself, and not found in a folder."""

    def read(self) -> bytes:
        if isinstance(self.place, bytes):
            return self.place
        size = self.place.stat().st_size
        if size > _LARGEST_BYTES:
            raise RunError(f"{self.name} has {size / 1e9:.1f} GB, more than any log of a Trainer. {ADVICE}")
        return self.place.read_bytes()

    def source(self) -> Source:
        if isinstance(self.place, bytes):
            return Source(name=self.name, bytes=len(self.place), sha256=hashlib.sha256(self.place).hexdigest())
        with self.place.open("rb") as content:
            mark = hashlib.file_digest(content, "sha256").hexdigest()
        return Source(name=self.name, bytes=self.place.stat().st_size, sha256=mark)


def _files(given: Sequence[Path | Upload]) -> Iterator[_File]:
    folders: dict[str, list[_File]] = {}
    for one in given:
        if isinstance(one, Upload):
            folder, _, inside = _shown(one.name).partition("/")
            if not inside:
                yield _File(folder, one.data, was_named=True)
            elif _is_looked_for(inside):
                folders.setdefault(folder, []).append(_File(inside, one.data, was_named=False))
            else:
                folders.setdefault(folder, [])
        elif one.is_dir():
            yield from _of_one_run(str(one), list(_in_folder(one)))
        elif one.exists():
            yield _File(one.name, one, was_named=True)
        else:
            raise RunError(f"There is no file or folder {one}. Check how it is spelled.")
    for folder, files in folders.items():
        yield from _of_one_run(folder, files)


def _is_looked_for(name: str) -> bool:
    last = PurePosixPath(name).name
    return last in LOG_NAMES or is_event_file(last)


def _in_folder(folder: Path) -> Iterator[_File]:
    for root, directories, names in os.walk(folder):
        inside = Path(root).relative_to(folder)
        directories[:] = sorted(name for name in directories if not name.startswith(".")) * (
            len(inside.parts) < _DEEPEST
        )
        for name in sorted(names):
            if _is_looked_for(name):
                yield _File((inside / name).as_posix(), Path(root) / name, was_named=False)


def has_logs(folder: Path) -> bool:
    """Whether there is anything in a folder that could be the log of a run."""
    return next(_in_folder(folder), None) is not None


def _of_one_run(folder: str, files: list[_File]) -> list[_File]:
    """Those files that belong to the run whose folder this is. Raises RunError where there are several runs."""
    if not files:
        raise RunError(
            f"No log of a Trainer was found in {folder}: no {', '.join(LOG_NAMES)}, and none of TensorBoard's files. "
            "Choose the folder into which the Trainer wrote its checkpoints."
        )
    logs = [file for file in files if not is_event_file(file.name)]
    runs = sorted({_run_folder(file.name) for file in logs or files})
    if "" in runs:
        return [file for file in files if _run_folder(file.name) == ""]
    if len(runs) > 1:
        names = ", ".join(runs[:6]) + (" …" if len(runs) > 6 else "")
        raise RunError(f"{folder} holds the logs of {len(runs)} runs: {names}. Import them one by one.")
    return [file for file in files if _run_folder(file.name) == runs[0]]


def _run_folder(name: str) -> str:
    """The folder of the run to which a file belongs, by its name within the folder that was given."""
    parts = []
    for part in PurePosixPath(name).parts[:-1]:
        if part in _OF_A_RUN or _CHECKPOINT.fullmatch(part):
            break
        parts.append(part)
    return "/".join(parts)


def _without_copies(files: Iterable[_File]) -> Iterator[_File]:
    """Each file once, also if it was given with its folder and by itself."""
    seen: set[object] = set()
    for file in files:
        mark: object = file.place if isinstance(file.place, bytes) else file.place.resolve()
        if mark not in seen:
            seen.add(mark)
            yield file


def _session(file: _File) -> Session:
    if isinstance(file.place, Path):
        return read_events(file.place)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "uploaded.tfevents.0"
        path.write_bytes(file.place)
        return read_events(path)


def _found(
    name: str,
    logs: list[tuple[Source, bytes, TrainerLog]],
    events: list[tuple[Source, Session]],
    notes: list[str],
) -> Found:
    kept: list[FoundLog] = []
    sources: list[Source] = []
    taken: set[str] = set()
    # The longest first: those of earlier checkpoints are usually its beginning.
    for source, data, log in sorted(logs, key=lambda one: (-one[2].last_step, -len(one[2].records), one[0].name)):
        if any(adds_nothing_to(log, other.log) for other in kept):
            sources.append(source)
            notes.append(f"{source.name} was left out: all it says is in the log of a later step.")
            continue
        kept_as = _copy_name(source.name, taken)
        kept.append(FoundLog(kept_as, data, log))
        sources.append(source.model_copy(update={"kept_as": kept_as}))
    if events:
        content = log_of([session for _, session in events])
        kept_as = _copy_name(EVENTS_COPY, taken)
        kept.append(FoundLog(kept_as, content, parse_trainer_log(content, kept_as)))
        sources += [source.model_copy(update={"kept_as": kept_as}) for source, _ in events]
    for one in kept[1:]:
        if _of_another_run(kept[0].log, one.log):
            raise RunError(
                f"{one.kept_as} and {kept[0].kept_as} are the logs of different runs: from the first step that both "
                "have, they say different things. Import them one by one."
            )
    return Found(name, tuple(kept), tuple(sources), tuple(notes))


def _of_another_run(one: TrainerLog, other: TrainerLog) -> bool:
    """Whether two logs say different things of the first step of which both say the same kind of thing."""
    first = _by_step(one)
    for record in placed(other):
        values = {key: first.get(record.step, {}).get(key) for key in record.values if key not in _ALIKE}
        pairs = [(value, record.values[key]) for key, value in values.items() if value is not None]
        if pairs:
            return not any(math.isclose(a, b, rel_tol=_NEARLY, abs_tol=1e-4) or a != a for a, b in pairs)
    return False


def _by_step(log: TrainerLog) -> dict[int, dict[str, float]]:
    steps: dict[int, dict[str, float]] = {}
    for record in placed(log):
        steps.setdefault(record.step, {}).update(record.values)
    return steps


def _copy_name(name: str, taken: set[str]) -> str:
    """A name under which a log can be kept on any file system."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", name.encode("ascii", "ignore").decode()).strip("._-")[-60:].lstrip("._-")
    stem, ending = (plain[:-6], ".jsonl") if plain.endswith(".jsonl") else (plain.removesuffix(".json"), ".json")
    # A number in front: some names, such as "con", are no names of files everywhere.
    copy = f"{len(taken) + 1:02d}-{stem or 'log'}{ending}"
    taken.add(copy)
    return copy


def _shown(name: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in name)[-200:] or "a file"


def _named(given: Sequence[Path | Upload]) -> str:
    names = [_shown(one.name) for one in given[:4]]
    return ", ".join(names) + (" …" if len(given) > 4 else "")


def _name_of(files: Sequence[_File], given: Sequence[Path | Upload]) -> str:
    """The name of the run: the innermost folder or file whose name says something."""
    first = given[0]
    path = first.resolve() if isinstance(first, Path) else PurePosixPath(_shown(first.name))
    parts = [part for part in path.parts if part != path.anchor]
    if not files[0].was_named:  # it was found in a folder, whose own name is the first one
        folder = parts if isinstance(first, Path) else parts[:1]
        parts = [*folder, *_run_folder(files[0].name).split("/")]
    elif is_event_file(parts[-1]):
        parts.pop()
    else:
        parts[-1] = path.stem
    for part in reversed(parts[-_DEEPEST:]):
        if part.lower() not in _SAYS_NOTHING and not _CHECKPOINT.fullmatch(part) and part.isprintable():
            return " ".join(part.split())[:MAX_NAME_CHARACTERS]
    return "imported log"


# -- keeping


def import_run(
    store: RunStore,
    given: Sequence[Path | Upload] | Found,
    *,
    name: str | None = None,
    facts: Mapping[str, Fact] | None = None,
    again: bool = False,
) -> str:
    """Keep logs as a run in status `imported` and return its id. Nothing is left behind when anything fails.

    `facts`: what a log cannot know (`store.imported.FACTS`). Raises AlreadyImportedError unless `again`, what
    `find_logs` raises, RunError for an unusable name or fact, DiskFullError.
    """
    found = given if isinstance(given, Found) else find_logs(given)
    checked = checked_facts(facts or {})
    if not again and (before := imported_before(store, found)) is not None:
        raise AlreadyImportedError(before, store.record(before).name)
    imported = Imported(sources=found.sources, facts=checked, state=_state(found.newest), notes=found.notes)

    def fill(directory: Path) -> None:
        folder = directory / IMPORTED_DIRECTORY
        folder.mkdir()
        for one in found.logs:
            (folder / one.kept_as).write_bytes(one.content)

    return store.create_imported(imported, name or found.name, fill, progress=_progress(found))


def imported_before(store: RunStore, found: Found) -> str | None:
    """The newest run that was imported from all of these logs, if there is one."""
    wanted = {source.sha256 for source in found.sources if source.kept_as}
    for record in store.records():
        if record.status == "imported":
            try:
                known = {source.sha256 for source in store.imported(record.id).sources}
            except BceError:
                continue  # damaged: what it was made from is not known
            if wanted <= known:
                return record.id
    return None


def _progress(found: Found) -> Progress:
    log = found.newest
    step = max(one.log.last_step for one in found.logs)
    total = as_number(log.state.get("max_steps"))
    epoch = as_number(log.state.get("epoch"))
    if epoch is None or not math.isfinite(epoch):
        columns = found.columns()
        epoch = columns.last("epoch") if "epoch" in columns.keys else 0.0
    return Progress(
        step=step,
        total_steps=max(step, int(total)) if total is not None and math.isfinite(total) else step,
        epoch=epoch if math.isfinite(epoch) else 0.0,
        updated=now(),
    )


def _state(log: TrainerLog) -> dict[str, Any]:
    """What a Trainer's state says, as JSON can hold it; only its plain values, where the rest is very long."""
    state: dict[str, Any] = _storable(log.state)
    if len(json.dumps(state)) > _MOST_STATE_CHARACTERS:
        state = {key: value for key, value in state.items() if not isinstance(value, (dict, list))}
    return state


def _storable(value: Any) -> Any:
    match value:
        case dict():
            return {_storable(key): _storable(inner) for key, inner in value.items()}
        case list():
            return [_storable(inner) for inner in value]
        case str():
            return value.encode(errors="replace").decode()
        case float() if not math.isfinite(value):
            return str(value)
    return value
