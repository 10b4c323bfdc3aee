"""The table of runs in a real browser: what AppTest cannot click."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from bcecore.jobs import control
from bcecore.store.baseline import load_baseline
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, in_both_themes, settled
from tests.examples import example_config, example_run

# The table is drawn on a canvas: where its parts are.
HEAD, ROW_HEIGHT = 18, 40
TICK, PIN, NAME = 18, 102, 220


def table(page: Page) -> Locator:
    return page.get_by_test_id("stDataFrame")


def row(number: int) -> float:
    """The middle of a row, counted from 1."""
    return 37 + (number - 0.5) * ROW_HEIGHT


def click(page: Page, x: float, y: float) -> None:
    table(page).click(position={"x": x, "y": y})


def names(page: Page) -> Locator:
    """The names in the table as a screen reader finds them."""
    return table(page).locator("td[aria-colindex='3']")


def tick(page: Page, number: int, ticked: str) -> None:
    """Tick a row and wait until the page has followed: a click while it is drawn anew is lost."""
    click(page, TICK, row(number))
    expect(page.get_by_text(f"{ticked} ticked")).to_be_visible()
    settled(page)


def three_runs(dashboard: Dashboard) -> list[str]:
    """Ids of runs whose CE gets better from one to the next; the newest stands in the first row."""
    return [
        example_run(dashboard.store, name=name, steps=steps, config=example_config(bce__enabled=False))
        for name, steps in (("oldest", 40), ("middle", 80), ("newest", 120))
    ]


def opened(page: Page, address: str) -> None:
    page.goto(address)
    expect(names(page)).not_to_have_count(0)
    settled(page)
    page.wait_for_timeout(1_000)  # a canvas takes no click before it has drawn its cells


def test_a_click_on_a_head_sorts_and_a_second_turns_round(page: Page, dashboard: Dashboard) -> None:
    three_runs(dashboard)
    opened(page, dashboard.url)
    expect(names(page)).to_have_text(["newest", "middle", "oldest"])
    click(page, NAME, HEAD)
    page.wait_for_url(re.compile("sort=Name"))
    expect(page.get_by_role("button", name="By name", exact=True)).to_be_visible()
    expect(names(page)).to_have_text(["middle", "newest", "oldest"])
    settled(page)
    page.wait_for_timeout(1_000)  # a canvas takes no click before it has drawn its cells
    click(page, NAME, HEAD)
    page.wait_for_url(re.compile("reverse=true"))
    expect(names(page)).to_have_text(["oldest", "newest", "middle"])
    page.reload()
    expect(names(page)).to_have_text(["oldest", "newest", "middle"])


def test_what_is_searched_stays_in_the_address(page: Page, dashboard: Dashboard) -> None:
    three_runs(dashboard)
    opened(page, dashboard.url)
    page.get_by_placeholder("Search names, tags, notes and ids").fill("mid")
    expect(page.get_by_text("1 of 3 runs.")).to_be_visible()
    page.wait_for_url(re.compile("search=mid"))
    page.reload()
    expect(page.get_by_text("1 of 3 runs.")).to_be_visible()
    expect(page.get_by_placeholder("Search names, tags, notes and ids")).to_have_value("mid")


def test_a_run_is_pinned_by_its_star(page: Page, dashboard: Dashboard) -> None:
    oldest, middle, _ = three_runs(dashboard)
    opened(page, dashboard.url)
    click(page, PIN, row(2))
    expect(page.get_by_text("Differences are to middle.")).to_be_visible()
    assert load_baseline(dashboard.store) == middle
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()  # and the run was not opened
    # It is still pinned on the next visit, and another one can be on a narrow screen.
    page.set_viewport_size({"width": 390, "height": 1000})
    opened(page, dashboard.url)
    expect(page.get_by_text("Differences are to middle.")).to_be_visible()
    click(page, PIN, row(3))
    expect(page.get_by_text("Differences are to oldest.")).to_be_visible()
    assert load_baseline(dashboard.store) == oldest
    page.get_by_role("button", name="Unpin").click()
    expect(page.get_by_text("Differences are to")).to_have_count(0)
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()


def test_ticked_runs_are_put_away_and_brought_back(page: Page, dashboard: Dashboard) -> None:
    three_runs(dashboard)
    opened(page, dashboard.url)
    tick(page, 1, "1 run")
    tick(page, 3, "2 runs")
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("1 run. Click a row")).to_be_visible()
    archived = {record.name for record in dashboard.store.records() if record.archived}
    assert archived == {"newest", "oldest"}


def test_a_tick_goes_with_its_run_when_the_order_changes(page: Page, dashboard: Dashboard) -> None:
    oldest, *_ = three_runs(dashboard)
    opened(page, dashboard.url)
    tick(page, 3, "1 run")
    click(page, NAME, HEAD)
    page.wait_for_url(re.compile("sort=Name"))
    expect(page.get_by_text("1 run ticked")).to_be_visible()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("2 runs. Click a row")).to_be_visible()
    assert dashboard.store.record(oldest).archived


def test_the_keyboard_reaches_the_table_without_opening_a_run(page: Page, dashboard: Dashboard) -> None:
    three_runs(dashboard)
    opened(page, dashboard.url)
    page.get_by_role("button", name="By when", exact=True).focus()
    for _ in range(10):
        page.keyboard.press("Tab")
        page.wait_for_timeout(1_000)  # the table passes the focus on to its first cell
        if page.evaluate("document.activeElement.tagName") == "TD":
            break
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(2_000)
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="middle")).to_be_visible()


def test_on_a_narrow_screen_only_the_table_scrolls_sideways(page: Page, dashboard: Dashboard) -> None:
    run_ids = three_runs(dashboard)
    control.set_tags(dashboard.store, run_ids[0], ["a tag of some length", "another one"])
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, dashboard.url)
    tick(page, 1, "1 run")
    tick(page, 2, "2 runs")
    for scheme in in_both_themes(page):
        expect(page.get_by_text("2 runs ticked"), scheme).to_be_visible()
        assert_nothing_scrolls_sideways(page)
