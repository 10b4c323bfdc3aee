"""Reads what lies around a Trainer's output: logs, figures of checks, texts, a model's settings, written reports.

What a file is, its content says; of a text, its name says whether it is for checking. Weights are not touched, and a
pickle is never opened.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bcecore.errors import BceError, RunError, TextError
from bcecore.findings.collect import lines
from bcecore.findings.written.evidence import Evidence, Measured, RunLog
from bcecore.store.columns import Columns
from bcecore.store.history import IMPORTED_DIRECTORY, History
from bcecore.store.imports import Found, find_logs, has_logs
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.store.stats_files import StatsSide, StatsSplit, bucket_means, read_stats_file
from bcecore.store.trainer_log import LogError, TrainerLog, as_number, placed, read_trainer_log, step_as_logged
from bcecore.text.reading import SUFFIXES, read_texts

Say = Callable[[str], None]
Role = Literal["training", "held out"]

REPORT_SUFFIXES = (".md", ".markdown")
_HELD_OUT = frozenset({"val", "valid", "validation", "dev", "test", "eval", "held", "heldout", "holdout"})
_NO_TEXTS = re.compile(r"(vocab|merges|licen[cs]e|readme|requirements.*|added_tokens)\.txt", re.IGNORECASE)
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_LARGEST_REPORT = 5_000_000
_LARGEST_JSON = 200_000_000
_LONG_TEXT = 20_000_000
_READS = (
    "What can be read: a Trainer's output folder or trainer_state.json, stats files, eval_results.json, a model's "
    "config.json, texts (.txt, .jsonl, .csv, .parquet) and reports (.md)."
)


class FilesError(BceError):
    """Files of which nothing can be said."""


@dataclass(frozen=True)
class TextFile:
    """A text beside a run."""

    name: str
    role: Role
    lines: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        return Path(self.name).stem


@dataclass(frozen=True)
class Report:
    """A written report."""

    name: str
    markdown: str


@dataclass(frozen=True)
class Architecture:
    """A model's `config.json`."""

    name: str
    content: Mapping[str, Any]


@dataclass
class Files:
    """Everything that was read, by what it is."""

    subject: str
    """What the findings are about: the name of the folder or file that was given."""
    log: RunLog | None = None
    columns: Columns | None = None
    """The values of the log, for the rules over its rows; None where others see to them."""
    stats: list[StatsSplit] = field(default_factory=list)
    results: list[Measured] = field(default_factory=list)
    texts: list[TextFile] = field(default_factory=list)
    architectures: list[Architecture] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    """The names of the files that were read."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what was mended, guessed or passed over."""

    def evidence(self) -> Evidence:
        """What a report can be held against."""
        measured = [side for split in self.stats for side in measured_of(split)]
        return Evidence(self.log, (*measured, *self.results), {text.stem: len(text.lines) for text in self.texts})


def collect_files(paths: Sequence[Path], say: Say = lambda _: None) -> Files:
    """Read files and folders that belong to one run. `say` is told of what takes long.

    In a folder, what is known is looked for and the rest passed over. Raises FilesError for a path that is not there or
    a named file that is nothing known, and what reading the files raises.
    """
    if not paths:
        raise FilesError(f"No file was given. {_READS}")
    first = paths[0]
    files = Files((first.resolve() if str(first) in (".", "..") else first).name or str(first))
    logs: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = list(_in_folder(path))
            if has_logs(path):
                logs.append(path)
            elif not found:
                raise FilesError(f"There is nothing in {path} that could be checked. {_READS}")
            for one in found:
                _take(one, files, logs, say, named=False)
        elif path.exists():
            _take(path, files, logs, say, named=True)
        else:
            raise FilesError(f"There is no file or folder {path}. Check how it is spelled.")
    if logs:
        files.log = _log(find_logs(logs), files)
    _tell_texts_apart(files)
    return files


def files_with_run(store: RunStore, run_id: str, paths: Sequence[Path], say: Say = lambda _: None) -> Files:
    """Files that are to be held against one of our runs: its log and its training text are beside them.

    A log among the files is refused: the run has its own. Raises RunError, and what `collect_files` raises.
    """
    files = collect_files(paths, say) if paths else Files(run_id)
    if files.log is not None:
        raise FilesError(
            f"{files.log.source} is a log, and the run has its own. Leave it out, or give the log's path in place of "
            "the run."
        )
    files.subject, files.log = run_id, run_log(store, run_id)
    train = store.directory(run_id) / "data" / "train.jsonl"
    if train.exists():
        own = TextFile("the training text of the run", "training", tuple(lines(train)))
        files.texts[:] = [own, *(replace(text, role="held out") for text in files.texts)]
    return files


def _in_folder(folder: Path) -> Iterator[Path]:
    """The files of a folder that are looked at, and the model's settings in it or in its newest checkpoint."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            known = (".json", ".txt", *REPORT_SUFFIXES)
            if path.suffix.lower() in known and not _NO_TEXTS.fullmatch(path.name):
                yield path
    if not (folder / "config.json").exists():
        inner = [
            (int(found[1]), path) for path in folder.glob("checkpoint-*") if (found := _CHECKPOINT.fullmatch(path.name))
        ]
        newest = [path / "config.json" for _, path in sorted(inner, reverse=True)]
        yield from [path for path in (*newest, folder / "model" / "config.json") if path.exists()][:1]


def _take(path: Path, files: Files, logs: list[Path], say: Say, *, named: bool) -> None:
    suffix = path.suffix.lower()
    if suffix in REPORT_SUFFIXES:
        files.reports.append(Report(path.name, _markdown(path)))
    elif suffix == ".json":
        if not _json(path, files, logs, named=named):
            return
    elif suffix in SUFFIXES and not (named and suffix == ".jsonl" and _is_log(path)):
        size = path.stat().st_size
        if size > _LONG_TEXT:
            say(f"Reading {path.name} ({size / 1e6:,.0f} MB) …")
        try:
            files.texts.append(TextFile(path.name, _role(path.name), tuple(read_texts(path))))
        except TextError:
            if named:
                raise
            return
    elif named:
        logs.append(path)  # by whatever name: the reader of logs says what is wrong with it
    if path not in logs:
        files.read.append(path.name)


def _markdown(path: Path) -> str:
    if path.stat().st_size > _LARGEST_REPORT:
        raise FilesError(f"{path.name} has {path.stat().st_size / 1e6:.0f} MB, more than any written report.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FilesError(f"{path.name} is not written in UTF-8: {error}. Save it as UTF-8 text.") from error


def _is_log(path: Path) -> bool:
    try:
        read_trainer_log(path)
    except LogError:
        return False
    return True


def _json(path: Path, files: Files, logs: list[Path], *, named: bool) -> bool:
    """Take a JSON file for what its content is; False where it is passed over."""
    if path.name in ("trainer_state.json", "trainer_log.json"):
        if named:
            logs.append(path)
        return False  # in a folder it is looked for with the other logs, and told with them
    if path.stat().st_size > _LARGEST_JSON:
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and "log_history" not in content:
        if "model_type" in content or "architectures" in content:
            files.architectures.append(Architecture(path.name, content))
            return True
        if content and all(isinstance(one, dict) and {"bce_on", "bce_off"} <= set(one) for one in content.values()):
            files.stats += read_stats_file(path)
            return True
        if (result := _result(path.name, content)) is not None:
            files.results.append(result)
            return True
    if named:
        logs.append(path)  # the reader of logs says what is wrong with it
    return named


def _result(name: str, content: Mapping[str, Any]) -> Measured | None:
    """What a Trainer's script left of a check: `eval_results.json`, `all_results.json`."""
    values = {
        key: float(value) for key, value in content.items() if type(value) in (int, float) and math.isfinite(value)
    }
    if not any(key.startswith(("eval_", "test_", "predict_")) for key in values):
        return None
    renamed = {"eval_samples": "samples", "eval_perplexity": "perplexity"}
    return Measured(name, "", None, {renamed.get(key, key): value for key, value in values.items()})


def _role(name: str) -> Role:
    words = set(re.findall(r"[a-z]+", Path(name).stem.casefold()))
    return "held out" if words & _HELD_OUT else "training"


def _tell_texts_apart(files: Files) -> None:
    """Where no name says which text is for checking, the largest is taken for the training text."""
    training = [text for text in files.texts if text.role == "training"]
    if len(training) < 2:
        return
    largest = max(training, key=lambda text: len(text.lines))
    files.texts[:] = [
        TextFile(text.name, "held out" if text in training and text is not largest else text.role, text.lines)
        for text in files.texts
    ]
    files.notes.append(
        f"The names of the texts do not say which is for checking: {largest.name}, the largest, was taken for the "
        "training text."
    )


# -- logs


def _log(found: Found, files: Files) -> RunLog:
    files.read += [source.name for source in found.sources]
    files.notes += found.notes
    columns = found.columns()
    files.columns = columns
    source = found.newest_name
    return RunLog(source, columns, _borne([one.log for one in found.logs]), _facts(columns, found.newest.state))


def _borne(logs: Sequence[TrainerLog]) -> dict[int, dict[str, float]]:
    """What records say under the step that they bear, where they were moved to the one to which they belong."""
    borne: dict[int, dict[str, float]] = {}
    for log in logs:
        for record in placed(log):
            said = step_as_logged(log.records[record.position])
            if record.shifted and said is not None:
                epoch = as_number(log.records[record.position].get("epoch"))
                extra = {} if epoch is None else {"epoch": epoch}
                borne.setdefault(said, {}).update(record.values | extra)
    return borne


def _facts(columns: Columns | History, state: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """What a log and its Trainer's state say of the run as a whole."""
    facts: dict[str, tuple[float, ...]] = {}

    def known(name: str, *values: Any) -> None:
        numbers = [number for value in values if (number := as_number(value)) is not None and math.isfinite(number)]
        if numbers:
            facts[name] = (*facts.get(name, ()), *numbers)

    last = int(columns.steps[-1]) if len(columns.steps) else None
    known("epochs", state.get("num_train_epochs"), *columns.series("epoch").values[-1:].tolist())
    known("batch_size", state.get("train_batch_size"))
    known("steps", state.get("max_steps"), state.get("global_step"), last)
    for name, key in (("wall_clock", "train_runtime"), ("steps_per_second", "train_steps_per_second")):
        known(name, *columns.series(key).values[-1:].tolist())
    known("final_loss", *columns.series("train_loss").values[-1:].tolist())
    return facts


# -- our own runs


def run_log(store: RunStore, run_id: str) -> RunLog:
    """The log of one of our runs, or of one that was imported, and what is known besides. Raises RunError."""
    record = store.record(run_id)
    history = History(store.directory(run_id))
    history.refresh()
    if record.status == "imported":
        imported = store.imported(run_id)
        facts = _facts(history, imported.state)
        for name, mine in (("wall_clock", "wall_clock"), ("seed", "seed"), ("block_size", "block_size")):
            value = imported.facts.get(name)
            if isinstance(value, (int, float)):
                facts[mine] = (*facts.get(mine, ()), float(value))
        if (time := imported.facts.get("wall_clock")) and isinstance(time, (int, float)):
            facts["steps_per_second"] = tuple(steps / time for steps in facts.get("steps", ()))
        logs = _imported_logs(store.directory(run_id) / IMPORTED_DIRECTORY)
        return RunLog(f"the log of {record.name}", history, _borne(logs), facts)
    config = store.config(run_id)
    facts = _facts(history, {})
    facts |= {
        "epochs": (float(config.training.epochs), *facts.get("epochs", ())),
        "batch_size": (float(config.training.batch_size),),
        "block_size": (float(config.data.block_size),),
        "seed": (float(config.training.seed),),
        "learning_rate": (config.training.learning_rate,),
        "warmup_steps": (float(config.training.warmup_steps),),
        "bce": tuple(
            float(value)
            for value in (
                config.bce.base_weight, config.bce.target_weight, config.bce.max_weight,
                config.bce.warmup_steps, config.bce.boost_span,
            )
        ),
    }  # fmt: skip
    said = record.facts
    for name, value in (
        ("parameters", said.get("weights")),
        ("final_loss", said.get("train_loss")),
        ("steps_per_second", said.get("train_steps_per_second")),
        ("wall_clock", record.elapsed_seconds(now())),
        ("wall_clock", said.get("train_runtime")),
        ("steps", record.progress.step if record.progress else None),
        ("steps", record.progress.total_steps if record.progress else None),
    ):
        if isinstance(value, (int, float)):
            facts[name] = (*facts.get(name, ()), float(value))
    pace = record.progress.steps_per_second if record.progress else None
    if pace and "steps_per_second" not in facts:
        facts["steps_per_second"] = (pace,)
    dataset = record.dataset
    counts = [dataset.get(name) for name in ("lines_read", "train_examples", "validation_examples")]
    facts["lines"] = tuple(float(count) for count in counts if isinstance(count, int))
    return RunLog(f"the log of {record.name}", history, {}, facts)


def _imported_logs(folder: Path) -> list[TrainerLog]:
    logs = []
    for path in sorted(folder.glob("*.json*")):
        try:
            logs.append(read_trainer_log(path))
        except LogError as error:
            raise RunError(str(error)) from error
    return logs


# -- what was measured


def measured_of(split: StatsSplit) -> Iterator[Measured]:
    """Both sides of a split of a stats file."""
    sides: tuple[tuple[Literal["on", "off"], StatsSide], ...] = (("on", split.on), ("off", split.off))
    for mode, side in sides:
        values = {
            key: float(value)
            for key, value in side.values.items()
            if type(value) in (int, float) and math.isfinite(value)
        }
        more: list[float] = []
        if split.has_means:
            # What the file has beyond these are single examples and groups.
            more = [values[key] for key in ("p50_ce", "p90_ce", "min_ce", "max_ce") if key in values]
            more += [row["ce_loss"] for row in side.shown] + [mean for mean in bucket_means(side) if mean is not None]
            values |= {"ce": values["mean_ce"], "objective": values["mean_total"]}
            if "ppl" in values:
                values["perplexity"] = values["ppl"]
            if side.weight is not None:
                values["weight"] = side.weight
            if side.weight:
                values["bce_loss"] = (values["objective"] - values["ce"]) / side.weight
        if split.examples is not None:
            values["samples"] = split.examples
        lengths = tuple(float(row["len"]) for row in side.shown)
        yield Measured(split.file, split.name, mode, values, tuple(more), lengths)
