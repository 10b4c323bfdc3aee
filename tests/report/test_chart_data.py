import io
import math

import numpy as np
import pandas as pd

from bcecore.report.chart_data import as_csv, table_of
from bcecore.report.charts import Band, Figure, Trace
from bcecore.store.columns import Series


def line(steps: list[int], values: list[float], *, epochs: bool = True) -> Series:
    at = np.array(steps, dtype=np.int64)
    return Series(at, np.array(values), at / 10 if epochs else np.full(len(at), np.nan), np.full(len(at), np.nan))


def figure(*traces: Trace, **changes: tuple[Band, ...]) -> Figure:
    return Figure("k", "Title", "unit", traces, "alt", "about", **changes)  # type: ignore[arg-type]


def test_one_row_a_step_and_one_column_a_line() -> None:
    table = table_of(
        figure(
            Trace("CE", line([1, 2, 3], [3.0, 2.0, 1.0]), "#1"), Trace("held-out", line([2, 4], [2.5, math.nan]), "#2")
        )
    )
    assert list(table.columns) == ["step", "epoch", "CE", "held-out"]  # no time was logged
    assert table["step"].tolist() == [1, 2, 3, 4]
    assert table["epoch"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert table["held-out"].fillna(-1).tolist() == [-1, 2.5, -1, -1]


def test_the_members_of_a_band_are_there() -> None:
    table = table_of(figure(bands=(Band("on", "#1", (line([1], [1.0]), line([1], [2.0]))),)))
    assert table[["on 1", "on 2"]].to_numpy().tolist() == [[1.0, 2.0]]


def test_every_logged_value_is_in_the_file_unrounded() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    text = as_csv(figure(Trace("CE", line(list(range(1, 5001)), values.tolist(), epochs=False), "#1")))
    assert pd.read_csv(io.StringIO(text), float_precision="round_trip")["CE"].tolist() == values.tolist()


def test_a_chart_of_nothing_is_an_empty_table() -> None:
    assert table_of(figure()).columns.tolist() == ["step"]
    assert as_csv(figure(Trace("CE", line([], []), "#1"))) == "step,CE\n"
