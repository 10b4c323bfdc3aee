"""Logs made by hand for the rules over rows, and what the rules say of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bcecore.config import RunConfig
from bcecore.findings.finding import Finding
from bcecore.findings.live import LiveRules
from bcecore.store.columns import Series
from bcecore.store.history import IMPORTED_DIRECTORY, History
from bcecore.store.runs import RunStore


def series(values: Sequence[float], *, start: int = 1, every: int = 1) -> Series:
    """Values that were logged every so many steps."""
    array = np.array(values, dtype=float)
    nothing = np.full(len(array), np.nan)
    return Series(start + every * np.arange(len(array)), array, nothing, nothing)


def noise(count: int, deviation: float, seed: int = 0) -> list[float]:
    """Normally distributed numbers around 0."""
    return [float(value) for value in deviation * np.random.default_rng(seed).standard_normal(count)]


def of_file(path: Path, directory: Path, config: RunConfig | None = None) -> list[Finding]:
    """What the rules over rows say of a foreign log, put where an import puts it."""
    (directory / IMPORTED_DIRECTORY).mkdir(parents=True)
    shutil.copy(path, directory / IMPORTED_DIRECTORY / path.name)
    history = History(directory)
    history.refresh()
    return LiveRules("run", config).look(history)


def of_log(store: RunStore, run_id: str) -> dict[str, Finding]:
    """What the rules over rows say of a run, by their names."""
    history = History(store.directory(run_id))
    history.refresh()
    return {finding.id: finding for finding in LiveRules(run_id, store.config(run_id)).look(history)}


def serious(findings: Sequence[Finding]) -> set[str]:
    """The rules that say more than a note."""
    return {finding.id for finding in findings if finding.severity != "N"}
