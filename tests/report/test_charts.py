import json
import math
from typing import Any

import altair as alt
import pytest

from bcecore.report.charts import (
    BCE_OFF,
    BCE_ON,
    COMPONENTS,
    POINTS_PER_CHART,
    POINTS_PER_LINE,
    Drawn,
    LiveChart,
    draw,
    live_charts,
    schedule_chart,
    sparkline,
)
from bcecore.store.history import History
from bcecore.store.metrics import MetricsWriter
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run, training_lines


def drawn(store: RunStore, run_id: str) -> dict[str, Drawn]:
    history = History(store.directory(run_id))
    history.refresh()
    return {chart.key: draw(chart, history.series) for chart in live_charts(store.config(run_id))}


def specification(chart: Drawn) -> str:
    return json.dumps({key: value for key, value in chart.spec.items() if key != "datasets"}, sort_keys=True)


def rows(chart: Drawn, series: str) -> list[tuple[int, float]]:
    table = chart.spec["datasets"]["lines"]
    return [(row.step, row.value) for row in table.itertuples() if row.series == series]


def test_a_chart_shows_the_logged_values(store: RunStore) -> None:
    config = example_config()
    charts = drawn(store, example_run(store, steps=120))
    logged = [line for line in training_lines(config, range(1, 121), 300) if "ce" in line]
    assert rows(charts["loss"], "CE") == [(line["step"], line["ce"]) for line in logged]
    assert rows(charts["loss"], "loss with BCE") == [(line["step"], line["loss"]) for line in logged]
    assert charts["loss"].spec["datasets"]["dots"]["step"].tolist() == [50, 100]
    assert (charts["loss"].shown, charts["loss"].total) == (240, 240)


def test_charts_for_bce_only_where_it_is_on() -> None:
    on = [chart.key for chart in live_charts(example_config())]
    off = [chart.key for chart in live_charts(example_config(bce__enabled=False))]
    assert on == ["loss", "grad-norm", "learning-rate", "bce-weight", "bce-loss", "bce-components"]
    assert off == ["loss", "grad-norm", "learning-rate"]


def test_bce_on_and_off_have_their_colours() -> None:
    def color(chart: LiveChart) -> str:
        return next(line.color for line in chart.lines if line.key in ("ce", "grad_norm", "learning_rate"))

    assert {color(chart) for chart in live_charts(example_config())[:3]} == {BCE_ON}
    assert {color(chart) for chart in live_charts(example_config(bce__enabled=False))} == {BCE_OFF}


def test_no_two_components_look_the_same() -> None:
    lines = live_charts(example_config())[-1].lines
    assert [line.key for line in lines] == list(COMPONENTS)
    assert len({(line.color, tuple(line.dash)) for line in lines}) == len(COMPONENTS)


def test_new_points_change_the_data_and_not_the_specification(store: RunStore) -> None:
    run_id = example_run(store, "running", steps=1)
    before = drawn(store, run_id)
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        for line in training_lines(store.config(run_id), range(2, 301), 300):
            writer.write(line)
    after = drawn(store, run_id)
    for key in before:
        assert specification(before[key]) == specification(after[key])
        assert before[key].total < after[key].total


def test_a_chart_of_nothing_has_the_same_tables(store: RunStore) -> None:
    empty = drawn(store, example_run(store, "starting"))
    full = drawn(store, example_run(store, "running"))
    for key in empty:
        assert empty[key].total == 0
        assert specification(empty[key]) == specification(full[key])
        for name, table in empty[key].spec["datasets"].items():
            other = full[key].spec["datasets"][name]
            assert table.dtypes.to_dict() == other.dtypes.to_dict()


def test_long_series_are_thinned_and_say_so(store: RunStore) -> None:
    charts = drawn(store, example_run(store, steps=3000, total=3000))
    for key, chart in charts.items():
        lines = 9 if key == "bce-components" else 2 if key == "loss" else 1
        assert chart.total == 3000 * lines
        assert chart.shown <= min(POINTS_PER_LINE * lines, POINTS_PER_CHART)
        assert len(chart.spec["datasets"]["under_pointer"]) <= 120


def test_values_that_are_not_finite_are_marked_not_dropped(store: RunStore) -> None:
    broken = {"step": 121, "ce": math.nan, "loss": math.inf, "grad_norm": 2.0}
    charts = drawn(store, example_run(store, "failed", steps=120, last_line=broken))
    step, value = rows(charts["loss"], "CE")[-1]
    assert step == 121 and math.isnan(value)
    assert rows(charts["grad-norm"], "gradient norm")[-1] == (121, 2.0)
    assert "!isValid(datum.value)" in specification(charts["loss"])


def test_every_axis_has_a_title_and_every_chart_a_description(store: RunStore) -> None:
    for chart in live_charts(example_config()):
        assert chart.alt and chart.about and chart.unit and chart.title
    for chart in drawn(store, example_run(store)).values():
        encodings = [layer["encoding"] for layer in chart.spec["layer"]]
        assert {encoding["x"]["axis"]["title"] for encoding in encodings} == {"Step"}
        assert all(encoding["y"]["axis"]["title"] for encoding in encodings if "axis" in encoding.get("y", {}))


@pytest.mark.parametrize("values", [(), (3.0,), (3.0, 2.0, 1.5)])
def test_a_sparkline_always_has_a_line(values: tuple[float, ...]) -> None:
    table = sparkline(values, BCE_ON)["datasets"]["lines"]
    assert len(table) >= 2


def test_a_schedule_with_its_marks() -> None:
    chart = schedule_chart([1, 2, 3, 4], [0.0, 0.1, 0.2, 0.3], "BCE weight", "weight", {"warm-up ends": 2})
    spec: dict[str, Any] = chart.to_dict()
    tables = list(spec["datasets"].values())
    assert [{"step": 2, "name": "warm-up ends"}] in tables
    assert [{"step": s, "value": v} for s, v in [(1, 0.0), (2, 0.1), (3, 0.2), (4, 0.3)]] in tables
    assert isinstance(chart, alt.LayerChart)
    assert schedule_chart([], [], "BCE weight", "weight").to_dict()["title"] == "BCE weight"
