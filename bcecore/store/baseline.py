"""Which run is pinned as the baseline, to which the others are compared. One for a folder of runs, kept beside them."""

from __future__ import annotations

from bcecore.files import read_json, write_json
from bcecore.store.preferences import SUPERVISOR_DIRECTORY, supervisor_directory
from bcecore.store.runs import RunStore

_FILE = "baseline.json"


def load_baseline(store: RunStore) -> str | None:
    """The id of the pinned run, which may have been deleted since; None where none is, or the file is damaged."""
    try:
        content = read_json(store.root / SUPERVISOR_DIRECTORY / _FILE)
    except (OSError, ValueError):
        return None
    run_id = content.get("run") if isinstance(content, dict) else None
    return run_id if isinstance(run_id, str) else None


def save_baseline(store: RunStore, run_id: str | None) -> None:
    """Pin a run in place of the one that is, or none. Raises RunError for a run that is not there, DiskFullError."""
    if run_id is not None:
        store.directory(run_id)
    write_json(supervisor_directory(store) / _FILE, {"run": run_id})
