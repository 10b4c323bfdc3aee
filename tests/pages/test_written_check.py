"""A written report held against a run, on the Run page."""

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


def show(app: AppTest, run_id: str) -> AppTest:
    app.run()
    app.switch_page("pages/Run.py")
    app.query_params["run"] = run_id
    app.session_state["details"] = "Report"
    app.run()
    assert not app.exception
    return app


def give(app: AppTest, key: str, *files: tuple[str, bytes]) -> None:
    uploader = app.file_uploader(key=key)
    kinds = {".md": "text/markdown", ".json": "application/json", ".txt": "text/plain"}
    given = [(name, content, kinds[Path(name).suffix]) for name, content in files]
    uploader.set_value(given if key == "written-files" else given[0]).run()
    assert not app.exception


def sentences(app: AppTest) -> str:
    return "\n".join(
        one.value for one in [*app.warning, *app.success, *app.info, *app.error, *app.markdown, *app.caption]
    )


def test_the_real_report_against_its_log_and_then_its_files(app: AppTest, store: RunStore, shared_data: Path) -> None:
    folder = shared_data / "report"
    run_id = import_run(store, find_logs([folder / "trainer_state.json"]), name="theirs")
    show(app, run_id)
    give(app, "written-report", ("10-epoch-run.md", (folder / "10-epoch-run.md").read_bytes()))
    rows = app.table[-1].value
    assert rows["Written"].to_list()[:5] == [r"7\.1730", r"30\.83", r"4\.375e\-05", r"0\.085", r"\-0\.4645"]
    assert rows["True"].to_list()[0] == r"2\.8085"
    assert "Schedule Highlights" in rows["Where"][0]
    names = ("bce_eval_stats.json", "wikitext_eval_stats.json", "val_small.txt")
    give(app, "written-files", *((name, (folder / name).read_bytes()) for name in names))
    assert "25 of the 112 figures that could be checked are wrong" in sentences(app)
    assert r"\+0\.40%" in app.table[-1].value["True"].to_list()
    assert any(one.label == "10 figures of 122 could not be checked" for one in app.expander)


def test_what_is_said_of_other_reports(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, name="ours", steps=120))
    assert "Every figure in its tables and sentences is compared" in sentences(app)
    give(app, "written-report", ("r.md", b"| Step | Gradient norm |\n| --- | --- |\n| 20 | 1.50 |\n"))
    assert r"r\.md: all 2 figures checked are right" in sentences(app)
    assert "Every one of its 2 figures was checked." in sentences(app)
    give(app, "written-report", ("r.md", b"# Only words\n"))
    assert "has no figures" in sentences(app)
    give(app, "written-report", ("r.md", b"It took 20 goes.\n"))
    assert "None of the 1 figure in" in sentences(app)
    give(app, "written-files", ("trainer_state.json", b'{"log_history": [{"step": 1, "loss": 2.0}]}'))
    assert "is a log, and the run has its own" in sentences(app).replace("\\", "")
    give(app, "written-report", ("r.md", "é".encode("latin-1")))
    assert "not written in UTF-8" in sentences(app).replace("\\", "")
