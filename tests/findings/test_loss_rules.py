"""averaging, padding and accumulation over what the probe recorded, and over two evaluations.

On real runs with planted faults: `tests/training/test_loss_probe.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from bcecore.findings.accumulation import accumulation
from bcecore.findings.averaging import Scored, averaging, averaging_of_evaluations
from bcecore.findings.padding import padding

SOUND: dict[str, Any] = {
    "lengths": [3, 7, 20],
    "tolerance": 2e-4,
    "by_token": 7.5,
    "alone": 7.5000001,
    "together": 7.4999999,
    "pads": 30,
    "scored_pads": 0,
    "micro_batches": 3,
    "accumulated": 3e-7,
}


def ids(**changes: Any) -> list[str]:
    probe = SOUND | changes
    return [found.id for rule in (averaging, padding, accumulation) for found in rule("run", probe)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"alone": 7.52}, ["averaging"]),
        ({"together": 7.48}, ["averaging"]),
        ({"alone": 7.2, "together": 7.2}, ["averaging"]),  # alike, but both divided by too many tokens
        ({"alone": 7.501, "together": 7.501}, []),
        ({"alone": None, "together": None}, []),
        ({"scored_pads": 30, "together": 5.0, "accumulated": 0.4}, ["padding"]),
        ({"accumulated": 2.0}, ["accumulation"]),
        ({"accumulated": None, "micro_batches": None}, []),
        ({"by_token": 0.0, "alone": 0.0, "together": 0.0}, []),
    ],
)
def test_what_fires(changes: dict[str, Any], expected: list[str]) -> None:
    assert ids(**changes) == expected


def test_runs_from_before_there_was_a_probe() -> None:
    assert [rule("run", None) for rule in (averaging, padding, accumulation)] == [[], [], []]


def test_the_words() -> None:
    (found,) = accumulation("run", SOUND | {"accumulated": 1.996})
    assert "in 3 small batches give a gradient that is 200 % away" in found.sentence and found.severity == "W"
    assert found.field == "training.gradient_accumulation_steps"
    (found,) = accumulation("run", SOUND | {"accumulated": 0.004567})
    assert "0.46 % away" in found.sentence
    (found,) = padding("run", SOUND | {"scored_pads": 1, "pads": 30})
    assert "in a batch of 3 texts, 1 of 30 empty places have a label" in found.sentence


@pytest.mark.parametrize(
    ("batch_tokens", "ce", "exact", "fires"),
    [
        (512, 2.3, True, True),
        (4096, 2.3, True, False),
        (512, 2.31, True, False),
        (512, 2.3101, True, False),
        (512, 2.3, False, False),
        (512, 2.2, False, True),
        (512, float("nan"), True, False),
    ],
)
def test_two_evaluations_of_one_checkpoint(batch_tokens: int, ce: float, exact: bool, fires: bool) -> None:
    first, second = Scored("first", 4096, 2.31), Scored("second", batch_tokens, ce, exact)
    found = averaging_of_evaluations("run/e", "val", first, second)
    assert [each.id for each in found] == ["averaging"] * fires
