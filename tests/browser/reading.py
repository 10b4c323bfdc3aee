"""Reading what a browser really shows: the data that a chart draws, taken from the Vega view behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from playwright.sync_api import Page, expect

# Streamlit keeps the view in a React hook of the component that draws the chart; it is the one object with these
# methods. Only source data are given: what Vega derives from them has names of its own making.
_READ = """
(key) => {
  const chart = document.querySelector(`.st-key-${key} [data-testid="stVegaLiteChart"]`);
  if (!chart) return null;
  const fiberKey = Object.keys(chart).find((name) => name.startsWith("__reactFiber$"));
  let view = null;
  for (let fiber = chart[fiberKey]; fiber && !view; fiber = fiber.return) {
    for (let hook = fiber.memoizedState; hook && !view; hook = hook.next) {
      const held = hook.memoizedState && hook.memoizedState.current;
      if (held && typeof held.getState === "function" && typeof held.runAsync === "function") view = held;
    }
  }
  if (!view) return null;
  const derived = /^(data_\\d+|source_\\d+|.*_store|.*_marks|.*pathgroup|marks|root)$/;
  const tables = view.getState({ signals: () => false, data: (name) => !derived.test(name), recurse: false }).data;
  const plain = (value) => value === null || typeof value !== "object";
  const rows = Object.values(tables).flatMap((table) =>
    table.map((row) => Object.fromEntries(Object.entries(row).filter(([_, value]) => plain(value)))));
  return rows;
}
"""


def chart_data(page: Page, key: str) -> list[dict[str, Any]]:
    """The rows that the chart in the container with this key draws at this moment, from all its tables.

    Lines have `step`, `value` and, on the Run page, `series`; other tables (hover, marks) have other columns. Empty
    while there is no chart. `key` is that of a `st.container` around the chart, which Streamlit turns into a class.
    """
    rows: list[dict[str, Any]] | None = page.evaluate(_READ, key)
    return rows or []


def line_data(page: Page, key: str, series: str) -> dict[int, float | None]:
    """`{step: value}` of one line of a chart of the Run page, by its name in the legend."""
    return {row["step"]: row["value"] for row in chart_data(page, key) if row.get("series") == series}


_PAPER: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}


def expect_line(page: Page, key: str, series: str, values: dict[int, float | None]) -> None:
    """Wait until a chart draws a line of these values: it does so a moment after the words around it are there."""
    for _ in range(300):
        if line_data(page, key, series) == values:
            break
        page.wait_for_timeout(100)
    assert line_data(page, key, series) == values


def expect_points(page: Page, key: str, series: str, count: int) -> None:
    """Wait until a chart draws a line of so many points."""
    for _ in range(300):
        if len(line_data(page, key, series)) == count:
            break
        page.wait_for_timeout(100)
    assert len(line_data(page, key, series)) == count


def in_both_themes(page: Page) -> Iterator[str]:
    """The page as it is, in light and then in dark colours, as when the system's setting changes: gives their names."""
    for scheme, paper in _PAPER.items():
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", paper)
        yield scheme


def settled(page: Page) -> None:
    """Wait until the page has been drawn: a file given to an uploader that is being drawn anew is lost."""
    page.wait_for_timeout(500)
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def assert_nothing_scrolls_sideways(page: Page) -> None:
    """Once the page is drawn. Charts and tables take their width a moment after the window has got its own."""
    settled(page)
    page.wait_for_function("""() => {
        const main = document.querySelector('[data-testid=stMain]');
        return main.scrollWidth <= main.clientWidth;
    }""")
