"""Checkpoints: whole ones only, the newest and the best never deleted, later ones set aside at a resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.store.checkpoints import (
    Checkpoint,
    checkpoint_steps,
    checkpoints,
    checkpoints_directory,
    delete_incomplete,
    last_complete,
    mark_complete,
    rotate,
    supersede,
    verified,
)


def make(run: Path, *steps: int, complete: bool = True) -> None:
    for step in steps:
        directory = checkpoints_directory(run) / f"checkpoint-{step}"
        (directory / "inner").mkdir(parents=True)
        (directory / "model.safetensors").write_bytes(b"weights")
        (directory / "trainer_state.json").write_text('{"global_step": NaN}')  # as the Trainer may write it
        if complete:
            mark_complete(directory)


def test_a_run_without_checkpoints(tmp_path: Path) -> None:
    assert checkpoints(tmp_path) == checkpoint_steps(tmp_path) == []
    assert last_complete(tmp_path) is None
    for change in (
        lambda: rotate(tmp_path, 1, None),
        lambda: delete_incomplete(tmp_path),
        lambda: supersede(tmp_path, 0),
    ):
        change()
    assert list(tmp_path.iterdir()) == []


def test_they_come_by_step_and_count_only_when_whole(tmp_path: Path) -> None:
    make(tmp_path, 1000, 90)
    make(tmp_path, 2000, complete=False)
    for name in ("checkpoint-x", "checkpoint-5.tmp", "superseded"):
        (checkpoints_directory(tmp_path) / name).mkdir()
    (checkpoints_directory(tmp_path) / "checkpoint-7").touch()
    assert [(found.step, found.complete) for found in checkpoints(tmp_path)] == [
        (90, True),
        (1000, True),
        (2000, False),
    ]
    assert checkpoint_steps(tmp_path) == [90, 1000]
    assert last_complete(tmp_path) == Checkpoint(1000, checkpoints_directory(tmp_path) / "checkpoint-1000", True)


@pytest.mark.parametrize(
    ("limit", "best", "kept"),
    [
        (None, None, [1, 2, 3, 4]),
        (9, None, [1, 2, 3, 4]),
        (2, None, [3, 4]),
        (1, None, [4]),
        (1, 2, [2, 4]),
        (2, 4, [3, 4]),
        (1, 99, [4]),
    ],
)
def test_old_ones_are_deleted_but_not_the_best(
    tmp_path: Path, limit: int | None, best: int | None, kept: list[int]
) -> None:
    make(tmp_path, 1, 2, 3, 4)
    rotate(tmp_path, limit, best)
    assert [found.step for found in checkpoints(tmp_path)] == kept


@settings(max_examples=25)  # every file is really synced
@given(st.sets(st.integers(1, 30), max_size=6), st.sets(st.integers(31, 60), max_size=3), st.integers(0, 3))
def test_the_newest_whole_one_is_never_deleted(
    tmp_path_factory: pytest.TempPathFactory, whole: set[int], begun: set[int], limit: int
) -> None:
    run = tmp_path_factory.mktemp("run")
    make(run, *whole)
    make(run, *begun, complete=False)
    rotate(run, limit, None)
    last = last_complete(run)
    assert (last.step if last else None) == max(whole, default=None)
    assert begun <= {found.step for found in checkpoints(run)}


@pytest.mark.parametrize(
    ("name", "content", "complete"),
    [
        ("model.safetensors", b"weig", False),
        ("model.safetensors", None, False),
        ("complete", b'{"model.safetensors": 7, "trainer', False),
        ("complete", b"[]", False),
        ("complete", b"", True),  # from before it listed the files
        ("trainer_state.json", b'{"global_step":     ', True),  # as long as it was
        ("later.txt", b"not listed", True),
    ],
)
def test_a_damaged_one_is_not_gone_on_from(tmp_path: Path, name: str, content: bytes | None, complete: bool) -> None:
    make(tmp_path, 1, 2)
    damaged = checkpoints(tmp_path)[1].directory / name
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content)
    found = checkpoints(tmp_path)[1]
    assert found.complete == complete
    assert verified(found) == (complete and name != "trainer_state.json")
    last = last_complete(tmp_path)
    assert last is not None and last.step == (2 if verified(found) else 1)
    rotate(tmp_path, 1, None)
    assert last_complete(tmp_path) == last
    delete_incomplete(tmp_path)
    assert last_complete(tmp_path) == last and found.directory.exists()


def test_the_marker_lists_what_is_there(tmp_path: Path) -> None:
    make(tmp_path, 1)
    marker = checkpoints(tmp_path)[0].directory / "complete"
    sizes = json.loads(marker.read_text())
    assert sizes == {"model.safetensors": 7, "trainer_state.json": 20}
    mark_complete(marker.parent)
    assert json.loads(marker.read_text()) == sizes


def test_a_deletion_that_is_cut_short_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_path: Path) -> None:
        raise KeyboardInterrupt

    make(tmp_path, 1, 2)
    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(tmp_path, 1, None)
    monkeypatch.undo()
    assert checkpoint_steps(tmp_path) == [2]
    delete_incomplete(tmp_path)
    assert [found.step for found in checkpoints(tmp_path)] == [2]


def test_what_lies_beyond_a_resume_is_set_aside(tmp_path: Path) -> None:
    make(tmp_path, 10, 20, 30)
    for _ in range(2):  # a second time over what was set aside before
        supersede(tmp_path, 10)
        assert [found.step for found in checkpoints(tmp_path)] == [10]
        aside = checkpoints_directory(tmp_path) / "superseded"
        assert sorted(path.name for path in aside.iterdir()) == ["checkpoint-20", "checkpoint-30"]
        make(tmp_path, 20, 30)
    supersede(tmp_path, 30)
    assert checkpoint_steps(tmp_path) == [10, 20, 30]
