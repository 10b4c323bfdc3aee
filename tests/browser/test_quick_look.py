"""The main job in a real browser: launch a run, watch it learn, and leave it alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bcecore.store.metrics import MetricsTail
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from tests.browser.conftest import Dashboard
from tests.browser.reading import chart_data, line_data
from tests.examples import suspended

# What each line of a chart draws: the container of the chart, the line's name, and its key in the live log.
LINES = (
    ("chart-loss", "CE", "ce"),
    ("chart-loss", "loss with BCE", "loss"),
    ("chart-grad-norm", "gradient norm", "grad_norm"),
    ("chart-learning-rate", "learning rate", "learning_rate"),
    ("chart-bce-weight", "BCE weight", "bce_weight"),
    ("chart-bce-loss", "BCE loss", "bce_loss"),
)
# A run takes half a minute where nothing else is going on; a busy machine is no failure.
RUN_SECONDS = 600
pytestmark = pytest.mark.timeout(2 * RUN_SECONDS)


def _logged(store: RunStore, run_id: str) -> list[dict[str, Any]]:
    lines = (store.directory(run_id) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _at_step(store: RunStore, run_id: str, step: int) -> RunRecord | None:
    """The record of a run once it has logged this step."""
    log = store.directory(run_id) / "metrics.jsonl"
    is_there = log.exists() and any(line.get("step", 0) >= step for line in MetricsTail(log).read())
    return store.record(run_id) if is_there else None


def _last_step(page: Page) -> int:
    """The last step that all lines have come to: the browser draws one chart after the other."""
    return min(max(line_data(page, chart, name), default=0) for chart, name, _ in LINES)


def _wait_for_step(page: Page, beyond: int) -> int:
    """The last step on the charts once there is one beyond `beyond`."""
    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        step = _last_step(page)
        if step > beyond:
            return step
        page.wait_for_timeout(200)
    raise AssertionError(f"the chart never went beyond step {beyond}")


def _drawn_points(page: Page) -> int:
    return sum(len(line_data(page, chart, name)) for chart, name, _ in LINES)


def _assert_as_logged(page: Page, store: RunStore, run_id: str) -> int:
    """Every point that the charts draw now is what the log says of its step; returns how many there were."""
    drawn = [(line_data(page, chart, name), key) for chart, name, key in LINES]
    logged = _logged(store, run_id)  # read after the charts, so that it holds everything they show
    points = 0
    for line, key in drawn:
        expected = {row["step"]: row[key] for row in logged if key in row}
        assert line, f"nothing is drawn for {key}"
        assert line == {step: pytest.approx(expected[step], rel=1e-12) for step in line}, key
        points += len(line)
    return points


def _planned_weights(page: Page) -> dict[int, float]:
    """The BCE weight over the run as the Launch page draws it, as soon as it is drawn."""
    page.locator(".st-key-launch-bce-weight").scroll_into_view_if_needed()
    for _ in range(50):
        rows = [row for row in chart_data(page, "launch-bce-weight") if "value" in row]
        if rows:
            return {row["step"]: row["value"] for row in rows}
        page.wait_for_timeout(200)
    raise AssertionError("the BCE weight is not drawn")


def _wait_until_over(store: RunStore, run_id: str) -> RunRecord:
    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        record = store.record(run_id)
        if record.is_over:
            return record
        time.sleep(0.5)
    raise AssertionError(f"the run is still {store.record(run_id).status}")


def test_quick_look_is_launched_watched_and_finished(dashboard: Dashboard, page: Page) -> None:
    page.goto(dashboard.url)
    page.get_by_role("button", name="Try it: a one-minute run on sample text").click()
    page.wait_for_url("**/Run?run=*", timeout=120_000)
    (run_id,) = dashboard.store.ids()
    assert page.url.endswith(run_id)

    first, seen = 0, 0
    for _ in range(2):
        with suspended(dashboard.store, lambda beyond=first: _at_step(dashboard.store, run_id, beyond + 1)):
            first = _wait_for_step(page, beyond=first)
            points = _assert_as_logged(page, dashboard.store, run_id)
            assert points > seen
            seen = points
            assert not dashboard.store.record(run_id).is_over

    record = _wait_until_over(dashboard.store, run_id)
    assert record.status == "finished"
    expect(page.locator(".st-key-run-header").get_by_text("Finished")).to_be_visible(timeout=120_000)
    assert record.progress is not None and record.progress.step == record.progress.total_steps == 312
    # The browser draws the charts a moment after the words above them.
    end = time.monotonic() + 120
    while time.monotonic() < end and _drawn_points(page) < 312 * len(LINES):
        page.wait_for_timeout(200)
    assert _assert_as_logged(page, dashboard.store, run_id) == 312 * len(LINES)


def test_a_run_on_ones_own_text_goes_on_when_the_browser_is_closed(
    dashboard: Dashboard, page: Page, tmp_path: Path
) -> None:
    text = tmp_path / "orchard.txt"
    text.write_text("".join(f"{n} apples and {n + 3} pears make {2 * n + 3} fruits.\n" for n in range(80)), "utf-8")
    page.goto(f"{dashboard.url}/Launch")
    expect(page.get_by_text("413 for training, batch 8, 6 epochs = 312 steps")).to_be_visible(timeout=120_000)
    weights = _planned_weights(page)
    assert (weights[60], weights[260], weights[312]) == (0.2, 0.5, 0.5)

    page.get_by_text("The text as the model will see it").click()
    tokens = page.locator(".bce-tokens").last
    expect(tokens).to_contain_text("[CLS]")
    before = tokens.inner_text()
    page.get_by_text("Upload a file", exact=True).click()
    page.locator("input[type=file]").set_input_files(text)
    expect(page.get_by_text("80 lines · 72 to learn from, 8 to check")).to_be_visible()
    expect(tokens).to_contain_text("apples")
    assert tokens.inner_text() != before

    # 9 steps a pass: the recipe's warm-ups of 30 and 60 steps are shorter than the run only from 7 passes on.
    expect(page.get_by_text("BCE warm-up is not shorter than the run (54 steps)")).to_be_visible()
    launch = page.locator(".st-key-launch button")
    expect(launch).to_be_disabled()
    epochs = page.get_by_role("textbox", name="Passes over the text (epochs)")
    epochs.fill("8")
    epochs.press("Enter")
    expect(page.get_by_text("80 lines, 72 for training, batch 8, 8 epochs = 72 steps")).to_be_visible()
    expect(launch).to_be_enabled()
    # The name follows the settings at the end of the page, after the button has become usable.
    expect(page.get_by_role("textbox", name="Name of the run")).to_have_value("quick-look on orchard, changed")

    launch.dblclick()
    page.wait_for_url("**/Run?run=*", timeout=120_000)
    (run_id,) = dashboard.store.ids()
    with suspended(dashboard.store, lambda: _at_step(dashboard.store, run_id, 1)):
        _wait_for_step(page, beyond=0)
        page.close()
        assert not dashboard.store.record(run_id).is_over
    record = _wait_until_over(dashboard.store, run_id)
    assert record.status == "finished"
    assert record.progress is not None and record.progress.step == 72
    assert record.name == "quick-look on orchard, changed"
