"""What the rules say of evaluations and of runs, for pages: looked over once, and again when something was added."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.findings.finding import Finding
from bcecore.findings.of_comparison import of_comparison
from bcecore.findings.of_evaluation import LookedOver, look_over
from bcecore.store.acknowledged import read
from bcecore.store.evaluations import RESULT_FILE, EvaluationStore
from bcecore.store.record import RunRecord
from bcecore.store.runs import RECORD_FILE, RunStore

_KEPT = 50
_State = tuple[tuple[int, int, int], ...]


def looked_over(store: RunStore, key: str) -> LookedOver:
    """What is noticed about an evaluation; nothing where it cannot be read, which the page says elsewhere."""
    try:
        directory = EvaluationStore(store).directory(key)
        run = store.directory(key.partition("/")[0])
        return _looked_over(str(store.root), key, _state(directory / RESULT_FILE, run / RECORD_FILE))
    except (BceError, OSError):
        return LookedOver()


@st.cache_resource(max_entries=_KEPT, show_spinner="Looking for what limits the result …")
def _looked_over(root: str, key: str, of_files: _State) -> LookedOver:
    return look_over(RunStore(Path(root)), key)


def about_comparison(store: RunStore, records: Sequence[RunRecord]) -> list[Finding]:
    """What limits a comparison of these runs, the most serious first.

    A run at work is looked over when it begins, and again when it ends: its own page follows it.
    """
    try:
        return _about_comparison(
            str(store.root),
            tuple((record.id, record.name, record.status, record.status_since) for record in records),
            tuple(each.model_dump_json() for record in records for each in read(store.directory(record.id))),
        )
    except RunError:
        return []  # one was deleted a moment ago


@st.cache_resource(max_entries=_KEPT, show_spinner="Looking for what limits the comparison …")
def _about_comparison(
    root: str, runs: tuple[tuple[str, str, str, object], ...], accepted: tuple[str, ...]
) -> list[Finding]:
    return of_comparison(RunStore(Path(root)), {run_id: name for run_id, name, _, _ in runs})


def _state(*paths: Path) -> _State:
    found = [path.stat() for path in paths]
    return tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in found)
