"""Importing a log from a page, and the page of a run that was imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.store.imports import Upload, import_run
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from tests.pages.test_run import show, words

ROOT = Path(__file__).parent.parent.parent
LOG = {
    "epoch": 2.0,
    "global_step": 4,
    "max_steps": 10,
    "num_train_epochs": 5,
    "log_history": [
        *({"step": step, "epoch": step / 2, "loss": 4.0 / step, "grad_norm": 1.0} for step in range(1, 5)),
        {"step": 2, "eval_loss": 2.5},
        {"step": 4, "eval_loss": 3.0},
    ],
}
BCE = [
    {"step": 0, "epoch": 0.0, "bce_loss": -0.46, "bce_eff_w": 0.2},
    {"step": 1, "epoch": 0.5, "loss": 3.0},
]


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)


def imported(store: RunStore, log: Any = LOG, **facts: str) -> str:
    return import_run(store, [Upload("my log.json", json.dumps(log).encode())], facts=facts)


def values(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


# -- the run's page


def test_an_imported_run_shows_what_its_log_has(app: AppTest, store: RunStore) -> None:
    show(app, imported(store))
    assert app.title[0].value == "my log"
    assert "Imported" in words(app)
    assert "4 of 10 steps · epoch 2 · imported " in words(app)
    assert r"**Imported from my log\.json.**" in words(app)
    assert not app.get("progress")
    assert values(app) == {"Training loss": "1", r"Check loss \(eval\)": "3"}
    deltas = {metric.label: metric.delta for metric in app.metric}
    assert deltas == {"Training loss": "at step 4", r"Check loss \(eval\)": "best 2.50 at step 2"}
    assert "BCE: not in this log" in words(app)


def test_of_bce_it_shows_the_weight_and_that_its_effect_is_not_known(app: AppTest, store: RunStore) -> None:
    show(app, imported(store, BCE))
    assert "**BCE: on, weight 0.2 at the end, effect not known**" in words(app)
    assert "whether BCE changed what the model learnt cannot be told from it" in words(app)
    assert values(app)["CE (language loss)".replace("(", "\\(").replace(")", "\\)")] == "3.09"


def test_it_can_be_looked_at_described_and_put_away_only(app: AppTest, store: RunStore) -> None:
    show(app, imported(store))
    keys = {button.key for button in app.button}
    assert not keys & {"use-settings", "extend", "try-again"}
    assert not any(str(key).startswith(("resume", "hold", "ask-")) for key in keys)
    labels = {button.proto.label for button in app.get("download_button")}
    assert {"Table for a spreadsheet (CSV)", "Everything as it was logged (CSV)"} <= labels


def test_what_was_mended_is_told(app: AppTest, store: RunStore) -> None:
    run_id = import_run(store, [Upload("cut.json", json.dumps(LOG).encode()[:-40])])
    show(app, run_id)
    assert "The file ends in the middle; 4 whole records were read from it" in words(app).replace("\\", "")


def test_the_log_of_an_imported_run_can_be_damaged_later(app: AppTest, store: RunStore) -> None:
    run_id = imported(store)
    (store.directory(run_id) / "import.json").write_text("{")
    show(app, run_id)
    assert "cannot be shown" in app.error[0].value
    assert str(store.root) not in words(app)


# -- what the log cannot know


def facts_page() -> None:
    import streamlit as st

    from bcecore.store.runs import RunStore
    from bcecore.ui.import_dialog import show_fact_form

    store = RunStore()
    show_fact_form(store, store.record(st.query_params["run"]))


@pytest.fixture
def form(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    page = AppTest.from_function(facts_page, default_timeout=30)
    page.query_params["run"] = imported(store, model="tiny")
    page.run()
    assert not page.exception
    return page


def field(page: AppTest, title: str) -> Any:
    return next(field for field in page.text_input if field.label == title)


def test_facts_are_kept(form: AppTest, store: RunStore) -> None:
    (run_id,) = store.ids()
    assert form.expander[0].label == "What the log cannot know (10 of 11 not given)"
    assert field(form, "Model").value == "tiny"
    assert field(form, "Epochs").placeholder == "5, says the log"
    field(form, "Wall clock").set_value("106.96")
    field(form, "Model").set_value("")
    form.button[0].click().run()
    assert not form.exception and not form.error
    assert store.imported(run_id).facts == {"wall_clock": 106.96}


def test_a_wrong_fact_is_told_and_nothing_is_kept(form: AppTest, store: RunStore) -> None:
    (run_id,) = store.ids()
    field(form, "Seed").set_value("many")
    form.button[0].click().run()
    assert "Seed takes a whole number" in form.error[0].value
    assert store.imported(run_id).facts == {"model": "tiny"}


# -- the dialog


def import_page() -> None:
    from bcecore.store.runs import RunStore
    from bcecore.ui.import_dialog import import_button

    import_button(RunStore(), "import")


@pytest.fixture
def dialog(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    page = AppTest.from_function(import_page, default_timeout=30).run()
    page.button(key="import").click().run()
    assert not page.exception
    return page


def upload(page: AppTest, name: str, content: bytes) -> AppTest:
    page.file_uploader(key="import-files").upload(name, content).run()
    assert not page.exception
    return page


def test_nothing_can_be_imported_before_a_file_is_there(dialog: AppTest) -> None:
    assert dialog.button(key="dialog-import").disabled


def test_a_preview_says_what_was_found(dialog: AppTest) -> None:
    upload(dialog, "my log.json", json.dumps(LOG).encode())
    assert "**4 logged steps** · values to step 4 of 10 · epoch 2" in words(dialog)
    assert "3 values: loss, check loss \\(eval\\), gradient norm" in words(dialog)
    assert not dialog.button(key="dialog-import").disabled
    assert field(dialog, "Name").value == "my log"


def test_a_preview_of_a_file_that_was_cut_off_says_how_far_its_values_go(dialog: AppTest) -> None:
    upload(dialog, "cut.json", json.dumps(LOG | {"global_step": 2000, "max_steps": 2000, "epoch": 10.0}).encode())
    assert "**4 logged steps** · values to step 4 of 2,000 · epoch 2" in words(dialog)


def test_a_file_that_is_no_log_is_told(dialog: AppTest) -> None:
    upload(dialog, "config.json", b'{"model_type": "bert"}')
    assert "it holds the settings of a model" in dialog.error[0].value
    assert dialog.button(key="dialog-import").disabled


def test_a_log_that_is_known_is_told(dialog: AppTest, store: RunStore) -> None:
    imported(store)
    upload(dialog, "another name.json", json.dumps(LOG).encode())
    assert "**This log was imported before**, as “my log”." in dialog.warning[0].value
    assert dialog.button(key="dialog-import").label == "Import again"
