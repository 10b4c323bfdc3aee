"""A fault that the report's author did not notice, noticed before the launch and mended with one click."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bcecore.findings.of_run import of_run
from bcecore.store.preferences import save_preferences
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, settled

# A run takes some seconds where nothing else is going on; a busy machine is no failure.
RUN_SECONDS = 300
ABOUT_THE_SPLIT = {"split-reuse", "overlap"}
TOLD = "All 29 lines that the model is checked on are lines that it learns from"
pytestmark = pytest.mark.timeout(2 * RUN_SECONDS)


def _fill(page: Page, label: str, value: str) -> None:
    field = page.get_by_role("textbox", name=label, exact=True)
    field.fill(value)
    field.press("Enter")
    settled(page)


def _upload(page: Page, title: str, path: Path) -> None:
    """Give a file to the uploader of a text."""
    page.get_by_role("radiogroup", name=title).get_by_text("Upload a file", exact=True).click()
    settled(page)
    uploader = page.get_by_test_id("stFileUploader").filter(has_text=f"{title}, one example a line")
    uploader.locator("input[type=file]").set_input_files(path)


def test_the_report_s_checking_text_is_told_mended_and_gone(
    dashboard: Dashboard, page: Page, shared_data: Path
) -> None:
    save_preferences(dashboard.store, keep_warm=True)
    report = shared_data / "report"
    page.goto(f"{dashboard.url}/Launch")
    expect(page.get_by_text("413 for training, batch 8, 6 epochs = 312 steps")).to_be_visible()
    _upload(page, "Training text", report / "huggingface_turkish_english_sample.txt")
    expect(page.get_by_text("200 lines · 180 to learn from, 20 to check")).to_be_visible()
    page.get_by_role("combobox", name="Text to check against").click()
    page.get_by_role("option", name="Another file").click()
    settled(page)
    _upload(page, "Checking text", report / "val_small.txt")

    text = page.locator(".st-key-launch-section-2")
    expect(text.get_by_text(TOLD)).to_be_visible()
    expect(text.get_by_text("no result of this run will count")).to_be_visible()
    foot = page.locator(".st-key-launch-foot")
    expect(foot.get_by_text("Above: 1 serious finding")).to_be_visible()
    # It is told and not forbidden.
    expect(foot.get_by_role("button", name="Launch")).to_be_enabled()
    foot.get_by_role("link", name="Text").click()
    expect(text.get_by_role("heading", name="2 · Text")).to_be_in_viewport()
    page.set_viewport_size({"width": 390, "height": 800})
    assert_nothing_scrolls_sideways(page)
    page.set_viewport_size({"width": 1440, "height": 1000})

    text.get_by_role("button", name="Set lines aside instead").click()
    expect(page.get_by_text("200 lines · 180 to learn from, 20 to check")).to_be_visible()
    expect(page.get_by_text(TOLD)).to_have_count(0)
    expect(foot.get_by_text("serious finding")).to_have_count(0)
    settled(page)
    _fill(page, "Passes over the text (epochs)", "3")
    expect(page.get_by_text("180 for training, batch 8, 3 epochs = 69 steps")).to_be_visible()
    foot.get_by_role("button", name="Launch").click()
    page.wait_for_url("**/Run?run=*", timeout=60_000)

    (run_id,) = dashboard.store.ids()
    end = time.monotonic() + RUN_SECONDS
    while not dashboard.store.record(run_id).is_over and time.monotonic() < end:
        time.sleep(0.5)
    assert dashboard.store.record(run_id).status == "finished"
    assert dashboard.store.config(run_id).data.validation == "fraction"
    assert ABOUT_THE_SPLIT.isdisjoint(finding.id for finding in of_run(dashboard.store, run_id))
    expect(page.locator(".st-key-run-header").get_by_text("Finished")).to_be_visible()
    expect(page.get_by_text("lines that it learns from")).to_have_count(0)
