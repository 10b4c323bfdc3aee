"""The numbers behind a chart, for people who want to calculate with them. Pure."""

from __future__ import annotations

from functools import reduce

import pandas as pd

from bcecore.report.charts import Figure
from bcecore.store.columns import Series


def table_of(figure: Figure) -> pd.DataFrame:
    """Everything that was logged of a chart's lines, nothing smoothed or thinned.

    Columns `step`, `epoch` and `time` (seconds since 1970) where they are known, then one for each line; NaN where a
    line has no value at a step. One row per step.
    """
    named: dict[str, Series] = {trace.name: trace.series for trace in figure.traces}
    for band in figure.bands:
        named |= {f"{band.name} {number}": series for number, series in enumerate(band.members, start=1)}
    columns = [pd.Series(series.values, index=series.steps, name=name) for name, series in named.items()]
    if not columns:
        return pd.DataFrame({"step": pd.Series(dtype="int64")})
    table = pd.concat(columns, axis=1).sort_index()
    places = {
        "epoch": [pd.Series(series.epochs, index=series.steps) for series in named.values()],
        "time": [pd.Series(series.times, index=series.steps) for series in named.values()],
    }
    for name, known in reversed(places.items()):
        column = reduce(lambda one, other: one.combine_first(other), known)
        if column.notna().any():
            table.insert(0, name, column)
    return table.rename_axis("step").reset_index()


def as_csv(figure: Figure) -> str:
    """The same as the text of a CSV file."""
    return table_of(figure).to_csv(index=False, lineterminator="\n")
