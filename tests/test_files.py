"""Writing so that nobody ever sees half a file: failures in between, full disks, readers at work."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore import files
from bcecore.errors import DiskFullError
from bcecore.files import (
    delete_leftovers,
    directory_size,
    disk_full_explained,
    expanded,
    is_directory,
    read_json,
    write_bytes_atomically,
    write_json,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json")


@given(value=json_values)
def test_json_comes_back_as_it_was(place: Path, value: Any) -> None:
    write_json(place / "value.json", value, durable=False)
    assert read_json(place / "value.json") == value
    assert [path.name for path in place.iterdir()] == ["value.json"]


def test_json_is_readable_by_people(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ad": "Işık"})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "ad": "Işık"\n}\n'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}, {"a": object()}])
def test_what_is_not_json_changes_nothing(tmp_path: Path, value: Any) -> None:
    write_json(tmp_path / "a.json", "old")
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a": 1'])
def test_what_is_not_whole_json_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError):
        read_json(tmp_path / "a.json")


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")


def _fail(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failure_at_any_step_leaves_the_old_content_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    target = tmp_path / "run.json"
    target.write_bytes(b"old")
    failure = _fail(OSError(number, os.strerror(number)))
    monkeypatch.setattr(files.os if step == "fsync" else Path, step, failure)
    full = number != errno.EIO
    with pytest.raises(DiskFullError if full else OSError) as caught:
        write_bytes_atomically(target, b"new")
    if full:
        assert str(caught.value).startswith(f"The disk is full: run.json could not be written in {tmp_path}. Free ")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interruption_leaves_the_old_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run.json"
    target.write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", _fail(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_really_full_disk_is_explained_and_keeps_the_old_content(tiny_disk: Callable[[int], Path]) -> None:
    disk = tiny_disk(64)
    write_json(disk / "run.json", "old")
    for durable in (True, False):
        with pytest.raises(DiskFullError, match=r"The disk is full: run\.json could not be written"):
            write_json(disk / "run.json", "x" * 100_000, durable=durable)
    assert read_json(disk / "run.json") == "old"
    assert [path.name for path in disk.iterdir()] == ["run.json"]
    write_json(disk / "run.json", "new")
    assert read_json(disk / "run.json") == "new"


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_json(tmp_path / "no such folder" / "a.json", 1)
    with pytest.raises(ZeroDivisionError), disk_full_explained(tmp_path):
        _ = 1 / 0


def test_what_is_durable_was_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(files.os, "fsync", lambda handle: (synced.append(handle), real(handle)))
    write_json(tmp_path / "a.json", 1, durable=False)
    assert synced == []
    write_json(tmp_path / "a.json", 2)
    assert len(synced) == 1


def test_a_reader_sees_the_old_or_the_new_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, [0] * 1000)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            write_json(target, [number] * 1000, durable=False)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = set()
        for _ in range(300):
            values = read_json(target)
            assert len(values) == 1000
            assert len(set(values)) == 1
            seen.add(values[0])
    finally:
        stop.set()
        writer.join()
    assert len(seen) > 1


def test_replacing_is_tried_again_where_a_reader_can_block_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0
    real = Path.replace

    def blocked_twice(self: Path, target: Path) -> Path:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise PermissionError(errno.EACCES, "in use")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", blocked_twice)
    with pytest.raises(PermissionError):  # here no reader can: somebody may not write
        write_json(tmp_path / "a.json", 1)
    assert list(tmp_path.iterdir()) == []
    tries = 0
    windows = type("os", (), {**vars(os), "name": "nt"})
    monkeypatch.setattr(files, "os", windows)
    monkeypatch.setattr(files, "_REPLACE_WAIT_SECONDS", 0)
    write_json(tmp_path / "a.json", 1)
    assert tries == 3
    assert json.loads((tmp_path / "a.json").read_text()) == 1


def test_paths_of_a_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expanded("~/model") == tmp_path / "model"
    assert expanded("~nobody-of-that-name/model") == Path("~nobody-of-that-name/model")
    assert expanded("a~b") == Path("a~b")
    assert is_directory(tmp_path)
    assert not is_directory(tmp_path / "none")
    assert not is_directory(Path("x" * 5000))


def test_directory_size_counts_files_at_every_depth(tmp_path: Path) -> None:
    assert directory_size(tmp_path) == 0
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"123")
    (tmp_path / "b" / "d").symlink_to(tmp_path / "missing")
    link = len(str(tmp_path / "missing"))
    assert directory_size(tmp_path) == 8 + link
    assert directory_size(tmp_path / "none") == 0


def test_what_a_killed_writer_left_is_deleted_once_it_is_old(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (".run.json.0a1b2c3d.tmp", ".run.json.4e5f6a7b.tmp", "notes.tmp"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    delete_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([new, other])
