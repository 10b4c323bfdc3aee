"""The chart of several checkpoints: what it draws of each."""

from __future__ import annotations

import pandas as pd

from bcecore.evaluation.paired import which_to_keep
from bcecore.report.evaluation_charts import behind_chart
from bcecore.report.evaluation_tables import choice_table


def side(*nll: float) -> pd.DataFrame:
    return pd.DataFrame({"example": range(len(nll)), "tokens": [4] * len(nll), "nll": list(nll)})


def test_each_checkpoint_has_its_point_and_its_interval() -> None:
    choice = which_to_keep([side(8.0, 8.4, 8.1), side(4.0, 4.1, 4.2)])
    table = choice_table(choice, ["step 10", "step 20"])
    spec = behind_chart(table, [10, 20], "#123456")
    rows = next(data for data in spec["datasets"].values() if "step" in data[0])
    assert [(row["step"], row["keep"]) for row in rows] == [(10, False), (20, True)]
    assert rows[0]["low"] < rows[0]["behind"] < rows[0]["high"]
    # The lowest is what the others are measured against: it has no interval of its own.
    assert (rows[1]["behind"], rows[1]["low"], rows[1]["high"]) == (0, 0, 0)
    zero, spread, points = spec["layer"]
    assert zero["encoding"]["y"]["field"] == "zero"
    assert (spread["encoding"]["y"]["field"], spread["encoding"]["y2"]["field"]) == ("low", "high")
    assert points["encoding"]["x"]["axis"]["values"] == [10, 20]
    assert {layer["mark"]["color"] for layer in (spread, points)} == {"#123456"}
    assert "config" not in spec
