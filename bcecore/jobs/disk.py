"""How much of the disk the runs take, and whether there is room for another one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from bcecore.files import directory_size
from bcecore.store.preferences import load_preferences
from bcecore.store.runs import RunStore
from bcecore.store.trash import trash

GB = 10**9


@dataclass(frozen=True)
class DiskUse:
    """Bytes: of each run, of the trash, and of the disk that they are on."""

    runs: dict[str, int]
    trash: int
    free: int
    total: int

    @property
    def all_runs(self) -> int:
        return sum(self.runs.values())


def disk_use(store: RunStore) -> DiskUse:
    """Look at every file of every run; for a page that says so, not for one that is drawn all the time."""
    runs = {run_id: directory_size(store.root / run_id) for run_id in store.ids()}
    usage = shutil.disk_usage(_existing(store))
    return DiskUse(runs, directory_size(trash(store).root), usage.free, usage.total)


def free_bytes(store: RunStore) -> int:
    """What is free on the disk that the runs are on."""
    return shutil.disk_usage(_existing(store)).free


def disk_problem(store: RunStore, needed_bytes: int = 0) -> str | None:
    """Why no run can be started, in a sentence, or None: what it needs (if known) has to leave the set rest free."""
    keep = load_preferences(store).keep_free_gb
    free = free_bytes(store)
    if free - needed_bytes >= keep * GB:
        return None
    need = f", this run needs up to {needed_bytes / GB:.2f} GB" if needed_bytes else ""
    return (
        f"The disk has {free / GB:.2f} GB free{need}, and {keep:g} GB are to stay free (see Settings). Empty the "
        "trash, delete old runs, or keep fewer checkpoints."
    )


def _existing(store: RunStore) -> str:
    """The runs directory, or the nearest folder above it that is there already."""
    return str(next(path for path in (store.root, *store.root.parents) if path.is_dir()))
