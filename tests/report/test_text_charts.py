"""The chart of lengths: a bar for each step from nothing up, and where lines are cut."""

from __future__ import annotations

from typing import Any

from bcecore.report.text_charts import lengths_chart
from bcecore.text.looking import histogram


def drawn(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of each layer."""
    tables = spec["datasets"]
    return [tables[layer.get("data", spec.get("data"))["name"]] for layer in spec["layer"]]


def test_bars_stand_on_nothing_and_the_cut_is_marked() -> None:
    bars, rule, words = drawn(lengths_chart([(1, 10, 4), (11, 20, 7), (21, 300, 2)], 15))
    assert [(bar["low"], bar["high"], bar["lines"]) for bar in bars] == [(0, 10, 4), (10, 20, 7), (20, 30, 2)]
    assert bars[2]["tokens"] == "21 to 300"
    assert rule == words == [{"cut": 15, "words": "cut at 15"}]
    spec = lengths_chart([(1, 10, 4)], 15)
    assert len(spec["layer"]) == 1, "nothing is cut"
    assert spec["layer"][0]["encoding"]["y2"] == {"datum": 0}


def test_it_takes_any_histogram() -> None:
    import numpy as np

    assert drawn(lengths_chart(histogram(np.array([3])), 128))[0] == [
        {"low": 0, "high": 1, "lines": 0, "tokens": "1 to 1"},
        {"low": 1, "high": 2, "lines": 0, "tokens": "2 to 2"},
        {"low": 2, "high": 3, "lines": 1, "tokens": "3 to 3"},
    ]
