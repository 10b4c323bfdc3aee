"""Finding out about text files for a page: small ones at once, large ones in a process of their own.

What was found out is kept beside the runs as JSON, by the question and the state of the files, so that a page can be
left and come back to, and the dashboard never holds a large file. Run as `python -m bcecore.jobs.looking QUESTION
RESULT`, both JSON files; RESULT is written last, and how far the work is stands beside it.
"""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bcecore.config import DataConfig
from bcecore.errors import BceError, RunError
from bcecore.files import read_json, write_json
from bcecore.jobs.local import spawn
from bcecore.store.identity import ProcessIdentity, identity_of, is_alive
from bcecore.store.runs import RunStore
from bcecore.text import clean_split
from bcecore.text.looking import Between, Look, Progress, Sifted, TextFile, compare, look, sift

SMALL_BYTES = 3_000_000
_KEPT = 100
_TOLD_SECONDS = 0.3


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True)


class AboutFile(_Question):
    """What is in a file?"""

    kind: Literal["file"] = "file"
    path: Path
    data: DataConfig
    """Column, block size and filter."""
    tokenizer_folder: Path | None = None


class AboutFilter(_Question):
    """What would the quality filter leave out of a file?"""

    kind: Literal["filter"] = "filter"
    path: Path
    data: DataConfig


class AboutTwo(_Question):
    """Which lines of `held_out` are in `path`?"""

    kind: Literal["two"] = "two"
    path: Path
    held_out: Path
    column: str = "text"


class Cleaned(_Question):
    """Write clean files: a split of `path`; or `path` without what is in `held_out`, and that; or it without copies."""

    kind: Literal["clean"] = "clean"
    path: Path
    how: Literal["split", "without", "once"]
    held_out: Path | None = None
    """The text to check on, for `without`."""
    column: str = "text"
    fraction: float = Field(0.1, gt=0, le=0.5)
    seed: int = 0
    directory: Path
    stem: str
    """What the names of the files begin with."""


class Written(BaseModel):
    """The files that were written."""

    model_config = ConfigDict(frozen=True)

    train: Path
    train_lines: int
    held_out: Path | None
    """The text to check on, where one was written."""
    held_out_lines: int
    left_out: int
    """Lines that are in neither."""


Question = AboutFile | AboutFilter | AboutTwo | Cleaned
Answer = Look | Sifted | Between | Written
_QUESTIONS: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="kind")])
_ANSWERS: dict[str, type[Answer]] = {"file": Look, "filter": Sifted, "two": Between, "clean": Written}


@dataclass(frozen=True)
class AtWork:
    """It is being found out."""

    share: float
    """How much of it is done, from 0 to 1."""


class _State(BaseModel):
    process: ProcessIdentity | None


def ask(store: RunStore, question: Question) -> Answer | AtWork:
    """What is known; it is begun to be found out where nobody has asked. Raises BceError if it cannot be found out.

    For a small file the answer is there at once. A large one is worked on by another process: ask again.
    """
    result = _result_file(store, question)
    known = _known(question, result)
    if known is not None:
        return known
    result.parent.mkdir(parents=True, exist_ok=True)
    if is_small(question):
        answer = find_out(question)
        write_json(result, answer.model_dump(mode="json"))
        _forget_oldest(result.parent)
        return answer
    if not _at_work(result):
        write_json(result.with_suffix(".question"), question.model_dump(mode="json"))
        result.with_suffix(".share").unlink(missing_ok=True)
        arguments = ["-m", "bcecore.jobs.looking", str(result.with_suffix(".question")), str(result)]
        process = spawn(arguments, result.with_suffix(".log"))
        state = _State(process=identity_of(process.pid))
        write_json(result.with_suffix(".pending"), state.model_dump(mode="json"))
    return AtWork(_share(result))


def is_small(question: Question) -> bool:
    """Whether `ask` answers at once. Raises RunError where there is no such file."""
    return sum(path.stat().st_size for path in _files(question)) <= SMALL_BYTES


def forget(store: RunStore, question: Question) -> None:
    """Let the question be asked anew: after a failure, say."""
    result = _result_file(store, question)
    for path in result.parent.glob(f"{result.stem}.*"):
        path.unlink(missing_ok=True)


def find_out(question: Question, progress: Progress | None = None) -> Answer:
    """The answer, found out here and now. Raises BceError."""
    if isinstance(question, AboutFile):
        return look(question.path, question.data, tokenizer_folder=question.tokenizer_folder, progress=progress)
    if isinstance(question, AboutFilter):
        return sift(question.path, question.data)
    if isinstance(question, AboutTwo):
        return compare(question.path, question.held_out, question.column, progress)
    return _write(question, progress)


def _write(question: Cleaned, progress: Progress | None) -> Written:
    file = TextFile(question.path, question.column)
    lines = len(file.texts)

    def told(number: int) -> None:
        if progress is not None:
            progress(min(0.95 * number / max(2 * lines, 1), 0.95))

    held_out: list[str] = []
    if question.how == "split":
        split = clean_split.clean_split(file.texts, question.fraction, question.seed, told)
        held_out = [file.texts[line] for line in split.held_out]
    elif question.how == "once":
        split = clean_split.without_copies(file.texts, told)
    else:
        assert question.held_out is not None
        held_out = TextFile(question.held_out, question.column).texts
        split = clean_split.without(file.texts, held_out, told)
    question.directory.mkdir(parents=True, exist_ok=True)
    place = question.directory / question.stem
    train = clean_split.written(place.with_name(f"{place.name}-train"), [file.texts[line] for line in split.train])
    return Written(
        train=train,
        train_lines=len(split.train),
        held_out=clean_split.written(place.with_name(f"{place.name}-check"), held_out) if held_out else None,
        held_out_lines=len(held_out),
        left_out=len(split.left_out),
    )


# -- the state of a question on disk


def _files(question: Question) -> list[Path]:
    held_out = question.held_out if isinstance(question, AboutTwo | Cleaned) else None
    files = [question.path, *([] if held_out is None else [held_out])]
    for path in files:
        if not path.is_file():
            raise RunError(f"There is no file {path}. Check the name and the folder.")
    return files


def _result_file(store: RunStore, question: Question) -> Path:
    states = [path.stat() for path in _files(question)]
    stamp = [(state.st_ino, state.st_size, state.st_mtime_ns) for state in states]
    key = hashlib.sha256(f"{question.model_dump_json()}{stamp}".encode()).hexdigest()[:24]
    return store.root / ".looks" / f"{key}.json"


def _known(question: Question, result: Path) -> Answer | None:
    try:
        found = read_json(result)
        if "error" in found:
            raise RunError(found["error"], field=found["field"])
        answer = _ANSWERS[question.kind].model_validate(found)
    except (FileNotFoundError, ValueError, ValidationError):
        return None
    if isinstance(answer, Written) and not all(path.is_file() for path in (answer.train, answer.held_out) if path):
        return None  # the files were taken away: they are written anew
    return answer


def _at_work(result: Path) -> bool:
    try:
        state = _State.model_validate(read_json(result.with_suffix(".pending")))
    except (FileNotFoundError, ValueError, ValidationError):
        return False
    if state.process is not None and is_alive(state.process):
        return True
    if result.exists():
        return True  # it has ended well a moment ago
    log = result.with_suffix(".log")
    words = log.read_text(encoding="utf-8", errors="replace").strip().split("\n") if log.exists() else []
    result.with_suffix(".pending").unlink(missing_ok=True)
    raise RunError(f"The file could not be looked at: {words[-1] if words else 'the work ended without a word'}.")


def _share(result: Path) -> float:
    try:
        return float(read_json(result.with_suffix(".share")))
    except (FileNotFoundError, ValueError, TypeError):
        return 0.0


def _forget_oldest(directory: Path) -> None:
    """Keep so many answers: they are quick to find out once more."""
    found = sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in found[_KEPT:]:
        for path in directory.glob(f"{old.stem}.*"):
            with suppress(OSError):
                path.unlink()


def main(question_file: Path, result: Path) -> int:
    """Find out, telling how far it is; what goes wrong is an answer too."""
    question = _QUESTIONS.validate_python(read_json(question_file))
    last = 0.0

    def told(share: float) -> None:
        nonlocal last
        if time.monotonic() - last > _TOLD_SECONDS:
            last = time.monotonic()
            write_json(result.with_suffix(".share"), share, durable=False)

    try:
        found = find_out(question, told).model_dump(mode="json")
    except BceError as error:
        found = {"error": str(error), "field": error.field}
    write_json(result, found)
    _forget_oldest(result.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
