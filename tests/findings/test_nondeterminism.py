"""nondeterminism: a repeat that ended otherwise, with real repeats in `tests/jobs/test_repeat.py`."""

from __future__ import annotations

from typing import Any

import pytest

from bcecore.findings.nondeterminism import nondeterminism

RECORD: dict[str, Any] = {
    "initial_weights": "a",
    "data_order": "b",
    "random_start": "c",
    "random_end": "d",
    "steps": 8,
    "final_weights": "e",
}
MACHINE = {"device": "cpu", "torch": "2.13.0"}


def test_silence_on_equal_records_and_on_graphics_cards() -> None:
    assert nondeterminism("again", "first", (RECORD, dict(RECORD)), (MACHINE, MACHINE)) == []
    other = RECORD | {"final_weights": "f"}
    assert nondeterminism("again", "first", (RECORD, other), (MACHINE, MACHINE | {"device": "H200"})) == []
    assert nondeterminism("again", "first", (RECORD, {}), (MACHINE, MACHINE)) == []


@pytest.mark.parametrize("key", RECORD)
def test_anything_that_differs(key: str) -> None:
    (found,) = nondeterminism("again", "first", (RECORD, RECORD | {key: "x"}), (MACHINE, MACHINE))
    assert (found.id, found.severity, found.subject) == ("nondeterminism", "N", "again")
    assert found.numbers["differ"] == {key: [RECORD[key], "x"]}
    assert "run first" in found.sentence and "something else decides" in found.sentence


def test_another_version_is_said_as_the_likely_reason() -> None:
    newer = MACHINE | {"torch": "2.14.0"}
    (found,) = nondeterminism("again", "first", (RECORD, RECORD | {"final_weights": "x"}), (MACHINE, newer))
    assert "In between, torch changed, which can be the reason." in found.sentence
    assert found.numbers["machine"] == {"torch": ["2.13.0", "2.14.0"]}
