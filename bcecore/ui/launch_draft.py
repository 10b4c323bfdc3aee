"""The form as a configuration, checked: what would be launched now, and what is wrong with it, field by field.

Reading the text and cutting it into tokens is the slow part (a second, or a minute for a large file) and depends on
the `model` and `data` settings only; it is kept, and the other settings are checked against it at every keystroke.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from bcecore.config import AUTO_TOKENIZER, SAMPLE_TEXT, RunConfig, source_kind
from bcecore.errors import BceError, ConfigError, ModelError, Problem
from bcecore.findings import before_launch
from bcecore.findings.before_launch import Compared
from bcecore.findings.finding import Finding, Fix
from bcecore.findings.remedy import shorter_warm_ups
from bcecore.jobs import estimate, submit
from bcecore.jobs.submit import Checked
from bcecore.recipes import load_recipe, recipe_names
from bcecore.settings import differences, parse_config
from bcecore.store.runs import RunStore
from bcecore.text.prepare import PreparedText
from bcecore.text.tokenizing import TOKENIZER_FILES
from bcecore.ui import launch_state
from bcecore.ui.config_form import SETTINGS, problem_words
from bcecore.ui.launch_origin import Origin

_FAILURE = "launch:failure"
# A Hub that did not answer is not asked again at every keystroke, nor for ever given up.
_ASK_AGAIN_SECONDS = 60.0
# What is found out about the text needs no more than the settings of these two sections.
_TEXT_SECTIONS = ("model", "data")


@dataclass(frozen=True)
class Draft:
    """The form at this moment."""

    origin: Origin
    config: RunConfig | None
    """The settings as they stand in the form (those it began with for what cannot be read); None while impossible."""
    text: Checked | None
    """What is known about the text, whatever is wrong with the other settings."""
    checked: Checked | None
    """The whole configuration, ready to be launched; None while there is a problem."""
    problems: dict[str, list[str]]
    """What is wrong, in words, by the setting it belongs to; "" for what belongs to none."""
    hub_failed: bool
    """Whether the model or tokenizer could not be fetched, which another try may mend."""
    findings: tuple[Finding, ...]
    """What was noticed, as far as there is something to look at; the most serious first."""
    fixes: dict[str, Fix]
    """Changes that remove a problem, by the setting that it belongs to."""

    @property
    def total_steps(self) -> int | None:
        """How many steps the run will have, as far as that can be told."""
        return self.config.total_steps(len(self.text.train.ids)) if self.config and self.text else None

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """How the form differs from where it began: `{key: (value there, form's value)}`."""
        return differences(self.origin.config, self.config) if self.config else {}


@dataclass(frozen=True)
class _Failure:
    key: tuple[str, tuple[object, ...]]
    error: BceError
    at: float


def read_form(store: RunStore, origin: Origin) -> Draft:
    """Check what stands in the form. Draws a spinner where it is called while a text is read for the first time."""
    values, found = launch_state.values_and_problems(origin)
    typed_wrong = {problem.field for problem in found}
    config = text = checked = None
    hub_failed = False
    noticed: list[Finding] = []
    fixes: dict[str, Fix] = {}
    try:
        config = parse_config(values)
    except ConfigError as error:
        found += [problem for problem in error.problems if problem.field not in typed_wrong]
    if not any(_section(problem.field) in _TEXT_SECTIONS for problem in found):
        try:
            text, of_text = _text_of(values)
            noticed += of_text
        except BceError as error:
            found += _problems_of(error)
            hub_failed = isinstance(error, ModelError) and error.field in ("model.source", "model.tokenizer")
    if config is not None and text is not None and not found:
        try:
            checked = submit.with_other_settings(text, submit.with_absolute_paths(config))
        except BceError as error:
            found += _problems_of(error)
    if config is not None and text is not None:
        total_steps = config.total_steps(len(text.train.ids))
        noticed += before_launch.of_settings(config, total_steps, estimate.space(store, checked))
        fixes = shorter_warm_ups(config, total_steps)
    findings = tuple(before_launch.together(noticed))
    return Draft(origin, config, text, checked, _by_field(found), hub_failed, findings, fixes)


def try_again() -> None:
    """Forget that something could not be fetched or read, so that the next look asks again."""
    st.session_state.pop(_FAILURE, None)


def _text_of(values: dict[str, dict[str, Any]]) -> tuple[Checked, list[Finding]]:
    """What `submit.check` finds in the text, and what is noticed about it, from the cache where nothing has changed.

    Raises BceError.
    """
    config = submit.with_absolute_paths(
        # BCE off and everything else as it comes: nothing here can clash with the length of the text.
        parse_config({**{section: values[section] for section in _TEXT_SECTIONS}, "bce": {"enabled": False}})
    )
    key = (config.model_dump_json(), tuple(file_stamps(config)))
    failure: _Failure | None = st.session_state.get(_FAILURE)
    if failure is not None and failure.key == key and time.monotonic() - failure.at < _ASK_AGAIN_SECONDS:
        raise failure.error
    try:
        with st.spinner("Reading the text and cutting it into tokens…"):
            _checked(*key)
        with st.spinner("Comparing its lines with each other…"):
            return _checked(*key), _noticed(*key)
    except BceError as error:
        st.session_state[_FAILURE] = _Failure(key, error, time.monotonic())
        raise


# Two, so that going back and forth between two texts is quick; a large text takes much memory as tokens.
@st.cache_resource(max_entries=2, show_spinner=False)
def _checked(config_json: str, stamps: tuple[object, ...]) -> Checked:
    return submit.check(RunConfig.model_validate_json(config_json))


@st.cache_resource(max_entries=2, show_spinner=False)
def _noticed(config_json: str, stamps: tuple[object, ...]) -> list[Finding]:
    checked = _checked(config_json, stamps)
    fingerprints = checked.text.fingerprints
    return before_launch.of_text(checked, _compared(checked.text, fingerprints["train"], fingerprints["validation"]))


# By the lines themselves: comparing a large text takes longest, and most settings leave its lines as they are.
@st.cache_resource(max_entries=2, show_spinner=False)
def _compared(_text: PreparedText, train: str, validation: str) -> Compared:
    return before_launch.compare(_text)


def file_stamps(config: RunConfig) -> Iterable[object]:
    """What tells whether a file that the configuration names is still the same one."""
    for name in (config.data.train_file, config.data.validation_file):
        if name not in (None, SAMPLE_TEXT):
            yield file_stamp(Path(str(name)))
    for source in (config.model.source, config.model.tokenizer):
        if source != AUTO_TOKENIZER and source_kind(source) == "local":
            yield from (file_stamp(Path(source) / name) for name in ("config.json", *TOKENIZER_FILES))


def file_stamp(path: Path) -> object:
    """What tells whether a file is still the same one; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns


def _problems_of(error: BceError) -> list[Problem]:
    return error.problems if isinstance(error, ConfigError) else [Problem(error.field or "", None, str(error))]


def _section(field: str) -> str:
    return field.partition(".")[0]


def _by_field(problems: Iterable[Problem]) -> dict[str, list[str]]:
    """The messages of each field, in the order of the page's sections."""
    found: dict[str, list[str]] = {}
    order = list(SETTINGS)
    for problem in sorted(
        problems, key=lambda problem: order.index(problem.field) if problem.field in SETTINGS else -1
    ):
        field = problem.field if problem.field in SETTINGS else ""
        found.setdefault(field, []).append(_as_on_this_page(problem_words(problem)))
    return found


def _as_on_this_page(message: str) -> str:
    """Recipes by their titles, and uploads by the names they came with rather than those they are kept under."""
    for name in sorted(recipe_names(), key=len, reverse=True):
        message = re.sub(rf"(?<![\w/-]){name}(?![\w/-])", f"“{load_recipe(name).title}”", message)
    for field in launch_state.TEXT_FIELDS:
        upload = launch_state.upload_of(field)
        if upload is not None:
            message = message.replace(str(upload.path), upload.name).replace(upload.path.name, upload.name)
    return message
