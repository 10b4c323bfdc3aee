import json
import math
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.report.charts import View
from bcecore.store.imports import import_run
from bcecore.store.record import Failure
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.ui.run_charts import chart_file
from tests.examples import example_config, example_run

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)


def show(app: AppTest, run_id: str | None = None) -> AppTest:
    """The Run page, as a link to it opens it."""
    app.run()
    app.switch_page("pages/Run.py")
    if run_id is not None:
        app.query_params["run"] = run_id
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All sentences on the page."""
    found = [*app.markdown, *app.caption, *app.error, *app.warning, *app.success, *app.info]
    return "\n".join(element.value for element in found)


def charts(app: AppTest) -> int:
    return len(app.get("vega_lite_chart"))


def test_without_runs_the_page_leads_home(app: AppTest) -> None:
    show(app)
    assert app.title[0].value == "No run yet"
    assert not app.error


def test_an_address_that_names_no_run_gets_an_error_and_a_choice(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, name="the real one")
    show(app, "../../etc/passwd")
    assert "There is no run at this address" in app.error[0].value
    assert "passwd" not in words(app)
    app.selectbox(key="run-choice").select(run_id).run()
    assert not app.exception
    assert app.query_params["run"] == run_id
    assert app.title[0].value == "the real one"


def test_an_address_without_any_run(app: AppTest) -> None:
    show(app, "20250101-000000-gone-0000")
    assert app.title[0].value == "This run is not here"


def test_without_an_address_the_run_at_work_is_shown(app: AppTest, store: RunStore) -> None:
    example_run(store, "running", name="at work")
    example_run(store, "finished", name="done")
    show(app)
    assert app.title[0].value == "at work"


def test_another_run_can_be_chosen(app: AppTest, store: RunStore) -> None:
    first = example_run(store, name="first")
    second = example_run(store, name="second")
    show(app, first)
    assert app.selectbox(key="run-choice").value == first
    app.selectbox(key="run-choice").select(second).run()
    assert not app.exception
    assert app.title[0].value == "second"
    assert app.query_params["run"] == second


def test_a_running_run(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, "running", name="at work"))
    assert "Running" in words(app)
    assert app.get("progress")[0].text.startswith("Step 120 of 300 · epoch 2.4 · 31.2 steps/s · 4,100 tokens/s")
    values = {metric.label: metric.value for metric in app.metric}
    assert values["CE (language loss)"] == "3.25"
    assert values["Held-out CE"] == "3.91"
    assert "BCE: on, weight 0.29, adds 5 % to the gradient" in words(app)
    assert "Showing all 120 points." in words(app)
    assert charts(app) == 8 + 2  # the charts and two sparklines


@pytest.mark.parametrize("status", ["queued", "starting"])
def test_before_the_first_step_there_are_placeholders(app: AppTest, store: RunStore, status: str) -> None:
    show(app, example_run(store, status))  # type: ignore[arg-type]
    assert len(app.get("skeleton")) == 7
    assert "The charts begin with the first step" in words(app)
    assert "nothing measured yet" in words(app)
    assert {metric.value for metric in app.metric} == {"…"}


def test_a_finished_run(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "finished", steps=300)
    show(app, run_id)
    assert "**Finished** in 1 m" in app.success[0].value
    (link,) = [each.proto for each in app.get("page_link") if each.proto.label.startswith("Evaluate it")]
    assert (link.page, link.query_string) == ("Evaluate", f"run={run_id}")
    assert "best at step 300" in app.success[0].value
    assert not app.warning


def test_a_failed_run_says_what_happened_and_what_is_safe(app: AppTest, store: RunStore) -> None:
    failure = Failure(message="The loss is not a number.", step=121, detail="Traceback: secret detail")
    broken = {"step": 121, "ce": math.nan, "loss": math.nan, "grad_norm": math.nan}
    run_id = example_run(store, "failed", failure=failure, last_line=broken, checkpoints=(50, 100))
    show(app, run_id)
    text = app.error[0].value
    assert "failed at step 121" in text
    assert r"The loss is not a number\." in text
    assert "The checkpoint of step 100 is kept, and 1 earlier one." in text
    assert "secret detail" not in words(app)
    assert any("secret detail" in code.value for code in app.code)
    assert {metric.label: metric.value for metric in app.metric}["CE (language loss)"] == "not a number"


def test_a_run_that_vanished_is_crashed(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running")
    process = store.record(run_id).process
    assert process is not None
    store.update(run_id, process=process.model_copy(update={"started": process.started - 1000}))
    show(app, run_id)
    assert "ended unexpectedly at step 120" in app.error[0].value
    assert "No checkpoint had been saved yet." in app.error[0].value


def test_a_stopped_run(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, "stopped", checkpoints=(100,)))
    assert "Stopped before its end" in app.warning[0].value


def test_what_is_known_of_bce_of_a_model_that_sees_the_future(app: AppTest, store: RunStore) -> None:
    config = example_config("report-10-epoch-offline")
    show(app, example_run(store, "running", config=config, leaks=True))
    assert "adds nothing to the gradient" in words(app)


def test_a_run_without_bce_has_no_bce_charts(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, config=example_config(bce__enabled=False)))
    assert charts(app) == 3 + 2
    assert "BCE: off" in words(app)


def test_a_run_without_a_check_says_so(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, config=example_config(data__validation="none")))
    assert {metric.label: metric.value for metric in app.metric}["Held-out CE"] == "–"
    assert charts(app) == 8 + 1


def test_facts_settings_and_log(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store)
    show(app, run_id)
    app.session_state["details"] = "Facts"
    app.run()
    facts = app.table[0].value
    assert facts.loc["Steps", "Value"] == "120 of 300"
    assert facts.loc["Weights", "Value"] == "743,552"
    for tab, expected in (("Settings", "quick"), ("Log", "Loading the text and the model.")):
        app.session_state["details"] = tab
        app.run()
        assert not app.exception
        if tab == "Settings":
            assert len(app.table) == 5
            assert json.loads(app.code[-1].value) == store.config(run_id).model_dump(mode="json")
        else:
            assert expected in app.code[-1].value


def test_a_run_whose_settings_are_damaged_is_told(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store)
    (store.directory(run_id) / "config.json").write_text("{")
    show(app, run_id)
    assert "cannot be shown" in app.error[0].value
    assert str(store.root) not in words(app)


def specs(app: AppTest) -> dict[str, dict[str, Any]]:
    """The charts of the page by their titles."""
    found = [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]
    return {spec["title"]["text"]: spec for spec in found if "title" in spec}


def test_the_address_says_how_the_charts_are_looked_at(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, checkpoints=(100,))
    app.query_params.update({"x": "Time", "smoothing": "0.9", "log": "true", "clip": "true"})
    show(app, run_id)
    assert app.slider(key="smoothing").value == 0.9
    spec = json.dumps(specs(app)["Loss and CE"])
    assert "Time since the first step" in spec
    assert '"type": "log"' in spec
    assert '"name": "raw"' in spec  # the logged values behind the smoothed ones


def test_the_view_stays_when_another_run_is_chosen(app: AppTest, store: RunStore) -> None:
    first, second = example_run(store, name="first"), example_run(store, name="second")
    show(app, first)
    app.slider(key="smoothing").set_value(0.5).run()
    app.selectbox(key="run-choice").select(second).run()
    assert not app.exception
    assert app.title[0].value == "second"
    assert app.slider(key="smoothing").value == 0.5


def test_more_values_are_drawn_when_they_are_asked_for(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store))
    assert "Tokens per second" not in specs(app)
    app.session_state["more-charts"] = True
    app.run()
    assert not app.exception
    assert {"Tokens per second", "Held-out perplexity", "BCE share of the loss"} <= set(specs(app))


def test_a_chart_can_be_taken_along(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, steps=20)
    show(app, run_id)
    assert app.selectbox(key="download-chart-which").options[0] == "Loss and CE"
    config = store.config(run_id)
    asked = (store, run_id, config, "grad-norm", View())
    assert chart_file(*asked, "csv", dark=False).splitlines()[:2] == [
        "step,epoch,time,gradient norm",
        "1,0.02,1700000001.0,1.5",
    ]
    assert chart_file(*asked, "png", dark=True).startswith(b"\x89PNG")
    assert "<svg" in chart_file(*asked, "svg", dark=False)


def test_a_log_without_times_offers_no_axis_of_time(app: AppTest, store: RunStore, shared_data: Path) -> None:
    run_id = import_run(store, [shared_data / "report" / "trainer_state.json"])
    show(app, run_id)
    assert app.segmented_control(key="x").options == ["Step", "Epoch"]
    assert "CE against the objective" in specs(app)
