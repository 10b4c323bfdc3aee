"""The Run page of a very long run in a real browser (`bench page`): time to its first chart, and scrolling."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, sync_playwright

from bcecore.store.record import now
from tests.benchmarks.history import STEPS, write_log
from tests.browser.conftest import Dashboard, chromium_executable
from tests.examples import example_run

FIRST_CHART = ".st-key-chart-loss svg.marks, .st-key-chart-loss canvas.marks"
_PATIENCE_MS = 120_000
_SCROLL = """async () => {
  const main = document.querySelector('[data-testid=stMain]');
  const gaps = [];
  let before = performance.now();
  const step = main.scrollHeight / 60;
  for (let n = 0; n < 60; n++) {
    main.scrollTop = n * step;
    await new Promise(requestAnimationFrame);
    const moment = performance.now();
    gaps.push(moment - before);
    before = moment;
  }
  gaps.sort((a, b) => a - b);
  return { median: gaps[30], worst: gaps[59], bottom: main.scrollTop };
}"""


def run(rounds: int | None = None, *, steps: int = STEPS) -> dict[str, Any]:
    """Open the page, with nothing read before and then again, and scroll to its end."""
    with tempfile.TemporaryDirectory(prefix="bce-bench-") as name:
        dashboard = Dashboard(Path(name))
        try:
            run_id = example_run(dashboard.store, "running", name="a million steps", steps=1, total=steps)
            write_log(dashboard.store.directory(run_id) / "metrics.jsonl", steps)
            progress = dashboard.store.record(run_id).progress
            assert progress is not None
            done = progress.model_copy(update={"step": steps})
            dashboard.store.transition(run_id, "finished", ended=now(), process=None, progress=done)
            server = dashboard.start()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium_executable(), args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1440, "height": 1000})
                address = f"{dashboard.url}/Run?run={run_id}"
                page.goto(dashboard.url)  # the browser has loaded the programs of the pages
                page.get_by_role("heading").first.wait_for(timeout=_PATIENCE_MS)
                first = _until_first_chart(page, address)
                again = [_until_first_chart(page, address) for _ in range(rounds or 3)]
                page.wait_for_timeout(2000)
                scrolling = page.evaluate(_SCROLL)
                browser.close()
            resident = psutil.Process(server).memory_info().rss / 1e6
        finally:
            dashboard.kill()
    return {
        "bench": "page",
        "what": "seconds from opening the Run page of a very long run to its first chart, and scrolling to its end",
        "steps": steps,
        "first_chart_seconds": round(first, 2),
        "first_chart_again_seconds": [round(seconds, 2) for seconds in again],
        "scroll_frame_ms_median": round(scrolling["median"], 1),
        "scroll_frame_ms_worst": round(scrolling["worst"], 1),
        "dashboard_resident_mb": round(resident, 1),
    }


def _until_first_chart(page: Page, address: str) -> float:
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(address)
    page.locator(FIRST_CHART).first.wait_for(timeout=_PATIENCE_MS)
    return time.perf_counter() - began
