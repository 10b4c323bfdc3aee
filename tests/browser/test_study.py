"""A study in a real browser: planned, watched without being touched, its verdict read, its report taken along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bcecore.store.preferences import save_preferences
from bcecore.store.studies import StudyStore
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways
from tests.browser.test_evaluate import downloaded, section

# Four runs are trained and measured; a busy machine is no failure.
PATIENCE = 300_000
pytestmark = pytest.mark.timeout(600)


def typed(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Enter")


def test_a_small_study_from_its_plan_to_its_report(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    save_preferences(dashboard.store, keep_warm=True)
    page.goto(f"{dashboard.url}/Study")
    expect(page.get_by_text("Only this can say whether BCE helped")).to_be_visible()
    page.get_by_role("button", name="Plan a study").click()

    # Off against the report's BCE, which has no gradient, twice, on very short runs.
    expect(page.get_by_role("heading", name="New study")).to_be_visible()
    page.get_by_role("button", name="Acting", exact=True).click()
    expect(page.get_by_text("choose one more")).to_be_visible()
    expect(page.get_by_role("button", name="Create the study")).to_be_disabled()
    page.get_by_role("button", name="As in the report", exact=True).click()
    expect(page.get_by_text("this study will end with “BCE changed nothing”")).to_be_visible()
    page.get_by_text("3 · quick look").click()
    expect(page.get_by_text("It never names a winner")).to_be_visible()
    page.get_by_text("Another number").click()
    typed(page, "How many seeds", "2")
    typed(page, "Stop after this many steps", "8")
    expect(page.get_by_text("is not shorter than the run (8 steps)").first).to_be_visible()
    typed(page, "Learning-speed warm-up (steps)", "2")
    typed(page, "BCE warm-up of all arms (steps)", "2")
    expect(page.get_by_text("2 arms × 2 seeds = 4 runs")).to_be_visible()
    expect(page.get_by_text("How much results vary is assumed here")).to_be_visible()
    page.get_by_role("button", name="Create the study").click()

    # Progress, and no result before its time; then the verdict comes by itself.
    expect(page.get_by_text("The result comes when all 2 seeds")).to_be_visible()
    grid = page.locator(".study-grid")
    expect(grid.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_role("heading", name="BCE changed nothing")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("their hashes are equal")).to_be_visible()
    expect(section(page, "verdict-seed").locator("svg.marks")).to_be_visible()
    (study_id,) = StudyStore(dashboard.store).ids()
    assert page.url.endswith(f"?study={study_id}")
    (look,) = StudyStore(dashboard.store).state(study_id).looks
    assert look.seeds == 2

    # The report says the same, with the picture in the page.
    markdown = downloaded(page, "Download the text", tmp_path).read_text(encoding="utf-8")
    report = downloaded(page, "Download the page", tmp_path).read_text(encoding="utf-8")
    for text in (markdown, report):
        assert "BCE changed nothing" in text and f"study create --like {study_id}" in text
    assert "<svg" in report

    # A run of it says what it belongs to, and leads back; nothing scrolls sideways on a narrow screen.
    page.get_by_text("Its runs", exact=True).click()
    grid.get_by_role("link", name=re.compile("Measured")).first.click()
    page.get_by_role("link", name="Part of the study “Quick look: does BCE help”").click()
    expect(page.get_by_role("heading", name="BCE changed nothing")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 800})
    assert_nothing_scrolls_sideways(page)

    # Deleting says what is lost, and leads to the list.
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("goes to the trash with its verdict and its 4 runs")).to_be_visible()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Plan a study")).to_be_visible()
    assert StudyStore(dashboard.store).ids() == [] and dashboard.store.ids() == []
