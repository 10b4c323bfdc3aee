from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.labelled import LabelMetrics, label_metrics
from bcecore.report.example_charts import (
    MAX_NUMBERED_LABELS,
    change_bars,
    changes_chart,
    confusion_chart,
    reliability_chart,
)


def metrics(labels: int = 3) -> LabelMetrics:
    names = [f"label {number}" for number in range(labels)]
    rows = [(names[0], 0, 0.95), (names[0], 1, 0.9), (names[1], 1, 0.5)]
    table = pd.DataFrame(
        {
            "label": [true for true, _, _ in rows],
            "predicted": [names[place] for _, place, _ in rows],
            "label_scores": [
                [math.log(sure) if place == own else math.log((1 - sure) / (labels - 1)) for place in range(labels)]
                for _, own, sure in rows
            ],
        }
    )
    return label_metrics(table, names)


def data_of(spec: dict[str, Any], column: str) -> list[dict[str, Any]]:
    return next(rows for rows in spec["datasets"].values() if column in rows[0])


def test_zero_lies_between_two_bars() -> None:
    table = change_bars([-1.0, -0.4, 0.5, 0.0, math.nan, math.inf], bars=4)
    assert table["low"].tolist() == pytest.approx([-0.99, -0.495, 0, 0.495], abs=0.01)
    assert table["side"].tolist() == ["better", "better", "worse", "worse"]
    assert table["texts"].tolist() == [1, 1, 0, 1]


def test_one_wild_text_does_not_squeeze_the_others() -> None:
    table = change_bars([*np.linspace(-1, 1, 1000), 500.0])
    assert table["high"].max() < 1.01
    assert table["texts"].sum() == 1001
    assert (table["texts"] > 20).all()


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50))
def test_every_text_that_changed_is_in_one_bar_on_its_side(changes: list[float]) -> None:
    table = change_bars(changes)
    finite = [change for change in changes if math.isfinite(change) and change != 0]
    by_side = table.groupby("side")["texts"].sum()
    assert by_side["better"] == sum(change < 0 for change in finite)
    assert by_side["worse"] == sum(change > 0 for change in finite)


def test_the_chart_of_changes_names_the_side() -> None:
    spec = changes_chart([-1.0, 1.0], "step 20").to_dict()
    assert "With step 20" in json.dumps(spec, ensure_ascii=False)
    assert sum(row["texts"] for row in data_of(spec, "texts")) == 2


def test_the_confusion_matrix_has_every_cell_and_number() -> None:
    spec = confusion_chart(metrics()).to_dict()
    cells = {(row["label"], row["predicted"]): row for row in data_of(spec, "predicted")}
    assert len(cells) == 9
    assert cells["label 0", "label 1"] == {
        "label": "label 0",
        "predicted": "label 1",
        "texts": 1,
        "share": 0.5,
        "is_right": False,
    }
    assert cells["label 2", "label 2"]["share"] == 0  # a label without texts
    assert any(layer["mark"]["type"] == "text" for layer in spec["layer"])


def test_many_labels_have_no_numbers_in_the_chart() -> None:
    spec = confusion_chart(metrics(MAX_NUMBERED_LABELS + 1)).to_dict()
    assert not any(layer["mark"]["type"] == "text" for layer in spec["layer"])


def test_reliability_has_a_bar_and_a_count_for_each_bin() -> None:
    spec = reliability_chart(metrics()).to_dict()
    bars = data_of(spec, "middle")
    assert [(row["middle"], row["texts"]) for row in bars] == [(0.45, 1), (0.85, 1), (0.95, 1)]
    assert '{\\"0.45\\": \\"1\\", \\"0.85\\": \\"1\\", \\"0.95\\": \\"1\\"}' in json.dumps(spec)
