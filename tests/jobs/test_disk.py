"""How much room there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bcecore.jobs.disk import GB, disk_problem, disk_use
from bcecore.store.preferences import save_preferences
from bcecore.store.runs import RunStore
from bcecore.store.trash import move_to_trash
from tests.examples import example_run


def test_each_run_and_the_trash(store: RunStore) -> None:
    small, large, gone = (example_run(store) for _ in range(3))
    (store.directory(large) / "weights").write_bytes(bytes(1_000_000))
    (store.directory(gone) / "weights").write_bytes(bytes(500_000))
    move_to_trash(store, gone)
    use = disk_use(store)
    assert set(use.runs) == {small, large}
    assert use.runs[large] - use.runs[small] >= 900_000
    assert use.all_runs == sum(use.runs.values())
    assert use.trash >= 500_000
    assert 0 < use.free <= use.total


def test_without_a_directory_there_is_still_a_disk(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "not" / "there")
    assert disk_use(store).runs == {}
    assert disk_problem(store) is None


def test_a_disk_that_is_too_full(tiny_disk: Callable[[int], Path]) -> None:
    store = RunStore(tiny_disk(4096))
    problem = disk_problem(store)
    assert problem is not None and "The disk has 0.00 GB free" in problem and "1 GB are to stay free" in problem
    save_preferences(store, keep_free_gb=0.001)
    assert disk_problem(store) is None
    problem = disk_problem(store, needed_bytes=2 * GB)
    assert problem is not None and "needs up to 2.00 GB" in problem
