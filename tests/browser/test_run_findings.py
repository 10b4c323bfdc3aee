"""A run with a planted fault, from the mark on its chart to the run with the fix, and accepted with a reason."""

from __future__ import annotations

import math

import pytest
from playwright.sync_api import Page, expect

from bcecore.store import acknowledged
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, chart_data, settled
from tests.browser.test_run_page import PATIENCE, go_on, open_run
from tests.examples import example_config, example_run

BROKEN = {"step": 121, "ce": math.nan, "loss": math.nan, "grad_norm": math.nan}
REASON = "It repeats the report."


def faulty(dashboard: Dashboard, **changes: object) -> str:
    """The report's way: a model that sees ahead, and a BCE that adds no gradient; and a loss that broke."""
    config = example_config("report-10-epoch-offline")
    return example_run(dashboard.store, config=config, leaks=True, last_line=BROKEN, **changes)  # type: ignore[arg-type]


def test_from_the_mark_to_the_run_with_the_fix(page: Page, dashboard: Dashboard) -> None:
    open_run(page, dashboard, faulty(dashboard, name="faulty"))
    marked = {row["step"]: row["name"] for row in chart_data(page, "chart-loss") if row.get("kind") == "finding"}
    assert marked == {121: "No finite number"}

    page.get_by_role("tab", name="Log").click()
    expect(page.get_by_text("Loading the text and the model.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="2 serious findings, 1 warning").click()
    finding = page.locator(".st-key-findings-W-no-gradient-0")
    expect(finding).to_contain_text("the seed profile has no gradient")
    expect(finding).to_be_in_viewport()  # the count leads there
    expect(finding).to_contain_text("Kind of BCE: As in the report → Acting")
    finding.get_by_role("button", name="Take the active profile").click()

    expect(page.get_by_role("heading", name="New run")).to_be_visible(timeout=PATIENCE)
    foot = page.locator(".st-key-launch-foot")
    expect(foot).to_contain_text("Different from the run “faulty”")
    expect(foot).to_contain_text("Kind of BCE: As in the report → Acting")
    expect(foot.get_by_role("button", name="Launch")).to_be_visible()
    assert len(dashboard.store.records()) == 1  # nothing starts before it was seen


def test_accepted_with_a_reason_it_stays_so_and_the_report_states_it(page: Page, dashboard: Dashboard) -> None:
    run_id = faulty(dashboard)
    directory = dashboard.store.directory(run_id)
    open_run(page, dashboard, run_id)
    leak = page.locator(".st-key-findings-B-future-leak-0")
    leak.get_by_role("button", name="Accept with a reason").click()
    settled(page)
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_text("Say why this can be accepted")).to_be_visible()
    assert acknowledged.read(directory) == ()
    page.get_by_role("textbox", name="Why can this be accepted?").fill(REASON)
    page.get_by_role("button", name="Accept", exact=True).click()
    accepted = page.locator(".st-key-findings-accepted-future-leak-0")
    expect(accepted).to_contain_text(REASON)
    expect(leak).to_have_count(0)
    expect(page.get_by_role("button", name="1 serious finding, 1 warning")).to_be_visible()

    page.reload()
    expect(accepted).to_contain_text(REASON)
    page.get_by_role("tab", name="Report").click()
    page.get_by_role("button", name="Write the report").click()
    expect(page.get_by_text("Download the page")).to_be_visible()
    for name in ("report.md", "report.html"):
        text = (directory / name).read_text(encoding="utf-8")
        assert REASON.removesuffix(".") in text and text.count("The model sees the words that it has to predict") == 1

    page.get_by_role("tab", name="Findings").click()
    accepted.get_by_role("button", name="Withdraw").click()
    expect(leak).to_contain_text("The model sees the words")
    assert acknowledged.read(directory) == ()


def test_what_is_typed_outlives_the_refreshes_of_a_run_at_work(page: Page, dashboard: Dashboard) -> None:
    run_id = faulty(dashboard, status="running")
    open_run(page, dashboard, run_id)
    page.locator(".st-key-findings-B-non-finite-0").get_by_role("button", name="Accept with a reason").click()
    field = page.get_by_role("textbox", name="Why can this be accepted?")
    field.fill(REASON)
    go_on(dashboard.store, run_id, range(122, 181))
    expect(page.get_by_text("Step 180 of 300")).to_be_visible(timeout=PATIENCE)
    expect(field).to_have_value(REASON)
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.locator(".st-key-findings-accepted-non-finite-0")).to_contain_text(REASON)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_list_fits_a_narrow_screen(page: Page, dashboard: Dashboard, scheme: str) -> None:
    run_id = faulty(dashboard, name="a" * 60)
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    open_run(page, dashboard, run_id)
    expect(page.locator(".st-key-findings-W-no-gradient-0")).to_be_visible()
    assert_nothing_scrolls_sideways(page)
