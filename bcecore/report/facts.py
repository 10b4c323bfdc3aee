"""The facts of a run as a table, like "Run Facts" at the head of the report. Pure: record, settings and values in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import PurePath
from typing import Any, NamedTuple

from bcecore.config import SAMPLE_TEXT, RunConfig
from bcecore.report.logged import written
from bcecore.report.summary import At, RunSummary
from bcecore.report.words import count, duration, moment, number, scientific
from bcecore.settings import Described, describe, flatten, readable_number
from bcecore.store.record import RunRecord

UNKNOWN = "not known yet"
NEVER_KNOWN = "–"

_SCHEDULERS = {
    "linear": "linear decay",
    "cosine": "cosine decay",
    "cosine_with_restarts": "cosine decay with a restart",
    "polynomial": "polynomial decay",
    "constant": "constant",
    "constant_with_warmup": "constant",
    "inverse_sqrt": "inverse square root decay",
}
_SINGULARS = {"batches": "batch"}
DROPPED_WORDS = {
    "too_short": "too short",
    "repeated_characters": "one character over and over",
    "too_many_symbols": "mostly symbols",
}


class Fact(NamedTuple):
    """One row of the table."""

    title: str
    value: str


def run_facts(record: RunRecord, config: RunConfig, summary: RunSummary, now: datetime) -> list[Fact]:
    """The rows of the report's table first, in its order, then what else is known about the run."""
    training = config.training
    rows = [
        Fact("Model", model_words(config)),
        Fact("Text", text_words(config.data.train_file)),
        Fact("Epochs", _epochs(record, config)),
        Fact("Batch size", _batch(config)),
        Fact("Longest example (block size)", count(config.data.block_size, "token")),
        Fact("Learning rate", learning_rate_words(config)),
        Fact("BCE weight", bce_weight_words(config, record.progress.total_steps if record.progress else None)),
        Fact("Steps", _steps(record)),
        Fact("Wall clock", _wall_clock(record, now)),
        Fact("Pace", _pace(record)),
        Fact("Final training loss", _final_loss(record, config, summary.loss)),
        Fact("Last CE", number(summary.ce.value) if summary.ce else UNKNOWN),
        Fact("Held-out CE" if config.data.holds_out else "CE on checking text", _held_out(config, summary)),
        Fact("Weights", _weights(record)),
        Fact("Reads left to right", _leak(record)),
        Fact("Lines", _lines(record)),
        Fact("Lines left out", _dropped(record)),
        Fact("Lines cut", _cut(record, config)),
        Fact("Seed", str(training.seed)),
        Fact("Device", record.device or UNKNOWN),
        Fact("Versions", ", ".join(f"{name} {version}" for name, version in record.versions.items()) or UNKNOWN),
        Fact("Created", moment(record.created)),
    ]
    if record.is_over:
        rows = [Fact(title, NEVER_KNOWN if value == UNKNOWN else value) for title, value in rows]
    if record.started is not None:
        rows.append(Fact("Started", moment(record.started)))
    if record.ended is not None:
        rows.append(Fact("Ended", moment(record.ended)))
    return rows


def settings_by_section(config: RunConfig, choice_words: Callable[[str, str], str]) -> dict[str, list[Fact]]:
    """Every setting of a run under its section's title, as a person would write it.

    `choice_words(key, choice)` says a choice in the words in which it was offered.
    """
    values = flatten(config)
    sections: dict[str, list[Fact]] = {}
    for setting in describe():
        rows = sections.setdefault(setting.section_title, [])
        value = values[setting.key]
        words = choice_words(setting.key, value) if setting.kind == "choice" else _setting_words(setting, value)
        rows.append(Fact(setting.title, words))
    return sections


def _setting_words(setting: Described, value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (tuple, list)):
        return ", ".join(value) or "none"
    if isinstance(value, str):
        # Paths are long and tell little; the whole one is in the copyable configuration.
        return text_words(value) if setting.key in ("data.train_file", "data.validation_file") else _last_part(value)
    words = f"{value:,}" if isinstance(value, int) else readable_number(value)
    if setting.unit is None:
        return words
    unit = _SINGULARS.get(setting.unit, setting.unit.removesuffix("s")) if value == 1 else setting.unit
    return f"{words} {unit}"


def _last_part(value: str) -> str:
    path = PurePath(value)
    return path.name if path.is_absolute() else value


def model_words(config: RunConfig) -> str:
    """Which model, without paths."""
    model = config.model
    if model.kind == "offline":
        return f"built here from random weights ({count(model.num_hidden_layers, 'layer')}, {model.hidden_size} wide)"
    return model.source if model.kind == "hub" else f"{PurePath(model.source).name} (a folder on this machine)"


def text_words(train_file: str) -> str:
    """Which text, without paths."""
    if train_file == SAMPLE_TEXT:
        return "the sample text that comes with the program"
    path = PurePath(train_file)
    # An upload is kept under a name of its own; the one it had is not known any more.
    return f"an uploaded {path.suffix} file" if path.parent.name == ".uploads" else path.name


def learning_rate_words(config: RunConfig) -> str:
    """`5.0e-5 (linear decay, warm-up over 400 steps)`."""
    training = config.training
    words = _SCHEDULERS[training.lr_scheduler]
    if training.warmup_steps and training.lr_scheduler != "constant":
        words += f", warm-up over {count(training.warmup_steps, 'step')}"
    return f"{scientific(training.learning_rate)} ({words})"


def bce_weight_words(config: RunConfig, total_steps: int | None) -> str:
    """`0 to 0.2 over 400 steps, then to 0.5 over 2,000; 0.44 at the last step`."""
    bce = config.bce
    if not bce.enabled:
        return "off (0 at every step)"
    cap = min(bce.base_weight, bce.target_weight)
    words = (
        f"0 to {readable_number(cap)} over {count(bce.warmup_steps, 'step')}"
        if bce.warmup_steps
        else readable_number(cap)
    )
    if bce.max_weight > 0:
        words += f", then to {readable_number(bce.max_weight)} over {count(bce.boost_span, 'step')}"
    if total_steps is not None:
        words += f"; {readable_number(float(f'{bce.weight(total_steps):.3g}'))} at the last step"
    return f"{words} ({bce.profile} profile)"


def _epochs(record: RunRecord, config: RunConfig) -> str:
    if config.training.max_steps is None:
        return readable_number(config.training.epochs)
    done = f"{record.progress.epoch:.1f} so far, " if record.progress else ""
    return f"{done}decided by the {count(config.training.max_steps, 'step')} asked for"


def _batch(config: RunConfig) -> str:
    training = config.training
    if training.gradient_accumulation_steps == 1:
        return count(training.batch_size, "line")
    total = training.batch_size * training.gradient_accumulation_steps
    return f"{training.batch_size:,} × {training.gradient_accumulation_steps:,} batches = {count(total, 'line')} a step"


def _steps(record: RunRecord) -> str:
    if record.progress is None:
        return UNKNOWN
    done, total = record.progress.step, record.progress.total_steps
    return f"{done:,}" if done == total else f"{done:,} of {total:,}"


def _wall_clock(record: RunRecord, now: datetime) -> str:
    elapsed = record.elapsed_seconds(now)
    if elapsed is None:
        return UNKNOWN
    return duration(elapsed) if record.is_over else f"{duration(elapsed)} so far"


def _pace(record: RunRecord) -> str:
    overall = record.facts.get("train_steps_per_second")
    pace = overall or (record.progress.steps_per_second if record.progress else None)
    return f"{number(pace)} steps/s" if pace else UNKNOWN


def _final_loss(record: RunRecord, config: RunConfig, last: At | None) -> str:
    mean = record.facts.get("train_loss")
    if mean is None:
        return UNKNOWN
    words = f"{written('loss', mean)} (mean over the run{', BCE’s term included' if config.bce.enabled else ''})"
    return words if last is None else f"{words}, {written('loss', last.value)} at step {last.step:,}"


def _held_out(config: RunConfig, summary: RunSummary) -> str:
    if config.data.validation == "none":
        return "not checked: no text was set aside"
    if summary.held_out is None:
        return UNKNOWN
    words = number(summary.held_out.value)
    if summary.best_held_out is not None and summary.best_held_out.step != summary.held_out.step:
        words += f" (best {number(summary.best_held_out.value)} at step {summary.best_held_out.step:,})"
    if config.data.validation == "first_rows_of_training":
        words += ", on lines that it was trained on"
    return words


def _weights(record: RunRecord) -> str:
    weights = record.facts.get("weights")
    return f"{weights:,}" if weights is not None else UNKNOWN


def _leak(record: RunRecord) -> str:
    probe = record.facts.get("leak_probe")
    if probe is None:
        return UNKNOWN
    if probe["leaks"]:
        return f"no: later words change earlier predictions (by up to {number(probe['largest_change'])})"
    return "yes, checked: later words change no earlier prediction"


def _lines(record: RunRecord) -> str:
    if not record.dataset:
        return UNKNOWN
    dataset = record.dataset
    words = f"{dataset['lines_read']:,} read, {dataset['train_examples']:,} to learn from"
    if dataset["validation_examples"]:
        words += f", {dataset['validation_examples']:,} to check"
    return words


def _dropped(record: RunRecord) -> str:
    if not record.dataset:
        return UNKNOWN
    parts = [f"{n:,} {DROPPED_WORDS.get(reason, reason)}" for reason, n in record.dataset["dropped"].items()]
    if record.dataset["too_short"]:
        parts.append(f"{record.dataset['too_short']:,} with fewer than two tokens")
    return ", ".join(parts) or "none"


def _cut(record: RunRecord, config: RunConfig) -> str:
    if not record.dataset:
        return UNKNOWN
    cut = record.dataset["cut"]
    return f"{cut:,}, after {count(config.data.block_size, 'token')}" if cut else "none"
