"""The examples of evaluations for pages: read once for all open pages, only the columns that are shown.

What is read is shared and must not be changed. It is kept by the state of the file that it came from, so that an
evaluation that is still at work shows what it has measured by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from bcecore.errors import BceError
from bcecore.evaluation.explorer import in_training
from bcecore.evaluation.pages import pages
from bcecore.store.evaluations import EvaluationStore, SplitSpec
from bcecore.store.examples import EXAMPLES_FILE, parts
from bcecore.store.runs import RunStore

_LISTS = 8  # of 10,000 long texts, each takes about 10 MB
_EXAMPLES = 64
_OVERLAPS = 30
_LISTED = ("example", "text", "tokens", "length", "ce", "nll")
_LABELLED = ("label", "predicted", "label_scores")

Signature = tuple[str, int, int, int]


@dataclass(frozen=True)
class Measured:
    """One checkpoint of an evaluation on one of its texts."""

    root: str
    """The directory of the runs."""
    key: str
    """The evaluation's."""
    split: str
    step: int


def examples_of(measured: Measured, *, labelled: bool = False) -> pd.DataFrame:
    """The examples measured so far, in the order of the text: one row each, without their tokens.

    Columns: example, text, tokens, length, ce, nll; of a labelled set also label, predicted, label_scores. Raises
    RunError where they cannot be read.
    """
    columns = (*_LISTED, *_LABELLED) if labelled else _LISTED
    return _examples(measured, _signature(measured), columns)


@st.cache_resource(max_entries=_LISTS, show_spinner=False)
def _examples(measured: Measured, signature: Signature | None, columns: Sequence[str]) -> pd.DataFrame:
    filters = [("split", "=", measured.split), ("checkpoint", "=", measured.step)]
    found = _store(measured).examples(measured.key, columns, filters).to_pandas()
    table: pd.DataFrame = found.sort_values("example", kind="stable", ignore_index=True)
    return table


def example_of(measured: Measured, example: int) -> dict[str, Any] | None:
    """All that was measured on one example, by the names of `examples_schema`; None where it was not scored.

    Raises RunError where it cannot be read.
    """
    return _example(measured, _signature(measured), example)


@st.cache_resource(max_entries=_EXAMPLES, show_spinner=False)
def _example(measured: Measured, signature: Signature | None, example: int) -> dict[str, Any] | None:
    filters = [("split", "=", measured.split), ("checkpoint", "=", measured.step), ("example", "=", example)]
    rows: list[dict[str, Any]] = _store(measured).examples(measured.key, None, filters).to_pylist()
    return rows[0] if rows else None


def _store(measured: Measured) -> EvaluationStore:
    return EvaluationStore(RunStore(Path(measured.root)))


def state_of(measured: Measured) -> Signature | None:
    """What changes whenever more of an evaluation has been measured; for keeping what follows from its examples."""
    return _signature(measured)


def _signature(measured: Measured) -> Signature | None:
    directory = _store(measured).directory(measured.key)
    # Parts are written once, so the newest one stands for all of them.
    for path in (directory / EXAMPLES_FILE, *reversed(parts(directory))):
        with suppress(FileNotFoundError):  # the parts were put together a moment ago
            status = path.stat()
            return path.name, status.st_ino, status.st_size, status.st_mtime_ns
    return None


def overlap_with_training(store: RunStore, run_id: str, key: str, split: SplitSpec) -> npt.NDArray[np.bool_] | None:
    """For each row of a split's file, whether it is also a training text of the run, but for case and punctuation.

    None where either file is gone or damaged.
    """
    try:
        training = store.directory(run_id) / "data" / "train.jsonl"
        texts = EvaluationStore(store).directory(key) / split.file
        return _overlap(split.sha256, str(training), str(texts))
    except (OSError, ValueError, KeyError, BceError):
        return None


@st.cache_resource(max_entries=_OVERLAPS, show_spinner="Looking for these texts among the training texts …")
def _overlap(sha256: str, training: str, _texts: str) -> npt.NDArray[np.bool_]:
    """Both files are frozen, so that this is done once for a text, whatever the evaluation and the checkpoint."""
    return in_training(_lines(_texts), _lines(training))


def _lines(path: str) -> list[str]:
    return [row.text for page in pages(Path(path)) for row in page]
