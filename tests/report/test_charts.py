import json
import math
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.charts import (
    POINTS_PER_LINE,
    ROWS_PER_CHART,
    Band,
    Drawn,
    Extent,
    Figure,
    Mark,
    Trace,
    View,
    draw,
    spelled,
)
from bcecore.report.render import as_svg
from bcecore.report.smoothing import smooth
from bcecore.store.columns import Series

BEGAN = 1_700_000_000.0
SVG_TEXT = "{http://www.w3.org/2000/svg}text"


def series(values: Any, *, steps: Any = None, per_epoch: int = 10) -> Series:
    """Values logged at these steps (1, 2, 3 … if not said), two seconds apart."""
    numbers = np.asarray(values, dtype=np.float64)
    at = np.arange(1, len(numbers) + 1) if steps is None else np.asarray(steps)
    return Series(at.astype(np.int64), numbers, at / per_epoch, BEGAN + 2.0 * at)


def figure(*traces: Trace, **changes: Any) -> Figure:
    return Figure("k", "Title", "unit", traces, "alt", "about", **changes)


def one(values: Any, **changes: Any) -> Figure:
    return figure(Trace("CE", series(values), "#111111"), **changes)


def table(drawn: Drawn, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = drawn.spec["datasets"][name].to_dict("records")
    return rows


def frame(drawn: Drawn) -> dict[str, Any]:
    return table(drawn, "frame")[0]


def specification(drawn: Drawn) -> str:
    return json.dumps({key: value for key, value in drawn.spec.items() if key != "datasets"}, sort_keys=True)


NOISE = np.random.default_rng(0).normal(5, 1, 3000)


def test_a_short_line_is_drawn_as_it_was_logged() -> None:
    drawn = draw(one([3.0, 2.0, 2.5]), View())
    assert [(row["step"], row["x"], row["value"], row["series"]) for row in table(drawn, "lines")] == [
        (1, 1.0, 3.0, "CE"),
        (2, 2.0, 2.0, "CE"),
        (3, 3.0, 2.5, "CE"),
    ]
    assert (drawn.shown, drawn.total, drawn.hidden, drawn.longest) == (3, 3, 0, (3, 3))
    assert table(drawn, "raw") == []


def test_values_are_smoothed_before_they_are_thinned() -> None:
    drawn = draw(one(NOISE), View(smoothing=0.9))
    averages = smooth(NOISE, 0.9)
    lines, raw = table(drawn, "lines"), table(drawn, "raw")
    assert len(lines) < 3000 and len(raw) < 3000
    assert all(row["value"] == averages[row["step"] - 1] for row in lines)
    assert all(row["value"] == NOISE[row["step"] - 1] for row in raw)
    assert max(row["value"] for row in raw) == NOISE.max()


def test_points_are_never_smoothed() -> None:
    checks = Trace("held-out", series([1.0, 9.0, 1.0], steps=[10, 20, 30]), "#222222", dots=True)
    drawn = draw(figure(Trace("CE", series(NOISE), "#111111"), checks), View(smoothing=0.9))
    assert [row["value"] for row in table(drawn, "dots")] == [1.0, 9.0, 1.0]


def test_bands_of_rare_checks_are_not_smoothed_and_others_are() -> None:
    members = tuple(series([1.0, 9.0, 1.0], steps=[10, 20, 30]) for _ in range(2))
    rare = draw(figure(bands=(Band("seeds", "#1", members, dots=True),)), View(smoothing=0.9))
    assert [row["value"] for row in table(rare, "bands")] == [1.0, 9.0, 1.0]
    often = draw(figure(bands=(Band("seeds", "#1", members),)), View(smoothing=0.9))
    assert [row["value"] for row in table(often, "bands")][1] < 9.0


def test_the_legend_names_lines_and_means() -> None:
    line = series([1.0, 2.0, 3.0])
    spec = draw(figure(Trace("alone", line, "#111111"), bands=(Band("seeds", "#222222", (line, line)),)), View()).spec
    legends = ["".join(text.itertext()) for text in ElementTree.fromstring(as_svg(spec)).iter(SVG_TEXT)]
    assert {"alone", "seeds (mean of 2)"} <= set(legends)


def test_the_axes_of_epochs_and_of_time() -> None:
    assert [row["x"] for row in table(draw(one([1.0, 2.0]), View(x="epoch")), "lines")] == [0.1, 0.2]
    drawn = draw(one([1.0, 2.0]), View(x="time"))
    assert [row["x"] for row in table(drawn, "lines")] == [0.0, 2000.0]  # milliseconds since the first
    began = draw(figure(Trace("CE", series([1.0, 2.0]), "#111111", start=BEGAN)), View(x="time"))
    assert [row["x"] for row in table(began, "lines")] == [2000.0, 4000.0]


def test_a_value_without_a_place_on_the_axis_is_left_out() -> None:
    line = series([1.0, 2.0, 3.0])
    line.epochs[1] = math.nan
    drawn = draw(figure(Trace("CE", line, "#111111")), View(x="epoch"))
    assert [row["step"] for row in table(drawn, "lines")] == [1, 3]


def test_the_range_of_the_x_axis_is_that_of_the_run() -> None:
    extent = Extent((1.0, 400.0), (0.0, 8.0), None)
    assert (frame(draw(one([1.0, 2.0], extent=extent), View()))["x0"]) == 1
    assert 400 < frame(draw(one([1.0, 2.0], extent=extent), View()))["x1"] < 405
    # Where it is not known, that of the lines.
    assert 2 < frame(draw(one([1.0, 2.0]), View()))["x1"] < 2.1


def test_zooming_in_shows_more_points_and_their_range() -> None:
    whole = draw(one(NOISE), View())
    near = draw(one(NOISE), View(window=(1000, 1200)))
    assert near.total == 201 and near.longest == (203, 201)
    assert [row["step"] for row in table(near, "lines")] == list(range(999, 1202))  # a neighbour on either side
    assert (frame(near)["x0"], frame(near)["x1"]) == (1000, 1200)
    assert sum(1000 <= row["step"] <= 1200 for row in table(whole, "lines")) < 201
    assert frame(near)["y1"] < frame(whole)["y1"]


def test_a_stretch_between_two_points_shows_the_line_that_joins_them() -> None:
    drawn = draw(figure(Trace("CE", series([1.0, 2.0], steps=[10, 20]), "#111111")), View(window=(12, 18)))
    assert [row["step"] for row in table(drawn, "lines")] == [10, 20]
    assert drawn.total == 0


def test_zooming_and_new_points_change_the_data_and_not_the_specification() -> None:
    views = [View(), View(window=(5, 9))]
    specs = {specification(draw(one(NOISE[:length]), view)) for view in views for length in (0, 1, 20, 3000)}
    assert len(specs) == 1


def test_a_point_without_a_neighbour_is_drawn_as_a_point() -> None:
    (alone,) = table(draw(one([1.0]), View()), "lonely")
    assert (alone["step"], alone["value"], alone["series"]) == (1, 1.0, "CE")
    between = draw(one([1.0, 2.0, math.nan, 4.0, math.inf, 6.0, 7.0]), View())
    assert [row["step"] for row in table(between, "lonely")] == [4]
    assert table(draw(one(NOISE), View()), "lonely") == []


def test_points_are_counted_also_where_there_are_no_lines() -> None:
    checks = Trace("held-out CE", series([3.0, 2.0, 1.0]), "#111111", dots=True)
    assert draw(figure(checks), View()).longest == (3, 3)
    seeds = Band("off", "#111111", (series([1.0, 2.0]), series([2.0, 3.0])))
    assert draw(figure(bands=(seeds,)), View()).longest == (2, 2)


def test_a_chart_of_nothing_has_the_same_tables_as_a_full_one() -> None:
    def made(*values: float) -> Figure:
        line = series(values)
        traces = (Trace("CE", line, "#1"), Trace("loss", line, "#2"), Trace("held-out", line, "#3", dots=True))
        band = Band("seeds", "#4", (line, line))
        return figure(*traces, bands=(band,), gap=("CE", "loss"), marks=(Mark(1, "checkpoint", "a"),))

    for view in (View(), View(smoothing=0.5, log_y=True, log_x=True, clip=True, x="time")):
        empty, full = draw(made(), view), draw(made(3.0, 2.0, 1.0), view)
        assert specification(empty) == specification(full)
        assert empty.total == 0 and (empty.shown, empty.hidden) == (0, 0)
        for name, rows in empty.spec["datasets"].items():
            assert rows.dtypes.to_dict() == full.spec["datasets"][name].dtypes.to_dict(), name


@pytest.mark.parametrize("lines", [1, 2, 9, 30])
@pytest.mark.parametrize("view", [View(), View(smoothing=0.9, clip=True), View(log_x=True), View(x="epoch")])
def test_no_chart_sends_too_many_rows(lines: int, view: View) -> None:
    values = np.random.default_rng(1).normal(5, 1, 50_000)
    values[::3] = np.nan
    traces = [Trace(f"line {n}", series(values), "#111111") for n in range(lines)]
    checks = Trace("check", series(values[::100], steps=range(1, 50_001, 100)), "#222222", dots=True)
    marks = tuple(Mark(step, "checkpoint", "c") for step in range(1, 50_000, 50))
    drawn = draw(figure(*traces, checks, marks=marks), view)
    assert drawn.rows <= ROWS_PER_CHART
    assert drawn.longest[0] <= POINTS_PER_LINE


def test_values_that_are_not_finite_are_marked_at_their_step() -> None:
    drawn = draw(one([2.0, math.nan, math.inf, 1.0]), View(smoothing=0.5))
    assert [row["step"] for row in table(drawn, "troubled")] == [2, 3]
    assert [math.isnan(row["value"]) for row in table(drawn, "lines")] == [False, True, True, False]
    near = draw(one([2.0, math.nan, 1.0, 1.0, 1.0]), View(window=(3, 5)))
    assert table(near, "troubled") == []  # a neighbour that is out of sight


def test_what_is_not_above_zero_is_counted_on_a_logarithmic_axis() -> None:
    drawn = draw(one([5.0, 0.0, -1.0, math.nan, 2.0]), View(log_y=True))
    assert [row["step"] for row in table(drawn, "lines")] == [1, 4, 5]
    assert drawn.hidden == 2
    assert frame(drawn)["note"] == "2 points out of sight"
    assert 0 < frame(drawn)["y0"] <= 2
    assert '"type": "log"' in specification(drawn)


def test_values_that_are_all_below_zero_keep_their_linear_axis() -> None:
    drawn = draw(one([-5.0, -4.0]), View(log_y=True))
    assert drawn.hidden == 0 and len(table(drawn, "lines")) == 2
    assert '"type": "log"' not in specification(drawn)


def test_a_logarithmic_x_axis_begins_above_zero() -> None:
    drawn = draw(one([3.0, 2.0, 1.0]), View(log_x=True, x="time"))
    assert drawn.hidden == 1  # the first point, at the beginning of time
    assert frame(drawn)["x0"] == 2000


def test_outliers_are_left_out_and_counted() -> None:
    values = np.concatenate([np.linspace(4, 5, 998), [1000.0, -700.0]])
    drawn = draw(one(values), View(clip=True))
    assert drawn.hidden == 2
    assert frame(drawn)["note"] == "2 points out of sight"
    assert frame(drawn)["y0"] > 3 and frame(drawn)["y1"] < 6
    assert draw(one(values), View()).hidden == 0
    assert frame(draw(one(values), View()))["y1"] > 1000


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=60), st.booleans(), st.booleans())
def test_what_is_not_hidden_is_within_the_frame(values: list[float], clip: bool, log_y: bool) -> None:
    drawn = draw(one(values), View(clip=clip, log_y=log_y))
    low, high = frame(drawn)["y0"], frame(drawn)["y1"]
    assert low < high
    outside = sum(not low <= row["value"] <= high for row in table(drawn, "lines"))
    dropped = len(values) - len(table(drawn, "lines"))
    assert outside + dropped <= drawn.hidden


@pytest.mark.parametrize(("values", "from_zero"), [([0.0, 0.0], True), ([0.3, 0.4], True), ([-0.4, -0.3], True)])
def test_an_axis_from_zero_has_zero(values: list[float], from_zero: bool) -> None:
    drawn = draw(one(values, from_zero=from_zero), View())
    assert frame(drawn)["y0"] <= 0 <= frame(drawn)["y1"]
    assert 0 in (frame(drawn)["y0"], frame(drawn)["y1"])


def test_marks_have_their_place_on_every_axis() -> None:
    marks = (Mark(20, "checkpoint", "Checkpoint"), Mark(25, "finding", "Loss spike"))
    steps = range(10, 60, 10)
    line = Trace("CE", series([5.0, 4.0, 3.0, 2.0, 1.0], steps=steps), "#111111")
    assert [row["x"] for row in table(draw(figure(line, marks=marks), View()), "marked")] == [20, 25]
    timed = table(draw(figure(line, marks=marks), View(x="time")), "marked")
    assert [(row["x"], row["kind"]) for row in timed] == [(20_000, "checkpoint"), (30_000, "finding")]
    assert [row["step"] for row in table(draw(figure(line, marks=marks), View(window=(21, 30))), "marked")] == [25]


def test_findings_stay_where_there_are_too_many_marks() -> None:
    marks = [Mark(step, "checkpoint", "c") for step in range(1, 500)] + [Mark(3, "finding", "f")]
    kept = table(draw(one(NOISE, marks=tuple(marks)), View()), "marked")
    assert ("finding", 3) in [(row["kind"], row["step"]) for row in kept]
    assert ("checkpoint", 499) in [(row["kind"], row["step"]) for row in kept]


def test_the_gap_lies_between_its_two_lines() -> None:
    ce, loss = Trace("CE", series([3.0, 2.0]), "#1"), Trace("objective", series([2.5, 2.5]), "#2")
    rows = table(draw(figure(ce, loss, gap=("CE", "objective")), View()), "gap")
    assert [(row["x"], row["low"], row["high"]) for row in rows] == [(1, 2.5, 3.0), (2, 2.0, 2.5)]


def test_the_mean_over_seeds_and_its_band() -> None:
    members = (series([1.0, 2.0, 3.0]), series([3.0, 4.0, 5.0]), series([2.0, 3.0, 4.0], steps=[1, 2, 4]))
    drawn = draw(figure(bands=(Band("with BCE", "#1", members),)), View())
    rows = table(drawn, "bands")
    # Over the steps that all of them have.
    assert [(row["step"], row["value"], row["low"], row["high"]) for row in rows] == [(1, 2, 1, 3), (2, 3, 2, 4)]
    assert {row["series"] for row in rows} == {"with BCE (mean of 3)"}
    assert '"with BCE (mean of 3)"' in specification(drawn)


def test_the_pointer_is_told_every_value_with_its_digits() -> None:
    checks = Trace("held-out", series([4.0], steps=[2]), "#2", dots=True)
    drawn = draw(figure(Trace("CE", series([3.14159, 2.0, math.nan]), "#1"), checks), View(smoothing=0.5))
    told = [(row["step"], row["said0"], row["said1"]) for row in table(drawn, "under_pointer")]
    assert told == [
        (1, "3.142 (smoothed 3.142)", ""),
        (2, "2 (smoothed 2.381)", "4"),
        (3, "not a number (smoothed not a number)", "4 (step 2)"),
    ]


@pytest.mark.parametrize(
    ("value", "format", "words"),
    [
        (3.14159, ".4~r", "3.142"),
        (-0.4612345, ".5~r", "-0.46123"),
        (5e-5, ".3e", "5.0e-5"),
        (0.00001, ".4~r", "1.0e-5"),
        (12345.6, ".4~r", "12,346"),
        (math.nan, ".4~r", "not a number"),
    ],
)
def test_values_in_words(value: float, format: str, words: str) -> None:
    assert spelled(value, format) == words


def test_a_zoom_is_a_selection_along_the_x_axis_that_ends_when_it_is_shown() -> None:
    spec = draw(one(NOISE), View()).spec
    zoom = [param for param in spec["params"] if param["name"] == "zoom"]
    assert len(zoom) == 1
    assert zoom[0]["select"]["encodings"] == ["x"]
    assert zoom[0]["select"]["clear"] == {"signal": "drawn_from"}
    assert "drawn_from" in [param["name"] for param in spec["params"]]
    assert [layer["data"]["name"] for layer in spec["layer"] if layer.get("name") in zoom[0]["views"]] == ["lines"]


def test_every_layer_shares_the_axes_and_the_legend() -> None:
    checks = Trace("held-out", series([4.0], steps=[2]), "#2", dots=True)
    spec = draw(figure(Trace("CE", series([3.0]), "#1"), checks), View(smoothing=0.5)).spec
    lines = [layer for layer in spec["layer"] if layer["mark"]["type"] == "line"]
    assert len(lines) == 3  # logged, smoothed, points
    assert len({json.dumps(layer["encoding"], sort_keys=True) for layer in lines}) == 1
    assert lines[0]["encoding"]["color"]["scale"] == {"domain": ["CE", "held-out"], "range": ["#1", "#2"]}
