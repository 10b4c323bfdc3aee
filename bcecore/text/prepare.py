"""From the `data` settings to the exact lines a run learns from and is checked against. No torch, no run directory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bcecore.config import DataConfig
from bcecore.errors import ConfigError, Problem, TextError
from bcecore.text import quality, splitting
from bcecore.text.reading import read_texts, text_path

_FILTERS = {
    quality.TOO_SHORT: "data.min_characters",
    quality.REPEATED: "data.max_repeated_share",
    quality.SYMBOLS: "data.max_symbol_share",
}


@dataclass(frozen=True)
class PreparedText:
    """The lines of a run, and what happened on the way to them."""

    train: list[str]
    validation: list[str]
    lines_read: int
    """Non-empty lines in the training file."""
    dropped: dict[str, int]
    """Lines left out by the quality filter, by reason."""
    shared: int
    """Validation lines that are also training lines (after normalisation)."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the training and the validation lines, so that two runs can be seen to use the same."""
        return {"train": _fingerprint(self.train), "validation": _fingerprint(self.validation)}


def _fingerprint(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def prepare(data: DataConfig) -> PreparedText:
    """Read, filter, limit and split the texts that `data` names.

    Raises TextError with the setting it belongs to, or ConfigError when too few lines are left.
    """
    texts = _read(text_path(data.train_file), data.column, "data.train_file")
    kept, dropped = quality.sift(
        texts,
        min_characters=data.min_characters,
        max_repeated_share=data.max_repeated_share,
        max_symbol_share=data.max_symbol_share,
    )
    if not kept:
        strictest = _FILTERS[max(dropped, key=dropped.__getitem__)]
        message = f"the quality filter leaves none of the {len(texts):,} lines. Let it keep more."
        raise ConfigError([Problem(strictest, len(texts), message)])
    train, validation = _split(data, kept)
    train = train[: data.max_train_examples]
    validation = validation[: data.max_validation_examples]
    return PreparedText(train, validation, len(texts), dropped, splitting.shared_texts(train, validation))


def _split(data: DataConfig, kept: list[str]) -> tuple[list[str], list[str]]:
    if data.validation == "none":
        return kept, []
    if data.validation == "file":
        assert data.validation_file is not None  # DataConfig checks it
        path = text_path(data.validation_file, validation=True)
        return kept, _read(path, data.column, "data.validation_file")
    if data.validation == "first_rows_of_training":
        return kept, kept[: data.validation_rows]
    train, validation = splitting.split_fraction(kept, data.validation_fraction, data.split_seed)
    if not train or not validation:
        number = f"{len(kept):,} usable line" + "s" * (len(kept) != 1)
        raise ConfigError(
            [
                Problem(
                    "data.validation",
                    data.validation,
                    f"{number} cannot be divided into text to learn from and text to check against (lines that are "
                    "the same stay together). Add lines, name a checking file, or set validation to 'none'.",
                )
            ]
        )
    return [kept[i] for i in train], [kept[i] for i in validation]


def _read(path: Path, column: str, field: str) -> list[str]:
    try:
        return read_texts(path, column)
    except TextError as error:
        raise TextError(str(error), field=error.field or field) from error
