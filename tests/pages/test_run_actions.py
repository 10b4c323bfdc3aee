"""What can be done with a run from its page, in each status, and by people who click twice or too late."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.jobs import control, queue
from bcecore.store.record import Failure, Status
from bcecore.store.requests import EVALUATE_REQUEST, SAMPLE_REQUEST, SAVE_REQUEST, read_stop, take
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.store.samples import Sample, append_samples
from bcecore.store.trash import trash
from tests.examples import example_config, example_run
from tests.pages.test_run import show, words

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)


def click(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def pick(app: AppTest, key: str, option: str) -> None:
    app.menu_button(key=key).click(option).run()
    assert not app.exception


def said(app: AppTest) -> list[str]:
    return [toast.value.replace("\\", "") for toast in app.toast]


OF_OTHERS = {"reset-zoom", "export"}


def labels(app: AppTest) -> list[str]:
    """What the row of actions offers, the primary first where there is one."""
    elements = [*app.main.button, *app.main.menu_button]
    others = [element for element in elements if element.key in OF_OTHERS or "findings" in str(element.key)]
    return [element.label for element in elements if element not in others]


@pytest.mark.parametrize(
    ("status", "checkpoints", "expected"),
    [
        ("queued", (), ["Hold", "Remove", "Use these settings", "More"]),
        ("starting", (), ["Save now", "Check now", "Sample now", "Use these settings", "Stop", "More"]),
        ("running", (), ["Save now", "Check now", "Sample now", "Use these settings", "Stop", "More"]),
        ("finished", (), ["Extend", "Use these settings", "More"]),
        ("stopped", (), ["Resume from the beginning", "Use these settings", "More"]),
        ("crashed", (100,), ["Resume from step 100", "Use these settings", "More"]),
        (
            "stopped",
            (50, 100),
            ["Resume from step 100", "Use these settings", "Resume from another step", "More"],
        ),
    ],
)
def test_each_status_offers_what_is_possible(
    app: AppTest, store: RunStore, status: Status, checkpoints: tuple[int, ...], expected: list[str]
) -> None:
    show(app, example_run(store, status, checkpoints=checkpoints))
    assert labels(app) == expected
    primary = [element for element in [*app.main.button, *app.main.menu_button] if element.proto.type == "primary"]
    assert len(primary) == (status != "queued")


def test_a_running_run_is_asked_to_save_check_and_sample(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running")
    directory = store.directory(run_id)
    show(app, run_id)
    for name, label in ((SAVE_REQUEST, "Save now"), (EVALUATE_REQUEST, "Check now"), (SAMPLE_REQUEST, "Sample now")):
        click(app, f"ask-{name}")
        assert said(app) == [f"{label}: asked, comes after this step."]
        assert app.button(key=f"ask-{name}").disabled
        assert "Asked, comes after this step." in words(app)
        assert take(directory, name)
        app.run()
        assert not app.button(key=f"ask-{name}").disabled
    assert "Asked, comes after this step." not in words(app)


def test_without_text_to_check_on_nothing_is_checked(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, "running", config=example_config(data__validation="none")))
    assert app.button(key=f"ask-{EVALUATE_REQUEST}").disabled


def test_stopping_now_is_confirmed(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running", checkpoints=(50,))
    show(app, run_id)
    pick(app, f"stop-{run_id}", "now")
    assert "The work since step 50, about 5 s, is lost." in words(app)
    click(app, "dialog-leave")
    assert read_stop(store.directory(run_id)) is None
    assert "is lost" not in words(app)
    pick(app, f"stop-{run_id}", "now")
    click(app, "dialog-stop")
    request = read_stop(store.directory(run_id))
    assert request is not None and request.kind == "now"
    assert "Stopping…" in words(app)


def test_a_click_on_a_run_that_ended_meanwhile_gives_a_sentence(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "running", name="too late")
    show(app, run_id)
    store.transition(run_id, "finished", process=None)
    click(app, f"ask-{SAVE_REQUEST}")
    assert said(app)[0] == "“too late” is finished: this can be asked of a running run only."
    assert "**Finished**" in words(app)


def test_a_stopped_run_goes_on_and_a_second_click_is_harmless(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "stopped", name="half", checkpoints=(50, 100))
    show(app, run_id)
    control.resume(store, run_id)  # from another window
    click(app, f"resume-{run_id}")
    assert said(app) == []
    assert [record.id for record in queue.waiting(store)] == [run_id]
    assert app.get("progress")[0].text.startswith("Next in the queue")


def test_a_run_goes_on_from_a_chosen_checkpoint(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "crashed", checkpoints=(50, 100))
    show(app, run_id)
    pick(app, f"resume-from-{run_id}", "50")
    assert store.record(run_id).resume_from == "50"
    assert said(app) == ["It goes on from step 50."]


def test_a_failed_run_is_tried_again_with_what_may_help(app: AppTest, store: RunStore) -> None:
    failure = Failure(message="The loss stopped being a finite number.", kind="non-finite", step=121)
    run_id = example_run(store, "failed", failure=failure, name="diverged")
    show(app, run_id)
    assert labels(app)[0] == r"Try again with learning speed \(learning rate\) 0\.0001"
    click(app, "try-again")
    assert app.text_input(key="launch:training.learning_rate").value == "0.0001"
    assert app.text_input(key="launch:name").value == "diverged, again"


def test_a_finished_run_is_extended(app: AppTest, store: RunStore, woken: list[RunStore]) -> None:
    run_id = example_run(store, "finished", name="done", steps=312, total=312, checkpoints=(312,))
    checkpoint = store.directory(run_id) / "checkpoints" / "checkpoint-312"
    (checkpoint / "trainer_state.json").write_text("{}")
    show(app, run_id)
    click(app, "extend")
    assert app.button(key="dialog-extend").disabled
    for typed, problem in (("many", "'many' is not a number."), ("-1", "has to be above 0")):
        app.text_input(key="dialog-more").set_value(typed).run()
        assert not app.exception
        assert problem in words(app).replace("\\", "")
        assert app.button(key="dialog-extend").disabled
    app.text_input(key="dialog-more").set_value("6").run()
    assert "The whole run then has 624 steps" in words(app)
    # The old schedule ends at 1e-3 x 1/282, the longer one is then at 1e-3 x 312/594.
    assert "after step 312 it goes from 3.55e-6 to **5.25e-4**" in words(app)
    click(app, "dialog-extend")
    new = next(other for other in store.ids() if other != run_id)
    record = store.record(new)
    assert (record.name, record.parent, record.status) == ("done, extended", run_id, "queued")
    assert app.query_params["run"] == new


def test_a_run_gets_a_name_tags_and_notes(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, name="before")
    show(app, run_id)
    pick(app, "more", "describe")
    app.text_input(key="dialog-name").set_value("  ").run()
    click(app, "dialog-save")
    assert any("A run needs a name" in error.value for error in app.error)
    app.text_input(key="dialog-name").set_value("after").run()
    app.text_area(key="dialog-notes").set_value("What I *saw*").run()
    click(app, "dialog-save")
    record = store.record(run_id)
    assert (record.name, record.notes) == ("after", "What I *saw*")
    assert app.title[0].value == "after"
    assert r"What I \*saw\*" in words(app)


def test_a_run_is_archived_and_listed_again(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store)
    show(app, run_id)
    pick(app, "more", "archive")
    assert store.record(run_id).archived
    pick(app, "more", "restore")
    assert not store.record(run_id).archived


def test_deleting_says_what_goes_and_leads_home(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, name="not needed", checkpoints=(50, 100))
    show(app, run_id)
    pick(app, "more", "delete")
    assert "goes to the trash with its values and 2 checkpoints" in words(app)
    click(app, "dialog-delete")
    assert store.ids() == [] and trash(store).ids() == [run_id]
    assert said(app) == ["not needed is in the trash. Settings can take it back."]
    assert app.title[0].value == "Watch a language model learn"


def test_a_run_that_was_deleted_elsewhere_is_missed_without_harm(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "stopped")
    show(app, run_id)
    control.delete(store, run_id)
    click(app, f"resume-{run_id}")
    assert said(app) == ["This run is not here any more: it was deleted, here or in another window."]
    assert app.title[0].value == "This run is not here"


def test_a_run_at_work_is_neither_deleted_nor_archived(app: AppTest, store: RunStore) -> None:
    show(app, example_run(store, "running"))
    assert app.menu_button(key="more").options == ["Name, tags and notes…"]


def test_samples_and_checkpoints(app: AppTest, store: RunStore) -> None:
    run_id = example_run(store, "stopped", checkpoints=(50, 100))
    (store.directory(run_id) / "checkpoints" / "checkpoint-120").mkdir()
    show(app, run_id)
    app.session_state["details"] = "Samples"
    app.run()
    assert "is shown here" in words(app)
    append_samples(
        store.directory(run_id),
        [Sample(step=step, prompt="The <b>cat", text=f" sat {step}", time=1.0) for step in (10, 90)],
    )
    app.run()
    (html,) = [element.value for element in app.get("html") if "bce-sample" in element.value]
    assert "The &lt;b&gt;cat<mark> sat 90</mark>" in html and "sat 10" not in html
    app.button_group(key="samples-view").set_value("prompt").run()
    assert not app.exception
    (html,) = [element.value for element in app.get("html") if "bce-sample" in element.value]
    assert html.index("sat 90") < html.index("sat 10")

    app.session_state["details"] = "Checkpoints"
    app.run()
    assert not app.exception
    assert words(app).index("**Step 120**") < words(app).index("**Step 100**")
    assert "Not whole: nothing can go on from it" in words(app)
    assert "Best held-out CE" in words(app)
    (link,) = [element.proto for element in app.get("page_link") if element.proto.label == "Compare them side by side"]
    assert (link.page, link.query_string) == ("Compare", f"mode=checkpoints&run={run_id}")
    (link,) = [element.proto for element in app.get("page_link") if element.proto.label == "Evaluate them on texts"]
    assert (link.page, link.query_string) == ("Evaluate", f"run={run_id}")
    click(app, "resume-at-50")
    assert store.record(run_id).resume_from == "50"
