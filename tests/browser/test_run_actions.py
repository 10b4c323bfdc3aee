"""Dialogs, menus and messages on pages that refresh, and the Settings page, in a real browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from bcecore.store.identity import identity_of
from bcecore.store.record import now
from bcecore.store.requests import SAVE_REQUEST, take
from bcecore.store.runs import RunStore
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, in_both_themes
from tests.browser.test_run_page import open_run
from tests.examples import example_run

PATIENCE = 60_000
REFRESHES = 5_000
"""Long enough for two refreshes of a page."""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Something that poses as a training process, and may be ended as one."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as started:
        yield started
        started.kill()


def at_work(store: RunStore, process: subprocess.Popen[bytes], name: str) -> str:
    run_id = example_run(store, "running", name=name, checkpoints=(100,))
    store.update(run_id, process=identity_of(process.pid))
    return run_id


def test_a_dialog_outlives_refreshes_and_stops_the_run(
    page: Page, dashboard: Dashboard, process: subprocess.Popen[bytes]
) -> None:
    run_id = at_work(dashboard.store, process, "to be stopped")
    open_run(page, dashboard, run_id)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_timeout(REFRESHES)  # the open menu stays, too
    page.get_by_text("loses the work since the last checkpoint").click()
    expect(page.get_by_text("The work since step 100, about 5 s, is lost.")).to_be_visible(timeout=PATIENCE)
    page.wait_for_timeout(REFRESHES)
    page.get_by_role("button", name="Let it train").click()
    expect(page.get_by_text("is lost.")).not_to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Stop").click()
    page.get_by_text("loses the work since the last checkpoint").click()
    page.get_by_role("button", name="Stop now").dblclick(timeout=PATIENCE)
    expect(page.get_by_text("to be stopped has stopped.")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("button", name="Resume from step 100")).to_be_visible(timeout=PATIENCE)
    assert dashboard.store.record(run_id).status == "stopped"


def test_what_was_asked_is_shown_until_it_is_taken_up(
    page: Page, dashboard: Dashboard, process: subprocess.Popen[bytes]
) -> None:
    run_id = at_work(dashboard.store, process, "asked")
    page.goto(f"{dashboard.url}/Run?run={run_id}")
    save = page.get_by_role("button", name="Save now")
    save.click(timeout=PATIENCE)
    asked = page.get_by_text("Asked, comes after this step.", exact=True)
    expect(asked).to_be_visible(timeout=PATIENCE)
    expect(save).to_be_disabled()
    assert take(dashboard.store.directory(run_id), SAVE_REQUEST)
    expect(asked).not_to_be_visible(timeout=PATIENCE)
    expect(save).to_be_enabled()


def test_an_ending_is_told_on_home(page: Page, dashboard: Dashboard, process: subprocess.Popen[bytes]) -> None:
    run_id = at_work(dashboard.store, process, "soon done")
    page.goto(dashboard.url)
    expect(page.get_by_text("Step 120 of 300")).to_be_visible(timeout=PATIENCE)
    dashboard.store.transition(run_id, "finished", ended=now(), process=None)
    expect(page.get_by_text("soon done has finished.")).to_be_visible(timeout=PATIENCE)


def test_on_a_narrow_screen_settings_and_home_do_not_scroll_sideways(
    page: Page, dashboard: Dashboard, process: subprocess.Popen[bytes]
) -> None:
    at_work(dashboard.store, process, "a" * 60)
    page.set_viewport_size({"width": 390, "height": 800})
    for path, there in (("", "Step 120 of 300"), ("/Settings", "This machine")):
        page.goto(dashboard.url + path)
        for scheme in in_both_themes(page):
            expect(page.get_by_text(there), scheme).to_be_visible(timeout=PATIENCE)
            assert_nothing_scrolls_sideways(page)
