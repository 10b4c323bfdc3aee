"""Evaluations on disk: `runs/<run_id>/evaluations/<evaluation_id>/`, their records, and what was measured.

| file | what |
|---|---|
| `job.json` | `EvaluationRecord`; status, process and place as for a run |
| `job.log` | output of the evaluation's process |
| `data/<n>.jsonl` | the prepared texts of split n, one `{"text": ..., "label": ...}` a line; the label may be missing |
| `parts/part-NNNNN.parquet` | examples that are done, while there are more to do |
| `examples.parquet` | all examples, once the evaluation is finished |
| `result.json` | the figures of every split and checkpoint, rewritten as it goes |

An evaluation is called by its key, `<run_id>/<evaluation_id>`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bcecore.errors import RunError
from bcecore.files import disk_full_explained, read_json, write_json
from bcecore.store.examples import read_examples
from bcecore.store.identity import place_of
from bcecore.store.record import Failure, JobRecord, RunRecord, now
from bcecore.store.records import RecordStore
from bcecore.store.runs import JOB_ID, RunStore, check_name, new_id, said_by

if TYPE_CHECKING:
    import pyarrow

EVALUATIONS = "evaluations"
RESULT_FILE = "result.json"
LOG_FILE = "job.log"
_READ_TRIES = 5

MAX_SPLIT_NAME_CHARACTERS = 60
SplitKind = Literal["own", "file", "hub", "labelled"]
LongTexts = Literal["truncate", "window"]


class SplitSpec(BaseModel):
    """One set of texts of an evaluation, frozen into the evaluation's folder, and how it is to be scored."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1, max_length=MAX_SPLIT_NAME_CHARACTERS)
    kind: SplitKind
    file: str
    """Where its texts are, below the evaluation's folder: `data/<n>.jsonl`."""
    source: str
    """Where the texts come from, in words for people."""
    sha256: str
    """Of the file's bytes: the same texts in the same order have the same."""
    rows: int = Field(ge=1)
    """Texts in the file."""
    dropped: dict[str, int] = Field(default_factory=dict)
    """Rows that were left out, by reason (reasons that occurred only)."""
    long_texts: LongTexts = "truncate"
    block_size: int = Field(ge=2)
    """Tokens of a window, and with `truncate` where a text is cut; special tokens included."""
    stride: int | None = Field(default=None, ge=1)
    """Tokens by which each window begins behind the one before; only where there are windows."""
    template: str | None = None
    """What a labelled text is put into, with `{text}` and `{label}`; only in a labelled set."""
    labels: tuple[str, ...] | None = None
    """The labels to choose from; only in a labelled set."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.stride is not None) != (self.long_texts == "window"):
            raise ValueError("a stride belongs to windows, and only to them")
        if self.stride is not None and self.stride >= self.block_size:
            raise ValueError("the stride has to be smaller than the block size, or tokens would be left out")
        if (self.kind == "labelled") != (self.template is not None and self.labels is not None):
            raise ValueError("a template and labels belong to a labelled set, and only to it")
        return self


@dataclass(frozen=True)
class SplitTexts:
    """The texts of a split before they are frozen; the other values are those of the SplitSpec that it becomes."""

    name: str
    kind: SplitKind
    source: str
    texts: Sequence[str]
    block_size: int
    labels_of_texts: Sequence[str] | None = None
    """The label of each text, in a labelled set."""
    dropped: dict[str, int] = field(default_factory=dict)
    long_texts: LongTexts = "truncate"
    stride: int | None = None
    template: str | None = None
    labels: tuple[str, ...] | None = None

    def freeze(self, directory: Path, number: int, file: str | None = None) -> SplitSpec:
        """Write the texts into the evaluation's `directory` as its split `number`. Raises DiskFullError.

        `file` is where below the directory, if that is not an evaluation's.
        """
        rows: Iterable[dict[str, str]] = ({"text": text} for text in self.texts)
        if self.labels_of_texts is not None:
            pairs = zip(self.texts, self.labels_of_texts, strict=True)
            rows = ({"text": text, "label": label} for text, label in pairs)
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        file = file or f"data/{number}.jsonl"
        with disk_full_explained(directory / file):
            (directory / file).write_bytes(content)
        return SplitSpec(
            name=self.name,
            kind=self.kind,
            file=file,
            source=self.source,
            sha256=hashlib.sha256(content).hexdigest(),
            rows=len(self.texts),
            dropped=self.dropped,
            long_texts=self.long_texts,
            block_size=self.block_size,
            stride=self.stride,
            template=self.template,
            labels=self.labels,
        )


class EvaluationRequest(BaseModel):
    """What is to be measured: every checkpoint on every split."""

    model_config = ConfigDict(frozen=True)

    checkpoints: tuple[int, ...] = Field(min_length=1)
    """Their steps, ascending; the last step of a finished run is that of `model/`."""
    splits: tuple[SplitSpec, ...] = Field(min_length=1)
    batch_tokens: int = Field(default=4096, ge=1)
    """Tokens that are scored at a time, padding included."""
    seed: int = 0

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError("checkpoints have to be ascending and each there once")
        names = [split.name for split in self.splits]
        if len(set(names)) < len(names):
            raise ValueError("two splits have the same name")
        return self

    @property
    def examples(self) -> int:
        """Examples to score, each counted once for every checkpoint."""
        return len(self.checkpoints) * sum(split.rows for split in self.splits)


class EvaluationProgress(BaseModel):
    """How far an evaluation is, in examples, each counted once for every checkpoint."""

    model_config = ConfigDict(frozen=True)

    done: int
    kept: int = 0
    """Of them written down, page by page: what stays when the process ends now."""
    total: int
    updated: datetime
    session_start_done: int = 0
    """What was done before the present process began, so that its pace is not mixed with an earlier one's."""
    session_started: datetime | None = None
    examples_per_second: float | None = None
    """Pace of the present process over the last seconds."""


class EvaluationRecord(JobRecord):
    """Everything in `job.json`. Frozen: changes go through the store, which checks them."""

    noun: ClassVar[str] = "evaluation"
    process_noun: ClassVar[str] = "evaluation process"

    run_id: str
    """The run that it belongs to."""
    progress: EvaluationProgress | None = None
    after_run: bool = False
    """Whether it measures the end of its run, and cannot start before the run is finished (`jobs.queue.awaited`)."""
    request: EvaluationRequest | None
    """None only where the record is damaged beyond reading."""

    @property
    def key(self) -> str:
        """`<run_id>/<evaluation_id>`."""
        return f"{self.run_id}/{self.id}"

    @property
    def counts(self) -> tuple[int, int] | None:
        """Examples that are done, and all of them; once it has ended early, those that it has kept."""
        if self.progress is None:
            return None
        has_lost = not self.is_active and self.status != "finished"
        return (self.progress.kept if has_lost else self.progress.done), self.progress.total


class EvaluationStore(RecordStore[EvaluationRecord]):
    """The evaluations of the runs in one directory. Safe to use from several processes at once."""

    def __init__(self, runs: RunStore) -> None:
        super().__init__(EvaluationRecord, "job", runs.root)
        self._runs = runs

    # -- where things are

    def directory(self, key: str) -> Path:
        """The directory of an evaluation. Raises RunError for a key that is none or an evaluation that is not there."""
        directory = self._place(key)
        if not self.has_record(directory):
            raise RunError(f"There is no evaluation {key} in {self._runs.root}. {_list_them(key.partition('/')[0])}")
        return directory

    def _place(self, key: str) -> Path:
        run_id, _, evaluation_id = key.partition("/")
        if not (JOB_ID.fullmatch(run_id) and JOB_ID.fullmatch(evaluation_id)):
            raise RunError(f"{key!r} does not name an evaluation: that is the run's id, a slash and its own id.")
        return self._runs.root / run_id / EVALUATIONS / evaluation_id

    def resolve(self, reference: str) -> str:
        """The key that a person means by a key, or by an id, the beginning or end of one, or a name.

        Raises RunError when there is no such evaluation, or several.
        """
        run, slash, own = reference.rpartition("/")
        among = self.records(self._runs.resolve(run) if slash else None)
        matches = [
            record.key
            for record in among
            if own and (record.name == own or record.id.startswith(own) or record.id.endswith(f"-{own}"))
        ]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise RunError(f"There is no evaluation {reference!r} in {self._runs.root}. {_list_them(run or 'RUN')}")
        raise RunError(
            f"{reference!r} could be any of {len(matches)} evaluations: {', '.join(matches[:5])}. Give more of the id."
        )

    # -- reading

    def keys(self, run_id: str | None = None) -> list[str]:
        """The keys of all evaluations, of one run or of all."""
        found = []
        # Every page looks here, and with ten thousand runs one question for each is what it costs.
        for run in self._runs.names() if run_id is None else [run_id]:
            directory = f"{self._runs.root}{os.sep}{run}{os.sep}{EVALUATIONS}"
            try:
                names = [entry.name for entry in os.scandir(directory) if JOB_ID.fullmatch(entry.name)]
            except (FileNotFoundError, NotADirectoryError):
                continue  # most runs have none
            found += [f"{run}/{name}" for name in names if self.has_record(Path(directory) / name)]
        return found

    def records(self, run_id: str | None = None) -> list[EvaluationRecord]:
        """The records of all evaluations, of one run or of all, newest first; unchanged ones are not read again.

        One that is damaged beyond reading is there too, as crashed with the reason.
        """
        found = self._listed(self.keys(run_id), all_there_are=run_id is None)
        # An id tells the second only.
        return sorted(found, key=lambda record: (record.created, record.id), reverse=True)

    def _damaged(self, key: str, message: str) -> EvaluationRecord:
        run_id, _, evaluation_id = key.partition("/")
        name, created = said_by(evaluation_id)
        return EvaluationRecord(
            id=evaluation_id,
            run_id=run_id,
            name=name,
            created=created,
            status="crashed",
            status_since=created,
            failure=Failure(message=message),
            request=None,
        )

    def result(self, key: str) -> dict[str, Any] | None:
        """What `result.json` says; None before anything was measured. Raises RunError when it cannot be read."""
        path = self.directory(key) / RESULT_FILE
        try:
            result = read_json(path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunError(f"The result of evaluation {key} ({path}) is damaged and cannot be read: {error}") from error
        if not isinstance(result, dict):
            raise RunError(f"The result of evaluation {key} ({path}) is no JSON object. Evaluate once more.")
        return result

    def examples(
        self, key: str, columns: Sequence[str] | None = None, filters: list[tuple[str, str, Any]] | None = None
    ) -> pyarrow.Table:
        """The examples measured so far, those of an evaluation that is still at work included.

        `columns` are those to read (default: all), `filters` what rows have to fulfil, all of it, as
        `pyarrow.parquet.read_table` takes it: `[("split", "=", "val")]`. Raises RunError when they cannot be read.
        """
        import pyarrow

        directory = self.directory(key)
        for attempt in range(_READ_TRIES):
            try:
                return read_examples(directory, None if columns is None else list(columns), filters)
            except FileNotFoundError:  # its parts were put together a moment ago
                if attempt == _READ_TRIES - 1:
                    raise
            except (pyarrow.ArrowException, OSError) as error:
                what = f"The examples of evaluation {key} ({directory})"
                raise RunError(f"{what} are damaged and cannot be read: {error}") from error
        raise AssertionError("unreachable")

    # -- writing

    def create(
        self, run_id: str, name: str, fill: Callable[[Path], EvaluationRequest], **fields: Any
    ) -> EvaluationRecord:
        """Make an evaluation of a run in status `queued`.

        `fill(directory)` writes the texts into `data/` there and returns what is to be measured. The directory appears
        under its name only when it is complete; when anything fails, nothing is left behind. `fields` are further ones
        of the record. Raises RunError for a run that is not there or an unusable name, DiskFullError.
        """
        name = check_name(name)
        parent = self._runs.directory(run_id) / EVALUATIONS
        created = now()
        evaluation_id = new_id(name, created)
        unfinished = parent / f".new-{evaluation_id}"
        with disk_full_explained(unfinished):
            unfinished.mkdir(parents=True)
        try:
            with disk_full_explained(unfinished):
                (unfinished / "data").mkdir()
                request = fill(unfinished)
            record = EvaluationRecord(
                id=evaluation_id,
                run_id=run_id,
                name=name,
                created=created,
                status_since=created,
                place=place_of(unfinished),
                request=request,
                **fields,
            )
            self._write(unfinished, record)
            unfinished.rename(parent / evaluation_id)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return record

    def delete(self, key: str) -> None:
        """Delete an evaluation for good. The caller has made sure that nothing works on it."""
        directory = self.directory(key)
        # Out of sight first, so that a deletion cut short leaves nothing that looks like an evaluation.
        doomed = directory.with_name(f".new-{directory.name}")
        directory.rename(doomed)
        shutil.rmtree(doomed)


def evaluation_at(directory: Path) -> tuple[EvaluationStore, str]:
    """The store and the key of the evaluation in this directory, for the process that carries it out."""
    directory = directory.resolve()
    run_directory = directory.parent.parent
    return EvaluationStore(RunStore(run_directory.parent)), f"{run_directory.name}/{directory.name}"


def awaited_steps(run_directory: Path) -> set[int]:
    """The steps of a run whose checkpoints an evaluation needs that waits or is at work."""
    store = EvaluationStore(RunStore(run_directory.parent))
    open_ones = [record for record in store.records(run_directory.name) if not record.is_over]
    return {step for record in open_ones if record.request is not None for step in record.request.checkpoints}


def store_of(runs: RunStore, key: str) -> RecordStore[Any]:
    """The store that a job's record is in: the runs for a run's id, the evaluations for an evaluation's key."""
    return EvaluationStore(runs) if "/" in key else runs


def refuse_imported(record: RunRecord) -> None:
    """Raise RunError for a run that was trained elsewhere: there is no model to evaluate."""
    if record.status == "imported":
        raise RunError(
            f"Run {record.id} was imported: its log is here, but no model, so it cannot be evaluated. Train a run here."
        )


def _list_them(run: str) -> str:
    return f"`python -m bcecore evaluations {run}` lists the evaluations of a run."


# -- results


def write_result(directory: Path, result: dict[str, Any]) -> None:
    """Write `result.json` of the evaluation in `directory`, atomically; non-finite numbers become null."""
    write_json(directory / RESULT_FILE, _finite(result))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
