"""Deleted runs can be taken back until the trash is emptied."""

from __future__ import annotations

import pytest

from bcecore.errors import RunError
from bcecore.store.runs import RunStore
from bcecore.store.trash import empty_trash, move_to_trash, take_back, trash
from tests.examples import example_run


def test_there_and_back(store: RunStore) -> None:
    run_id = example_run(store)
    before = store.record(run_id)
    move_to_trash(store, run_id)
    assert (store.ids(), trash(store).ids()) == ([], [run_id])
    take_back(store, run_id)
    assert (store.ids(), trash(store).ids()) == ([run_id], [])
    assert store.record(run_id) == before


def test_emptying(store: RunStore) -> None:
    assert empty_trash(store) == 0
    kept, *gone = (example_run(store) for _ in range(3))
    for run_id in gone:
        move_to_trash(store, run_id)
    assert empty_trash(store) == 2
    assert (store.ids(), trash(store).ids()) == ([kept], [])
    assert not [path for path in store.root.rglob("*") if gone[0] in path.name]
    with pytest.raises(RunError, match="There is no run"):
        take_back(store, gone[0])


def test_emptied_of_studies_too(store: RunStore) -> None:
    folder = store.root / ".trash" / "studies" / "20261122-120000-a-study-0a1b"
    folder.mkdir(parents=True)
    assert empty_trash(store) == 0
    assert not folder.parent.exists() and list((store.root / ".trash").iterdir()) == []


def test_what_a_deletion_that_was_cut_short_has_left_is_in_nobodys_way(store: RunStore) -> None:
    for where in (".trash", ".trash-doomed"):
        (store.root / where / "studies" / "20261122-120000-a-study-0a1b").mkdir(parents=True)
    assert empty_trash(store) == 0
    assert not (store.root / ".trash-doomed").exists() and list((store.root / ".trash").iterdir()) == []
