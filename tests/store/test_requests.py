"""Requests: a stop is read whatever is in its file, the others are taken once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bcecore.store.requests import (
    EVALUATE_REQUEST,
    SAVE_REQUEST,
    STOP_REQUEST,
    StopRequest,
    ask,
    clear_stop,
    read_stop,
    take,
    write_stop,
)


def test_a_stop_is_read_as_it_was_written_and_can_be_taken_back(tmp_path: Path) -> None:
    assert read_stop(tmp_path) is None
    for request in (StopRequest(), StopRequest(kind="now", at=datetime(2030, 1, 2, tzinfo=UTC), killed=True)):
        write_stop(tmp_path, request)
        assert read_stop(tmp_path) == request
    assert [path.name for path in tmp_path.iterdir()] == [STOP_REQUEST]
    for _ in range(2):
        clear_stop(tmp_path)
        assert read_stop(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"now", b'{"kind": "perhaps"}', b"\xff\xfe", b"[]", b'{"at": "soon"}'])
def test_a_stop_that_cannot_be_understood_means_save(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STOP_REQUEST).write_bytes(content)
    assert read_stop(tmp_path) == StopRequest(kind="save")


def test_a_request_is_taken_once_however_often_it_was_made(tmp_path: Path) -> None:
    assert not take(tmp_path, SAVE_REQUEST)
    ask(tmp_path, SAVE_REQUEST)
    ask(tmp_path, SAVE_REQUEST)
    assert not take(tmp_path, EVALUATE_REQUEST)
    assert take(tmp_path, SAVE_REQUEST)
    assert not take(tmp_path, SAVE_REQUEST)
