"""The charts of the Run page in a real browser: zoom, controls, and taking one along."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Page, expect

from bcecore.store.metrics import MetricsWriter
from bcecore.store.record import Progress, now
from bcecore.store.runs import RunStore
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, chart_data, expect_points, in_both_themes, settled
from tests.examples import example_run, training_lines

TOTAL = 400
PATIENCE = 60_000
SETTLING = 1_500


def open_run(page: Page, dashboard: Dashboard, run_id: str, view: str = "") -> None:
    page.goto(f"{dashboard.url}/Run?run={run_id}{view}")
    expect(page.locator(".st-key-chart-loss svg.marks")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".st-key-chart-grad-norm svg.marks")).to_be_visible(timeout=PATIENCE)


def go_on(store: RunStore, run_id: str, steps: range) -> None:
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        for line in training_lines(store.config(run_id), steps, TOTAL):
            writer.write(line)
    progress = Progress(step=steps[-1], total_steps=TOTAL, epoch=steps[-1] / 50, updated=now(), steps_per_second=31.2)
    store.update(run_id, progress=progress)


def in_sight(page: Page, chart: str) -> tuple[float, float] | None:
    """The range of a chart's x axis."""
    frames = [row for row in chart_data(page, chart) if "x0" in row]
    return (frames[0]["x0"], frames[0]["x1"]) if frames else None


def wait_for_sight(page: Page, charts: list[str], *, other_than: tuple[float, float] | None) -> tuple[float, float]:
    """The range that all these charts have come to show."""
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        found = {in_sight(page, chart) for chart in charts}
        if len(found) == 1 and (sight := found.pop()) not in (None, other_than):
            assert sight is not None
            return sight
        page.wait_for_timeout(100)
    raise AssertionError(f"the charts {charts} do not show the same new range")


def draw_across(page: Page, chart: str, start: float, end: float) -> None:
    """With the pointer, from one share of the chart's width to another."""
    page.locator(f".st-key-{chart}").scroll_into_view_if_needed()
    box = page.locator(f".st-key-{chart} svg.marks .background").first.bounding_box()
    assert box is not None
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (start + end) / 2, height, steps=4)
    page.mouse.move(box["x"] + box["width"] * end, height, steps=4)
    page.mouse.up()


def wait_for_points(page: Page, text: str) -> None:
    page.wait_for_function("(text) => document.body.innerText.includes(text)", arg=text, timeout=PATIENCE)


def test_a_zoom_is_shared_by_all_charts_and_survives_new_points(page: Page, dashboard: Dashboard) -> None:
    store = dashboard.store
    run_id = example_run(store, "running", steps=200, total=TOTAL)
    open_run(page, dashboard, run_id)
    reset = page.get_by_role("button", name="Reset zoom")
    expect(reset).to_be_disabled()
    page.evaluate("document.querySelector('.st-key-chart-loss svg.marks').setAttribute('data-same', 'yes')")
    for width, news in ((1440, (range(201, 231), range(231, 261))), (390, (range(261, 291),))):
        page.set_viewport_size({"width": width, "height": 1000})
        settled(page)
        before = wait_for_sight(page, ["chart-grad-norm", "chart-loss"], other_than=None)
        draw_across(page, "chart-grad-norm", 0.25, 0.5)
        expect(page.get_by_text(re.compile(r"Zoomed in on steps \d+ to \d+"))).to_be_visible(timeout=PATIENCE)
        expect(reset).to_be_enabled()
        window = wait_for_sight(page, ["chart-grad-norm", "chart-loss", "chart-bce-weight"], other_than=before)
        drawn = tuple(before[0] + share * (before[1] - before[0]) for share in (0.25, 0.5))
        assert window == pytest.approx(drawn, abs=2 if width > 1000 else 5)

        for steps in news:
            go_on(store, run_id, steps)
            # The head of the page is drawn in the same refresh as the charts, before them.
            expect(page.get_by_text(f"Step {steps[-1]} of {TOTAL}")).to_be_visible(timeout=PATIENCE)
            page.wait_for_timeout(SETTLING)
            assert in_sight(page, "chart-loss") == in_sight(page, "chart-grad-norm") == window
            expect(page.locator(".st-key-chart-loss svg.marks[data-same=yes]")).to_be_visible()

        reset.click()
        last = news[-1][-1]
        wait_for_points(page, f"Showing all {last} points")
        expect(reset).to_be_disabled()
        whole = wait_for_sight(page, ["chart-grad-norm", "chart-loss"], other_than=window)
        assert whole[0] == 1 and whole[1] > last
        expect_points(page, "chart-loss", "CE", last)
        expect(page.locator(".st-key-chart-loss svg.marks[data-same=yes]")).to_be_visible()


def test_zooming_in_twice_and_pointing_at_a_value(page: Page, dashboard: Dashboard) -> None:
    run_id = example_run(dashboard.store, steps=300)
    open_run(page, dashboard, run_id)
    whole = in_sight(page, "chart-loss")
    draw_across(page, "chart-loss", 0.2, 0.8)
    first = wait_for_sight(page, ["chart-loss"], other_than=whole)
    draw_across(page, "chart-loss", 0.4, 0.6)
    second = wait_for_sight(page, ["chart-loss"], other_than=first)
    assert first[0] < second[0] < second[1] < first[1]

    box = page.locator(".st-key-chart-loss svg.marks .background").first.bounding_box()
    assert box is not None
    tooltip = page.locator("#vg-tooltip-element.visible")
    for offset in range(20):  # the places that answer are a few pixels apart
        page.mouse.move(box["x"] + box["width"] / 2 + offset, box["y"] + box["height"] / 2)
        page.wait_for_timeout(100)
        if tooltip.count():
            break
    expect(tooltip).to_contain_text("loss with BCE")


def test_the_controls_are_in_the_address_and_survive_a_reload(page: Page, dashboard: Dashboard) -> None:
    run_id = example_run(dashboard.store, steps=120, checkpoints=(50, 100))
    other = example_run(dashboard.store, name="the other one")
    open_run(page, dashboard, run_id)
    page.get_by_role("radio", name="Epoch").click()
    page.wait_for_url("**x=Epoch**")
    page.get_by_role("slider", name="Smoothing").press("End")
    page.wait_for_url("**smoothing=0.99**")
    page.get_by_text("Leave out outliers").click()
    page.wait_for_url("**clip=true**")
    address = page.url
    assert f"run={run_id}" in address

    page.goto(address)
    expect(page.locator(".st-key-chart-loss svg.marks")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("radio", name="Epoch")).to_be_checked()
    sight = in_sight(page, "chart-loss")
    assert sight is not None and sight[1] < 3
    marks = [row["name"] for row in chart_data(page, "chart-loss") if "kind" in row]
    assert sorted(set(marks)) == ["Checkpoint of step 100", "Checkpoint of step 50"]

    page.get_by_role("combobox", name="Run").click()
    page.get_by_role("option", name="the other one").click()
    expect(page.get_by_role("heading", name="the other one")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("radio", name="Epoch")).to_be_checked()
    for part in (f"run={other}", "x=Epoch", "smoothing=0.99", "clip=true"):
        assert part in page.url


def test_a_chart_can_be_downloaded_as_a_picture_and_as_numbers(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    run_id = example_run(dashboard.store, steps=120)
    open_run(page, dashboard, run_id)
    page.get_by_role("button", name="Download a chart").click()
    for choice, ending in (("PNG picture", "png"), ("Numbers", "csv")):
        page.get_by_role("radio", name=choice).click()
        button = page.get_by_role("button", name="Download", exact=True)
        expect(button).to_be_visible()
        page.wait_for_timeout(SETTLING)
        with page.expect_download(timeout=PATIENCE) as started:
            button.click()
        path = tmp_path / f"chart.{ending}"
        started.value.save_as(path)
        assert started.value.suggested_filename == f"{run_id}-loss.{ending}"
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "chart.csv").open()))
    assert len(rows) == 120
    assert float(rows[0]["CE"]) == pytest.approx(7.8765, abs=1e-3)


def test_on_a_narrow_screen_charts_stand_one_below_the_other(page: Page, dashboard: Dashboard) -> None:
    run_id = example_run(dashboard.store, steps=120)
    page.set_viewport_size({"width": 390, "height": 800})
    open_run(page, dashboard, run_id)
    places = [page.locator(f".st-key-chart-{key}").bounding_box() for key in ("loss", "gap", "grad-norm")]
    lefts = {place["x"] for place in places if place is not None}
    tops = [place["y"] for place in places if place is not None]
    assert len(lefts) == 1 and tops == sorted(set(tops))
    assert_nothing_scrolls_sideways(page)


LINES_OF_POINTER = """() => [...document.querySelectorAll('.bce-crosshair > div')]
    .filter((line) => !line.hidden)
    .map((line) => line.getBoundingClientRect())
    .map(({ left, top, width, height }) => [left + width / 2, top, height])"""


def plot_area(page: Page, chart: str) -> FloatRect:
    box = page.locator(f".st-key-{chart} svg.marks .background").first.bounding_box()
    assert box is not None
    return box


def crosshair_in(page: Page, chart: str) -> float | None:
    """At which share of a chart's width the line through all charts is in it."""
    area = plot_area(page, chart)
    for x, top, height in page.evaluate(LINES_OF_POINTER):
        inside = area["x"] <= x <= area["x"] + area["width"]
        if inside and top == pytest.approx(area["y"], abs=1) and height == pytest.approx(area["height"], abs=1):
            return float((x - area["x"]) / area["width"])
    return None


def point_at(page: Page, chart: str, share: float) -> None:
    area = plot_area(page, chart)
    page.mouse.move(area["x"] + share * area["width"], area["y"] + area["height"] / 2)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def wait_for_crosshair(page: Page, pointed: str, other: str, share: float) -> None:
    """Point at one chart until the line through all charts is at that place of the other, too."""
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        point_at(page, pointed, share)
        place = crosshair_in(page, other)
        if place == pytest.approx(share, abs=0.01):
            return
        assert time.monotonic() < deadline, f"the line is at {place}"
        page.wait_for_timeout(100)


def test_pointing_at_one_chart_shows_the_same_place_in_the_others(page: Page, dashboard: Dashboard) -> None:
    run_id = example_run(dashboard.store, "running", steps=120, total=TOTAL)
    open_run(page, dashboard, run_id)
    page.locator(".st-key-chart-loss").scroll_into_view_if_needed()
    for share in (0.25, 0.7):
        wait_for_crosshair(page, "chart-loss", "chart-gap", share)
        assert crosshair_in(page, "chart-loss") is None  # it has its own line under the pointer
    assert page.locator(".bce-crosshair").count() == 1
    assert page.locator(".bce-crosshair").get_attribute("aria-hidden") == "true"

    # After the page has drawn itself anew, it still does, and once.
    go_on(dashboard.store, run_id, range(121, 151))
    wait_for_points(page, "150 points")
    wait_for_crosshair(page, "chart-gap", "chart-loss", 0.4)
    assert page.locator(".bce-crosshair").count() == 1

    # And in other colours.
    for _ in in_both_themes(page):
        wait_for_crosshair(page, "chart-loss", "chart-gap", 0.6)
        assert page.locator(".bce-crosshair").count() == 1

    page.mouse.move(2, 2)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate(LINES_OF_POINTER) == []


def test_the_charts_of_runs_that_are_compared_are_linked_as_well(page: Page, dashboard: Dashboard) -> None:
    runs = [example_run(dashboard.store, name=name, steps=steps) for name, steps in (("one", 120), ("other", 200))]
    page.goto(f"{dashboard.url}/Compare?runs={runs[0]}&runs={runs[1]}")
    for chart in ("overlay-ce", "overlay-eval-loss"):
        expect(page.locator(f".st-key-{chart} svg.marks")).to_be_visible(timeout=PATIENCE)
    page.locator(".st-key-overlay-ce").scroll_into_view_if_needed()
    wait_for_crosshair(page, "overlay-ce", "overlay-eval-loss", 0.6)
