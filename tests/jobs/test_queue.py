"""The queue: order, holding, removing; nothing is lost when its file is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.jobs import queue
from bcecore.store.runs import RunStore
from tests.examples import example_run


def make(store: RunStore, count: int) -> list[str]:
    return [store.create(RunConfig(), f"run {number}", lambda _: None) for number in range(count)]


def order(store: RunStore) -> list[str]:
    return [record.id for record in queue.waiting(store)]


def test_the_first_to_come_is_the_first_to_start(store: RunStore) -> None:
    ids = make(store, 3)
    example_run(store, "finished")
    assert sorted(order(store)) == sorted(ids)
    created = [record.created for record in queue.waiting(store)]
    assert created == sorted(created)


def test_moves(store: RunStore) -> None:
    make(store, 4)
    a, b, c, d = order(store)
    queue.move(store, c, "up")
    assert order(store) == [a, c, b, d]
    queue.move(store, d, "first")
    assert order(store) == [d, a, c, b]
    queue.move(store, d, "down")
    assert order(store) == [a, d, c, b]
    queue.move(store, a, "last")
    assert order(store) == [d, c, b, a]
    for _ in range(3):  # harmless at the ends
        queue.move(store, d, "up")
        queue.move(store, a, "down")
    assert order(store) == [d, c, b, a]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["first", "up", "down", "last"]))))
def test_whatever_is_moved_all_stay(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, queue.Move]]
) -> None:
    store = RunStore(tmp_path_factory.mktemp("runs"))
    expected = sorted(make(store, 4))
    for number, to in moves:
        ids = order(store)
        run_id = ids[number]
        queue.move(store, run_id, to)
        place = {"first": 0, "up": max(number - 1, 0), "down": min(number + 1, 3), "last": 3}[to]
        assert order(store).index(run_id) == place
        assert [other for other in order(store) if other != run_id] == [other for other in ids if other != run_id]
    assert sorted(order(store)) == expected


def test_a_held_run_keeps_its_place(store: RunStore) -> None:
    make(store, 3)
    a, b, c = order(store)
    queue.hold(store, b)
    queue.hold(store, b)
    assert order(store) == [a, b, c]
    assert store.record(b).status == "held"
    queue.release(store, b)
    queue.release(store, b)
    assert store.record(b).status == "queued"
    assert order(store) == [a, b, c]


def test_a_removed_run_is_still_a_run(store: RunStore) -> None:
    make(store, 2)
    a, b = order(store)
    queue.remove(store, a)
    queue.remove(store, a)
    assert order(store) == [b]
    assert store.record(a).status == "removed"


@pytest.mark.parametrize("act", [queue.hold, queue.release, queue.remove])
def test_only_waiting_runs_can_be_changed(store: RunStore, act: object) -> None:
    run_id = example_run(store, "finished")
    with pytest.raises(RunError, match="is finished: it is not in the queue"):
        act(store, run_id)  # type: ignore[operator]
    with pytest.raises(RunError, match="is finished: it is not in the queue"):
        queue.move(store, run_id, "up")


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b"[3, null]", b"[]"])
def test_a_lost_order_loses_no_run(store: RunStore, content: bytes) -> None:
    ids = make(store, 3)
    queue.move(store, ids[2], "first")
    (store.root / ".supervisor" / "queue.json").write_bytes(content)
    assert sorted(order(store)) == sorted(ids)
