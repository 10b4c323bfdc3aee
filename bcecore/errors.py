"""The errors people may see. Each message says what is wrong, the value received, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


class BceError(Exception):
    """A problem with a person's input or machine; its text can be shown as it is.

    `field` is the dotted RunConfig key that the problem belongs to, or None; a form shows the text beside that field.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration: the dotted key, the value received, and the sentence about it."""

    field: str
    value: object
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ConfigError(BceError):
    """A configuration that cannot be run, with every problem found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), problems[0].field if problems else None)
        self.problems = problems


class TextError(BceError):
    """A text file that cannot be used for training or validation."""


class ModelError(BceError):
    """A model or tokenizer that cannot be loaded or does not fit the configuration."""


class RunError(BceError):
    """A run that does not exist, has an impossible name, or cannot do what was asked in its present status."""


class DiskFullError(BceError):
    """The disk has no room for what was to be written."""


class NonFiniteError(BceError):
    """The loss or the gradient stopped being a finite number; training cannot go on."""


class StopRequested(Exception):  # noqa: N818 - a request, not an error
    """Somebody asked the training process to stop; raised to leave the training loop at once."""
