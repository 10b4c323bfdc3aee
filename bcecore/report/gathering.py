"""Reads what the tables and the report of a run are made from: its record, settings, log, checkpoints and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.report.finding_words import noted
from bcecore.report.material import Material, RunFile
from bcecore.store import acknowledged
from bcecore.store.acknowledged import ACKNOWLEDGED_FILE
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.history import IMPORTED_DIRECTORY, METRICS_FILE, STATE_FILE, History
from bcecore.store.imported import IMPORT_FILE, Imported
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RECORD_FILE, RunStore
from bcecore.store.samples import SAMPLES_FILE

_FILES = (
    ("config.json", "all settings"),
    (IMPORT_FILE, "what is known about the run, and where it came from"),
    (RECORD_FILE, "the run's record: status, text, versions, device"),
    (METRICS_FILE, "everything that was logged, a line for each step"),
    (STATE_FILE, "the same as Hugging Face's Trainer writes it"),
    ("train.log", "what the training process wrote"),
    (SAMPLES_FILE, "what the model wrote when it was asked to"),
    (ACKNOWLEDGED_FILE, "findings that somebody has accepted, with the reasons"),
    ("data", "the lines that were used"),
    ("checkpoints", "the checkpoints"),
    ("model", "the final model and its tokenizer"),
)


def material_of(
    store: RunStore,
    record: RunRecord,
    history: History,
    extra_steps: Iterable[int] = (),
    findings: Iterable[Finding] | None = None,
) -> Material:
    """All that is known of a run, without charts. `history` has been refreshed. `findings`: what is noticed about it,
    by whoever has looked it over. RunError if its files are damaged.
    """
    config: RunConfig | None = None
    imported: Imported | None = None
    if record.status == "imported":
        imported = store.imported(record.id)
    else:
        config = store.config(record.id)
    directory = store.directory(record.id)
    return Material(
        record=record,
        config=config,
        imported=imported,
        logged=history,
        now=now(),
        extra_steps=tuple(sorted(set(extra_steps))),
        checkpoints=tuple(checkpoint_steps(directory)),
        files=tuple(_files(directory)),
        findings=None if findings is None else noted(findings, acknowledged.read(directory)),
        notes=tuple(dict.fromkeys((*(imported.notes if imported is not None else ()), *history.notes))),
    )


def _files(directory: Path) -> Iterator[RunFile]:
    for name, about in _FILES:
        path = directory / name
        if path.exists():
            yield RunFile(f"{name}/" if path.is_dir() else name, about)
    for path in sorted((directory / IMPORTED_DIRECTORY).glob("*.json*")):
        yield RunFile(f"{IMPORTED_DIRECTORY}/{path.name}", "the Trainer's log, as it was imported")
