"""The Compare page in a real browser: two runs, one of them going on, and checkpoints that write."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from bcecore.jobs import generation
from bcecore.store.metrics import MetricsWriter
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.store.samples import read_samples
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, expect_points
from tests.examples import example_config, example_run, training_lines
from tests.training.processes import over, run_worker, submit_small

PATIENCE = 60_000
TOTAL = 300


def on_a_phone_at_night(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    page.emulate_media(color_scheme="dark")


def go_on(store: RunStore, run_id: str, steps: range) -> None:
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        for line in training_lines(store.config(run_id), steps, TOTAL):
            writer.write(line)


def test_two_runs_of_which_one_goes_on(page: Page, dashboard: Dashboard) -> None:
    store = dashboard.store
    off = example_run(store, name="without BCE", config=example_config(bce__enabled=False), steps=200)
    on = example_run(store, "running", name="with BCE", steps=120, total=TOTAL)
    page.goto(f"{dashboard.url}/Compare?runs={off}&runs={on}")
    chart = page.locator(".st-key-overlay-ce svg.marks")
    expect(chart).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="What differs (1)")).to_be_visible()
    expect_points(page, "overlay-ce", "without BCE", 200)
    expect_points(page, "overlay-ce", "with BCE", 120)
    values = page.locator(".st-key-values-ce")
    expect(values.get_by_text("at 120").first).to_be_visible()
    chart.evaluate("element => element.setAttribute('data-same', 'yes')")

    go_on(store, on, range(121, 151))
    expect(values.get_by_text("at 150").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".st-key-overlay-ce svg.marks[data-same=yes]")).to_be_visible()  # the same element: no flicker
    expect_points(page, "overlay-ce", "with BCE", 150)

    page.get_by_text("Values at the same step", exact=True).click()
    expect(values.get_by_text("at 150")).to_have_count(2, timeout=PATIENCE)
    store.transition(on, "finished", ended=now(), process=None)
    expect(page.locator(".st-key-compare-heads").get_by_text("Finished")).to_have_count(2, timeout=PATIENCE)
    assert_nothing_scrolls_sideways(page)

    on_a_phone_at_night(page)
    assert_nothing_scrolls_sideways(page)
    page.reload()
    expect(page.locator(".st-key-values-ce").get_by_text("at 150")).to_have_count(2, timeout=PATIENCE)
    assert "at=same-step" in page.url
    expect(chart).to_be_visible()
    assert_nothing_scrolls_sideways(page)


def test_two_checkpoints_write_side_by_side(page: Page, dashboard: Dashboard) -> None:
    store = dashboard.store
    run_id = submit_small(store)
    assert run_worker(store, run_id).returncode == 0
    assert over(store, run_id).status == "finished"
    page.goto(f"{dashboard.url}/Compare?mode=checkpoints&run={run_id}&steps=10&steps=30")
    expect(page.get_by_text("Keep step 30.")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".st-key-values-eval_loss").get_by_text(re.compile(r"\d better"))).to_be_visible()

    beginnings = page.get_by_role("textbox", name="Beginnings, one a line")
    beginnings.fill("The door is\nTwo and two")
    beginnings.blur()
    page.get_by_role("button", name="Let them write").click()
    written = page.locator(".st-key-written-0, .st-key-written-1")
    expect(written).to_have_count(2, timeout=PATIENCE)
    expect(page.get_by_role("button", name="Let them write")).to_be_enabled(timeout=PATIENCE)
    for place in range(2):
        expect(written.nth(place).get_by_text("Step 10", exact=True)).to_be_visible()
        expect(written.nth(place).get_by_text("Step 30", exact=True)).to_be_visible()
    expect(page.get_by_text("Two and two …")).to_be_visible()
    samples = read_samples(store.directory(run_id))
    assert [(sample.step, sample.prompt) for sample in samples] == [
        (step, prompt) for step in (10, 30) for prompt in ("The door is", "Two and two")
    ]
    done = generation.current(store, run_id)
    assert done is not None and (done.state, done.done, done.total) == ("done", 4, 4)
    assert_nothing_scrolls_sideways(page)
    on_a_phone_at_night(page)
    for place in range(2):
        expect(written.nth(place).get_by_text("Step 30", exact=True)).to_be_visible()
    assert_nothing_scrolls_sideways(page)
