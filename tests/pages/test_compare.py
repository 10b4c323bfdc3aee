from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.errors import RunError
from bcecore.jobs import generation
from bcecore.store import generation as files
from bcecore.store.baseline import save_baseline
from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.identity import own_identity
from bcecore.store.record import now
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.store.samples import Sample, append_samples
from tests.examples import example_config, example_run
from tests.ui.evaluated import evaluated

ROOT = Path(__file__).parent.parent.parent
TEXTS = {"train": "t", "validation": "v"}


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)


def show(app: AppTest, **address: Any) -> AppTest:
    """The Compare page, as a link to it opens it."""
    app.run()
    app.switch_page("pages/Compare.py")
    for name, value in address.items():
        app.query_params[name] = value
    return again(app.run())


def again(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def asked(app: AppTest, name: str) -> list[str]:
    """What the address says under a name."""
    found = app.query_params[name]
    return [found] if isinstance(found, str) else list(found)


def words(app: AppTest) -> str:
    """All sentences on the page."""
    found = [*app.markdown, *app.caption, *app.error, *app.warning, *app.success, *app.info]
    return "\n".join(element.value for element in found)


def said_plainly(app: AppTest) -> str:
    """The same, without the signs that keep names from being read as Markdown."""
    return words(app).replace("\\", "")


def run(store: RunStore, name: str, texts: dict[str, str] | None = None, **given: Any) -> str:
    run_id = example_run(store, name=name, **given)
    dataset = store.record(run_id).dataset
    store.update(run_id, dataset={**dataset, "fingerprints": TEXTS if texts is None else texts})
    return run_id


@pytest.fixture
def two(store: RunStore) -> list[str]:
    off = example_config(bce__enabled=False)
    return [run(store, "off", config=off), run(store, "on", steps=100)]


def test_without_runs_the_page_leads_home(app: AppTest) -> None:
    show(app)
    assert "Runs are laid side by side here" in words(app) and not app.multiselect


def test_with_one_run_it_says_what_is_missing(app: AppTest, store: RunStore) -> None:
    run(store, "alone")
    show(app)
    assert "There is one run so far." in words(app)


def test_without_an_address_the_newest_are_one_click_away(app: AppTest, two: list[str]) -> None:
    show(app)
    assert "or begin with the newest" in words(app)
    app.button(key="compare-newest").click().run()
    again(app)
    assert asked(app, "runs") == two[::-1]
    assert app.multiselect(key="compare-runs").value == two[::-1]
    assert "What differs (1)" in [heading.value for heading in app.header]


def test_two_runs(app: AppTest, two: list[str]) -> None:
    show(app, runs=two)
    differing, *values = [table.value for table in app.table]
    assert differing.columns.tolist() == ["off", "on"]
    assert differing.loc["Use BCE"].tolist() == ["off", "on"]
    assert "settings are equal" in words(app)
    assert "can only be told by twin runs" in words(app)
    assert "The last values are of different steps" in words(app)
    held_out = values[0]
    assert held_out.columns.tolist() == ["Last", "Difference", "Best", "Best: difference"]
    assert held_out.loc["off", "Difference"] == ":gray[baseline]"
    assert "the same" in held_out.loc["on", "Difference"]
    ce = values[2]
    assert ce.loc["on", "Last"] == r"3\.4104 :gray[:small[at 100]]"
    assert ce.loc["on", "Difference"] == r":red[:material/thumb_down: \+0\.161 worse]"
    loss = values[3]
    assert "not comparable: BCE’s own term is in it" in loss.loc["on", "Difference"]
    assert len(app.get("vega_lite_chart")) == 4
    assert not app.dataframe
    app.session_state["compare-others"] = True
    again(app.run())
    others = app.dataframe[0].value
    assert {"learning rate", "gradient norm", "BCE weight"} <= set(others["Measure"])


def test_the_same_step_and_another_baseline_stay_in_the_address(app: AppTest, two: list[str]) -> None:
    show(app, runs=two)
    app.segmented_control(key="compare-at").set_value(True).run()
    app.selectbox(key="compare-baseline").set_value(two[1]).run()
    again(app)
    assert asked(app, "at") == ["same-step"] and asked(app, "baseline") == [two[1]]
    ce = app.table[3].value
    assert ce.columns.tolist() == ["Value", "Difference"]
    assert ce["Value"].tolist() == [r"3\.4104 :gray[:small[at 100]]"] * 2
    assert ce.loc["on", "Difference"] == ":gray[baseline]"
    assert "The last values are of different steps" not in words(app)


def test_the_pinned_run_is_the_baseline_unless_the_address_says_another(
    app: AppTest, store: RunStore, two: list[str]
) -> None:
    save_baseline(store, two[1])
    show(app, runs=two)
    assert app.selectbox(key="compare-baseline").value == two[1]
    show(app, runs=two, baseline=two[0])
    assert app.selectbox(key="compare-baseline").value == two[0]


def test_another_checking_text_is_a_warning_in_place_of_a_verdict(app: AppTest, store: RunStore) -> None:
    ids = [run(store, "first"), run(store, "second", texts=TEXTS | {"validation": "another"})]
    show(app, runs=ids)
    assert any("figures cannot be compared" in warning.value for warning in app.warning)
    held_out = app.table[1].value
    assert "not comparable: other checking text" in held_out.loc["second", "Difference"]


def test_runs_that_are_gone_are_told_and_the_rest_is_compared(app: AppTest, two: list[str]) -> None:
    show(app, runs=[*two, "20250101-000000-gone-0000", "../etc"])
    assert "2 runs of this address are not here" in app.warning[0].value
    assert app.multiselect(key="compare-runs").value == two
    assert "etc" not in words(app)
    app.multiselect(key="compare-runs").set_value([two[0]]).run()
    again(app)
    assert asked(app, "runs") == [two[0]] and "Choose one more run." in words(app)


def test_measures_can_be_chosen(app: AppTest, two: list[str]) -> None:
    show(app, runs=two, show=["bce_weight"])
    assert len(app.get("vega_lite_chart")) == 1
    app.multiselect(key="compare-shown").set_value(["ce", "bce_weight", "tokens"]).run()
    again(app)
    assert len(app.get("vega_lite_chart")) == 3
    assert asked(app, "show") == ["ce", "bce_weight", "tokens"]


def test_runs_of_several_seeds(app: AppTest, store: RunStore) -> None:
    ids = [run(store, f"seed {seed}", config=example_config(training__seed=seed)) for seed in (1, 2, 3)]
    show(app, runs=ids)
    assert "**seed 1 and 2 more**" in words(app)
    seeds = app.table[-1].value
    assert seeds.loc["CE"].tolist() == [r"3\.2489 ± 0 \(n = 3\)", "120", r"3\.2489 ± 0 \(n = 3\)"]
    app.toggle(key="compare-means").set_value(True).run()
    again(app)
    assert asked(app, "seeds") == ["mean"]


def test_a_running_run_and_one_that_waits(app: AppTest, store: RunStore) -> None:
    ids = [run(store, "at work", status="running"), run(store, "waiting", status="queued")]
    show(app, runs=ids)
    assert "Running" in words(app) and "Waiting" in words(app)
    assert "have logged nothing that can be compared yet" in words(app)


def test_runs_of_one_name_are_told_apart(app: AppTest, store: RunStore) -> None:
    ids = [run(store, "twin"), run(store, "twin", config=example_config(bce__enabled=False))]
    show(app, runs=ids)
    assert app.table[0].value.columns.tolist() == [rf"twin \({run_id[-4:]}\)" for run_id in ids]


# -- steps of one run


@pytest.fixture
def saved(store: RunStore) -> str:
    return run(store, "saved", steps=300, checkpoints=(100, 200, 250))


def test_steps_of_one_run(app: AppTest, store: RunStore, saved: str) -> None:
    show(app, mode="checkpoints", run=saved)
    assert app.multiselect(key="compare-steps").value == ["200", "250"]
    assert "**Keep step 250.**" in app.success[0].value and "lowest of the saved checkpoints" in app.success[0].value
    held_out = app.table[0].value
    assert held_out.index.tolist() == ["Step 200", "Step 250"]
    assert "better" in held_out.loc["Step 250", "Difference"]
    assert "of other lines" in app.table[2].value.loc["Step 250", "Difference"]
    assert "None of the chosen steps has written anything yet." in words(app)


def test_the_mode_and_the_steps_stay_in_the_address(app: AppTest, saved: str) -> None:
    show(app, runs=[saved])
    app.segmented_control(key="compare-mode").set_value("checkpoints").run()
    again(app)
    assert asked(app, "mode") == ["checkpoints"]
    app.multiselect(key="compare-steps").set_value(["100", "250"]).run()
    again(app)
    assert asked(app, "steps") == ["100", "250"]
    app.session_state["compare-steps"] = ["100"]
    app.segmented_control(key="compare-mode").set_value("runs").run()
    again(app)
    assert "mode" not in app.query_params


def test_a_step_that_was_not_logged_gives_way_to_the_nearest(app: AppTest, saved: str) -> None:
    show(app, mode="checkpoints", run=saved, steps=["100", "99999", "x"])
    assert app.multiselect(key="compare-steps").value == ["100", "300"]
    # A check is shown for the step at which it was made.
    show(app, mode="checkpoints", run=saved, steps=["100", "140"])
    assert app.table[0].value.loc["Step 140", "Value"] == r"3\.6176 :gray[:small[at 150]]"


def test_steps_of_the_address_that_are_not_there_are_named(app: AppTest, saved: str) -> None:
    show(app, mode="checkpoints", run=saved, steps=["abc", "99999", "-3"])
    said = app.warning[0].value
    assert "“abc” is not a step" in said and "3” is not a step" in said
    assert "Step 99,999 was not logged; step 300 is the nearest." in said
    show(app, mode="checkpoints", run=saved, steps=["100", "9" * 40])
    assert "is not a step" in app.warning[0].value
    show(app, mode="checkpoints", run=saved, steps=["100", "200"])
    assert not app.warning


def test_a_run_that_is_gone(app: AppTest, saved: str) -> None:
    show(app, mode="checkpoints", run="20250101-000000-gone-0000")
    assert "There is no run at this address." in app.warning[0].value
    app.selectbox(key="compare-run").set_value(saved).run()
    again(app)
    assert asked(app, "run") == [saved] and "Keep step 250" in words(app)


def test_a_run_that_has_logged_nothing(app: AppTest, store: RunStore) -> None:
    show(app, mode="checkpoints", run=run(store, "waiting", status="queued"))
    assert "Nothing was logged yet." in words(app)


def test_nothing_can_tell_without_held_out_text(app: AppTest, store: RunStore) -> None:
    run_id = run(store, "no check", config=example_config(data__validation="none"), checkpoints=(100,))
    show(app, mode="checkpoints", run=run_id)
    assert "Nothing logged can tell" in app.info[0].value and not app.success


def test_what_they_write_stands_side_by_side(app: AppTest, store: RunStore, saved: str) -> None:
    samples = [
        Sample(step=step, prompt=prompt, text=f" *{step}* {prompt}", time=0.0)
        for step in (100, 200, 250)
        for prompt in ("The door", "Kapı")
    ]
    append_samples(store.directory(saved), samples)
    show(app, mode="checkpoints", run=saved, steps=["100", "250", "300"])
    said = words(app)
    assert "**The door …**" in said and "**Kapı …**" in said
    assert r"\*100\* The door" in said and r"\*250\* Kapı" in said and r"\*200\*" not in said
    assert "*not asked*" in said
    assert "Not saved, so it cannot write: step 300." in said
    assert app.text_area[0].value == "The door\nKapı"
    assert said.index("The door …") < said.index("Kapı …")


def test_asking_them_to_write(app: AppTest, store: RunStore, saved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(generation, "start", lambda _, run_id, steps, prompts: given.append((run_id, steps, prompts)))
    show(app, mode="checkpoints", run=saved, steps=["100", "200"])
    app.text_area[0].set_value("One\nTwo").run()
    app.button(key="let-write").click().run()
    again(app)
    assert given == [(saved, [100, 200], ["One", "Two"])]

    def refuse(*_: object) -> None:
        raise RunError("There is no room.")

    monkeypatch.setattr(generation, "start", refuse)
    app.button(key="let-write").click().run()
    again(app)
    assert "There is no room" in app.toast[0].value


def test_progress_and_errors_of_the_writing(app: AppTest, store: RunStore, saved: str) -> None:
    directory = store.directory(saved)
    files.write_asked(directory, files.Asked(steps=(100,), prompts=3, at=now(), process=own_identity()))
    show(app, mode="checkpoints", run=saved, steps=["100", "200"])
    assert app.get("progress")[0].text == "The model is being loaded"
    assert app.button(key="let-write").disabled
    files.write_progress(directory, files.Progress(done=1, total=3))
    show(app)
    assert app.get("progress")[0].text == "1 of 3 texts"
    (directory / files.LOG_FILE).write_text("Traceback\nValueError: boom\n")
    files.write_progress(directory, files.Progress(done=1, total=3, ended=True, error="The disk is full."))
    show(app)
    assert r"The disk is full\." in app.error[0].value
    assert any("boom" in code.value for code in app.code) and "boom" not in words(app)
    assert not app.button(key="let-write").disabled


def test_an_imported_log_is_compared_and_cannot_write(app: AppTest, store: RunStore, two: list[str]) -> None:
    elsewhere = run(store, "elsewhere", texts={})
    directory = store.directory(elsewhere)
    (directory / "config.json").unlink()
    (directory / "import.json").write_text(json.dumps({"facts": {"batch_size": 99}}))
    for name in ("run.json", "run.copy.json"):
        record = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(record | {"status": "imported", "facts": {}}))
    show(app, runs=[*two, elsewhere])
    assert app.table[0].value.loc["Examples at a time \\(batch size\\)"].tolist() == ["8 lines", "8 lines", "99 lines"]
    assert "cannot be compared: not every run says what it had" in words(app)
    assert "text not known" in app.table[1].value.loc["elsewhere", "Difference"]
    show(app, mode="checkpoints", run=elsewhere)
    assert "trained elsewhere" in words(app) and not app.text_area


def test_seeds_that_are_not_equally_far(app: AppTest, store: RunStore) -> None:
    ids = [
        run(store, f"seed {seed}", config=example_config(training__seed=seed), steps=steps)
        for seed, steps in ((1, 120), (2, 60))
    ]
    show(app, runs=ids)
    said = next(warning.value for warning in app.warning if "equally far" in warning.value)
    assert r"seed 1\: step 120" in said and r"seed 2\: step 60" in said
    show(app, runs=[run(store, "seed 3", config=example_config(training__seed=3), steps=120), ids[0]])
    assert not any("equally far" in warning.value for warning in app.warning)


VAL = SplitTexts("val", "file", "val.txt", ["one two three", "a b c", "four five six"], 48)


@pytest.fixture
def three(store: RunStore) -> str:
    """A finished run with checkpoints at 100, 200 and 300, whose log finds 250 or later best."""
    return run(store, "three", steps=300, total=300, checkpoints=(100, 200, 300))


def test_what_was_measured_says_which_to_keep(app: AppTest, store: RunStore, three: str) -> None:
    evaluated(store, three, VAL, {100: [1.0, 2.0, 3.0], 200: [1.0, 2.0, 3.0]})
    show(app, mode="checkpoints", run=three, steps=["100", "200"])
    said = said_plainly(app)
    assert "Keep step 100: all of them predict exactly the same, and it is the earliest" in said
    assert "Keep step 300" not in said and not app.success
    assert "By the log alone, step 300 had the lowest held-out CE" in said
    assert "Evaluate steps 100 and 200" not in links(app)


def test_steps_measured_at_different_times_belong_together(app: AppTest, store: RunStore, three: str) -> None:
    evaluated(store, three, VAL, {100: [1.0, 2.0, 3.0]}, name="first")
    evaluated(store, three, replace(VAL, name="same texts"), {200: [0.5, 1.5, 2.5]}, name="second")
    evaluated(store, three, replace(VAL, long_texts="window", stride=24), {200: [9.0, 9.0, 9.0]}, name="windows")
    show(app, mode="checkpoints", run=three, steps=["100", "200"])
    assert [heading.value for heading in app.subheader].count("same texts") == 1
    assert "Keep step 200. CE is lower with step 200 than with step 100, by 0.500 nats per token" in said_plainly(app)


def test_what_changed_text_by_text_is_shown_on_request(app: AppTest, store: RunStore, three: str) -> None:
    evaluated(store, three, VAL, {100: [1.0, 2.0, 3.0], 200: [1.0, 2.0, 1.0], 300: [1.0, 2.5, 3.0]})
    show(app, mode="checkpoints", run=three, steps=["100", "200", "300"])
    assert not app.dataframe
    app.session_state["compare-changes"] = True
    again(app.run())
    assert [box.label for box in app.selectbox if box.key in ("compare-first", "compare-second")] == [
        "First step",
        "Second step",
    ]
    assert app.dataframe[0].value["number"].tolist()[0] == 2  # from 100 to 300 the second text changed most
    app.selectbox(key="compare-second").set_value(200).run()
    again(app)
    assert app.dataframe[0].value["number"].tolist()[0] == 3
    assert "step 200** · CE 1" in said_plainly(app)


def test_an_unmeasured_pair_leads_to_the_form(app: AppTest, store: RunStore, three: str) -> None:
    show(app, mode="checkpoints", run=three, steps=["100", "200"])
    assert "Keep step 300" in said_plainly(app)
    assert links(app)["Evaluate steps 100 and 200"].endswith(f"run={three}&steps=100&steps=200")
    show(app, mode="checkpoints", run=three, steps=["100", "101"])
    assert not any(label.startswith("Evaluate steps") for label in links(app))


def test_an_evaluation_on_its_way_is_not_asked_for_again(app: AppTest, store: RunStore, three: str) -> None:
    key = evaluated(store, three, VAL, {100: [1.0, 2.0, 3.0], 200: [1.0, 2.0, 3.0]}, whole=False)
    EvaluationStore(store).update(key, process=own_identity())
    show(app, mode="checkpoints", run=three, steps=["100", "200"])
    assert "planted is being measured" in said_plainly(app)
    assert links(app)["See how far it is"].endswith(f"evaluation={key.rpartition('/')[2]}")


def test_a_text_that_the_run_learnt_from_is_called_so(app: AppTest, store: RunStore) -> None:
    config = example_config(data__validation="first_rows_of_training")
    leaky = run(store, "leaky", config=config, leaks=True, checkpoints=(50, 100))
    evaluated(store, leaky, replace(VAL, kind="own", name="held-out"), {50: [1.0, 2.0, 3.0], 100: [1.0, 1.0, 1.0]})
    show(app, mode="checkpoints", run=leaky, steps=["50", "100"])
    boxes = [error.value.replace("\\", "") for error in app.error]
    assert [box.split(":")[0] for box in boxes] == [
        "**The model sees the words that it has to predict",
        "**All 3 lines that the model is checked on are lines that it learns from",
    ]
    said = said_plainly(app)
    assert "Nobody can say by this text which checkpoint to keep: the model sees the words" in said
    assert "Keep step" not in said


def test_the_log_says_which_to_keep_only_where_nothing_forbids_it(app: AppTest, store: RunStore) -> None:
    broken = run(
        store, "broken", steps=100, total=100, checkpoints=(50, 100), last_line={"step": 101, "loss": math.nan}
    )
    show(app, mode="checkpoints", run=broken)
    # What came before the loss was no number any more is as good as it was.
    assert "values in the log are no finite numbers" in app.error[0].value and "Keep step 100" in said_plainly(app)
    mixed = run(store, "mixed", checkpoints=(50, 100))
    with (store.directory(mixed) / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"step": 120, "eval_loss": 2.0, "eval_objective": 1.5, "eval_bce_loss": -0.4}) + "\n")
    show(app, mode="checkpoints", run=mixed)
    assert "is labelled eval" in app.error[0].value.replace("\\", "") and "Keep step" not in said_plainly(app)
    assert "Nothing logged can tell" in said_plainly(app)


def test_what_limits_a_comparison_of_runs_is_said_with_their_names(app: AppTest, store: RunStore) -> None:
    off = run(store, "without", config=example_config(bce__enabled=False))
    sound, leaky = run(store, "sound"), run(store, "leaky", leaks=True)
    show(app, runs=[off, sound])
    assert not app.error
    said = said_plainly(app)
    assert "These runs differ in BCE and share only 1 seed. A difference between them can be chance" in said
    show(app, runs=[sound, leaky])
    (box,) = app.error
    assert box.value.replace("\\", "").startswith("**leaky: The model sees the words that it has to predict")
    assert "differ in BCE" not in said_plainly(app)


@pytest.mark.parametrize("leaks", [False, True])
def test_nothing_is_called_better_where_a_finding_forbids_it(app: AppTest, store: RunStore, leaks: bool) -> None:
    shorter, longer = (run(store, f"{n} steps", steps=n, leaks=leaks) for n in (60, 120))
    show(app, runs=[shorter, longer])
    judged = " ".join(table.value.to_string() for table in app.table)
    assert ("better" in judged) is not leaks and "−" in judged
    show(app, mode="checkpoints", run=longer, steps=["50", "100"])
    assert ("better" in " ".join(table.value.to_string() for table in app.table)) is not leaks


def links(app: AppTest) -> dict[str, str]:
    """The links in the page, by their words: where they lead."""
    return {link.proto.label: f"{link.proto.page}?{link.proto.query_string}" for link in app.get("page_link")}
