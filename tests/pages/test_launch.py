"""The Launch page: what is typed is checked beside its field, explained in words, and launched exactly once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.jobs import control, estimate
from bcecore.jobs.estimate import Probe
from bcecore.jobs.submit import Checked, submit, with_absolute_paths
from bcecore.recipes import load_recipe
from bcecore.settings import flatten, with_values
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.text.tokenizing import train_wordpiece
from bcecore.ui.config_form import SETTINGS, typed_from
from bcecore.ui.launch_schedules import sampled_steps

APP = Path(__file__).resolve().parent.parent.parent / "app.py"
LAUNCH = "pages/Launch.py"
# One control stands for both.
SHARED_CONTROL = {"bce.profile": "bce.enabled"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, store: RunStore) -> list[str]:
    """The ids of the runs that were launched; nothing is started."""
    runs: list[str] = []

    def launched(*arguments: Any, **named: Any) -> str:
        runs.append(submit(*arguments, **named))
        return runs[-1]

    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    monkeypatch.setattr(control, "submit", launched)
    return runs


@pytest.fixture
def launch(started: list[str]) -> Iterator[AppTest]:
    """The Launch page as somebody finds it."""
    app = AppTest.from_file(APP, default_timeout=60).run()
    app.switch_page(LAUNCH).run()
    assert not app.exception
    yield app
    assert not app.exception


def _estimate(_: RunStore, checked: Checked) -> estimate.Estimate:
    """What a probe of any settings might have led to."""
    probe = Probe(
        startup_seconds=4,
        seconds_per_step=0.1,
        seconds_per_evaluation=1,
        seconds_per_checkpoint=0.5,
        checkpoint_bytes=8_000_000,
        model_bytes=3_000_000,
        weights=674_000,
    )
    return estimate.estimate_from(probe, checked.config, checked.total_steps, evaluates=bool(checked.validation.ids))


def _type(app: AppTest, key: str, text: str) -> None:
    app.text_input(key=f"launch:{key}").set_value(text).run()


def _choose(app: AppTest, key: str, choice: str) -> None:
    app.button_group(key=f"launch:{key}").set_value(choice).run()


def _seen(markdown: str) -> str:
    """What is read on the screen where somebody's own text was kept from being Markdown."""
    return re.sub(r"\\([^\w\s])", r"\1", markdown)


def _said(app: AppTest) -> str:
    return "\n".join(_seen(element.value) for element in [*app.markdown, *app.caption])


def _errors(app: AppTest) -> list[str]:
    return [_seen(error.value) for error in app.error]


def _beside(block: Any, key: str) -> list[str]:
    """The texts of what stands in the same cell as a widget."""
    children = list(block.children.values())
    if any(getattr(child, "key", None) == key for child in children):
        return [_seen(str(child.value)) for child in children if hasattr(child, "value")]
    return [text for child in children if hasattr(child, "children") for text in _beside(child, key)]


def _section(block: Any, number: int) -> Any:
    """The section of the form with this number."""
    children = list(block.children.values())
    if any(str(getattr(child, "value", "")).startswith(f"{number} · ") for child in children):
        return block
    below = (_section(child, number) for child in children if hasattr(child, "children"))
    return next((found for found in below if found is not None), None)


def _noticed(app: AppTest, number: int) -> list[str]:
    """What is noticed in a section, each behind a letter for how serious it is."""
    section = _section(app.main, number)
    boxes = {"B": section.error, "W": section.warning, "N": section.info}
    return [f"{severity} {_seen(box.value)}" for severity, found in boxes.items() for box in found]


def _mend(app: AppTest, rule: str) -> None:
    app.button(key=f"launch-finding-{rule}-0-fix").click().run()


def _tokens(app: AppTest) -> str:
    (drawn,) = [html.value for html in app.get("html") if "bce-tokens" in html.value]
    return str(drawn)


def _keys(app: AppTest) -> set[str]:
    widgets = [*app.text_input, *app.selectbox, *app.toggle, *app.button_group]
    return {str(widget.key) for widget in widgets}


def _disabled(app: AppTest) -> bool:
    return bool(app.button(key="launch").disabled)


# -- the form


def test_every_setting_has_a_field(launch: AppTest) -> None:
    found = _keys(launch)
    launch.selectbox(key="launch:data.validation").set_value("file").run()
    found |= _keys(launch)
    missing = [key for key in SETTINGS if f"launch:{SHARED_CONTROL.get(key, key)}" not in found]
    assert missing == []


def test_fields_hold_what_the_recipe_says(launch: AppTest) -> None:
    _choose(launch, "recipe", "report-10-epoch-offline")
    config = load_recipe("report-10-epoch-offline").config
    for widget in [*launch.text_input, *launch.selectbox, *launch.toggle]:
        key = str(widget.key).removeprefix("launch:")
        if key in SETTINGS:
            assert widget.value == typed_from(SETTINGS[key], flatten(config)[key]), key
    assert launch.button_group(key="launch:bce.enabled").value == "seed"
    said = _said(launch)
    assert "Everything is as in the recipe “The report's run, built here”." in said
    assert "The report trained on 200 lines" in said
    assert "459 lines, 200 for training, batch 1, 10 epochs = 2,000 steps" in said


def test_another_recipe_resets_what_was_changed_but_not_ones_own_text(launch: AppTest, text_file: Path) -> None:
    _type(launch, "training.epochs", "2")
    _choose(launch, "data.train_file", "file")
    _type(launch, "data.train_file:path", str(text_file))
    _choose(launch, "recipe", "active-10-epoch")
    assert launch.text_input(key="launch:training.epochs").value == "10"
    assert launch.text_input(key="launch:data.train_file:path").value == str(text_file)
    assert "40 lines, 36 for training, batch 1, 10 epochs = 360 steps" in _said(launch)


def test_what_differs_is_said_and_can_be_undone(launch: AppTest) -> None:
    _type(launch, "training.learning_rate", "3e-5")
    _type(launch, "training.max_steps", "50")
    _choose(launch, "bce.enabled", "off")
    said = _said(launch)
    assert "Different from the recipe “Quick look”:" in said
    assert "- Learning speed (learning rate): 0.001 → **3e-5**" in said
    assert "- Stop after this many steps: no limit → **50**" in said
    assert "- Use BCE: on → **off**" in said
    assert launch.text_input(key="launch:name").value == "quick-look, changed"
    launch.button(key="launch-back").click().run()
    assert "Everything is as in the recipe “Quick look”." in _said(launch)
    assert launch.text_input(key="launch:training.learning_rate").value == "0.001"
    assert launch.text_input(key="launch:name").value == "quick-look"


def test_a_name_that_the_browser_sends_again_is_not_taken_for_a_persons_own(launch: AppTest) -> None:
    """As it does when the drawing that was to tell it of a new suggestion was cut short by the next change."""
    _type(launch, "training.learning_rate", "3e-5")
    _type(launch, "name", "quick-look")
    assert launch.text_input(key="launch:name").value == "quick-look, changed"
    _type(launch, "name", "quick-look two")
    assert launch.text_input(key="launch:name").value == "quick-look two"


def test_what_was_typed_is_there_after_a_visit_to_another_page(launch: AppTest, text_file: Path) -> None:
    _type(launch, "training.epochs", "7")
    _type(launch, "training.learning_rate", "a lot")
    _type(launch, "name", "My own name")
    _choose(launch, "data.train_file", "file")
    _type(launch, "data.train_file:path", str(text_file))
    launch.switch_page("app.py").run()
    launch.switch_page(LAUNCH).run()
    assert launch.text_input(key="launch:training.epochs").value == "7"
    assert launch.text_input(key="launch:training.learning_rate").value == "a lot"
    assert launch.text_input(key="launch:name").value == "My own name"
    assert launch.text_input(key="launch:data.train_file:path").value == str(text_file)
    assert _errors(launch) == ["'a lot' is not a number."]


def test_what_is_hidden_for_a_while_is_not_lost(launch: AppTest) -> None:
    launch.selectbox(key="launch:data.validation").set_value("file").run()
    _choose(launch, "data.validation_file", "file")
    _type(launch, "data.validation_file:path", "/tmp/other.txt")
    launch.selectbox(key="launch:data.validation").set_value("none").run()
    launch.selectbox(key="launch:data.validation").set_value("file").run()
    assert launch.text_input(key="launch:data.validation_file:path").value == "/tmp/other.txt"


def test_two_people_never_see_each_others_form(launch: AppTest) -> None:
    _type(launch, "training.epochs", "7")
    other = AppTest.from_file(APP, default_timeout=60).run()
    other.switch_page(LAUNCH).run()
    assert other.text_input(key="launch:training.epochs").value == "6"


# -- problems


@pytest.mark.parametrize(
    ("key", "typed", "words"),
    [
        ("training.learning_rate", "20", "at most 10 (got 20"),
        ("training.batch_size", "0", "at least 1"),
        ("training.batch_size", "5.5", "'5.5' is not a whole number."),
        ("training.epochs", "", "A number is needed here."),
        ("model.num_attention_heads", "3", "cannot be divided evenly by 3 heads"),
        ("bce.max_weight", "0.1", "Weight at the end of the boost is below the weight after the warm-up (0.2)"),
        ("data.block_size", "600", "longer than the model can read (512 tokens)"),
        ("bce.warmup_steps", "312", "BCE warm-up is not shorter than the run (312 steps)"),
        ("logging.report_to", "nosuch", "'nosuch' is not a tracker"),
        ("data.min_characters", "5000", "The quality filter leaves none of the 459 lines."),
    ],
)
def test_a_bad_value_is_explained_beside_its_field(launch: AppTest, key: str, typed: str, words: str) -> None:
    _type(launch, key, typed)
    (message,) = _errors(launch)
    assert words in message
    assert launch.text_input(key=f"launch:{key}").value == typed
    assert message in _beside(launch.main, f"launch:{key}")
    assert _disabled(launch)
    assert f"Look at: {SETTINGS[key].title}." in _said(launch)
    launch.button(key="launch-back").click().run()
    assert _errors(launch) == [] and not _disabled(launch)


def test_several_problems_are_all_shown(launch: AppTest) -> None:
    _type(launch, "training.batch_size", "many")
    _type(launch, "bce.boost_span", "0")
    assert len(_errors(launch)) == 2
    assert "Look at: Examples at a time (batch size), Boost span." in _said(launch)


def test_a_problem_under_more_options_opens_them(launch: AppTest) -> None:
    _type(launch, "training.weight_decay", "7")
    assert launch.session_state["launch:more"] is True


def test_a_missing_file(launch: AppTest, tmp_path: Path, started: list[str]) -> None:
    _choose(launch, "data.train_file", "file")
    assert _errors(launch) == [], "no file named yet is no mistake"
    assert "Type the path of a file, or choose another text." in _said(launch)
    assert _disabled(launch)
    _type(launch, "data.train_file:path", str(tmp_path / "nowhere.txt"))
    (message,) = _errors(launch)
    assert "There is no file" in message and "nowhere.txt" in message
    assert _disabled(launch)
    (tmp_path / "nowhere.txt").write_text("Now it is here.\nWith two lines.\nAnd three.\n", encoding="utf-8")
    _type(launch, "bce.warmup_steps", "1")
    _type(launch, "training.warmup_steps", "1")
    assert _errors(launch) == []
    assert started == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.txt", b"", "empty.txt is empty."),
        ("binary.txt", b"\0\1\2", "is not a text file"),
        ("latin.txt", "ağaç\n".encode("iso-8859-9"), "is not in UTF-8"),
        ("one.txt", b"a single line of text\n", "cannot be divided"),
        ("page.html", b"<p>", "is not a kind of file that can be read"),
        ("table.csv", b"words,more\na,b\n", "has no column 'text'"),
    ],
)
def test_a_file_that_cannot_be_used(launch: AppTest, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    _choose(launch, "data.train_file", "file")
    _type(launch, "data.train_file:path", str(tmp_path / name))
    (message,) = _errors(launch)
    assert words in message
    assert _disabled(launch)


def test_a_column_can_be_named_where_there_are_columns(launch: AppTest, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("words\n" + "".join(f"line number {n}\n" for n in range(40)), encoding="utf-8")
    _choose(launch, "data.train_file", "file")
    _type(launch, "data.train_file:path", str(path))
    _type(launch, "data.column", "words")
    assert "40 lines · 36 to learn from, 4 to check" in _said(launch)


def test_a_hub_model_without_a_network_can_be_tried_again(launch: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    from bcecore.text import sources

    asked: list[str] = []
    monkeypatch.setattr(sources, "_reachable", lambda endpoint: bool(asked.append(endpoint)))
    _choose(launch, "recipe", "hub-bert-tiny")
    (message,) = _errors(launch)
    assert message.startswith("prajjwal1/bert-tiny is on the Hugging Face Hub, and the Hub cannot be reached")
    assert "“Model” to its path" in message and "such as “Quick look” or “The report's run, built here”." in message
    assert _disabled(launch)
    tries = len(asked)
    _type(launch, "training.epochs", "4")
    assert len(asked) == tries, "the Hub is not asked at every keystroke"
    launch.button(key="launch-try-again").click().run()
    assert len(asked) > tries


# -- what is said about the text and the run


def test_the_text_is_counted_in_words(launch: AppTest) -> None:
    assert "459 lines · 413 to learn from, 46 to check · 7 are cut at 64 tokens" in _said(launch)
    assert "459 lines, 413 for training, batch 8, 6 epochs = 312 steps" in _said(launch)
    _type(launch, "data.min_characters", "60")
    assert "left out: too short" in _said(launch)


def test_the_arithmetic_with_accumulation_and_a_limit(launch: AppTest) -> None:
    _type(launch, "training.gradient_accumulation_steps", "2")
    assert "413 for training, batch 8, 2 batches a step, 6 epochs = 156 steps" in _said(launch)
    _type(launch, "training.max_steps", "130")
    assert "2 batches a step: it stops after 130 steps, which is 5 epochs" in _said(launch)


def test_the_preview_shows_the_tokens_of_the_chosen_line(launch: AppTest) -> None:
    _type(launch, "data.block_size", "20")
    drawn = _tokens(launch)
    assert drawn.count("<span") - 3 == 20
    assert "[CLS]" in drawn and "tokens cut off" in drawn
    assert "20 tokens, 19 of them to predict." in _said(launch)
    launch.number_input(key="launch:preview:line").set_value(5).run()
    assert _tokens(launch) != drawn


def test_the_curves_hold_every_corner() -> None:
    assert sampled_steps(1, {0}) == [1]
    short = sampled_steps(312, {60, 260})
    assert short == list(range(1, 313))
    long = sampled_steps(1_000_000, {400, 2400})
    assert {1, 399, 400, 401, 2400, 1_000_000} <= set(long)
    assert len(long) < 450


def test_the_estimate_is_marked_as_one(launch: AppTest, monkeypatch: pytest.MonkeyPatch, started: list[str]) -> None:
    assert "Trying a few steps to estimate" in _said(launch)
    monkeypatch.setattr(estimate, "estimate", _estimate)
    launch.run()
    # 4 + 312 x 0.1 + 7 x 1 + 4 x 0.5 seconds; 3 of the 4 checkpoints are kept, and the model
    assert "Estimate: about 44 s on this machine · about 27 MB of disk (3 checkpoints and the model)" in _said(launch)
    assert "a model of 674,000 weights" in _said(launch)


def test_a_failed_measurement_is_said(launch: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "probe_failure", lambda _store, _checked: "MemoryError")
    launch.run()
    assert any("could not be estimated" in warning.value for warning in launch.warning)
    assert [code.value for code in launch.code] == ["MemoryError"]


# -- launching


def test_launching_makes_one_run_with_the_settings_of_the_form(
    launch: AppTest, store: RunStore, started: list[str], text_file: Path
) -> None:
    _choose(launch, "data.train_file", "file")
    _type(launch, "data.train_file:path", str(text_file))
    _type(launch, "training.epochs", "20")
    _type(launch, "training.learning_rate", "2e-3")
    _choose(launch, "bce.enabled", "seed")
    _type(launch, "name", "Forty lines")
    assert _errors(launch) == []
    launch.button(key="launch").click().run()
    (run_id,) = started
    assert store.ids() == [run_id]
    expected = with_values(
        load_recipe("quick-look").config,
        {
            "data.train_file": str(text_file),
            "training.epochs": 20.0,
            "training.learning_rate": 2e-3,
            "bce.profile": "seed",
        },
    )
    assert store.config(run_id) == with_absolute_paths(expected)
    record = store.record(run_id)
    assert (record.name, record.recipe) == ("Forty lines", "quick-look")
    assert launch.query_params["run"] == run_id


def test_a_double_click_makes_one_run(launch: AppTest, store: RunStore, started: list[str]) -> None:
    launch.button(key="launch").click().run()
    launch.switch_page(LAUNCH).run()
    launch.button(key="launch").click().run()
    assert len(started) == len(store.ids()) == 1


def test_what_goes_wrong_while_launching_is_said(
    launch: AppTest, store: RunStore, started: list[str], text_file: Path
) -> None:
    _choose(launch, "data.train_file", "file")
    _type(launch, "data.train_file:path", str(text_file))
    _type(launch, "bce.warmup_steps", "1")
    _type(launch, "training.warmup_steps", "1")
    assert not _disabled(launch)
    text_file.unlink()
    launch.button(key="launch").click().run()
    assert any("There is no file" in message for message in _errors(launch))
    assert started == [] and store.ids() == []


def test_a_name_is_needed(launch: AppTest) -> None:
    _type(launch, "name", "  ")
    assert _errors(launch) == ["A run needs a name."]
    assert _disabled(launch)


# -- uploads


def test_an_upload_is_kept_replaced_and_forgotten(launch: AppTest, store: RunStore, started: list[str]) -> None:
    lines = "".join(f"{n} apples and {n + 1} pears\n" for n in range(50)).encode()
    _choose(launch, "data.train_file", "upload")
    assert "Upload a file, or choose another text." in _said(launch)
    uploader = launch.file_uploader(key="launch:data.train_file:uploader")
    uploader.set_value(("apples.txt", lines, "text/plain")).run()
    (first,) = (store.root / ".uploads").iterdir()
    assert first.read_bytes() == lines
    assert "50 lines · 45 to learn from, 5 to check" in _said(launch)
    assert "- Training text: sample → **apples.txt**" in _said(launch)
    assert launch.text_input(key="launch:name").value == "quick-look on apples"
    launch.file_uploader(key="launch:data.train_file:uploader").set_value(("bad.txt", b"\0", "text/plain")).run()
    (second,) = (store.root / ".uploads").iterdir()
    assert second != first
    (message,) = _errors(launch)
    assert message.startswith("bad.txt is not a text file")
    launch.file_uploader(key="launch:data.train_file:uploader").set_value(("pears.txt", lines, "text/plain")).run()
    launch.switch_page("app.py").run()
    launch.switch_page(LAUNCH).run()
    assert "Using pears.txt (1.1 kB), uploaded before." in _said(launch)
    _type(launch, "training.warmup_steps", "0")
    _type(launch, "bce.warmup_steps", "10")
    launch.button(key="launch").click().run()
    assert len(started) == 1
    assert (store.directory(started[0]) / "data" / "train.jsonl").is_file()


# -- beginning from a run


def _open_from(store: RunStore, run_id: str, changes: list[str] | None = None) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60).run()
    app.switch_page(LAUNCH)
    app.query_params["from"] = run_id
    if changes:
        app.query_params["set"] = changes
    app.run()
    assert not app.exception
    return app


def test_the_form_can_begin_from_a_run(store: RunStore, started: list[str]) -> None:
    config = with_values(load_recipe("active-10-epoch").config, {"training.epochs": 4.0})
    run_id = submit(store, config, name="my *own*", recipe="active-10-epoch")
    app = _open_from(store, run_id)
    assert app.text_input(key="launch:training.epochs").value == "4"
    assert app.text_input(key="launch:name").value == "my *own*, again"
    assert "Everything is as in the run “my *own*”." in _said(app)
    assert "from" not in app.query_params
    _type(app, "training.learning_rate", "3e-5")
    assert "Different from the run “my *own*”:" in _said(app)
    app.button(key="launch").click().run()
    assert not app.exception
    record = store.record(started[0])
    assert (record.name, record.recipe) == ("my *own*, again", "active-10-epoch")
    assert store.config(started[0]) == with_values(config, {"training.learning_rate": 3e-5})


def test_a_change_can_come_with_the_address(store: RunStore, started: list[str]) -> None:
    run_id = submit(store, load_recipe("quick-look").config, name="failed one")
    app = _open_from(store, run_id, ["training.learning_rate:0.0001", "nonsense", "training.epochs:-1"])
    assert "- Learning speed (learning rate): 0.001 → **0.0001**" in _said(app)
    assert app.text_input(key="launch:training.epochs").value == "6"
    app.button(key="launch-back").click().run()
    assert "Everything is as in the run “failed one”." in _said(app)


def test_a_past_run_can_be_chosen_beside_the_recipes(store: RunStore, started: list[str]) -> None:
    run_id = submit(store, with_values(load_recipe("quick-look").config, {"training.epochs": 9.0}), name="past")
    app = AppTest.from_file(APP, default_timeout=60).run()
    app.switch_page(LAUNCH).run()
    _choose(app, "recipe", "past run")
    assert "The form stays as it is until a run is chosen." in _said(app)
    app.selectbox(key="launch:run").set_value(run_id).run()
    assert not app.exception
    assert app.text_input(key="launch:training.epochs").value == "9"
    _choose(app, "recipe", "quick-look")
    assert app.text_input(key="launch:training.epochs").value == "6"


def test_an_address_of_a_run_that_is_gone_leaves_the_form_alone(store: RunStore, started: list[str]) -> None:
    app = _open_from(store, "20250101-000000-gone-0000")
    assert [toast.value for toast in app.toast] == [
        r"This run is not here any more\: it was deleted, here or in another window\."
    ]
    assert app.text_input(key="launch:training.epochs").value == "6"


def test_two_people_begin_from_two_runs(store: RunStore, started: list[str]) -> None:
    quick = load_recipe("quick-look").config
    first = _open_from(store, submit(store, with_values(quick, {"training.epochs": 8.0}), name="first"))
    second = _open_from(store, submit(store, with_values(quick, {"training.epochs": 9.0}), name="second"))
    _type(first, "name", "mine")
    first.run()
    second.run()
    assert first.text_input(key="launch:training.epochs").value == "8"
    assert second.text_input(key="launch:training.epochs").value == "9"
    assert second.text_input(key="launch:name").value == "second, again"


# -- what is noticed


def test_what_is_noticed_stands_in_the_section_of_the_setting_that_causes_it(launch: AppTest) -> None:
    assert [_noticed(launch, number) for number in (3, 4, 5)] == [[], [], []]
    (note,) = _noticed(launch, 2)
    assert note.startswith("N **There are only 46 documents to check the model on")
    assert "Above: 1 note. See [Text](#launch-2)." in _said(launch)

    _choose(launch, "recipe", "report-10-epoch-offline")
    (reuse,) = _noticed(launch, 2)
    assert reuse.startswith("B **Both lines that the model is checked on are lines that it learns from")
    assert "no result of this run will count" in reuse
    (leak,) = _noticed(launch, 3)
    assert leak.startswith("B **The model sees the words that it has to predict")
    assert [words[:35] for words in _noticed(launch, 5)] == [
        "N **This kind of BCE adds nothing t",
        "N **The BCE weight never reaches 0.",
    ]
    said = _said(launch)
    assert "Above: 2 serious findings, 2 notes. **No result of this run will count.** See [Text](#launch-2), " in said
    # What is noticed is said once, and forbids nothing.
    assert "A low loss on them shows memory" not in said and "sees the word it has to predict" not in said
    assert not _disabled(launch)

    for rule in ("split-reuse", "future-leak", "no-gradient", "boost-unfinished"):
        _mend(launch, rule)
    assert launch.selectbox(key="launch:data.validation").value == "fraction"
    assert launch.toggle(key="launch:model.causal").value is True
    assert launch.button_group(key="launch:bce.enabled").value == "active"
    assert launch.text_input(key="launch:bce.boost_span").value == "1600"
    assert [_noticed(launch, number) for number in (3, 4, 5)] == [[], [], []]
    said = _said(launch)
    assert "- Text to check against: The first training lines again → **Lines set aside**" in said
    assert "- Reads left to right: off → **on**" in said
    assert "- Kind of BCE: As in the report → **Acting**" in said
    assert "- Boost span: 2000 → **1600**" in said


def test_little_checking_text_and_cut_lines_are_mended_with_a_click(launch: AppTest) -> None:
    _mend(launch, "too-small")
    assert launch.text_input(key="launch:data.validation_fraction").value == "0.22"
    assert _noticed(launch, 2) == []
    assert "Above:" not in _said(launch)
    _type(launch, "data.block_size", "12")
    (cut,) = _noticed(launch, 2)
    assert cut.startswith("W **") and "of the text is never seen" in cut
    _mend(launch, "cut-lines")
    assert launch.text_input(key="launch:data.block_size").value == "184"
    assert _noticed(launch, 2) == []


def test_a_weight_that_stays_0_is_told_and_bce_can_be_switched_off(launch: AppTest) -> None:
    _type(launch, "bce.base_weight", "0")
    _type(launch, "bce.max_weight", "0")
    assert [words[:40] for words in _noticed(launch, 5)] == ["W **BCE is on, but its weight is 0 at ev"]
    _mend(launch, "weight-zero")
    assert launch.button_group(key="launch:bce.enabled").value == "off"
    assert _noticed(launch, 5) == []


def test_a_vocabulary_that_does_not_suit_the_text(launch: AppTest, tmp_path: Path) -> None:
    train_wordpiece(["Only a few words of plain English."], 100).save(str(tmp_path / "tokenizer.json"))
    _type(launch, "model.tokenizer", str(tmp_path))
    (unknown,) = _noticed(launch, 3)
    assert unknown.startswith("W **The tokenizer does not know ")
    _mend(launch, "unknown-tokens")
    assert launch.text_input(key="launch:model.tokenizer").value == "auto"
    assert _noticed(launch, 3) == []


def test_one_s_own_texts_are_compared(launch: AppTest, tmp_path: Path) -> None:
    lines = [f"{n} apples and {n * 7 % 101} pears in the orchard behind the {n % 13} houses\n" for n in range(120)]
    train, held_out = tmp_path / "train.txt", tmp_path / "held_out.txt"
    train.write_text("".join(lines + lines[:20]), encoding="utf-8")
    held_out.write_text("".join(lines[:40:2]), encoding="utf-8")
    _choose(launch, "data.train_file", "file")
    _type(launch, "data.train_file:path", str(train))
    assert any(words.startswith("W **Of 1") and "repeat an earlier line" in words for words in _noticed(launch, 2))
    launch.selectbox(key="launch:data.validation").set_value("file").run()
    _choose(launch, "data.validation_file", "file")
    _type(launch, "data.validation_file:path", str(held_out))
    assert _noticed(launch, 2)[0].startswith("B **Of 20 documents that check the model, 20 are in its training text")
    _mend(launch, "overlap")
    assert not [words for words in _noticed(launch, 2) if words.startswith("B")]
    # The file is still there for who goes back to it.
    launch.selectbox(key="launch:data.validation").set_value("file").run()
    assert launch.text_input(key="launch:data.validation_file:path").value == str(held_out)


def test_a_warm_up_that_is_too_long_is_mended_with_a_click(launch: AppTest) -> None:
    _type(launch, "training.epochs", "1")  # 52 steps, and the warm-up of BCE has 60
    (message,) = _errors(launch)
    assert "is not shorter than the run (52 steps)" in message and _disabled(launch)
    button = launch.button(key="launch-fix-bce.warmup_steps")
    assert button.label == "Warm up over 5 steps"
    button.click().run()
    assert launch.text_input(key="launch:bce.warmup_steps").value == "5"
    assert _errors(launch) == [] and not _disabled(launch)


def test_while_a_setting_is_impossible_nothing_can_be_mended(launch: AppTest) -> None:
    _type(launch, "training.learning_rate", "a lot")
    assert [words[:30] for words in _noticed(launch, 2)] == ["N **There are only 46 document"]
    _type(launch, "training.learning_rate", "20")
    assert [words[:30] for words in _noticed(launch, 2)] == ["N **There are only 46 document"]
    with pytest.raises(KeyError):
        launch.button(key="launch-finding-too-small-0-fix")


def test_without_room_for_its_checkpoints_a_run_is_refused_until_it_keeps_fewer(
    launch: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four checkpoints of 8 MB and the model take 35 MB, of which 30 are there besides the GB that is to stay free.
    monkeypatch.setattr(estimate, "free_bytes", lambda _store: 1_030_000_000)
    launch.run()
    assert _noticed(launch, 4) == [] and not _disabled(launch), "as long as nothing is known of its size"
    monkeypatch.setattr(estimate, "estimate", _estimate)
    launch.run()
    (room,) = _noticed(launch, 4)
    assert room.startswith("W **The disk has no room for this run: 1.03 GB are free, and this run needs up to 0.04 GB")
    assert "The disk has no room for this run. See “How long and how fast”." in _said(launch)
    assert _disabled(launch)
    _mend(launch, "disk-room")
    assert launch.text_input(key="launch:logging.save_total_limit").value == "1"
    assert _noticed(launch, 4) == [] and not _disabled(launch)
