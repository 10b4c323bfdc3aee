"""When the waiting runs will start and end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bcecore.jobs.forecast import Expected, forecast
from bcecore.store.record import RunRecord, Status

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def record(name: str, status: Status = "queued") -> RunRecord:
    return RunRecord(id=name, name=name, created=MOMENT, status=status, status_since=MOMENT)


def expected(
    active: dict[str, float | None], waiting: dict[str, float | None], slots: int = 1, held: str = ""
) -> dict[str, tuple[float | None, float | None]]:
    found = forecast(
        [record(name, "running") for name in active],
        [record(name, "held" if name == held else "queued") for name in waiting],
        kinds=dict.fromkeys([*active, *waiting], "cpu"),
        slots={"cpu": slots},
        seconds=active | waiting,
    )
    return {name: (value.start, value.finish) for name, value in found.items()}


def test_one_after_the_other() -> None:
    assert expected({"a": 20}, {"b": 60, "c": 5}) == {"b": (20, 80), "c": (80, 85)}


def test_a_free_place_starts_at_once() -> None:
    assert expected({}, {"b": 60}) == {"b": (0, 60)}
    assert expected({"a": 20}, {"b": 60, "c": 5}, slots=2) == {"b": (0, 60), "c": (20, 25)}


def test_a_held_run_is_passed_over() -> None:
    assert expected({"a": 20}, {"b": 60, "c": 5}, held="b") == {"c": (20, 25)}


def test_what_is_not_known_is_not_said() -> None:
    assert expected({"a": None}, {"b": 60}) == {"b": (None, None)}
    assert expected({"a": 20}, {"b": None, "c": 5}) == {"b": (20, None), "c": (None, None)}


def test_more_at_work_than_places() -> None:
    assert expected({"a": 20, "b": 30, "c": 40}, {"d": 5}) == {"d": (40, 45)}
    assert expected({"a": 20, "b": 30, "c": 40}, {"d": 5}, slots=2) == {"d": (30, 35)}


@pytest.mark.parametrize("slots", [1, 3])
def test_kinds_of_device_do_not_wait_for_each_other(slots: int) -> None:
    found = forecast(
        [record("a", "running")],
        [record("b"), record("c")],
        kinds={"a": "cpu", "b": "cuda", "c": "cpu"},
        slots={"cuda": slots},
        seconds={"a": 100, "b": 7, "c": 8},
    )
    assert found == {"b": Expected(0, 7), "c": Expected(100, 108)}
