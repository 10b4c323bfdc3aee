"""Deleted runs: they move to `.trash/` beside the others, from where they can be taken back until it is emptied.

So do the folders of deleted studies (`store.studies`), to `.trash/studies/`.
"""

from __future__ import annotations

import shutil
from contextlib import suppress

from bcecore.store.runs import RunStore

_TRASH = ".trash"
_DOOMED = ".trash-doomed"


def trash(store: RunStore) -> RunStore:
    """The deleted runs, as a store of their own."""
    return RunStore(store.root / _TRASH)


def move_to_trash(store: RunStore, run_id: str) -> None:
    """Move a run to the trash. The caller has made sure that nothing works on it; see `jobs.control.delete`."""
    _move(store, trash(store), run_id)


def take_back(store: RunStore, run_id: str) -> None:
    """Take a run back out of the trash. Raises RunError if it is not there."""
    _move(trash(store), store, run_id)


def empty_trash(store: RunStore) -> int:
    """Delete what is in the trash for good; returns how many runs that were."""
    deleted = trash(store)
    ids = deleted.ids()
    doomed = store.root / _DOOMED
    with suppress(FileNotFoundError):  # of a deletion that was cut short
        shutil.rmtree(doomed)
    doomed.mkdir(parents=True)
    for run_id in ids:
        # Out of the trash first, so that a deletion cut short leaves no run there that is only half whole.
        deleted.directory(run_id).rename(doomed / run_id)
    with suppress(FileNotFoundError):
        (deleted.root / "studies").rename(doomed / "studies")
    shutil.rmtree(doomed)
    return len(ids)


def _move(source: RunStore, target: RunStore, run_id: str) -> None:
    directory = source.directory(run_id)
    target.root.mkdir(parents=True, exist_ok=True)
    directory.rename(target.root / run_id)
