"""Evaluate in a real browser: two checkpoints of a run on two files, from the form to the hardest example."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, expect

from bcecore.jobs.submit import submit
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitTexts
from bcecore.store.requests import read_stop
from tests.browser.conftest import Dashboard
from tests.browser.reading import assert_nothing_scrolls_sideways, settled
from tests.evaluation.scored import small_config, trained_run
from tests.examples import suspended
from tests.ui.evaluated import evaluated, run_with_training

# Loading the model takes some seconds where nothing else is going on; a busy machine is no failure.
PATIENCE = 180_000
FILES = {
    "fables.txt": "The fox looked at the grapes and walked away.\nA tortoise and a hare ran a race in the morning.\n",
    "sums.txt": "Two and two make four.\nSeven times eight is fifty-six, which nobody here had expected at all.\n",
}
pytestmark = pytest.mark.timeout(600)


def section(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key}")


def tables(page: Page, key: str, number: int) -> list[Locator]:
    """The tables of a section, once all of them are drawn."""
    found = section(page, key).locator("table")
    expect(found).to_have_count(number)
    return found.all()


def cells(table: Locator) -> list[list[str]]:
    """The words of a table, row by row."""
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tr").all()]


def downloaded(page: Page, label: str, into: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=label).click()
    path = into / download.value.suggested_filename
    download.value.save_as(path)
    return path


def chosen(page: Page, label: str, option: str) -> None:
    """Choose from a list; one that is being drawn anew closes again."""
    settled(page)
    there = page.get_by_role("option", name=option)
    for _ in range(5):
        page.get_by_role("combobox", name=label).click()
        page.wait_for_timeout(500)
        if there.is_visible():
            break
    there.click()


def test_two_checkpoints_on_two_files(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    run_id = trained_run(dashboard.store)
    paths = []
    for name, text in FILES.items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text, encoding="utf-8")

    # The form: both checkpoints, both files, and not the run's own text.
    page.goto(f"{dashboard.url}/Evaluate?run={run_id}")
    page.get_by_role("button", name="Step 10", exact=True).click()
    page.get_by_role("button", name="My own files").click()
    expect(section(page, "evaluate-files")).to_be_visible()
    page.get_by_role("button", name="Its own checking text").click()
    expect(page.get_by_text("Not ready yet. Look at: My own files.")).to_be_visible()
    settled(page)
    section(page, "uploader-files").locator("input[type=file]").set_input_files(paths)
    expect(page.get_by_text("2 checkpoints on 4 texts")).to_be_visible()
    page.get_by_role("button", name="Evaluate", exact=True).click()

    # It waits, works and ends by itself, without the page being touched.
    expect(page.get_by_role("heading", name="2 checkpoints on fables, sums")).to_be_visible()
    expect(page.get_by_role("tab", name="On and off")).to_be_visible(timeout=PATIENCE)
    assert re.search(r"[?&]evaluation=\d{8}-\d{6}-2-checkpoints-on-fables-sums-[0-9a-f]{4}", page.url)
    (record,) = EvaluationStore(dashboard.store).records(run_id)
    result = EvaluationStore(dashboard.store).result(record.key)
    assert record.status == "finished" and result is not None

    # The difference: as the report measured it, and what the model predicts.
    reported, parts, totals = tables(page, "as-reported", 3)
    at_20 = {split: result["splits"][split]["checkpoints"]["20"] for split in ("fables", "sums")}
    on = f"{at_20['fables']['report_eval_loss_on']:.4f}"
    off = f"{at_20['fables']['report_eval_loss_off']:.5f}"
    assert [row[:3] for row in cells(reported)[1:3]] == [["fables", "BCE on", on], ["", "BCE off", off]]
    for row in cells(parts)[1:]:
        assert row[4] == "0" and row[3] == row[5] != "0"
    assert len(cells(totals)) == 1 + 4
    why = section(page, "as-reported").get_by_text("BCE adds its own term; the model predicts the same.")
    expect(why).to_have_count(2)
    table = section(page, "predicted").locator("table").first
    expect(table.locator("tr")).to_have_count(5)
    predicted = cells(table)
    ce = f"{at_20['sums']['ce']:.4f}"
    assert predicted[3] == ["sums", "every token counts once (ours)", ce, ce, "0", predicted[3][5]]
    expect(page.get_by_text("It can never show whether BCE helped")).to_be_visible()

    # Which one to keep.
    page.get_by_role("tab", name="Checkpoints").click()
    expect(section(page, "choice-fables").get_by_text("Keep step")).to_be_visible()
    expect(section(page, "choice-sums").locator("svg.marks")).to_be_visible()

    # The hardest example, by a link that survives a reload.
    page.get_by_role("tab", name="Examples").click()
    rows = EvaluationStore(dashboard.store).examples(record.key).to_pandas()
    of_one = rows[(rows["split"] == "fables") & (rows["checkpoint"] == 20)]
    hardest = of_one.loc[of_one["ce"].idxmax()]
    page.get_by_text(f"Text {hardest['example'] + 1}: CE {hardest['ce']:.3f}").wait_for()
    page.reload()
    expect(page.get_by_role("tab", name="Examples")).to_have_attribute("aria-selected", "true")
    page.get_by_text(f"Text {hardest['example'] + 1}: CE {hardest['ce']:.3f}").wait_for()

    # What can be taken away.
    page.get_by_role("tab", name="Downloads").click()
    markdown = downloaded(page, "All tables (Markdown)", tmp_path).read_text(encoding="utf-8")
    assert f"| fables | 20 | BCE off | {off} |" in markdown
    figures = pd.read_csv(downloaded(page, "All figures (CSV)", tmp_path))
    assert set(zip(figures["split"], figures["checkpoint"], strict=True)) == {
        (split, step) for split in ("fables", "sums") for step in (10, 20)
    }
    examples = pd.read_csv(downloaded(page, "Examples (CSV)", tmp_path))
    assert set(examples["text"]) == {line for text in FILES.values() for line in text.splitlines()}
    parquet = pd.read_parquet(downloaded(page, "Examples with their tokens (Parquet)", tmp_path))
    assert len(parquet) == 8 and (parquet["token_nll"].map(len) == parquet["tokens"]).all()

    # On a narrow screen nothing scrolls sideways but the tables within themselves.
    page.set_viewport_size({"width": 390, "height": 800})
    for part in ("Downloads", "Checkpoints", "On and off"):
        page.get_by_role("tab", name=part).click()
        expect(page.get_by_role("tab", name=part)).to_have_attribute("aria-selected", "true")
        assert_nothing_scrolls_sideways(page)
    page.goto(f"{dashboard.url}/Evaluate?run={run_id}")
    expect(page.get_by_role("heading", name="Evaluations of this run")).to_be_visible()
    assert_nothing_scrolls_sideways(page)


def measuring(store: EvaluationStore, run_id: str, before: int = 0) -> EvaluationRecord | None:
    """The record of the run's evaluation, which goes on after `before` texts, once there are results and a pace."""
    for record in store.records(run_id):
        result, progress = store.result(record.key), record.progress
        if record.status != "running" or result is None or progress is None:
            continue
        has_results = any(split["checkpoints"] for split in result["splits"].values())
        if has_results and progress.examples_per_second and progress.session_start_done >= before:
            return record
    return None


def stop_is_asked_for(page: Page, store: EvaluationStore, run_id: str) -> None:
    (record,) = store.records(run_id)
    for _ in range(PATIENCE // 100):
        if read_stop(store.directory(record.key)) is not None:
            return
        page.wait_for_timeout(100)
    raise AssertionError("nobody was asked to stop")


def test_a_long_evaluation_is_stopped_and_resumed(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    run_id = trained_run(dashboard.store)
    long = tmp_path / "long.txt"
    long.write_text("".join(f"Sentence {n} of very many says {n * n} and then ends.\n" for n in range(30_000)))
    page.goto(f"{dashboard.url}/Evaluate?run={run_id}")
    page.get_by_role("button", name="My own files").click()
    expect(section(page, "uploader-files")).to_be_visible()
    settled(page)
    section(page, "uploader-files").locator("input[type=file]").set_input_files(long)
    expect(page.get_by_text(re.compile(r"1 checkpoint on 30,\d{3} texts"))).to_be_visible()
    page.get_by_role("button", name="Evaluate", exact=True).click()
    store = EvaluationStore(dashboard.store)
    with suspended(store, lambda: measuring(store, run_id)):
        expect(page.get_by_text("texts/s")).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("What was measured so far.")).to_be_visible(timeout=PATIENCE)
        page.get_by_role("button", name="Stop", exact=True).click()
        stop_is_asked_for(page, store, run_id)
    expect(page.get_by_text("Stopped before its end.")).to_be_visible(timeout=PATIENCE)
    (record,) = store.records(run_id)
    result = store.result(record.key)
    assert result is not None and record.request is not None
    kept = sum(entry["checkpoints"]["20"]["examples"] for entry in result["splits"].values() if entry["checkpoints"])
    assert 0 < kept < record.request.examples
    expect(page.get_by_text(f"What it had measured, {kept:,} of {record.request.examples:,} texts")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    with suspended(store, lambda: measuring(store, run_id, kept)):
        expect(page.get_by_text("texts/s")).to_be_visible(timeout=PATIENCE)
        page.get_by_role("button", name="Stop", exact=True).click()
        stop_is_asked_for(page, store, run_id)
    expect(page.get_by_text("Stopped before its end.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="1 · Checkpoints")).to_be_visible()
    assert store.records(run_id) == []


def test_the_reports_files_are_read_in_the_browser(
    page: Page, dashboard: Dashboard, shared_data: Path, tmp_path: Path
) -> None:
    page.goto(f"{dashboard.url}/Evaluate")
    page.get_by_role("button", name="Read the report's evaluation files").click()
    files = [shared_data / "report" / name for name in ("bce_eval_stats.json", "wikitext_eval_stats.json")]
    expect(page.get_by_text("Their tables appear here.")).to_be_visible()
    settled(page)
    page.locator("input[type=file]").set_input_files(files)
    expect(page.get_by_text("“Off” was not off").first).to_be_visible()
    reported, _, totals = tables(page, "as-reported", 3)
    assert [row[2] for row in cells(reported)[1:]] == ["0.0580", "0.05827", "0.2039", "0.20411", "1.6691", "1.66934"]
    assert [row[4] for row in cells(totals)[1:]] == ["−0.1453", "−0.1268", "0.0013", "0.0197"]
    content = downloaded(page, "All tables (Markdown)", tmp_path)
    assert "| auto_val | BCE off | 0.05827 | +0.40 % |" in content.read_text(encoding="utf-8")


def test_the_biggest_change_word_by_word(page: Page, dashboard: Dashboard) -> None:
    lines = [f"Text {n} of {'many ' * (n % 5)}lines ends here" for n in range(32)]
    run_id = run_with_training(dashboard.store, lines[:1], name="two sides")
    before = [2.0 + n / 100 for n in range(32)]
    after = [ce - (1.6 if n == 7 else 0.1) for n, ce in enumerate(before)]
    after[15] += 0.5  # worse on this one
    key = evaluated(
        dashboard.store, run_id, SplitTexts("val", "file", "val.txt", lines, 48), {10: before, 20: after}, name="both"
    )
    address = f"{dashboard.url}/Evaluate?run={run_id}&evaluation={key.rpartition('/')[2]}"

    # The hardest first; a search, and the way from text to text.
    page.goto(f"{address}&part=Examples")
    expect(page.get_by_text("Text 16: CE 2.550")).to_be_visible()
    expect(page.get_by_text("1 of them is also in the training text")).to_be_visible()
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_text("Text 32: CE 2.210")).to_be_visible()
    page.get_by_label("Find", exact=True).fill("Text 3 of")
    page.get_by_label("Find", exact=True).press("Enter")
    expect(page.get_by_text("5 of 32 texts fit.")).to_be_visible()

    # Two sides: the biggest change first, its tokens coloured on both.
    page.get_by_role("tab", name="Two sides").click()
    expect(page.get_by_text("Better on 31, worse on 1 of 32 texts")).to_be_visible()
    both = section(page, "vs-both")
    expect(both.get_by_text("step 10 · CE 2.070")).to_be_visible()
    expect(both.get_by_text("step 20 · CE 0.470")).to_be_visible()
    first, second = (both.locator("[class*=st-key-vs-colours]").nth(side) for side in (0, 1))
    word = re.compile("^ends$")
    colours = [
        each.get_by_text(word).evaluate("element => getComputedStyle(element).backgroundColor")
        for each in (first, second)
    ]
    assert colours[0] != colours[1]  # a chance of 13 % and one of 63 %
    chosen(page, "Order", "Got worse most")
    expect(both.get_by_text("step 20 · CE 2.550")).to_be_visible()

    # The same pair on Compare, by one click more.
    page.goto(f"{dashboard.url}/Compare?mode=checkpoints&run={run_id}&steps=10&steps=20")
    expect(page.get_by_text("Keep step 20. CE is lower with step 20 than with step 10")).to_be_visible()
    page.get_by_text("What changed, text by text").click()
    expect(both.get_by_text("step 20 · CE 0.470")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 800})
    expect(both.get_by_text("step 10 · CE 2.070")).to_be_visible()
    assert_nothing_scrolls_sideways(page)


def test_a_labelled_set_from_the_file_to_its_mistakes(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    store = dashboard.store
    run_id = submit(store, small_config(), name="never trained")
    (store.directory(run_id) / "checkpoints" / "checkpoint-20").mkdir(parents=True)
    (store.directory(run_id) / "checkpoints" / "checkpoint-20" / "complete").touch()
    for status in ("starting", "running", "finished"):
        store.transition(run_id, status)  # type: ignore[arg-type]
    rows = [("All of it was lovely", "good"), ("Nothing here worked", "bad"), ("It broke at once", "bad")]
    path = tmp_path / "mood.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    page.goto(f"{dashboard.url}/Evaluate?run={run_id}")
    page.get_by_role("button", name="A file with labels").click()
    expect(section(page, "evaluate-labelled")).to_be_visible()
    page.get_by_role("button", name="Its own checking text").click()
    expect(page.get_by_text("Not ready yet. Look at: A file with labels.")).to_be_visible()
    settled(page)
    section(page, "uploader-labelled").locator("input[type=file]").set_input_files(path)
    expect(page.get_by_text("2 labels: bad (2), good (1).")).to_be_visible()

    # A template that cannot work is caught, and the preview follows the one that can.
    template = page.get_by_label("What the model reads", exact=True)
    template.fill("{text} It is")
    template.press("Control+Enter")
    expect(page.get_by_text("{label}, where the label goes, is missing")).to_be_visible()
    expect(page.get_by_role("button", name="Evaluate", exact=True)).to_be_disabled()
    template.fill("{text}. It is {label}")
    template.press("Control+Enter")
    page.get_by_text("What the model reads, with the right label").click()
    expect(page.get_by_text("All of it was lovely. It is good")).to_be_visible()
    expect(page.get_by_text("1 checkpoint on 3 texts")).to_be_visible()
    expect(page.get_by_role("button", name="Evaluate", exact=True)).to_be_enabled()

    # What came out of one like it: right on two of three, and surest where it was wrong.
    texts, labels = zip(*rows, strict=True)
    mood = SplitTexts(
        "mood",
        "labelled",
        "mood.csv",
        texts,
        48,
        labels_of_texts=labels,
        template="{text}: {label}",
        labels=("good", "bad"),
    )
    scores = {20: [[-1.0, -2.0], [-2.0, -1.0], [-0.1, -3.0]]}
    key = evaluated(store, run_id, mood, {20: [1.0, 2.0, 3.0]}, scores=scores)
    page.goto(f"{dashboard.url}/Evaluate?run={run_id}&evaluation={key.rpartition('/')[2]}&part=Labels")
    expect(page.get_by_text("Right on 2 of 3 texts")).to_be_visible()
    expect(page.get_by_text("Only 3 texts: a first look.")).to_be_visible()
    expect(section(page, "lab-charts").locator("svg.marks")).to_have_count(2)
    expect(page.get_by_text("Wrong: “good” instead of “bad”, 95 % sure.")).to_be_visible()
    page.get_by_text("Right", exact=True).click()
    expect(page.get_by_text("Right: “good”")).to_be_visible()
