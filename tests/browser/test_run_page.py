"""Home and Run in a real browser, with a run that this test writes by hand."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from bcecore.store.metrics import MetricsWriter
from bcecore.store.record import Progress, now
from bcecore.store.runs import RunStore
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, chart_data, expect_line, in_both_themes
from tests.examples import example_config, example_run, training_lines

TOTAL = 300
PATIENCE = 60_000
SETTLING = 3_000
# The table of runs is drawn on a canvas: where its rows are.
ROW_TOP, ROW_HEIGHT = 35, 40


def go_on(store: RunStore, run_id: str, steps: range) -> None:
    """Do what a training process does to a run: log steps, and say how far it is."""
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        for line in training_lines(store.config(run_id), steps, TOTAL):
            writer.write(line)
    store.update(
        run_id,
        progress=Progress(
            step=steps[-1], total_steps=TOTAL, epoch=steps[-1] / 50, updated=now(), steps_per_second=31.2
        ),
    )


def logged(directory: Path, key: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


def open_run(page: Page, dashboard: Dashboard, run_id: str) -> None:
    page.goto(f"{dashboard.url}/Run?run={run_id}")
    expect(page.locator(".st-key-chart-loss svg.marks")).to_be_visible(timeout=PATIENCE)


def test_charts_follow_the_run_in_place_until_it_ends(page: Page, dashboard: Dashboard) -> None:
    store = dashboard.store
    run_id = example_run(store, "running", steps=120, total=TOTAL)
    directory = store.directory(run_id)
    open_run(page, dashboard, run_id)
    expect_line(page, "chart-loss", "CE", logged(directory, "ce"))
    page.evaluate("document.querySelector('.st-key-chart-loss svg.marks').setAttribute('data-same', 'yes')")
    page.get_by_role("tab", name="Log").click()
    expect(page.get_by_role("tab", name="Log")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("Loading the text and the model.")).to_be_visible(timeout=PATIENCE)

    go_on(store, run_id, range(121, 181))
    expect(page.get_by_text("Step 180 of 300")).to_be_visible(timeout=PATIENCE)
    page.wait_for_function("document.body.innerText.includes('Showing all 180 points')", timeout=PATIENCE)
    expect_line(page, "chart-loss", "CE", logged(directory, "ce"))
    expect_line(page, "chart-loss", "loss with BCE", logged(directory, "loss"))
    expect_line(page, "chart-bce-weight", "BCE weight", logged(directory, "bce_weight"))
    expect_line(page, "chart-bce-components", "typicality (iso)", logged(directory, "bce_iso"))
    held_out = {row["step"] for row in chart_data(page, "chart-loss") if row.get("series") == "held-out CE"}
    assert held_out == {50, 100, 150}
    expect(page.locator(".st-key-chart-loss svg.marks[data-same=yes]")).to_be_visible()  # the same element: no flicker
    expect(page.get_by_role("tab", name="Log")).to_have_attribute("aria-selected", "true")

    store.transition(run_id, "finished", ended=now(), process=None)
    expect(page.get_by_text("The model and its checkpoints are kept")).to_be_visible(timeout=PATIENCE)


def test_a_click_on_a_row_opens_its_run(page: Page, dashboard: Dashboard) -> None:
    example_run(dashboard.store, name="another one")
    run_id = example_run(dashboard.store, name="the one that is wanted")
    page.goto(dashboard.url)
    grid = page.get_by_test_id("stDataFrame")
    home = page.get_by_role("heading", name="Runs")
    expect(grid).to_be_visible(timeout=PATIENCE)
    grid.click(position={"x": 200, "y": 15})  # sorts by name, and must not open anything
    page.wait_for_timeout(SETTLING)
    expect(home).to_be_visible()

    grid.click(position={"x": 200, "y": ROW_TOP + 1.5 * ROW_HEIGHT})
    expect(page.get_by_role("heading", name="the one that is wanted")).to_be_visible(timeout=PATIENCE)
    assert run_id in page.url

    page.get_by_role("link", name="Home").first.click()
    expect(home).to_be_visible(timeout=PATIENCE)
    page.wait_for_timeout(SETTLING)  # what was selected before must not open the run again
    expect(home).to_be_visible()
    # The table is as it was left, by name.
    page.get_by_test_id("stDataFrame").click(position={"x": 200, "y": ROW_TOP + 1.5 * ROW_HEIGHT})
    expect(page.get_by_role("heading", name="the one that is wanted")).to_be_visible(timeout=PATIENCE)


def test_on_a_narrow_screen_nothing_scrolls_sideways(page: Page, dashboard: Dashboard) -> None:
    run_id = example_run(dashboard.store, name="a" * 60, config=example_config("report-10-epoch-offline"), leaks=True)
    page.set_viewport_size({"width": 390, "height": 800})
    open_run(page, dashboard, run_id)
    for scheme in in_both_themes(page):
        expect(page.locator(".st-key-chart-bce-components svg.marks"), scheme).to_be_visible(timeout=PATIENCE)
        assert_nothing_scrolls_sideways(page)


def test_nothing_is_fetched_from_anywhere_else(page: Page, dashboard: Dashboard) -> None:
    foreign: list[str] = []
    page.on("request", lambda request: foreign.append(request.url) if "127.0.0.1" not in request.url else None)
    open_run(page, dashboard, example_run(dashboard.store))
    page.goto(dashboard.url)
    expect(page.get_by_test_id("stDataFrame")).to_be_visible(timeout=PATIENCE)
    assert [url for url in foreign if not url.startswith(("data:", "blob:"))] == []
