"""The settings of a run as fields of a form, made from RunConfig's own metadata.

What a person typed lives in the session under `field_key`, exactly as typed: numbers are text fields, because
Streamlit's number field cuts `5.5` to `5` and moves what is out of bounds without a word. It becomes a value in
`value_of`, and what is wrong with it is shown beside its field by `show_problems`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from bcecore.config import BCEConfig
from bcecore.errors import Problem
from bcecore.settings import Described, describe, readable_number
from bcecore.ui.words import plain

SETTINGS: dict[str, Described] = {described.key: described for described in describe()}
"""Every setting of a run by its dotted key, in the order of the sections."""

# Names that a library gave to choices, said in words; a choice that is not here is a word already.
_CHOICE_WORDS: dict[str, dict[str, str]] = {
    "data.validation": {
        "fraction": "Lines set aside",
        "file": "Another file",
        "first_rows_of_training": "The first training lines again",
        "none": "Nothing",
    },
    "training.lr_scheduler": {
        "linear": "Straight down (linear)",
        "cosine": "Smoothly down (cosine)",
        "cosine_with_restarts": "Smoothly down, with restarts (cosine)",
        "polynomial": "Down along a polynomial",
        "constant": "Always the same (constant)",
        "constant_with_warmup": "The same after the warm-up (constant)",
        "inverse_sqrt": "Fast, then slowly down (inverse square root)",
    },
    "training.optimizer": {
        "adamw_torch": "AdamW",
        "adamw_torch_fused": "AdamW, fused",
        "adafactor": "Adafactor",
        "sgd": "SGD",
    },
    "training.precision": {"auto": "Automatic"},
    "training.device": {
        "auto": "Automatic",
        "cpu": "Processor (CPU)",
        "cuda": "NVIDIA card (CUDA)",
        "mps": "Apple card (MPS)",
    },
    "bce.profile": {"seed": "As in the report", "active": "Acting"},
}
# What an empty field means; a number that may be missing is a limit, unless it stands here.
_EMPTY_WORDS = {
    "bce.behavior_dim": "as usual",
    "logging.report_to": "nothing",
    "data.validation_file": "none",
}
# How a message of the model goes on from the title of its field; all others are sentences of their own.
_CONTINUES_TITLE = ("is ", "are ", "has ", "have ")
_BARE_NAMES = re.compile(rf" \((?:{'|'.join(name for name in BCEConfig.model_fields if '_' in name)}), ")
# A word with which a sentence may begin, and no file's or model's name, which keep their case.
_LOWER_CASE_START = re.compile(r"^[a-z](?=[a-z]* )")
_SUGGESTED_DECIMALS = re.compile(r"^[+-]?\d+,\d+$")


class NotANumberError(ValueError):
    """What was typed into a number's field is no number; the message says how to write one."""


def field_key(key: str) -> str:
    """Where the session keeps what was typed for the setting `key`; also the key of its widget."""
    return f"launch:{key}"


def choice_words(key: str, choice: str) -> str:
    """A choice of the setting `key` as people read it."""
    return _CHOICE_WORDS.get(key, {}).get(choice, choice)


def label(described: Described) -> str:
    """The title, with the unit unless the title says it already."""
    unit = described.unit
    if unit is None or unit in described.title.lower() or described.title.endswith(")"):
        return described.title
    return f"{described.title} ({unit})"


def help_text(described: Described) -> str:
    """The sentence of help, with choices by their words, and the unit and bounds where there are any."""
    text = described.help
    for choice in described.choices:
        words = choice_words(described.key, choice)
        if words != choice:
            text = re.sub(rf"(^|[.;:] ){choice}: ", rf"\g<1>*{words}*: ", text)
    limits = ", ".join(filter(None, (f"in {described.unit}" if described.unit else "", described.bounds)))
    return f"{text} ({limits[0].upper()}{limits[1:]}.)" if limits else text


def typed_from(described: Described, value: Any) -> Any:
    """What stands in the field of a setting that has `value`."""
    if described.kind in ("bool", "choice"):
        return value
    if value is None:
        return ""
    if described.kind == "list":
        return ", ".join(value)
    if described.kind == "float":
        text = readable_number(value)
        return text if float(text) == value else repr(value)
    return str(value)


def value_of(described: Described, typed: Any) -> Any:
    """The value of a setting as it was typed; bounds are RunConfig's business. Raises NotANumberError."""
    if described.kind in ("bool", "choice"):
        return typed
    text = str(typed).strip()
    if not text and described.optional:
        return None
    if described.kind == "int":
        return _whole_number(text)
    return _number(text) if described.kind == "float" else text


def _number(text: str) -> float:
    if not text:
        raise NotANumberError("A number is needed here.")
    try:
        return float(text)
    except ValueError:
        if _SUGGESTED_DECIMALS.match(text):
            message = f"Write decimals with a point and thousands without a comma: {text.replace(',', '.')}."
        else:
            message = f"'{text}' is not a number."
        raise NotANumberError(message) from None


def _whole_number(text: str) -> int:
    # Not through float where it can be helped: that would round a number of more than 15 digits.
    try:
        return int(text)
    except ValueError:
        number = _number(text)
    try:
        whole = int(number)
    except (OverflowError, ValueError):
        raise NotANumberError(f"'{text}' is not a whole number.") from None
    if whole != number:
        raise NotANumberError(f"'{text}' is not a whole number.")
    return whole


def empty_words(described: Described) -> str:
    """What an empty field of this setting means."""
    return _EMPTY_WORDS.get(described.key, "no limit")


def value_words(described: Described, value: Any) -> str:
    """A value of a setting as a sentence has it."""
    if value is None or value == ():
        return empty_words(described)
    if described.kind == "bool":
        return "on" if value else "off"
    if described.kind == "choice":
        return choice_words(described.key, value)
    return str(typed_from(described, value))


def problem_words(problem: Problem) -> str:
    """A problem as it is shown beside its field: settings by their titles, not by their keys."""
    message = _BARE_NAMES.sub(" (", problem.message)
    for key, described in SETTINGS.items():
        message = re.sub(rf"\b{re.escape(key)}\b", f"“{described.title}”", message)
    if problem.field in SETTINGS and message.startswith(_CONTINUES_TITLE):
        return f"{SETTINGS[problem.field].title} {message}"
    return _LOWER_CASE_START.sub(lambda start: start[0].upper(), message)


def show_problems(messages: Sequence[str]) -> None:
    """The problems of the field above."""
    for message in messages:
        st.error(plain(message), icon=":material/error:")


def field(described: Described, problems: Mapping[str, Sequence[str]], *, disabled: bool = False) -> None:
    """The widget of one setting, with its problems below it."""
    key, text, words = field_key(described.key), help_text(described), label(described)
    messages = problems.get(described.key, ())
    # A field with a problem can always be mended, even where it counts for nothing.
    disabled = disabled and not messages
    if described.kind == "bool":
        st.toggle(words, key=key, help=text, disabled=disabled, persist_state="session")
    elif described.kind == "choice":
        st.selectbox(
            words,
            described.choices,
            format_func=lambda choice: choice_words(described.key, choice),
            key=key,
            help=text,
            disabled=disabled,
            persist_state="session",
        )
    else:
        placeholder = empty_words(described) if described.optional or described.kind == "list" else None
        st.text_input(words, key=key, help=text, placeholder=placeholder, disabled=disabled, persist_state="session")
    show_problems(messages)
