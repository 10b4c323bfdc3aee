"""The pages as tools for people who see or move otherwise find them: axe reports nothing serious, in both themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from bcecore.store.evaluations import SplitTexts
from tests.browser.conftest import Dashboard
from tests.browser.reading import in_both_themes
from tests.browser.reading import settled as drawn
from tests.ui.evaluated import evaluated, run_with_training

TEXTS = [f"Text {n} of a few ends here" for n in range(12)]
SCORES = [[-1.0, -2.0], [-2.0, -1.0], [-0.1, -3.0]] * 4


def settled(page: Page) -> list[str]:
    """What axe still finds when nothing moves any more: a colour on its way to another is no finding."""
    for _ in range(10):
        found = serious(page)
        if not found:
            break
        page.wait_for_timeout(500)
    return found


def serious(page: Page) -> list[str]:
    """What axe finds that keeps people out, as `rule: element`."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    grave = [rule for rule in found if rule["impact"] in ("serious", "critical")]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in grave for node in rule["nodes"]]


def test_nothing_serious(page: Page, dashboard: Dashboard) -> None:
    run_id = run_with_training(dashboard.store, ["A line that is in none of them"])
    checkpoint = dashboard.store.directory(run_id) / "checkpoints" / "checkpoint-10"
    checkpoint.mkdir(parents=True)
    (checkpoint / "complete").touch()
    labels = ("good", "bad")
    split = SplitTexts(
        "val", "labelled", "val.csv", TEXTS, 48, labels_of_texts=labels * 6, template="{text}: {label}", labels=labels
    )
    losses = {10: [2.0 + n / 10 for n in range(12)], 20: [1.9 + n / 12 for n in range(12)]}
    key = evaluated(dashboard.store, run_id, split, losses, scores={10: SCORES, 20: SCORES})
    evaluation = f"{dashboard.url}/Evaluate?run={run_id}&evaluation={key.rpartition('/')[2]}"
    for place, there in (
        (f"{dashboard.url}/Compare?mode=checkpoints&run={run_id}&steps=10&steps=20", "Measured on texts"),
        (f"{dashboard.url}/Evaluate?run={run_id}", "Evaluations of this run"),
        (f"{evaluation}&part=Checkpoints", "The two checkpoints text by text"),
        ("Examples", "Previous"),
        ("Labels", "What it takes for what"),
        ("Two sides", "Download the changes"),
    ):
        if place.startswith("http"):
            page.goto(place)
        else:
            page.get_by_role("tab", name=place).click()
        expect(page.get_by_text(there, exact=False).first).to_be_visible()
        expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
        for theme in in_both_themes(page):
            assert settled(page) == [], (place, theme)


def test_nothing_serious_about_data(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    lines = [f"Line {n} of many says that {n} times {n} is {n * n}." for n in range(60)]
    paths = [tmp_path / "learn.txt", tmp_path / "check.txt"]
    for path, texts in zip(paths, (lines, lines[:40]), strict=True):
        path.write_text("\n".join(texts), encoding="utf-8")
    page.goto(f"{dashboard.url}/Data")
    expect(page.get_by_text("Drop a file above, or choose one.")).to_be_visible()
    for theme in in_both_themes(page):
        assert settled(page) == [], ("empty", theme)
    page.locator(".st-key-uploader-data input[type=file]").set_input_files(paths)
    expect(page.get_by_text("All 40 checking lines are in the text to learn from")).to_be_visible()
    for part in ("In both", "Lengths", "Scripts", "Filter"):
        page.get_by_role("radio", name=part).click()
        drawn(page)
        for theme in in_both_themes(page):
            assert settled(page) == [], (part, theme)
    page.get_by_role("button", name="Make a clean split").click()
    expect(page.get_by_text("20 lines to learn from, 40 lines to check on")).to_be_visible()
    for theme in in_both_themes(page):
        assert settled(page) == [], ("divided", theme)
