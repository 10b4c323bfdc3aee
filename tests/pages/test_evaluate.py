"""The Evaluate page: what is chosen is checked beside its field, what is measured is said before it is shown."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from bcecore.errors import TextError
from bcecore.evaluation import hub, splits
from bcecore.findings.too_good import too_good_measured
from bcecore.jobs import evaluations, queue, submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.evaluations import EvaluationProgress, EvaluationRecord, EvaluationStore, SplitTexts
from bcecore.store.record import Failure, Status, now
from bcecore.store.requests import read_stop
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.ui import evaluate_downloads, evaluate_texts
from tests.examples import example_config, example_run
from tests.pages.test_run import words as sentences
from tests.ui.evaluated import evaluated, run_with_training

ROOT = Path(__file__).parent.parent.parent
ADVICE = "Choose one of the report's files, bce_eval_stats.json or wikitext_eval_stats.json."
TEXTS = ["God will help us", "one two three four five six seven", "a b c"]


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch, woken: list[RunStore]) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


@pytest.fixture
def run_id(store: RunStore, text_file: Path) -> str:
    """A finished run with a tokenizer of its own and checkpoints at 50, 100 and 120."""
    values = {
        "data.train_file": str(text_file),
        "data.block_size": 16,
        "model.vocab_size": 300,
        "training.max_steps": 200,
    }
    run_id = submit.submit(store, with_values(load_recipe("quick-look").config, values), name="my run")
    finish(store, run_id)
    return run_id


def finish(store: RunStore, run_id: str) -> None:
    for step in (50, 100, 120):
        checkpoint = store.directory(run_id) / "checkpoints" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "complete").touch()
    for status in ("starting", "running", "finished"):
        store.transition(run_id, status, facts={"leak_probe": {"leaks": False}})  # type: ignore[arg-type]


def show(app: AppTest, run_id: str | None = None, evaluation: str | None = None, **address: Any) -> AppTest:
    """The page, as a link to it opens it."""
    app.run()
    app.switch_page("pages/Evaluate.py")
    if run_id is not None:
        app.query_params["run"] = run_id
    if evaluation is not None:
        app.query_params["evaluation"] = evaluation.rpartition("/")[2]
    for name, value in address.items():
        app.query_params[name] = value
    return again(app)


def again(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def click(app: AppTest, key: str) -> None:
    app.button(key=key).click()
    again(app)


def choose(app: AppTest, key: str, choice: Any) -> None:
    app.button_group(key=key).set_value(choice)
    again(app)


def type_in(app: AppTest, key: str, text: str) -> None:
    app.text_input(key=key).set_value(text)
    again(app)


def words(app: AppTest) -> str:
    """All sentences on the page, its headings and its tables."""
    html = [element.proto.body for element in app.get("html") if "<table" in element.proto.body]
    headings = [element.value for element in [*app.title, *app.header, *app.subheader]]
    return "\n".join([sentences(app), *headings, *html]).replace("\\", "")


def tables(app: AppTest) -> list[list[list[str]]]:
    """The cells of every table."""
    found = []
    for element in app.get("html"):
        if "<table" in element.proto.body:
            rows = re.findall(r"<tr>(.*?)</tr>", element.proto.body)
            cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
            found.append([[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in cells])
    return found


def said(app: AppTest) -> list[str]:
    return [toast.value.replace("\\", "") for toast in app.toast]


def errors(app: AppTest) -> list[str]:
    return [error.value.replace("\\", "") for error in app.error]


def upload(app: AppTest, slot: str, **files: str) -> None:
    """Drop files on one of the uploaders; `__` stands for the point in a name."""
    given = [(name.replace("__", "."), content.encode(), "text/plain") for name, content in files.items()]
    where = next(each for each in app.file_uploader if f"evaluate:{slot}:" in each.key)
    where.set_value(given if where.accept_multiple_files else given[0])
    again(app)


def planted(store: RunStore, run_id: str, losses: dict[int, list[float]], **fields: Any) -> str:
    return evaluated(store, run_id, SplitTexts("val", "file", "val.txt", TEXTS, 16), losses, **fields)


# -- what cannot be evaluated


def test_without_runs_it_says_what_it_is_for_and_leads_home(app: AppTest) -> None:
    show(app)
    assert "There is no run yet to be measured." in words(app)
    assert not app.error
    click(app, "open-report-files")
    assert app.title[0].value == "The report's evaluation files"
    assert app.query_params["view"] == "report"
    click(app, "leave-report")
    assert app.title[0].value == "Evaluate"


def test_an_imported_run_has_no_model(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "queued", name="imported")
    path = store.directory(run_id) / "run.json"
    path.write_text(path.read_text().replace('"queued"', '"imported"'))
    show(app, run_id)
    assert "An imported run cannot be evaluated." in words(app)
    assert "Train a run here" in words(app)
    assert "open-report-files" in [button.key for button in app.button]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("running", "has not saved a checkpoint yet"), ("failed", "Resume it, or train another run")],
)
def test_without_a_checkpoint_there_is_no_model(app: AppTest, store: RunStore, status: Status, expected: str) -> None:
    show(app, example_run(store, status))
    assert expected in words(app)
    assert "evaluate" not in [button.key for button in app.button]


def test_addresses_that_name_nothing(app: AppTest, store: RunStore, run_id: str) -> None:
    show(app, "../../etc/passwd")
    assert "There is no run at this address" in errors(app)[0] and "passwd" not in words(app)
    app.selectbox(key="evaluate-run").select(run_id)
    again(app)
    assert app.query_params["run"] == run_id
    assert app.header[0].value == "1 · Checkpoints"
    show(app, run_id, f"{run_id}/20250101-000000-gone-0000")
    assert "There is no evaluation at this address" in errors(app)[0]
    assert app.header[0].value == "1 · Checkpoints"


# -- the form


def test_the_run_is_evaluated_on_its_own_text_at_its_end(
    app: AppTest, store: RunStore, run_id: str, woken: list[RunStore]
) -> None:
    show(app, run_id)
    assert app.button_group(key=f"evaluate:{run_id}:checkpoints").value == [120]
    assert app.button_group(key="evaluate:texts").value == ["own"]
    assert "Its own checking text: 4 texts, which it did not learn from." in words(app).replace("*", "")
    assert "1 checkpoint on 4 texts" in words(app)
    click(app, "evaluate")
    (record,) = EvaluationStore(store).records(run_id)
    assert record.request is not None and record.request.checkpoints == (120,)
    assert [(split.name, split.rows, split.long_texts) for split in record.request.splits] == [
        ("held-out", 4, "truncate")
    ]
    assert app.query_params["evaluation"] == record.id
    assert app.get("progress")[0].text == "Next in the queue · starts in a moment"
    assert "The first figures appear here" in words(app)
    assert len(woken) >= 1


def test_several_checkpoints_files_windows_and_a_name(app: AppTest, store: RunStore, run_id: str) -> None:
    show(app, run_id)
    choose(app, f"evaluate:{run_id}:checkpoints", [100, 50])
    choose(app, "evaluate:texts", ["file"])
    assert "Look at: My own files." in words(app)
    upload(app, "files", a__txt="one two three\n\nx y\n")
    upload(app, "files", b__csv="words,n\nfour five six,1\n")
    assert errors(app) == ["b.csv has no column 'text': its first line has words, n. Name one of those."]
    assert "Not ready yet. Look at: b.csv." in words(app)
    assert app.button(key="evaluate").disabled
    # A column is only for files that have some, but then for all of them.
    type_in(app, "evaluate:column", "words")
    assert errors(app) == []
    assert "a.txt · 19 bytes · 2 texts (1 left out: 1 empty)" in words(app).replace("*", "")
    choose(app, "evaluate:long", "window")
    for typed, problem in (("many", "“many” is no number of tokens"), ("16", "between 1 and 15 tokens, got 16")):
        type_in(app, "evaluate:stride:16", typed)
        assert problem in errors(app)[0]
        assert "Look at: From window to window." in words(app)
    type_in(app, "evaluate:stride:16", "4")
    type_in(app, "evaluate:name", "both")
    click(app, "evaluate")
    (record,) = EvaluationStore(store).records(run_id)
    assert record.name == "both" and record.request is not None
    assert record.request.checkpoints == (50, 100)
    assert [(s.name, s.source, s.rows, s.long_texts, s.stride, s.dropped) for s in record.request.splits] == [
        ("a", "a.txt", 2, "window", 4, {"empty": 1}),
        ("b", "b.csv", 1, "window", 4, {}),
    ]
    # The form is still as it was, for the next one.
    click(app, "new-evaluation")
    assert app.button_group(key=f"evaluate:{run_id}:checkpoints").value == [100, 50]
    assert app.text_input(key="evaluate:stride:16").value == "4"


def test_files_of_one_name_are_told_apart_and_can_be_taken_away(app: AppTest, store: RunStore, run_id: str) -> None:
    show(app, run_id)
    choose(app, "evaluate:texts", ["file"])
    upload(app, "files", val__txt="one two\n", val__jsonl='{"text": "three four"}\n')
    assert "1 checkpoint on 2 texts" in words(app) and errors(app) == []
    assert sorted(path.suffix for path in (store.root / ".uploads").iterdir()) == [".jsonl", ".txt"]
    away = next(button for button in app.button if button.label == r"Remove val\.txt")
    click(app, str(away.key))
    assert "val.txt" not in words(app) and "val.jsonl" in words(app)
    assert [path.suffix for path in (store.root / ".uploads").iterdir()] == [".jsonl"]
    # What was given is still there after a look at another page.
    app.switch_page("pages/Launch.py")
    again(app)
    app.switch_page("pages/Evaluate.py")
    again(app)
    assert "val.jsonl" in words(app) and not app.button(key="evaluate").disabled


def test_nothing_chosen_is_no_mistake_but_cannot_start(app: AppTest, run_id: str) -> None:
    show(app, run_id)
    choose(app, f"evaluate:{run_id}:checkpoints", [])
    choose(app, "evaluate:texts", [])
    assert "Choose at least one checkpoint." in words(app) and "Choose at least one text." in words(app)
    assert app.button(key="evaluate").disabled and errors(app) == []


def test_an_unreachable_hub_is_said_beside_the_dataset(
    app: AppTest, store: RunStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def read(dataset: hub.HubDataset, limit: int | None) -> hub.HubTexts:
        asked.append((str(dataset), limit))
        if len(asked) == 1:
            raise TextError(f"{dataset} cannot be reached. Copy its texts into a file.")
        return hub.HubTexts(["one two three", "four five"], empty=7)

    monkeypatch.setattr(splits, "read_hub", read)
    evaluate_texts._hub_split.clear()
    show(app, run_id)
    choose(app, "evaluate:texts", ["hub"])
    assert asked == []
    for typed, problem in (("none", "“none” is no number of lines"), ("0", "“0” is no number of lines")):
        type_in(app, "evaluate:limit", typed)
        assert problem in errors(app)[0]
    type_in(app, "evaluate:limit", "2")
    type_in(app, "evaluate:dataset", "what is this")
    assert "does not name a dataset" in errors(app)[0]
    type_in(app, "evaluate:dataset", "wikitext-2")
    click(app, "evaluate")
    message = "Salesforce/wikitext, wikitext-2-raw-v1, validation cannot be reached. Copy its texts into a file."
    assert errors(app) == [message]
    assert app.button_group(key="evaluate:texts").value == ["hub"]
    click(app, "evaluate")
    (record,) = EvaluationStore(store).records(run_id)
    assert record.request is not None
    assert [(s.name, s.rows, s.dropped) for s in record.request.splits] == [("wikitext-2", 2, {"empty": 7})]
    assert asked == [("Salesforce/wikitext, wikitext-2-raw-v1, validation", 2)] * 2


def test_a_labelled_file_with_its_template(app: AppTest, store: RunStore, run_id: str) -> None:
    show(app, run_id)
    rows = "text,label\nall good,fine\nall bad,poor\nno label,\nso so,fine\n"
    choose(app, "evaluate:texts", ["labelled"])
    upload(app, "labelled", mood__csv="nothing here\n")
    assert "mood.csv has no column 'text'" in errors(app)[0]
    upload(app, "labelled", mood__csv=rows)
    assert len(list((store.root / ".uploads").iterdir())) == 1
    assert "2 labels: fine (2), poor (1)." in words(app)
    assert "mood.csv" in words(app) and "3 texts (1 left out: 1 without a label)" in words(app)
    assert app.code[0].value == "all good\nLabel: fine"
    for template, problem in (
        ("{text}", "{label}, where the label goes, is missing"),
        ("{label}: {text}", "the label comes before the text"),
        ("{text} {mood} {label}", "holds {mood}, which stands for nothing"),
    ):
        app.text_area(key="evaluate:template").set_value(template)
        again(app)
        assert problem in errors(app)[0]
        assert app.button(key="evaluate").disabled
    app.text_area(key="evaluate:template").set_value("{text} It is {label}")
    again(app)
    assert app.code[0].value == "all good It is fine"
    type_in(app, "evaluate:labels", "fine, awful")
    assert "labels that are not among the given ones ('fine', 'awful'): 'poor'" in errors(app)[0]
    type_in(app, "evaluate:labels", "fine, poor, awful")
    type_in(app, "evaluate:label-column", "mood")
    assert "no column 'mood'" in errors(app)[0]
    type_in(app, "evaluate:label-column", "label")
    choose(app, "evaluate:long", "window")
    click(app, "evaluate")
    (record,) = EvaluationStore(store).records(run_id)
    assert record.request is not None
    (split,) = record.request.splits
    assert (split.kind, split.labels, split.template) == ("labelled", ("fine", "poor", "awful"), "{text} It is {label}")
    assert split.long_texts == "truncate"


def test_a_run_without_checking_text_is_evaluated_on_files(app: AppTest, store: RunStore, text_file: Path) -> None:
    values = {
        "data.train_file": str(text_file),
        "data.validation": "none",
        "model.vocab_size": 300,
        "training.max_steps": 200,
    }
    run_id = submit.submit(store, with_values(load_recipe("quick-look").config, values), name="all in")
    finish(store, run_id)
    show(app, run_id)
    assert "This run has no checking text of its own" in words(app)
    assert app.button_group(key="evaluate:texts").value == ["file"]


# -- an evaluation on its way


def queued(store: RunStore, run_id: str) -> EvaluationRecord:
    return evaluations.submit(store, run_id, [SplitTexts("val", "file", "val.txt", TEXTS, 16)], steps=[50, 120])


def test_a_waiting_evaluation_is_held_released_removed_and_put_back(app: AppTest, store: RunStore, run_id: str) -> None:
    first = queued(store, run_id)
    second = queued(store, run_id)
    show(app, run_id, second.key)
    assert app.get("progress")[0].text == "2nd in the queue · starts after those before it"
    click(app, f"hold-{second.id}")
    assert "On hold" in app.get("progress")[0].text
    click(app, f"release-{second.id}")
    click(app, f"remove-{second.id}")
    assert "Taken out of the queue." in words(app)
    click(app, f"resume-{second.id}")
    assert [job.key for job in queue.waiting_jobs(store)] == [first.key, second.key]


def test_a_running_evaluation_says_how_far_it_is_and_stops(app: AppTest, store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {50: [1.0, 2.0, 3.0]}, whole=False)
    progress = EvaluationProgress(done=3, total=6, updated=now(), examples_per_second=0.1)
    EvaluationStore(store).update(key, progress=progress, started=now())
    from bcecore.store.identity import own_identity

    EvaluationStore(store).update(key, process=own_identity())
    show(app, run_id, key)
    text = app.get("progress")[0].text
    assert text.startswith("3 of 6 texts scored · 0.100 texts/s · 0.") and text.endswith("about 30 s left")
    assert "What was measured so far." in words(app)
    assert [metric.label for metric in app.metric] == ["val"]
    click(app, f"stop-{key.rpartition('/')[2]}")
    assert read_stop(EvaluationStore(store).directory(key)) is not None
    assert EvaluationStore(store).record(key).status == "stopping"
    stop = app.button(key=f"stop-{key.rpartition('/')[2]}")
    assert stop.label == "Stopping…" and stop.disabled


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("stopped", "Stopped before its end."),
        ("failed", "This evaluation failed. The weights of step 120 are gone."),
        ("crashed", "This evaluation ended unexpectedly. The weights of step 120 are gone."),
    ],
)
def test_what_did_not_finish_says_what_is_kept_and_goes_on(
    app: AppTest, store: RunStore, run_id: str, status: Status, expected: str
) -> None:
    record = queued(store, run_id)
    found = EvaluationStore(store)
    for each in ("starting", "running", *(("stopping",) if status == "stopped" else ())):
        found.transition(record.key, each)  # type: ignore[arg-type]
    failure = None if status == "stopped" else Failure(message="The weights of step 120 are gone.", detail="Trace…")
    found.transition(record.key, status, failure=failure, process=None)
    show(app, run_id, record.key)
    plain_words = words(app).replace("*", "")
    assert expected in plain_words
    assert "Nothing had been measured yet." in plain_words
    assert [code.value for code in app.code] == ([] if failure is None else ["Trace…"])
    click(app, f"resume-{record.id}")
    assert found.record(record.key).status == "queued"


def test_what_was_kept_is_counted_from_the_result(app: AppTest, store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {50: [1.0, 2.0, 3.0]}, whole=False)
    found = EvaluationStore(store)
    found.transition(key, "stopping")
    found.transition(key, "stopped", progress=EvaluationProgress(done=5, kept=3, total=6, updated=now()))
    show(app, run_id, key)
    assert app.get("progress")[0].text.startswith("3 of 6 texts scored")
    assert "What it had measured, 3 of 3 texts, is kept and shown below." in words(app)
    assert app.subheader[0].value.startswith("Step 50 predicts the same with BCE on and off")


def test_a_click_that_comes_too_late_gives_a_sentence(app: AppTest, store: RunStore, run_id: str) -> None:
    record = queued(store, run_id)
    show(app, run_id, record.key)
    queue.remove(store, record.key)
    EvaluationStore(store).transition(record.key, "queued")
    EvaluationStore(store).transition(record.key, "starting")
    click(app, f"hold-{record.id}")
    assert said(app)[0] == f"“{record.name}” is starting: it is not in the queue."


# -- the list


def test_the_list_opens_and_deletes(app: AppTest, store: RunStore, run_id: str) -> None:
    old = planted(store, run_id, {50: [1.0, 2.0, 3.0]}, name="the old one")
    planted(store, run_id, {50: [1.0, 2.0, 3.0], 120: [1.0, 2.0, 2.5]}, name="the new one")
    show(app, run_id)
    assert [markdown.value for markdown in app.markdown if "one**" in markdown.value] == [
        "**the new one**",
        "**the old one**",
    ]
    assert "Steps 50 and 120 on val" in words(app)
    old_id = old.rpartition("/")[2]
    click(app, f"open-{old_id}")
    assert app.query_params["evaluation"] == old_id
    assert app.header[0].value == "the old one"
    click(app, "delete-this")
    assert "goes for good, with its figures and its texts" in words(app)
    click(app, "dialog-leave")
    assert EvaluationStore(store).record(old).status == "finished"
    click(app, "delete-this")
    click(app, "dialog-delete")
    assert [record.name for record in EvaluationStore(store).records(run_id)] == ["the new one"]
    assert said(app) == ["the old one is deleted."]
    assert app.header[0].value == "1 · Checkpoints"


def test_a_damaged_evaluation_is_still_listed(app: AppTest, store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {50: [1.0, 2.0, 3.0]})
    for file in EvaluationStore(store).directory(key).glob("job*.json"):
        file.write_text("{")
    show(app, run_id, key)
    assert "This evaluation ended unexpectedly." in words(app).replace("*", "")
    assert "“Resume” tries" not in words(app)
    assert not any(button.label == "Resume" for button in app.button)
    click(app, "delete-this")
    click(app, "dialog-delete")
    assert EvaluationStore(store).records(run_id) == []
    assert app.header[0].value == "1 · Checkpoints"


# -- results


def test_on_and_off_side_by_side(app: AppTest, store: RunStore, run_id: str) -> None:
    weight = store.config(run_id).bce.weight(1)
    show(app, run_id, planted(store, run_id, {120: [1.0, 2.0, 3.0]}))
    assert app.subheader[0].value.startswith("Step 120 predicts the same with BCE on and off")
    assert "It can never show whether BCE helped" in words(app)
    assert "Study" in [link.proto.page for link in app.main.get("page_link")]
    reported, parts, totals, predicted, spread, _timing = tables(app)
    # CE 2 on average over the texts; R is -0.4 and the fresh trainer's weight that of step 1.
    on, off = 2 - 0.4 * weight, 2.0
    assert reported[1:] == [
        ["val", "BCE on", f"{on:.4f}", "—", f"{math.exp(on):.4f}", "—"],
        [
            "",
            "BCE off",
            "2.00000",
            f"+{100 * (off / on - 1):.2f} %",
            "7.3891",
            f"+{100 * (math.exp(off - on) - 1):.2f} %",
        ],
    ]
    assert parts[0][3:] == ["Difference (on − off)", "= change in CE", "+ change in w·R"]
    assert parts[1][0] == "val" and parts[1][4] == "0" and parts[1][3] == parts[1][5]
    assert [row[1:] for row in totals[1:]] == [
        ["BCE on", "0.25", "2.0000", "1.9000"],
        ["BCE off", "0.00", "2.0000", "2.0000"],
    ]
    # 3, 6 and 2 predicted tokens: (3·1 + 6·2 + 2·3) / 11 nats a token.
    ce = f"{21 / 11:.4f}"
    assert predicted[1] == [
        "val",
        "every token counts once (ours)",
        ce,
        ce,
        "0",
        f"{math.exp(21 / 11):.4f}",
    ]
    assert predicted[2][1:] == ["every text counts once (the report’s way)", "2.0000", "2.0000", "0", "7.3891"]
    assert spread[1][:5] == ["val", "3", "11", "2.0000", "2.0000"]
    said_here = words(app)
    assert "BCE adds its own term; the model predicts the same." in said_here
    assert "The model predicts the same: the weight adds to the score and changes no prediction." in said_here


def test_which_checkpoint_to_keep(app: AppTest, store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {50: [3.0, 3.1, 2.9], 100: [2.0, 2.1, 1.9], 120: [2.0, 2.1, 1.9]})
    show(app, run_id, key, part="Checkpoints")
    assert "Keep step 100: it has the lowest CE and is the earliest" in words(app)
    assert len(app.get("vega_lite_chart")) == 1
    (figures,) = tables(app)
    assert [row[:4] for row in figures[1:]] == [
        ["Step 50", "3.0364", "20.83", "1.000"],
        ["Step 100 · keep", "2.0364", "7.6627", "lowest"],
        ["Step 120", "2.0364", "7.6627", "lowest"],
    ]
    assert "Only 3 texts: a first look." in words(app)


def test_on_and_off_of_another_checkpoint(app: AppTest, store: RunStore, run_id: str) -> None:
    show(app, run_id, planted(store, run_id, {50: [3.0, 3.1, 2.9], 120: [2.0, 2.1, 1.9]}))
    assert app.button_group(key="evaluate:step").value == 120
    assert tables(app)[3][1][2] == "2.0364"
    choose(app, "evaluate:step", 50)
    assert tables(app)[3][1][2] == "3.0364"


def test_the_choice_follows_what_is_measured(app: AppTest, store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {50: [3.0, 3.0, 3.0], 120: [2.0, 2.0, 2.0]})
    show(app, run_id, key)
    assert "Keep step 120." in words(app)
    directory = EvaluationStore(store).directory(key)
    examples = pd.read_parquet(directory / "examples.parquet")
    examples.loc[examples["checkpoint"] == 120, "nll"] *= 4
    examples.to_parquet(directory / "examples.parquet")
    again(app)
    assert "Keep step 50." in words(app)


def test_an_address_with_a_part_that_is_not_there(app: AppTest, store: RunStore, run_id: str) -> None:
    show(app, run_id, planted(store, run_id, {120: [1.0, 2.0, 3.0]}), part="Labels")
    assert "As the report measured it" in words(app)


def noticed(app: AppTest) -> list[str]:
    """The boxes of findings: how serious each is, and its words."""
    boxes = [*(("B", each) for each in app.error), *(("W", each) for each in app.warning)]
    return [f"{severity} {box.value}".replace("\\", "") for severity, box in boxes]


def test_what_limits_a_result_stands_before_it_and_forbids_the_choice(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, leaks=True, checkpoints=(100,))
    show(app, run_id, planted(store, run_id, {100: [0.05, 0.05, 0.05], 120: [2.0, 1.0, 1.0]}))
    blocks, doubts = noticed(app)
    assert blocks.startswith("B **The model sees the words that it has to predict: changing later words moved")
    assert doubts.startswith("W **A CE of 0.05 on “val” (step 100) is too good to be true")
    assert "Nobody can say by this text which checkpoint to keep: the model sees" in words(app)
    assert "Keep step" not in words(app)
    run_id = example_run(store, checkpoints=(100,))
    show(app, run_id, planted(store, run_id, {100: [3.0, 3.0, 3.0], 120: [2.0, 1.0, 1.0]}))
    assert noticed(app) == [] and "Keep step 120" in words(app)


def test_texts_that_the_run_learnt_from_are_found(app: AppTest, store: RunStore) -> None:
    run_id = run_with_training(store, [*TEXTS[:2], *(f"another line, number {n}" for n in range(40))])
    show(app, run_id, planted(store, run_id, {50: [3.0, 3.0, 3.0], 120: [2.0, 1.0, 1.0]}))
    (overlap,) = noticed(app)
    assert overlap.startswith("B **Of 3 documents that check the model, 2 are in its training text")
    assert "Keep step" not in words(app)
    clean = run_with_training(store, [f"another line, number {n}" for n in range(40)])
    show(app, clean, planted(store, clean, {50: [3.0, 3.0, 3.0], 120: [2.0, 1.0, 1.0]}))
    (small,) = noticed(app)
    assert small.startswith("W **There are only 3 documents to check the model on") and "Keep step 120" in words(app)


def test_a_run_without_bce_says_so(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, config=example_config(bce__enabled=False), checkpoints=(100,))
    show(app, run_id, planted(store, run_id, {100: [1.0, 2.0, 3.0]}))
    assert app.subheader[0].value == "Step 100 was trained without BCE, so on and off are the same."


def test_lengths_and_timing(app: AppTest, store: RunStore, run_id: str) -> None:
    show(app, run_id, planted(store, run_id, {120: [1.0, 2.0, 3.0]}))
    app.session_state["lengths"] = True
    again(app)
    lengths = next(table for table in tables(app) if table[0][0] == "Length of the text")
    assert lengths[1] == ["up to 64 tokens", "3", "11", "2.0000", f"{21 / 11:.4f}"]
    timing = next(table for table in tables(app) if "eval_runtime (s)" in table[0])
    assert timing[1] == ["val", "120", "1.0000", "3.0", "1.0"]
    assert "val · val.txt · 3 texts · none longer than 16 tokens" in words(app).replace("*", "")


def test_a_link_asks_for_checkpoints_once(app: AppTest, run_id: str) -> None:
    show(app, run_id, steps=["50", "100", "77", "x"])
    key = f"evaluate:{run_id}:checkpoints"
    assert app.button_group(key=key).value == [50, 100]
    assert "steps" not in app.query_params
    choose(app, key, [120])
    assert app.button_group(key=key).value == [120]


def test_what_can_be_taken_away(app: AppTest, store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {50: [3.0, 3.1, 2.9], 120: [1.0, 2.0, 3.0]})
    show(app, run_id, key, part="Downloads")
    assert [button.label for button in app.get("download_button")] == [
        "All tables (Markdown)",
        "All figures (CSV)",
        "Examples (CSV)",
        "Examples with their tokens (Parquet)",
    ]
    found = EvaluationStore(store)
    record, result = found.record(key), found.result(key)
    assert result is not None
    differences = evaluate_downloads.differences_of(result, store.config(run_id).bce.weight(1))
    noticed = too_good_measured("planted", 0.05, "“val”")
    limited = evaluate_downloads.tables_markdown("planted", "Steps 50 and 120 on val", differences, result, noticed)
    assert "## What was noticed\n\n- **A CE of 0\\.05 on “val” is too good to be true" in limited
    markdown = evaluate_downloads.tables_markdown("planted", "Steps 50 and 120 on val", differences, result)
    assert "What was noticed" not in markdown
    assert markdown.count("| val | 120 | BCE off | 2.00000 |") == 1
    assert "| val | 50 | what the model predicts |" in markdown
    figures = pd.read_csv(io.StringIO(evaluate_downloads.tables_csv(differences, result)))
    assert len(figures) == 2 * 5
    # 3, 6 and 2 predicted tokens: (3·3 + 6·3.1 + 2·2.9) / 11 and (3·1 + 6·2 + 2·3) / 11 nats a token.
    assert set(figures["ce"].round(6)) == {round(33.4 / 11, 6), round(21 / 11, 6)}
    examples = pd.read_csv(io.StringIO(evaluate_downloads.examples_csv(store, record, result)))
    assert list(examples["text"]) == TEXTS * 2
    assert (examples["objective_on"] - (examples["ce"] - 0.25 * 0.4)).abs().max() < 1e-12
    assert (examples["objective_off"] == examples["ce"]).all()
    parquet = pd.read_parquet(io.BytesIO(evaluate_downloads.examples_parquet(store, record)))
    assert list(parquet["token_nll"].map(len)) == [3, 6, 2] * 2


def test_an_unfinished_evaluation_gives_its_parts_as_one_parquet_file(store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {50: [3.0, 3.1, 2.9], 120: [1.0, 2.0, 3.0]}, whole=False)
    record = EvaluationStore(store).record(key)
    assert len(pd.read_parquet(io.BytesIO(evaluate_downloads.examples_parquet(store, record)))) == 6


def test_damaged_results_are_said(app: AppTest, store: RunStore, run_id: str) -> None:
    key = planted(store, run_id, {120: [1.0, 2.0, 3.0]})
    (EvaluationStore(store).directory(key) / "result.json").write_text("{")
    show(app, run_id, key)
    assert "The results cannot be read." in words(app)


# -- the report's own files


def test_the_reports_files_are_shown_in_the_same_tables(app: AppTest, shared_data: Path) -> None:
    files = [shared_data / "report" / name for name in ("bce_eval_stats.json", "wikitext_eval_stats.json")]
    show(app, view="report")
    assert "Nothing is stored" in words(app)
    app.file_uploader[0].set_value([("notes.json", b'{"text": 1}', "application/json")])
    again(app)
    assert errors(app) == ["“text” in notes.json has no “bce_on” and “bce_off”, but 1. " + ADVICE]
    app.file_uploader[0].set_value([(file.name, file.read_bytes(), "application/json") for file in files])
    again(app)
    assert errors(app) == []
    reported, parts, totals, *_ = tables(app)
    assert [row[2:4] for row in reported[1:]] == [
        ["0.0580", "—"],
        ["0.05827", "+0.40 %"],
        ["0.2039", "—"],
        ["0.20411", "+0.11 %"],
        ["1.6691", "—"],
        ["1.66934", "+0.01 %"],
    ]
    assert {row[4] for row in parts[1:]} == {"0"}
    assert [row[2:] for row in totals[1:]] == [
        ["0.44", "0.0583", "−0.1453"],
        ["0.40", "0.0583", "−0.1268"],
        ["0.44", "0.2041", "0.0013"],
        ["0.40", "0.2041", "0.0197"],
    ]
    said_here = words(app)
    assert "“Off” was not off" in said_here
    assert (
        "+0.40 % is from the unrounded values; the printed ones (0.0580 and 0.05827) would give +0.47 %." in said_here
    )
    assert "every token counts once" not in said_here
