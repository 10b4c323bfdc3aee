"""From a configuration to a run that can be started: everything that can be checked without torch is checked first."""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from bcecore.config import AUTO_TOKENIZER, SAMPLE_TEXT, RunConfig, block_size_message, check_against_text, source_kind
from bcecore.errors import ConfigError, ModelError, Problem
from bcecore.files import expanded, is_directory, write_bytes_atomically
from bcecore.settings import with_values
from bcecore.store.runs import RunStore, check_name
from bcecore.text.prepare import PreparedText, prepare
from bcecore.text.reading import SUFFIXES
from bcecore.text.sources import BERT_FAMILY, model_facts, positions
from bcecore.text.tokenizing import Encoded, encode, write_tokenizer

# What Hugging Face's Trainer can report to, and the module each needs.
TRACKERS = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "comet_ml": "comet_ml",
    "clearml": "clearml",
    "codecarbon": "codecarbon",
    "dagshub": "dagshub",
    "dvclive": "dvclive",
    "neptune": "neptune",
    "swanlab": "swanlab",
    "trackio": "trackio",
}


@dataclass(frozen=True)
class Checked:
    """A configuration that can be launched, with what was found out on the way."""

    config: RunConfig
    text: PreparedText
    tokenizer: tokenizers.Tokenizer
    train: Encoded
    validation: Encoded
    total_steps: int
    steps_per_epoch: int
    longest_possible: int | None
    """How many tokens the model can hold; None where its own files do not say."""

    @property
    def dataset(self) -> dict[str, Any]:
        """What the run record keeps about the text."""
        return {
            "source": self.config.data.train_file,
            "lines_read": self.text.lines_read,
            "dropped": self.text.dropped,
            "train_examples": len(self.train.ids),
            "validation_examples": len(self.validation.ids),
            "train_tokens": self.train.tokens,
            "validation_tokens": self.validation.tokens,
            "cut": self.train.cut,
            "too_short": self.train.too_short + self.validation.too_short,
            "validation_also_in_training": self.text.shared,
            "vocabulary": self.tokenizer.get_vocab_size(),
            "fingerprints": self.text.fingerprints,
        }


def with_absolute_paths(config: RunConfig, base: Path | None = None) -> RunConfig:
    """The configuration with its paths made absolute (from `base`, default the working directory).

    A run is carried out by another process, elsewhere. A model source that looks like a Hub name but is a folder
    here is taken to be the folder.
    """
    base = base or Path.cwd()
    changes: dict[str, Any] = {}
    for key in ("model.source", "model.tokenizer"):
        section, name = key.split(".")
        value = getattr(getattr(config, section), name)
        if value == AUTO_TOKENIZER or source_kind(value) == "offline":
            continue
        path = base / expanded(value)
        if source_kind(value) == "local" or is_directory(path):
            changes[key] = str(path.resolve())
    for key in ("train_file", "validation_file"):
        value = getattr(config.data, key)
        if value is not None and value != SAMPLE_TEXT:
            changes[f"data.{key}"] = str((base / expanded(value)).resolve())
    return with_values(config, changes)


def check(config: RunConfig, tokenizer_directory: Path | None = None) -> Checked:
    """Check everything about a run that can be known before it starts.

    Reads the text, and for Hub and local models their small files. Writes the tokenizer to `tokenizer_directory`, and
    without one leaves nothing on disk. Raises a BceError (ConfigError, TextError, ModelError) whose `field` names the
    setting.
    """
    _check_trackers(config)
    words, longest_possible = _limits(config)
    text = prepare(config.data)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = write_tokenizer(config, text.train, tokenizer_directory or Path(scratch))
    if words is not None and tokenizer.get_vocab_size() > words:
        raise ModelError(
            f"The tokenizer knows {tokenizer.get_vocab_size():,} tokens, but {config.model.source} only {words:,}. Use "
            "the model's own tokenizer (set it to 'auto').",
            field="model.tokenizer",
        )
    train = encode(tokenizer, text.train, config.data.block_size)
    validation = encode(tokenizer, text.validation, config.data.block_size)
    _check_lengths(config, text, train, validation)
    return _checked(config, text, tokenizer, train, validation, longest_possible)


def with_other_settings(checked: Checked, config: RunConfig) -> Checked:
    """Like `check(config)`, for settings that differ from the checked ones only outside `model` and `data`.

    Nothing is read again: while somebody edits a form, the text stays as it was found. Raises a BceError as `check`.
    """
    assert (config.model, config.data) == (checked.config.model, checked.config.data)
    _check_trackers(config)
    return _checked(
        config, checked.text, checked.tokenizer, checked.train, checked.validation, checked.longest_possible
    )


def _checked(
    config: RunConfig,
    text: PreparedText,
    tokenizer: tokenizers.Tokenizer,
    train: Encoded,
    validation: Encoded,
    longest_possible: int | None,
) -> Checked:
    examples = len(train.ids)
    check_against_text(config, train_examples=examples)
    total_steps, per_epoch = config.total_steps(examples), config.steps_per_epoch(examples)
    return Checked(config, text, tokenizer, train, validation, total_steps, per_epoch, longest_possible)


def _check_trackers(config: RunConfig) -> None:
    for name in config.logging.report_to:
        if name not in TRACKERS:
            message = f"'{name}' is not a tracker that can be reported to. Known ones: {', '.join(TRACKERS)}."
        elif importlib.util.find_spec(TRACKERS[name]) is None:
            message = (
                f"'{name}' is not installed here. Install it with `pip install {TRACKERS[name]}`, or leave it out."
            )
        else:
            continue
        raise ConfigError([Problem("logging.report_to", config.logging.report_to, message)])


def _limits(config: RunConfig) -> tuple[int | None, int | None]:
    """Check what a model's config.json says against the settings.

    Returns how many different tokens the model knows, and how many it can hold, as far as it says so; one that is built
    here knows as many as its tokenizer.
    """
    if config.model.kind == "offline":
        return None, config.model.max_position_embeddings
    facts = model_facts(config.model.source)
    limit = positions(facts)
    if limit is not None and config.data.block_size > limit:
        raise ConfigError([Problem("data.block_size", config.data.block_size, block_size_message(limit))])
    if not config.model.causal and facts["model_type"] not in BERT_FAMILY:
        raise ModelError(
            f"{config.model.source} ({facts['model_type']}) always reads left to right; only BERT-style models can be "
            "made to see the word that they have to predict. Switch 'Reads left to right' on.",
            field="model.causal",
        )
    words = facts.get("vocab_size")
    return words if isinstance(words, int) else None, limit


def _check_lengths(config: RunConfig, text: PreparedText, train: Encoded, validation: Encoded) -> None:
    if not train.ids:
        raise ConfigError(
            [
                Problem(
                    "data.train_file",
                    len(text.train),
                    f"none of the {len(text.train):,} training lines has two tokens or more, so there is nothing to "
                    "predict. Use longer lines.",
                )
            ]
        )
    if config.data.validation != "none" and not validation.ids:
        raise ConfigError(
            [
                Problem(
                    "data.validation",
                    len(text.validation),
                    "no checking line has two tokens or more. Use longer lines.",
                )
            ]
        )


def submit(
    store: RunStore,
    config: RunConfig,
    *,
    name: str,
    recipe: str | None = None,
    before: Callable[[Checked], object] | None = None,
) -> str:
    """Check `config`, freeze it with its text and tokenizer as a new queued run, and return the run's id.

    `before` is told what was found out while there is no run yet, and prevents it by raising anything. Raises a
    BceError that names the setting; nothing is left behind then.
    """
    name = check_name(name)
    config = with_absolute_paths(config)
    with tempfile.TemporaryDirectory() as scratch:
        checked = check(config, Path(scratch))
        if before is not None:
            before(checked)

        def fill(directory: Path) -> None:
            (directory / "data").mkdir()
            write_data(directory / "data", checked, Path(scratch))

        return store.create(config, name, fill, recipe=recipe, dataset=checked.dataset)


def write_data(data: Path, checked: Checked, tokenizer_directory: Path) -> None:
    """Write the exact text and the tokenizer of a run into its folder `data`, which is there and empty."""
    _write_lines(data / "train.jsonl", checked.text.train)
    _write_lines(data / "validation.jsonl", checked.text.validation)
    (data / "tokenizer").mkdir()
    for file in tokenizer_directory.iterdir():  # shutil.copytree would hide that the disk is full
        shutil.copyfile(file, data / "tokenizer" / file.name)


def _write_lines(path: Path, texts: Sequence[str]) -> None:
    """The exact texts, one JSON string a line (a text may hold line breaks)."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)


def keep_upload(store: RunStore, name: str, content: bytes) -> Path:
    """Store an uploaded file until its run is launched, and return its path.

    The name comes from a browser and is used for its suffix only.
    """
    directory = store.root / ".uploads"
    directory.mkdir(parents=True, exist_ok=True)
    suffix = Path(name).suffix.lower()
    path = directory / f"{secrets.token_hex(8)}{suffix if suffix in SUFFIXES else '.unknown'}"
    write_bytes_atomically(path, content, durable=False)
    return path


def forget_upload(path: Path) -> None:
    """Delete an upload that is not needed any more; the run that used it has its own copy of the lines."""
    path.unlink(missing_ok=True)
