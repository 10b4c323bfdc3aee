"""The pages as tools for people who see or move otherwise find them: axe reports nothing serious, in both themes."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from bcecore.store.evaluations import SplitTexts
from tests.browser.conftest import Dashboard
from tests.browser.reading import in_both_themes
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
    run_id = run_with_training(dashboard.store, TEXTS[:1])
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
