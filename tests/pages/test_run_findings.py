"""What the Run page and Home say of what is noticed about a run, and how a finding is accepted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.findings.of_run import rules_of
from bcecore.findings.tally import tally_of
from bcecore.store import acknowledged
from bcecore.store.imports import import_run
from bcecore.store.record import Failure
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from tests.examples import example_config, example_run
from tests.pages.test_run import ROOT, show, specs, words

BROKEN = {"step": 121, "ce": math.nan, "loss": math.nan, "grad_norm": math.nan}
LEAK = "The model sees the words that it has to predict"


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)


def faulty(store: RunStore, **changes: Any) -> str:
    """The report's way: a model that sees ahead, and a BCE that adds no gradient."""
    return example_run(store, config=example_config("report-10-epoch-offline"), leaks=True, **changes)


def marks(app: AppTest, title: str) -> list[tuple[int, str, str]]:
    (chart,) = [
        chart
        for chart in app.get("vega_lite_chart")
        if json.loads(chart.proto.spec).get("title", {}).get("text") == title
    ]
    (table,) = [data.data for data in chart.proto.datasets if data.name == "marked"]
    import pyarrow as pa

    rows = pa.ipc.open_stream(table.data).read_all().to_pylist()
    return [(row["step"], row["kind"], row["name"]) for row in rows]


def test_a_sound_run_says_what_was_looked_for(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, config=example_config(training__warmup_steps=0), steps=300)
    show(app, run_id)
    assert not [button for button in app.button if button.key == "findings-count"]
    rules = len(rules_of(store.config(run_id)))
    assert any(f"Nothing noticed: {rules} rules looked at this run" in each.value for each in app.success)


def test_the_count_leads_to_the_list(app: AppTest, store: RunStore) -> None:
    show(app, faulty(store))
    assert "1 serious finding, 1 warning" in app.button(key="findings-count").label
    assert LEAK in app.error[0].value and r"3\.27" in app.error[0].value
    assert "seed profile has no gradient" in app.warning[0].value
    app.session_state["details"] = "Facts"
    app.run()
    assert LEAK not in words(app)  # said once on the page
    app.button(key="findings-count").click().run()
    assert not app.exception
    assert LEAK in words(app)


def test_findings_are_marked_on_the_charts_that_they_are_about(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running", last_line=BROKEN, checkpoints=(100,))
    show(app, run_id)
    assert marks(app, "Loss and CE") == [
        (100, "checkpoint", "Checkpoint of step 100"),
        (121, "finding", "No finite number"),
    ]
    assert (121, "finding", "No finite number") in marks(app, "Gradient norm")
    assert [kind for _, kind, _ in marks(app, "BCE weight")] == ["checkpoint"]


def test_the_fix_opens_launch_with_the_change(app: AppTest, store: RunStore) -> None:
    show(app, faulty(store))
    button = app.button(key="findings-W-no-gradient-0-fix")
    assert "Kind of BCE: As in the report → **Acting**" in words(app)
    button.click().run()
    assert not app.exception
    assert "Kind of BCE: As in the report → **Acting**" in words(app)
    assert "launch" in [button.key for button in app.button]
    assert len(store.records()) == 1  # nothing was launched


def test_what_is_offered_beside_the_name_is_not_offered_twice(app: AppTest, store: RunStore) -> None:
    failure = Failure(message="The loss is not a number.", step=121, kind="non-finite")
    show(app, example_run(store, "failed", failure=failure, last_line=BROKEN, checkpoints=(100,)))
    keys = [button.key for button in app.button]
    assert "try-again" in keys and "findings-B-non-finite-0-fix" not in keys
    assert "findings-B-non-finite-0" in str(app.main)


def test_accepting_takes_a_reason_and_can_be_taken_back(app: AppTest, store: RunStore) -> None:
    run_id = faulty(store)
    directory = store.directory(run_id)
    show(app, run_id)

    def accept(reason: str) -> None:
        app.text_area(key="findings-B-future-leak-0-reason").set_value(reason)
        (button,) = [each for each in app.button if "findings-B-future-leak-0-form" in str(each.proto.form_id)]
        button.click().run()
        assert not app.exception

    accept("   ")
    assert any("Say why this can be accepted" in each.value for each in app.error)
    assert acknowledged.read(directory) == ()
    accept("It repeats the report.")
    assert [each.reason for each in acknowledged.read(directory)] == ["It repeats the report."]
    assert LEAK not in "".join(each.value for each in app.error)
    assert r"“It repeats the report\.”" in words(app)
    assert app.button(key="findings-count").label.startswith(":orange[1 warning")
    tally = tally_of(store.record(run_id))
    assert tally is not None and (tally.serious, tally.accepted) == (0, 1)

    show(app, run_id)  # it stays
    assert r"“It repeats the report\.”" in words(app)
    app.button(key="findings-accepted-future-leak-0-withdraw").click().run()
    assert not app.exception and acknowledged.read(directory) == ()
    assert LEAK in app.error[0].value


def test_an_imported_run_is_looked_over_and_offered_no_relaunch(
    app: AppTest, store: RunStore, shared_data: Path
) -> None:
    show(app, import_run(store, [shared_data / "report" / "trainer_state.json"]))
    assert not app.error
    assert not [button for button in app.button if str(button.key).endswith("-fix")]
    assert marks(app, "Loss and CE") is not None
    assert "Loss and CE" in specs(app)


def test_home_counts_what_it_has_looked_over(app: AppTest, store: RunStore) -> None:
    faulty(store, name="faulty")
    example_run(store, name="sound", steps=300)
    example_run(store, "running", name="at work", last_line=BROKEN)
    app.run()
    assert not app.exception
    app.run()
    table = app.dataframe[0].value.set_index("name")["findings"]
    assert table["faulty"] == "✕ 1 serious, ▲ 1 warning, · 1 note"
    assert table["sound"] in ("✓ none", "· 1 note")
    assert table["at work"] is None or table["at work"] != table["at work"]
    assert "1 serious finding" in words(app)  # on its card
