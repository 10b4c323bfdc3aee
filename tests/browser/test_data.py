"""The Data page in a real browser: the report's two files, from “all 29 are learnt” to a launch without that."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bcecore.text.overlap import find_overlap
from bcecore.text.reading import read_texts
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, chart_data, settled

NAMES = ("huggingface_turkish_english_sample.txt", "val_small.txt")
pytestmark = pytest.mark.timeout(600)


def test_a_clean_split_of_the_reports_files(
    page: Page, dashboard: Dashboard, shared_data: Path, tmp_path: Path
) -> None:
    page.goto(f"{dashboard.url}/Data")
    expect(page.get_by_text("Drop a file above, or choose one.")).to_be_visible()
    settled(page)
    files = [shared_data / "report" / name for name in NAMES]
    page.locator(".st-key-uploader-data input[type=file]").set_input_files(files)
    expect(page.get_by_text("All 29 checking lines are in the text to learn from")).to_be_visible()
    expect(page.get_by_role("heading", name=NAMES[0])).to_be_visible()

    # How long its lines are.
    page.get_by_role("radio", name="Lengths").click()
    expect(page.get_by_text("Half of the lines have at most 14 tokens, the longest 199.")).to_be_visible()
    expect(page.locator(".st-key-data-part svg.marks, .st-key-data-part canvas.marks").first).to_be_visible()
    settled(page)
    bars = [row for row in chart_data(page, "data-part") if "lines" in row]
    assert sum(row["lines"] for row in bars) == 200

    page.get_by_role("button", name="Make a clean split").click()
    expect(page.get_by_text("171 lines to learn from, 29 lines to check on, none of them in both")).to_be_visible()
    texts = []
    for side in ("learn from", "check on"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download the text to {side}").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        texts.append(read_texts(path))
    assert (len(texts[0]), texts[1]) == (171, read_texts(files[1]))
    assert find_overlap(*texts).pairs == ()

    page.get_by_role("button", name="Train on it").click()
    expect(page.get_by_role("heading", name="New run")).to_be_visible()
    expect(page.get_by_text("171 lines · 171 to learn from, 29 to check")).to_be_visible()
    expect(page.get_by_text("lines that it learns from")).to_have_count(0)
    expect(page.get_by_role("button", name="Launch", exact=True)).to_be_enabled()

    # What was chosen is still there, and nothing but tables scrolls sideways on a narrow screen.
    page.set_viewport_size({"width": 390, "height": 800})
    page.go_back()
    expect(page.get_by_role("heading", name="Your text")).to_be_visible()
    assert_nothing_scrolls_sideways(page)
