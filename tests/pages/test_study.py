"""The Study page: planned with what is wrong beside its field, watched without any result, and its verdict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.errors import BceError
from bcecore.evaluation.study import creating
from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.drafting import known_arm
from bcecore.evaluation.study.verdicts import take_due_looks
from bcecore.jobs import estimate
from bcecore.jobs.estimate import Estimate
from bcecore.store.identity import own_identity
from bcecore.store.requests import read_stop
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.store.studies import StudyPlan, StudyStore, cell
from bcecore.ui import study_draft
from tests.evaluation.study.studied import draft, fail, finish, finish_all, put_to_sleep, texts
from tests.examples import example_run
from tests.pages.test_run import charts
from tests.pages.test_run import words as sentences

ROOT = Path(__file__).parent.parent.parent
FIVE = {"seeds": (1, 2, 3, 4, 5), "looks": (5,)}


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    put_to_sleep(monkeypatch)
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def show(app: AppTest, study: str | None = None) -> AppTest:
    """The page, as a link to it opens it."""
    app.run()
    app.switch_page("pages/Study.py")
    if study is not None:
        app.query_params["study"] = study
    return again(app)


def again(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All sentences on the page, headings included, as they are read."""
    titles = [element.value for element in [*app.title, *app.header, *app.subheader]]
    return re.sub(r"\\(?=[^\w\s])", "", "\n".join([*titles, sentences(app)]))


def html(app: AppTest) -> str:
    """The page's own HTML: the table of runs among it."""
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def picked(app: AppTest, key: str, value: object) -> AppTest:
    """The form with another choice; pills and segments have no testing element that knows all kinds of values."""
    app.session_state[key] = value
    return again(app)


# -- all of them


def test_without_a_study_the_page_says_what_one_is_and_offers_one_step(app: AppTest) -> None:
    show(app)
    assert app.title[0].value == "Did BCE help?"
    assert [button.label for button in app.main.button] == ["Plan a study"]
    assert "Only this can say whether BCE helped" in words(app)
    assert "Scoring on and off · Evaluate" in words(app)
    app.button(key="new-study").click().run()
    assert not app.exception and app.title[0].value == "New study"


def test_an_address_without_a_study_gets_an_error_and_the_list(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store, name="the real one"))
    show(app, "../../etc/passwd")
    assert "There is no study at this address" in app.error[0].value
    app.button(key=f"open-{plan.id}").click().run()
    assert not app.exception and app.title[0].value == "the real one"
    assert app.query_params["study"] == plan.id


def test_the_list_says_how_far_each_is_and_a_verdict_in_a_word(app: AppTest, store: RunStore) -> None:
    done, going = (create(store, draft(store, name=name, **FIVE)) for name in ("done", "going"))
    finish_all(store, done, {"active": -0.2})
    take_due_looks(store, done.id)
    finish_all(store, going, {"active": -0.2}, seeds=(1,))
    (StudyStore(store).directory(going.id).parent / "20200101-000000-broken-abcd").mkdir()
    damaged = StudyStore(store).directory(going.id).parent / "20200101-000000-broken-abcd" / "study.json"
    damaged.write_text("{")
    said = words(show(app))
    assert "Finished" in said and "Better" in said and "Running" in said
    assert "Cannot be read" in said and "files are damaged" in said
    assert "active against off · 5 seeds · 32 documents of “held out”" in said
    assert said.count("Better") == 1


# -- planning


def test_the_form_begins_possible_and_says_what_it_can_and_cannot_see(app: AppTest) -> None:
    show(app, "new")
    said = words(app)
    assert "2 arms × 5 seeds = 10 runs" in said
    assert "no earlier study of this model tells" in said
    assert "How much results vary is assumed here" in said
    assert "nothing about other sizes or other texts" in said
    assert "Trying a few steps of each arm" in said
    assert "46 documents of “held-out”" in said and "only large differences can be seen" in app.warning[0].value
    assert not app.button(key="create-study").disabled


def test_time_and_disk_as_measured(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        estimate, "estimate", lambda *_: Estimate(60.0, 10_000_000, 20_000_000, 3, 1_000_000, 3_000_000, 1_000_000)
    )
    app.session_state[study_draft.EARLIER] = "3"
    show(app, "new")
    assert "Its 6 runs take about 6 min of training" in words(app)
    assert "With all 5 seeds, about 10 min" in words(app)
    assert "About 100 MB of disk" in words(app)


def test_what_an_earlier_study_varied_by_tells_what_this_one_will_see(app: AppTest, store: RunStore) -> None:
    pilot = create(store, draft(store, **FIVE))
    finish_all(store, pilot, {"active": -0.2})
    take_due_looks(store, pilot.id)
    run_id = StudyStore(store).state(pilot.id).runs[cell("off", 1)]
    app.session_state[study_draft.BASE] = study_draft.PAST_RUN
    app.session_state[study_draft.RUN] = run_id
    show(app, "new")
    assert f"as far as study {pilot.id} tells" in words(app)
    assert "is assumed here" not in words(app)


def test_a_finding_that_blocks_stands_beside_what_causes_it_and_has_a_way_out(app: AppTest) -> None:
    app.session_state[study_draft.BASE] = "report-10-epoch-offline"
    show(app, "new")
    assert app.button(key="create-study").disabled
    assert "Look at: “1 · What to train”, “4 · What to measure on”" in words(app)
    said = "\n".join(error.value for error in app.error)
    assert "The model sees the words that it has to predict" in said
    assert "are lines that it learns from" in said
    app.toggle(key=study_draft.CAUSAL).set_value(True)
    picked(app, study_draft.HELD_OUT, "aside")
    assert not app.error and not app.button(key="create-study").disabled


@pytest.mark.parametrize(
    ("state", "message", "place"),
    [
        ({study_draft.ARMS: ["off"]}, "choose one more", "arms"),
        ({study_draft.ARMS: []}, "choose two", "arms"),
        ({study_draft.ARMS: ["off", "seed", "active"], study_draft.OWN_ARMS: 2}, "choose fewer", "arms"),
        ({study_draft.OWN_ARMS: 1, study_draft.own_key(0, "name"): "Off"}, "Two arms are called “off”", "arms"),
        ({study_draft.OWN_ARMS: 1, study_draft.own_key(0, "name"): "?!"}, "a name of letters or digits", "arms"),
        ({study_draft.OWN_ARMS: 1, study_draft.own_key(0, "bce.base_weight"): "much"}, "not a number", "arms"),
        ({study_draft.OWN_ARMS: 1, study_draft.own_key(0, "bce.base_weight"): "-1"}, "", "arms"),
        ({study_draft.SEEDS: "other", study_draft.SEEDS_TYPED: "many"}, "a whole number from 2", "seeds"),
        ({study_draft.SEEDS: "other", study_draft.SEEDS_TYPED: "1"}, "2 to 64 seeds, not 1", "seeds"),
        ({study_draft.SEEDS: "other", study_draft.SEEDS_TYPED: "999"}, "2 to 64 seeds, not 999", "seeds"),
        ({study_draft.MARGIN_TYPED: "0,01"}, "not a number", "plan"),
        ({study_draft.MARGIN_TYPED: "0"}, "above 0", "plan"),
        ({study_draft.EARLIER: "5"}, "fewer than all 5", "plan"),
        ({study_draft.EARLIER: "two"}, "numbers of seeds with commas", "plan"),
        ({study_draft.HELD_OUT: "file"}, "Type the path", "held-out"),
        ({study_draft.HELD_OUT: "file", study_draft.HELD_OUT_PATH: "/nowhere.txt"}, "nowhere.txt", "held-out"),
        ({study_draft.HELD_OUT: "upload"}, "Upload at least one", "held-out"),
        ({study_draft.SHARE: "ten"}, "not a number of per cent", "held-out"),
        ({study_draft.SHARE: "120"}, "", "held-out"),
        ({study_draft.TRAIN: "file", study_draft.TRAIN_PATH: "/nowhere.txt"}, "nowhere.txt", "start"),
        ({study_draft.TRAIN: "file"}, "Type the path", "start"),
        ({study_draft.TRAIN: "upload"}, "Upload the text", "start"),
        ({study_draft.STEPS: "soon"}, "not a number", "start"),
        ({study_draft.STEPS: "-4"}, "", "start"),
        ({study_draft.NAME: " "}, "needs a name", "name"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_its_place_and_nothing_is_lost(
    app: AppTest, store: RunStore, state: dict[str, object], message: str, place: study_draft.Place
) -> None:
    for key, value in state.items():
        app.session_state[key] = value
    show(app, "new")
    assert message in "\n".join(re.sub(r"\\(?=[^\w\s])", "", error.value) for error in app.error) and app.error
    assert f"Look at: “{study_draft.PLACES[place]}”." in words(app)
    assert app.button(key="create-study").disabled and StudyStore(store).ids() == []
    assert all(app.session_state[key] == value for key, value in state.items())


def test_a_study_is_created_with_arms_of_ones_own(app: AppTest, store: RunStore, tmp_path: Path) -> None:
    train, held_out = texts(tmp_path / "own")
    for key, value in {
        study_draft.TRAIN: "file",
        study_draft.TRAIN_PATH: str(train),
        study_draft.STEPS: "30",
        study_draft.WARMUP: "5",
        study_draft.ARMS: ["off"],
        study_draft.OWN_ARMS: 2,
        study_draft.own_key(0, "name"): "A little",
        study_draft.own_key(0, "bce.base_weight"): "0.05",
        study_draft.own_key(1, "name"): "much",
        study_draft.own_key(1, "bce.max_weight"): "0.9",
        study_draft.own_key(1, "bce.warmup_steps"): "12",
        study_draft.SEEDS: "other",
        study_draft.SEEDS_TYPED: "3",
        study_draft.EARLIER: "2",
        study_draft.HELD_OUT: "file",
        study_draft.HELD_OUT_PATH: str(held_out),
        study_draft.MARGIN_TYPED: "0.02",
    }.items():
        app.session_state[key] = value
    show(app, "new")
    # The base's warm-up of BCE is longer than these runs, which is told where the arms are.
    assert "“2 · What to compare”" in words(app) and "warm" in app.error[0].value
    app.session_state[study_draft.BCE_WARMUP] = "10"
    again(app)
    assert "“a-little”, “much” against “off”" in words(app)
    assert [error.value for error in app.error] == []
    app.button(key="create-study").click().run()
    assert not app.exception and not app.error
    (study_id,) = StudyStore(store).ids()
    plan = StudyStore(store).plan(study_id)
    assert app.query_params["study"] == study_id and plan.name == "Quick look: does BCE help"
    assert {arm.name: arm.changes for arm in plan.arms} == {
        "off": {"bce.enabled": False},
        "a-little": {"bce.enabled": True, "bce.profile": "active", "bce.base_weight": 0.05},
        "much": {"bce.enabled": True, "bce.profile": "active", "bce.max_weight": 0.9, "bce.warmup_steps": 12},
    }
    assert plan.base.bce.warmup_steps == 10 and plan.base.training.warmup_steps == 5
    assert (plan.seeds, plan.looks, plan.margin, plan.total_steps) == ((1, 2, 3), (2, 3), 0.02, 30)
    assert (plan.primary.name, plan.primary.rows) == ("held_out", 32)
    assert plan.expectations["documents"] == 32
    assert [store.record(run_id).status for run_id in store.ids()] == ["queued"] * 6


def test_an_error_at_creation_is_said_and_the_form_stays(
    app: AppTest, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> StudyPlan:
        raise BceError("The disk is full.")

    monkeypatch.setattr(creating, "create", full)
    app.session_state[study_draft.NAME] = "mine"
    show(app, "new")
    app.button(key="create-study").click().run()
    assert not app.exception and "The disk is full" in app.error[0].value
    assert app.session_state[study_draft.NAME] == "mine" and app.query_params["study"] == "new"


# -- watching


def test_at_work_there_is_progress_and_never_a_result(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store, **FIVE))
    finish_all(store, plan, {"active": -0.2}, seeds=(1, 2))
    finish(store, plan, "off", 3)
    show(app, plan.id)
    said = words(app)
    assert "The result comes when all 5 seeds of every arm are trained and measured; 2 of 5 are." in said
    assert "Until then no loss is compared here" in said
    assert charts(app) == 0 and "nats per token, 9" not in said and "Better" not in said
    table = html(app)
    assert table.count("Measured") == 5 and table.count("Waiting") == 5
    runs = StudyStore(store).state(plan.id).runs
    assert f'href="Run?run={runs["active/5"]}"' in table
    assert app.button(key="study-delete").disabled is False


def test_stop_and_resume(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    show(app, plan.id)
    app.button(key="study-stop").click().run()
    assert not app.exception and StudyStore(store).state(plan.id).stopped
    assert "What is trained and measured is kept" in words(app) and "is removed" not in words(app)
    assert {store.record(run_id).status for run_id in store.ids()} == {"removed"}
    app.button(key="study-resume").click().run()
    assert not app.exception and not StudyStore(store).state(plan.id).stopped
    assert {store.record(run_id).status for run_id in store.ids()} == {"queued"}


def test_a_failed_run_says_what_to_do_and_leads_to_it(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    finish_all(store, plan, {}, seeds=(1,))
    finish(store, plan, "off", 2)
    run_id = StudyStore(store).state(plan.id).runs[cell("active", 2)]
    fail(store, run_id, "The disk was full.")
    show(app, plan.id)
    said = words(app)
    assert "Needs you" in said and "has failed: The disk was full. Press “Resume”." in said
    assert "python -m" not in said and "✕</b> Failed" in html(app)
    app.button(key="study-resume").click().run()
    assert store.record(run_id).status == "queued"


def test_stopping_at_work_waits_for_what_is_at_work(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    run_id = StudyStore(store).state(plan.id).runs[cell("off", 1)]
    store.transition(run_id, "starting", process=own_identity())
    store.transition(run_id, "running")
    show(app, plan.id)
    assert app.button(key="study-delete").disabled
    app.button(key="study-stop").click().run()
    assert read_stop(store.directory(run_id)) is not None
    assert app.button(key="study-stop").label == "Stopping…" and app.button(key="study-stop").disabled


# -- the verdict


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [(-0.2, "Better with BCE: −0.2"), (0.2, "Worse with BCE: +0.2"), (0.001, "No meaningful difference: +0.001")],
)
def test_the_answer_comes_first_with_its_picture(app: AppTest, store: RunStore, effect: float, verdict: str) -> None:
    plan = create(store, draft(store, **FIVE))
    finish_all(store, plan, {"active": effect})
    show(app, plan.id)
    assert app.header[0].value.replace("\\", "").startswith(verdict)
    assert [look.seeds for look in StudyStore(store).state(plan.id).looks] == [5]
    assert charts(app) == 2  # the differences, and the curves where they differ
    expanders = [expander.label for expander in app.expander]
    assert expanders[:3] == ["How it was reached", "Results", "Where and when they differ"]
    assert {"What was noticed", "What these figures cannot show", "How to repeat it", "Its runs"} <= set(expanders)
    assert "A difference of 0.01 nats per token would matter" in words(app)
    assert len(app.get("download_button")) == 2


def test_nothing_changed_comes_with_its_proof(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store, arms=(known_arm("off"), known_arm("seed"))))
    for seed in plan.seeds:
        finish(store, plan, "off", seed, gradient=None)
        finish(store, plan, "seed", seed, gradient=0.0)
    said = words(show(app, plan.id))
    assert app.header[0].value.startswith("BCE changed nothing")
    assert "their hashes are equal" in said and "was exactly 0 at each of them" in said


def test_a_first_look_names_no_winner(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store, seeds=(1, 2, 3), looks=(3,)))
    finish_all(store, plan, {"active": -0.5})
    show(app, plan.id)
    assert app.header[0].value.startswith("Exploratory")
    assert "Better with" not in words(app)


def test_a_finding_that_blocks_says_what_to_do_and_shows_no_number(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    finish_all(store, plan, {}, seeds=(1,))
    finish(store, plan, "off", 2)
    run_id = StudyStore(store).state(plan.id).runs[cell("active", 2)]
    fail(store, run_id, "The loss is not a number.", kind="non-finite", step=3)
    show(app, plan.id)
    assert app.header[0].value.startswith("No valid comparison")
    assert "Create a new study with settings under which every run trains to its end" in app.error[0].value
    assert app.expander[0].label == "How it was reached" and "Results" not in [each.label for each in app.expander]
    before = StudyStore(store).state(plan.id).looks[0].taken
    app.button(key="study-again").click().run()
    assert StudyStore(store).state(plan.id).looks[0].taken > before
    assert app.header[0].value.startswith("No valid comparison")


def test_the_next_planned_look_is_offered_and_the_first_one_stays(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store, seeds=(1, 2, 3), looks=(2, 3)))
    finish_all(store, plan, {"active": -0.5})
    show(app, plan.id)
    assert app.button(key="study-extend").label == "Train the next 1 seed"
    assert "A look at 3 seeds is planned as well" in words(app) and "At 3 seeds: not trained yet." in words(app)
    app.button(key="study-extend").click().run()
    assert not app.exception and "1 more seed, 2 runs in all" in words(app)


def test_what_was_frozen_and_changed_gets_no_verdict(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    finish_all(store, plan, {"active": -0.5})
    path = StudyStore(store).directory(plan.id) / "study.json"
    path.write_text(path.read_text().replace('"margin": 0.01', '"margin": 0.001'))
    show(app, plan.id)
    assert "There is no verdict" in app.error[0].value and not StudyStore(store).state(plan.id).looks
    assert not app.header


def test_results_that_cannot_be_read_can_be_tried_again(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    finish_all(store, plan, {"active": -0.5})
    key = StudyStore(store).state(plan.id).evaluations[cell("active", 2)]
    path = store.root / key.partition("/")[0] / "evaluations" / key.partition("/")[2] / "examples.parquet"
    whole = path.read_bytes()
    path.write_bytes(b"gone")
    show(app, plan.id)
    assert "The result cannot be worked out" in app.error[0].value
    path.write_bytes(whole)
    app.button(key="study-look-again").click().run()
    assert not app.exception and not app.error and app.header[0].value.startswith("Exploratory")


def test_a_damaged_study_says_so(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    (StudyStore(store).directory(plan.id) / "study.json").write_text("{")
    show(app, plan.id)
    assert "This study cannot be shown" in app.error[0].value


# -- other pages


def links(app: AppTest) -> list[tuple[str, str]]:
    """Where the links of the page itself lead."""
    found = [element.proto for element in app.main.get("page_link")]
    return [(proto.page, proto.query_string) for proto in found]


def test_a_run_of_a_study_says_so_and_home_shows_one_card_for_all(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    alone = example_run(store, name="alone")
    run_id = StudyStore(store).state(plan.id).runs[cell("off", 1)]
    app.run()
    assert not app.exception
    cards = [button.key for button in app.button if str(button.key).startswith("open-")]
    assert f"open-{plan.id}" in cards and f"open-{run_id}" not in cards
    app.switch_page("pages/Run.py")
    app.query_params["run"] = run_id
    again(app)
    assert ("Study", f"study={plan.id}") in links(app)
    app.query_params["run"] = alone
    again(app)
    assert not any(page == "Study" for page, _ in links(app))
    StudyStore(store).discard(plan.id)
    app.query_params["run"] = run_id
    assert "made for a study that is not here any more" in words(again(app))


def test_home_lists_the_runs_of_one_study(app: AppTest, store: RunStore) -> None:
    plan = create(store, draft(store))
    example_run(store, name="alone")
    app.run()
    assert len(app.dataframe[0].value) == 5
    app.multiselect(key="studies").set_value([plan.id]).run()
    assert not app.exception and len(app.dataframe[0].value) == 4
    app.button(key=f"stop-{plan.id}").click().run()
    assert not app.exception and StudyStore(store).state(plan.id).stopped


def test_what_is_bce_leads_to_a_study(app: AppTest) -> None:
    app.run()
    app.switch_page("pages/What_is_BCE.py")
    again(app)
    assert ("Study", "") in links(app)
