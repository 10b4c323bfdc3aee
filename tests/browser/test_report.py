"""The written report: made on the page, downloaded, and opened as somebody does who was sent it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Dashboard
from tests.examples import example_config, example_run

PATIENCE = 60_000
SCREENS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1440, "light"), (390, "dark"))


def test_a_report_is_written_downloaded_and_opened(
    page: Page, browser: Browser, dashboard: Dashboard, tmp_path: Path
) -> None:
    config = example_config("report-10-epoch-offline")
    run_id = example_run(dashboard.store, name="to be <b>told</b>", config=config, steps=300, leaks=True)
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{dashboard.url}/Run?run={run_id}")
    page.get_by_role("tab", name="Report").click(timeout=PATIENCE)
    page.get_by_role("button", name="Write the report").click(timeout=PATIENCE)
    with page.expect_download(timeout=PATIENCE) as downloading:
        page.get_by_role("button", name="Download the page").click(timeout=PATIENCE)
    file = tmp_path / "report.html"
    downloading.value.save_as(file)
    assert (dashboard.store.directory(run_id) / "report.html").read_text() == file.read_text()

    for width, scheme in SCREENS:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        opened = context.new_page()
        asked: list[str] = []
        opened.on("request", lambda request, asked=asked: asked.append(request.url))
        opened.goto(file.as_uri())
        expect(opened.get_by_role("heading", level=1)).to_have_text("to be <b>told</b>")
        for section in ("Run facts", "Schedule highlights", "Observations", "What these figures cannot show"):
            expect(opened.get_by_role("heading", name=section, exact=True)).to_be_visible()
        assert opened.locator("svg").count() >= 6
        sideways = opened.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert sideways <= 0
        assert asked == [file.as_uri()]
        context.close()
