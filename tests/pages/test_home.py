import json
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.errors import DiskFullError
from bcecore.jobs import control, evaluations, queue
from bcecore.store.baseline import load_baseline, save_baseline
from bcecore.store.evaluations import EvaluationProgress, EvaluationStore, SplitTexts
from bcecore.store.identity import own_identity
from bcecore.store.record import now
from bcecore.store.requests import read_stop
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.ui import page, run_list
from tests.examples import example_config, example_run
from tests.ui.evaluated import evaluated

APP = Path(__file__).parent.parent.parent / "app.py"


@pytest.fixture
def home(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(APP), default_timeout=30)


def test_without_runs_there_is_one_sentence_and_one_button(home: AppTest) -> None:
    home.run()
    assert not home.exception
    assert [button.label for button in home.main.button] == ["Try it: a one-minute run on sample text", "Import a log"]
    assert len(home.main.markdown) == 1
    assert not home.dataframe


def test_the_sidebar_names_the_pages_and_says_what_bce_is(home: AppTest) -> None:
    home.run()
    assert "not binary cross-entropy" in home.sidebar.caption[0].value


def test_the_button_launches_the_quick_look(home: AppTest, store: RunStore) -> None:
    home.run()
    home.button(key="try-it").click().run()
    assert not home.exception
    (run_id,) = store.ids()
    record = store.record(run_id)
    assert (record.name, record.recipe, record.status) == ("quick-look", "quick-look", "queued")
    assert home.query_params["run"] == run_id
    assert home.title[0].value == r"quick\-look"


def test_a_launch_that_is_impossible_says_why(home: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise DiskFullError("The disk is full.")

    monkeypatch.setattr(control, "submit", refuse)
    home.run()
    home.button(key="try-it").click().run()
    assert not home.exception
    assert home.error[0].value == r"The disk is full\."


def test_runs_are_listed_newest_first(home: AppTest, store: RunStore) -> None:
    example_run(store, "finished", name="older", config=example_config(bce__enabled=False))
    example_run(store, "failed", name="other")
    home.run()
    assert not home.exception
    table = home.dataframe[0].value
    assert sorted(table["name"]) == ["older", "other"]
    by_name = table.set_index("name")
    assert by_name.loc["older", "status"] == "✓ Finished"
    assert by_name.loc["other", "status"] == "✕ Failed"
    assert by_name.loc["older", "bce"] == "off"
    assert by_name.loc["older", "ce.last"] == pytest.approx(3 + 5 * 2.718281828 ** (-3))
    assert [button.label for button in home.main.button] == ["Import a log", "New run"]


def test_what_is_going_on_stands_above_the_table(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running", name="going on")
    example_run(store, "queued", name="next")
    home.run()
    assert not home.exception
    labels = [button.label for button in home.main.button]
    assert labels == ["Import a log", "New run", "Open", "Open", "Earlier", "Later", "Hold", "Remove"]
    assert [menu.label for menu in home.menu_button] == ["Stop"]
    (text,) = [bar.text for bar in home.get("progress")]
    assert text.startswith("Step 120 of 300 · epoch 2.4 · 31.2 steps/s · 4,100 tokens/s")
    home.button(key=f"open-{run_id}").click().run()
    assert not home.exception
    assert home.query_params["run"] == run_id


def said(home: AppTest) -> list[str]:
    """The toasts of the last look."""
    return [toast.value for toast in home.toast]


def expectations(home: AppTest) -> list[str]:
    return [caption.value for caption in home.main.caption if "queue" in caption.value]


def test_who_waits_is_told_when_its_turn_comes(home: AppTest, store: RunStore) -> None:
    example_run(store, "running", name="going on")  # 180 steps at 31.2 a second are left
    example_run(store, "queued", name="like it")  # 312 steps, 10 seconds
    example_run(store, "queued", name="unknown", config=example_config(training__batch_size=1))
    example_run(store, "queued", name="after that")
    home.run()
    assert expectations(home) == [
        "Next in the queue · starts in about 5 s, done in about 15 s",
        "2nd in the queue · starts in about 15 s",
        "3rd in the queue · starts after those before it",
    ]


def test_evaluations_stand_beside_the_runs(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, name="my run", checkpoints=(10,))
    found = EvaluationStore(store)
    val = SplitTexts("val", "file", "val.txt", ["one two", "a b"], 48)
    at_work = evaluated(store, run_id, val, {10: [1.0, 2.0]}, name="at work", whole=False)
    found.update(at_work, process=own_identity())
    found.update(at_work, progress=EvaluationProgress(done=50, total=150, updated=now(), examples_per_second=10))
    waits = evaluations.submit(store, run_id, [val], steps=[10], name="waits").key
    queued = example_run(store, "queued", name="last")
    home.run()
    assert not home.exception
    assert [bar.text.split(" · ")[0] for bar in home.get("progress")] == ["50 of 150 texts scored"]
    assert [caption.value for caption in home.main.caption if "evaluation of" in caption.value] == [
        "evaluation of my run",
        "evaluation of my run",
    ]
    assert expectations(home) == [
        "Next in the queue · starts in about 10 s",
        "2nd in the queue · starts after those before it",
    ]
    own = waits.rpartition("/")[2]
    home.button(key=f"down-{own}").click().run()
    assert [job.key for job in queue.waiting_jobs(store)] == [queued, waits]
    home.button(key=f"hold-{own}").click().run()
    assert found.record(waits).status == "held"
    home.button(key=f"remove-{own}").click().run()
    assert found.record(waits).status == "removed"
    home.button(key=f"stop-{at_work.rpartition('/')[2]}").click().run()
    assert found.record(at_work).status == "stopping"
    assert not home.exception
    time.sleep(0.002)  # records hold milliseconds
    found.transition(at_work, "stopped", process=None)
    home.run()
    assert said(home) == ["at work has stopped."]


def test_the_queue_can_be_changed(home: AppTest, store: RunStore) -> None:
    first = example_run(store, "queued", name="first")
    second = example_run(store, "queued", name="second")
    home.run()
    assert home.button(key=f"up-{first}").disabled and home.button(key=f"down-{second}").disabled
    home.button(key=f"up-{second}").click().run()
    assert [record.id for record in queue.waiting(store)] == [second, first]
    assert home.button(key=f"up-{second}").disabled
    home.button(key=f"hold-{second}").click().run()
    assert store.record(second).status == "held"
    assert expectations(home)[0].startswith("On hold")
    home.button(key=f"release-{second}").click().run()
    assert store.record(second).status == "queued"
    home.button(key=f"remove-{first}").click().run()
    assert store.record(first).status == "removed"
    assert len(expectations(home)) == 1
    assert not home.exception


def test_a_run_that_started_meanwhile_is_said_to_have(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "queued", name="quick")
    home.run()
    store.transition(run_id, "starting", process=own_identity())
    home.button(key=f"remove-{run_id}").click().run()
    assert not home.exception
    assert said(home) == [r"“quick” is starting\: it is not in the queue\."]


def test_a_run_can_be_stopped_from_here(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running", name="going on")
    home.run()
    home.menu_button(key=f"stop-{run_id}").click("save").run()
    assert not home.exception
    assert store.record(run_id).status == "stopping"
    assert home.menu_button(key=f"stop-{run_id}").label == "Saving and stopping…"
    home.menu_button(key=f"stop-{run_id}").click("now").run()
    assert not home.exception
    assert any("All of its work so far, about 5 s, is lost" in text.value for text in home.markdown)
    home.button(key="dialog-stop").click().run()
    assert not home.exception
    request = read_stop(store.directory(run_id))
    assert request is not None and request.kind == "now"


def test_an_ending_is_told_once_and_old_ones_never(home: AppTest, store: RunStore) -> None:
    example_run(store, "finished", name="old")
    run_id = example_run(store, "running", name="going *on*")
    home.run()
    assert said(home) == []
    time.sleep(0.002)  # records hold milliseconds
    store.transition(run_id, "failed", ended=now(), process=None)
    home.run()
    assert said(home) == [r"going \*on\* has failed. Its page says why."]
    home.run()
    assert said(home) == []


def listed(home: AppTest) -> list[str]:
    """The names in the table, from top to bottom."""
    return list(home.dataframe[0].value["name"])


def said_of_table(home: AppTest) -> str:
    return next(caption.value for caption in home.main.caption if "Click a row" in caption.value)


def test_archived_runs_are_shown_on_request(home: AppTest, store: RunStore) -> None:
    control.archive(store, example_run(store, name="put away"))
    example_run(store, name="listed")
    home.run()
    assert listed(home) == ["listed"]
    home.toggle(key="archived").set_value(True).run()
    assert not home.exception
    assert sorted(listed(home)) == ["listed", "put away"]


def test_when_all_runs_are_archived_that_is_said(home: AppTest, store: RunStore) -> None:
    control.archive(store, example_run(store))
    home.run()
    assert not home.exception and not home.dataframe
    assert "**All runs are archived.** 1 run can be listed again." in [text.value for text in home.main.markdown]
    home.button(key="list-archived").click().run()
    assert not home.exception
    assert listed(home) == ["an example"]


def test_runs_are_found_by_what_is_searched_and_filtered(home: AppTest, store: RunStore) -> None:
    off = example_run(store, name="twin off", config=example_config(bce__enabled=False))
    on = example_run(store, "failed", name="twin on", config=example_config(bce__profile="active"))
    example_run(store, name="another one")
    control.set_tags(store, on, ["sweep"])
    control.set_notes(store, off, "the control")
    home.run()
    assert said_of_table(home).startswith("3 runs.")
    home.text_input(key="search").set_value("TWIN").run()
    assert sorted(listed(home)) == ["twin off", "twin on"]
    assert said_of_table(home).startswith("2 of 3 runs.")
    home.multiselect(key="status").set_value(["failed"]).run()
    assert listed(home) == ["twin on"]
    home.multiselect(key="status").set_value([]).run()
    home.button_group(key="bce").set_value(["off"]).run()
    assert listed(home) == ["twin off"]
    home.multiselect(key="tags").set_value(["sweep"]).run()
    assert not home.exception and not home.dataframe
    home.button(key="clear-filters").click().run()
    assert not home.exception
    assert len(listed(home)) == 3
    assert home.text_input(key="search").value == ""


def test_the_address_says_what_is_shown(home: AppTest, store: RunStore) -> None:
    example_run(store, name="quick", steps=60)
    example_run(store, name="long", steps=240)
    example_run(store, name="other")
    home.query_params["columns"] = ["CE", "Best CE"]
    home.query_params["sort"] = "CE"
    home.query_params["reverse"] = "true"
    home.query_params["status"] = ["Finished", "Failed"]
    home.run()
    assert not home.exception
    assert listed(home) == ["quick", "other", "long"]
    assert list(home.dataframe[0].value) == ["pin", "name", "ce.last", "ce.best"]
    home.toggle(key="reverse").set_value(False).run()
    assert listed(home) == ["long", "other", "quick"]


def test_an_address_that_makes_no_sense_shows_everything(home: AppTest, store: RunStore) -> None:
    example_run(store)
    for key in ("columns", "sort", "reverse", "status", "bce", "tags", "page"):
        home.query_params[key] = "nonsense"
    home.run()
    assert not home.exception
    assert listed(home) == ["an example"]


def test_the_browser_gets_one_page_of_rows(home: AppTest, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_list, "PAGE_ROWS", 2)
    for number in range(5):
        example_run(store, name=f"run {number}", steps=1)
    home.query_params["sort"] = "Name"
    home.run()
    assert listed(home) == ["run 0", "run 1"]
    assert said_of_table(home).startswith("Showing 1 to 2 of 5 runs; search or sort to find others.")
    other = AppTest.from_file(str(APP), default_timeout=30)
    other.query_params["sort"], other.query_params["page"] = "Name", "3"
    other.run()
    assert not other.exception
    assert listed(other) == ["run 4"]
    other.text_input(key="search").set_value("3").run()
    assert listed(other) == ["run 3"], "of fewer runs there is no third page"


def test_the_others_show_how_they_differ_from_the_pinned_run(home: AppTest, store: RunStore) -> None:
    pinned = example_run(store, name="pinned", steps=60)
    example_run(store, name="better", steps=240)
    home.run()
    assert not [name for name in home.dataframe[0].value if name.endswith(".difference")]
    save_baseline(store, pinned)
    home.run()
    assert not home.exception
    table = home.dataframe[0].value.set_index("name")
    assert table.loc["pinned", "ce.last.difference"] == "★"
    assert table.loc["better", "ce.last.difference"].endswith(" better")
    assert table["pin"].to_dict() == {"pinned": "★", "better": "☆"}
    assert "★ Differences are to **pinned**." in [text.value for text in home.main.markdown]
    home.button(key="unpin").click().run()
    assert not home.exception
    assert load_baseline(store) is None


def test_a_pinned_run_that_was_deleted_is_no_baseline(home: AppTest, store: RunStore) -> None:
    pinned = example_run(store, name="pinned")
    example_run(store, name="other")
    save_baseline(store, pinned)
    control.delete(store, pinned)
    home.run()
    assert not home.exception
    assert listed(home) == ["other"]
    assert not [name for name in home.dataframe[0].value if name.endswith(".difference")]


def test_several_runs_are_archived_at_once(home: AppTest, store: RunStore) -> None:
    over = [example_run(store, name=name) for name in ("one", "two")]
    going_on = example_run(store, "running", name="going on")
    home.session_state["runs:ticked"] = {*over, going_on}
    home.run()
    assert "**3 runs ticked**" in [text.value for text in home.main.markdown]
    home.button(key="archive-ticked").click().run()
    assert not home.exception
    assert said(home) == [r"2 runs archived\."]
    assert [store.record(run_id).archived for run_id in (*over, going_on)] == [True, True, False]
    assert listed(home) == ["going on"]
    home.session_state["runs:ticked"] = {over[0]}
    home.toggle(key="archived").set_value(True).run()
    home.button(key="restore-ticked").click().run()
    assert store.record(over[0]).archived is False


def test_ticked_runs_are_compared_with_the_pinned_one(home: AppTest, store: RunStore) -> None:
    pinned = example_run(store, name="pinned")
    ticked = example_run(store, name="ticked")
    home.session_state["runs:ticked"] = {ticked}
    home.run()
    assert "compare-ticked" not in [button.key for button in home.main.button]
    home.button(key="pin-ticked").click().run()
    assert load_baseline(store) == ticked
    save_baseline(store, pinned)
    home.run()
    home.button(key="compare-ticked").click().run()
    assert not home.exception
    assert home.query_params["runs"] == [pinned, ticked]


def test_logs_that_are_still_to_be_read_are_announced(
    home: AppTest, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    example_run(store)
    monkeypatch.setattr(run_list, "_READING_SECONDS", -1.0)
    home.run()
    assert not home.exception
    assert home.dataframe[0].value["ce.last"].isna().all()
    assert any("The logs of 1 run are still being read" in caption.value for caption in home.main.caption)
    monkeypatch.setattr(run_list, "_READING_SECONDS", 60.0)
    home.run()
    assert home.dataframe[0].value["ce.last"].notna().all()
    assert not any("still being read" in caption.value for caption in home.main.caption)


def test_an_imported_run_is_listed_like_the_others(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, name="from elsewhere")
    directory = store.directory(run_id)
    (directory / "config.json").rename(directory / "import.json")
    (directory / "import.json").write_text('{"facts": {"model": "gpt2"}}')
    for name in ("run.json", "run.copy.json"):
        content = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(content | {"status": "imported"}))
    home.query_params["columns"] = ["Status", "Model", "BCE", "CE"]
    home.run()
    assert not home.exception
    (row,) = home.dataframe[0].value.to_dict("records")
    assert (row["status"], row["model"], row["bce"]) == ("↓ Imported", "gpt2", "on, kind not known")
    assert row["ce.last"] > 3


def test_ce_of_an_imported_log_is_worked_out_and_said_to_be(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, name="from elsewhere", steps=1)
    directory = store.directory(run_id)
    (directory / "metrics.jsonl").write_text('{"step": 1, "loss": 1.5, "bce_weight": 0.5, "bce_loss": -0.5}\n')
    (directory / "config.json").unlink()
    (directory / "import.json").write_text('{"facts": {}}')
    for name in ("run.json", "run.copy.json"):
        content = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(content | {"status": "imported"}))
    home.run()
    assert not home.exception
    assert home.dataframe[0].value["ce.last"].tolist() == [1.75]
    assert any("from elsewhere” is worked out" in caption.value for caption in home.main.caption)
    home.pills(key="bce").set_value(["logged"]).run()
    assert len(home.dataframe[0].value) == 1
    home.pills(key="bce").set_value(["seed"]).run()
    assert not home.dataframe


def test_a_supervisor_is_woken_when_there_is_none(home: AppTest, store: RunStore, woken: list[RunStore]) -> None:
    home.run()
    home.run()
    assert [other.root for other in woken] == [store.root], "and not looked for at every click"


def test_a_page_opens_where_no_supervisor_can_be_started(
    home: AppTest, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: RunStore) -> None:
        raise DiskFullError("The disk is full.")

    monkeypatch.setattr(page, "see_to_supervisor", refuse)
    example_run(store, name="still listed")
    home.run()
    assert not home.exception
    assert said(home) == [r"Waiting runs cannot be started now\: The disk is full\."]
    assert home.dataframe


def test_a_run_with_unreadable_settings_is_still_listed(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "finished")
    (store.directory(run_id) / "config.json").write_text("{")
    home.run()
    assert not home.exception
    assert home.dataframe[0].value["bce"].tolist() == ["unknown"]


def test_a_name_is_not_taken_for_markdown(home: AppTest, store: RunStore) -> None:
    example_run(store, "running", name="![x](http://example.org/x.png)")
    home.run()
    assert not home.exception
    assert any(r"\!\[x\]\(http" in element.value for element in home.main.markdown)
