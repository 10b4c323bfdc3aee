"""Importing a log by dropping it on the page, and looking at what it became."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from bcecore.store.history import History
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways

PATIENCE = 60_000
# What a file that is dragged onto an element is to the page.
_DROP = """
(element, [name, content]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([content], name, {type: "application/json"}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    element.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
  }
}
"""


def log(steps: int) -> str:
    records = [{"step": step, "epoch": step / 10, "loss": 8 / step, "grad_norm": 1.5} for step in range(1, steps + 1)]
    records += [{"step": step, "eval_loss": 9 / step} for step in range(10, steps + 1, 10)]
    records.sort(key=lambda record: record["step"])
    return json.dumps({"global_step": steps, "max_steps": steps, "log_history": records, "epoch": steps / 10})


def test_a_log_that_is_dropped_becomes_a_run(page: Page, dashboard: Dashboard) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(dashboard.url)
    page.get_by_role("button", name="Import a log").click(timeout=PATIENCE)
    dialog = page.get_by_role("dialog")
    place = dialog.get_by_test_id("stFileUploaderDropzone")
    expect(place).to_be_visible(timeout=PATIENCE)
    do_import = dialog.get_by_role("button", name="Import", exact=True)
    expect(do_import).to_be_disabled()
    place.evaluate(_DROP, ["somebody's run.json", log(60)])
    expect(dialog.get_by_text("60 logged steps")).to_be_visible(timeout=PATIENCE)
    expect(dialog.get_by_role("textbox", name="Name")).to_have_value("somebody's run")
    dialog.get_by_text("What a log cannot know").click()
    dialog.get_by_role("textbox", name="Wall clock").fill("106.96")
    dialog.get_by_role("textbox", name="Wall clock").press("Tab")
    do_import.click(timeout=PATIENCE)

    expect(page.get_by_role("heading", name="somebody's run")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("60 steps · epoch 6")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("[data-testid=stVegaLiteChart] svg.marks").nth(2)).to_be_visible(timeout=PATIENCE)
    (run_id,) = dashboard.store.ids()
    assert run_id in page.url
    assert dashboard.store.imported(run_id).facts == {"wall_clock": 106.96}
    history = History(dashboard.store.directory(run_id))
    history.refresh()
    assert history.column("loss").tolist() == [8 / step for step in range(1, 61)]
    assert_nothing_scrolls_sideways(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    assert_nothing_scrolls_sideways(page)


def test_a_folder_with_checkpoints_and_a_download(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    folder = tmp_path / "my-run"
    for step in (10, 20):
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(log(step))
        (folder / f"checkpoint-{step}" / "model.safetensors").write_bytes(b"\0" * 1000)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    page.goto(dashboard.url)
    page.get_by_role("button", name="Import a log").click(timeout=PATIENCE)
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("A whole folder").click(timeout=PATIENCE)
    chooser = dialog.locator("input[type=file][webkitdirectory]")
    expect(chooser).to_be_attached(timeout=PATIENCE)
    chooser.set_input_files(folder)
    expect(dialog.get_by_text("20 logged steps")).to_be_visible(timeout=PATIENCE)
    expect(dialog.get_by_text("all it says is in the log of a later step")).to_be_visible()
    expect(dialog.get_by_role("textbox", name="Name")).to_have_value("my-run")
    dialog.get_by_role("button", name="Import", exact=True).click(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="my-run")).to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Export").click(timeout=PATIENCE)
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name="Table for a spreadsheet (CSV)").click(timeout=PATIENCE)
    assert download.value.suggested_filename == "my-run.csv"
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == '"step","epoch","loss","grad_norm","eval_loss"'
    assert lines[10] == "10,1,0.8,1.5,0.9"
    assert len(lines) == 21
