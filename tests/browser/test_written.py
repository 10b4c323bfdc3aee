"""The real report held against its log, as somebody does who was sent both."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bcecore.store.imports import find_logs, import_run
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, settled


@pytest.mark.parametrize("width", [1440, 390])
def test_a_report_is_checked_against_its_log(page: Page, dashboard: Dashboard, shared_data: Path, width: int) -> None:
    folder = shared_data / "report"
    page.set_viewport_size({"width": width, "height": 900})
    if width == 1440:
        page.goto(dashboard.url)
        page.get_by_role("button", name="Import a log").click()
        dialog = page.get_by_role("dialog")
        place = dialog.get_by_test_id("stFileUploaderDropzone")
        expect(place).to_be_visible()
        settled(page)
        place.locator("xpath=..").locator("input[type=file]").first.set_input_files(folder / "trainer_state.json")
        dialog.get_by_role("button", name="Import", exact=True).click()
        expect(page.get_by_text("2,000 steps")).to_be_visible()
    else:
        run_id = import_run(dashboard.store, find_logs([folder / "trainer_state.json"]), name="theirs")
        page.goto(f"{dashboard.url}/Run?run={run_id}")
    page.get_by_role("tab", name="Report").click()
    expect(page.get_by_text("Check a written report against this run")).to_be_visible()
    settled(page)
    inputs = page.locator("[data-testid=stFileUploader] input[type=file]")
    inputs.nth(0).set_input_files(folder / "10-epoch-run.md")
    expect(page.get_by_text("that could be checked are wrong")).to_be_visible()
    table = page.get_by_role("table").last
    for stage, written, true in (
        ("Warmup mid · Loss", "7.1730", "2.8085"),
        ("Pre-boost midpoint · Loss", "1.1147", "2.2964"),
        ("Late boost · Loss", "0.3749", "0.9295"),
    ):
        row = table.get_by_role("row").filter(has_text=stage)
        expect(row).to_contain_text(written)
        expect(row).to_contain_text(true)
    settled(page)
    names = ("bce_eval_stats.json", "wikitext_eval_stats.json", "val_small.txt")
    inputs.nth(1).set_input_files([folder / name for name in names])
    expect(table.get_by_role("row").filter(has_text="3,760")).to_have_count(3)
    expect(table.get_by_role("row").filter(has_text="+0.40%")).to_have_count(1)
    assert_nothing_scrolls_sideways(page)
