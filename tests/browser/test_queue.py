"""The queue in a real browser: runs are queued, reordered, stopped, found again after a crash, resumed, and finish."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from bcecore.jobs import queue
from bcecore.jobs.submit import submit
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.preferences import save_preferences
from bcecore.store.record import Status
from bcecore.store.requests import read_stop
from tests.browser.conftest import Dashboard
from tests.examples import example_config, suspended
from tests.jobs.test_supervisor import running

SECONDS = 300
pytestmark = pytest.mark.timeout(3 * SECONDS)


def wait(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.1)


def queued(dashboard: Dashboard, name: str, steps: int) -> str:
    config = example_config(model__hidden_size=32, model__intermediate_size=64, training__max_steps=steps)
    return submit(dashboard.store, config, name=name)


def wait_for(dashboard: Dashboard, run_id: str, status: Status) -> None:
    wait(lambda: dashboard.store.record(run_id).status == status, f"{run_id} to be {status}")


def new_page(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()


def test_three_runs_survive_a_stop_a_closed_browser_and_a_killed_dashboard(
    dashboard: Dashboard, browser: Browser
) -> None:
    store = dashboard.store
    save_preferences(store, keep_warm=True)
    page = new_page(browser)
    # Queued while no dashboard looked: the page's first visit starts the supervisor.
    first = queued(dashboard, "one", 400)
    second, third = queued(dashboard, "two", 80), queued(dashboard, "three", 80)
    page.goto(dashboard.url)
    with suspended(store, lambda: running(store, first)):
        expect(page.locator(f".st-key-card-{first}").get_by_text("Running")).to_be_visible(timeout=120_000)
        expect(page.locator(f".st-key-card-{third}")).to_contain_text("2nd in the queue", timeout=120_000)

        page.locator(f".st-key-up-{third} button").click()
        wait(lambda: [record.id for record in queue.waiting(store)] == [third, second], "the new order")
        expect(page.locator(f".st-key-card-{second}")).to_contain_text("2nd in the queue", timeout=120_000)

        page.locator(f".st-key-card-{first}").get_by_role("button", name="Stop").click()
        page.get_by_text("Save and stop").click()
        wait(lambda: read_stop(store.directory(first)) is not None, "the request")
    wait_for(dashboard, first, "stopped")
    saved = checkpoint_steps(store.directory(first))
    assert saved

    page.context.close()
    dashboard.kill()
    wait_for(dashboard, third, "finished")  # the queue goes on with neither browser nor dashboard
    dashboard.start()
    page = new_page(browser)
    page.goto(f"{dashboard.url}/Run?run={first}")
    expect(page.locator(".st-key-run-header").get_by_text("Stopped")).to_be_visible(timeout=120_000)
    wait_for(dashboard, second, "finished")
    begun = [store.record(run_id).started for run_id in (third, second)]
    assert begun[0] is not None and begun[1] is not None and begun[0] < begun[1]

    page.get_by_role("button", name=f"Resume from step {saved[-1]:,}").click()
    with suspended(store, lambda: running(store, first)):
        record = store.record(first)
        assert record.progress is not None and record.progress.session_start_step == saved[-1]
        expect(page.locator(".st-key-run-header").get_by_text("Running")).to_be_visible(timeout=120_000)
    wait_for(dashboard, first, "finished")
    expect(page.locator(".st-key-run-header").get_by_text("Finished")).to_be_visible(timeout=120_000)
    page.context.close()
