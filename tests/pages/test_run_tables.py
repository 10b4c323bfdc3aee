"""The tabs of the Run page that hold its tables and its report."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.store.imports import find_logs, import_run
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from tests.examples import example_run

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def show(app: AppTest, run_id: str, tab: str) -> AppTest:
    app.run()
    app.switch_page("pages/Run.py")
    app.query_params["run"] = run_id
    app.session_state["details"] = tab
    app.run()
    assert not app.exception
    return app


def sentences(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


def downloads(app: AppTest) -> set[str]:
    """The labels of the report's own download buttons."""
    return {each.label for each in app.get("download_button") if str(each.key).startswith("download-report")}


@pytest.fixture
def real_log(store: RunStore, shared_data: Path) -> str:
    found = find_logs([shared_data / "report" / "trainer_state.json"])
    return import_run(store, found, name="theirs", facts={"wall_clock": 106.96}, again=False)


def test_the_tables_of_the_real_log(app: AppTest, real_log: str) -> None:
    show(app, real_log, "Tables")
    highlights = app.table[0].value.set_index("Step")
    assert highlights.loc["1,000", "Loss"] == r"2\.2964"
    assert highlights.loc["400", "Learning rate"] == r"4\.9875e\-5"
    assert "At step 1 alone it was 10\\.7678" in sentences(app)
    app.text_input(key="highlights").input("700; x, 3000").run()
    assert not app.exception
    assert "700" in app.table[0].value["Step"].to_list()
    assert "No step: x" in sentences(app)
    assert r"Not in this log, which has steps 1 to 2,000\: 3,000" in sentences(app)


def test_the_facts_of_the_real_log(app: AppTest, real_log: str) -> None:
    show(app, real_log, "Facts")
    facts = app.table[0].value
    assert facts.loc["Pace", "Value"] == r"18\.7 steps/s"
    assert facts.loc["Model", "Value"] == "not in this log"


def test_an_address_may_hold_anything(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store)
    app.query_params["highlights"] = "<b>," + "9" * 400
    show(app, run_id, "Tables")
    assert len(app.table) == 4


def test_before_the_first_step_there_are_no_tables(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, "queued"), "Tables")
    assert "The tables begin with the first step." in sentences(app)


@pytest.mark.parametrize("status", ["running", "finished"])
def test_a_report_with_one_click(app: AppTest, store: RunStore, status: str) -> None:
    run_id = example_run(store, status, name="a *starred* name")  # type: ignore[arg-type]
    show(app, run_id, "Report")
    assert downloads(app) == set()
    app.button(key="write-report").click().run()
    assert not app.exception
    directory = store.directory(run_id)
    assert (directory / "report.html").read_text(encoding="utf-8").count("<svg") >= 6
    assert downloads(app) == {"Download the page", "Download the text"}
    assert r"# a \*starred\* name" in sentences(app)


def test_a_disk_that_refuses_is_told(app: AppTest, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("No room left")

    run_id = example_run(store)
    monkeypatch.setattr("bcecore.ui.run_report.write_report", refuse)
    show(app, run_id, "Report")
    app.button(key="write-report").click().run()
    assert not app.exception
    assert "The report could not be written: No room left" in app.error[0].value
