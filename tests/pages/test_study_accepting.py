"""Accepting what forbids a study, before its launch and at its verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from bcecore.evaluation.study.creating import create
from bcecore.store.acknowledged import read
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.store.studies import StudyStore, cell
from bcecore.ui import study_draft
from tests.evaluation.study.studied import draft, finish_all, put_to_sleep
from tests.pages.test_run import ROOT
from tests.pages.test_study import again, show, words

REASON = "It is only a trial."


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    put_to_sleep(monkeypatch)
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(Path(ROOT) / "app.py"), default_timeout=60)


def accept(app: AppTest, finding: str) -> None:
    """Accept a finding, by the key of its box."""
    app.text_area(key=f"{finding}-reason").set_value(REASON)
    (button,) = [each for each in app.button if each.proto.form_id == f"{finding}-form"]
    button.click().run()
    assert not app.exception


def test_what_is_accepted_of_the_plan_no_longer_stands_in_the_way(app: AppTest) -> None:
    app.session_state[study_draft.BASE] = "report-10-epoch-offline"
    app.session_state[study_draft.HELD_OUT] = "aside"
    show(app, "new")
    assert "Look at: “1 · What to train”" in words(app) and app.button(key="create-study").disabled
    accept(app, "study-start-future-leak-0")
    assert not app.error and not app.button(key="create-study").disabled
    assert "“It is only a trial.”" in words(app)
    app.button(key="study-start-accepted-future-leak-0-withdraw").click().run()
    assert not app.exception and app.button(key="create-study").disabled


def test_a_look_is_taken_again_despite_what_was_accepted(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store, seeds=(1, 2, 3, 4, 5), looks=(5,)))
    finish_all(store, plan, {"active": -0.2})
    run_id = StudyStore(store).state(plan.id).runs[cell("active", 2)]
    save_file({"w": np.array([2, 1], dtype=np.float32)}, store.directory(run_id) / "model" / "model.safetensors")
    show(app, plan.id)
    assert app.header[0].value.startswith("No valid comparison")
    accept(app, "blocking-active-twin-mismatch-0")
    assert [each.reason for each in read(StudyStore(store).directory(plan.id))] == [REASON]
    app.button(key="study-again").click().run()
    assert not app.exception
    assert app.header[0].value.startswith("Better with BCE") and "Despite this" in app.header[0].value
    assert "“It is only a trial.”" in words(app)
    # Withdrawn, the verdict does not stand any more.
    app.button(key="despite-active-accepted-twin-mismatch-0-withdraw").click().run()
    again(app)
    assert not app.header and "not accepted any more" in "".join(each.value for each in app.error)
    accept(app, "blocking-active-twin-mismatch-0")
    again(app)
    assert app.header[0].value.startswith("Better with BCE")
