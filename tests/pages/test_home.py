from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.errors import DiskFullError
from bcecore.jobs import local, submit
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from tests.examples import example_config, example_run

APP = Path(__file__).parent.parent.parent / "app.py"


@pytest.fixture
def home(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(APP), default_timeout=30)


def test_without_runs_there_is_one_sentence_and_one_button(home: AppTest) -> None:
    home.run()
    assert not home.exception
    assert [button.label for button in home.main.button] == ["Try it: a one-minute run on sample text"]
    assert len(home.main.markdown) == 1
    assert not home.dataframe


def test_the_sidebar_names_the_pages_and_says_what_bce_is(home: AppTest) -> None:
    home.run()
    assert "not binary cross-entropy" in home.sidebar.caption[0].value


def test_the_button_launches_the_quick_look(home: AppTest, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(local, "start", lambda _, run_id: started.append(run_id))
    home.run()
    home.button(key="try-it").click().run()
    assert not home.exception
    assert started == store.ids()
    record = store.record(started[0])
    assert (record.name, record.recipe) == ("quick-look", "quick-look")
    assert home.query_params["run"] == started[0]
    assert home.title[0].value == r"quick\-look"


def test_a_launch_that_is_impossible_says_why(home: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise DiskFullError("The disk is full.")

    monkeypatch.setattr(submit, "submit", refuse)
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
    assert by_name.loc["older", "ce"] == pytest.approx(3 + 5 * 2.718281828 ** (-3))
    assert [button.label for button in home.main.button] == ["New run"]


def test_what_is_going_on_stands_above_the_table(home: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running", name="going on")
    example_run(store, "queued", name="next")
    home.run()
    assert not home.exception
    assert [button.label for button in home.main.button] == ["New run", "Open", "Open"]
    texts = [bar.text for bar in home.get("progress")]
    assert texts[0].startswith("Step 120 of 300 · epoch 2.4 · 31.2 steps/s · 4,100 tokens/s")
    assert texts[1].startswith("Waiting for")
    home.button(key=f"open-{run_id}").click().run()
    assert not home.exception
    assert home.query_params["run"] == run_id


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
