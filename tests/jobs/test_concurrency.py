"""Two dashboards and three command lines submit, stop and reorder runs at once; `bench crowd` does so for longer."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks import crowd

SECONDS = (8.0, 60.0)
"""The second where other work on the machine let no run start within the first."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark looks into Linux's processes")
def test_nothing_is_lost_or_started_twice_when_many_change_the_queue_at_once() -> None:
    for seconds in SECONDS:
        result = crowd.run(seconds=seconds, seed=1)
        assert result["violations"] == []
        assert result["met"] and result["runs"] > 0
        if result["most_at_work"]:
            break
    assert 0 < result["most_at_work"] <= crowd.SLOTS
