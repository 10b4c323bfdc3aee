from __future__ import annotations

import math

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.examples import merge_parts, write_part
from bcecore.store.runs import RunStore
from bcecore.ui import evaluate_rows
from tests.ui.evaluated import WEIGHT, evaluated, example_row, listed, opened, run, run_with_training, words

TEXTS = [
    "God will help us",
    "a <b>bold</b> [link](http://x) & *word*",
    "HELP please God",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen",
]


def split(texts: list[str] = TEXTS, name: str = "val") -> SplitTexts:
    return SplitTexts(name, "file", "val.txt", texts, 48)


@pytest.fixture
def run_id(store: RunStore) -> str:
    return run_with_training(store, ["god will help US!", "something else"])


@pytest.fixture
def key(store: RunStore, run_id: str) -> str:
    return evaluated(store, run_id, split(), {10: [3.0, 2.0, 1.0, 4.0], 20: [1.0, 2.5, 2.0, 1.5]})


def show(store: RunStore, key: str, **address: str) -> AppTest:
    return opened("evaluate_examples", "show_examples", store, key, **address)


def test_the_hardest_is_first_and_shown(store: RunStore, key: str) -> None:
    app = show(store, key)
    assert listed(app) == [2, 3, 4, 1]
    assert "Text 2: CE 2.500. On average the model gave each of its 4 tokens a chance of 8.2 %" in words(app)
    assert "the hardest of all texts" in words(app)
    assert "1 of them is also in the training text, so the model may know it by heart" in words(app)


def test_every_order(store: RunStore, key: str) -> None:
    for order, expected in {
        "Easiest first": [1, 4, 3, 2],
        "Longest first": [4, 2, 1, 3],
        "Shortest first": [3, 1, 2, 4],
        "As in the file": [1, 2, 3, 4],
        "Got better most": [4, 1, 2, 3],
        "Got worse most": [3, 2, 1, 4],
    }.items():
        app = show(store, key, ex_order=order)
        assert listed(app) == expected, order


def test_an_address_leads_to_the_same_place(store: RunStore, key: str) -> None:
    app = show(
        store,
        key,
        ex_step="step 10",
        ex_find="god help",
        ex_order="Easiest first",
        ex_length="up to 16 tokens",
        ex_text="1",
    )
    assert listed(app) == [3, 1]
    assert "Text 1: CE 3.000" in words(app)
    assert "2 of 4 texts fit" in words(app)
    assert app.query_params["ex-find"] == "god help"


def test_an_address_that_makes_no_sense_shows_the_list(store: RunStore, key: str) -> None:
    app = show(
        store, key, ex_split="../x", ex_step="step 99", ex_text="999999", ex_order="?", ex_length="x", ex_overlap="x"
    )
    assert listed(app) == [2, 3, 4, 1]


def test_length_and_overlap_narrow_the_list(store: RunStore, key: str) -> None:
    assert listed(show(store, key, ex_length="17 to 32 tokens")) == [4]
    assert listed(show(store, key, ex_overlap="also in the training text")) == [1]
    app = show(store, key, ex_overlap="not in the training text")
    assert listed(app) == [2, 3, 4]
    assert "None of them is also in the training text" in words(app)


def test_nothing_found_says_what_to_do(store: RunStore, key: str) -> None:
    app = show(store, key, ex_find="nowhere")
    assert "No text fits" in app.info[0].value
    assert not app.dataframe


def test_without_the_training_text_nobody_can_filter_by_it(store: RunStore, key: str, run_id: str) -> None:
    (store.directory(run_id) / "data" / "train.jsonl").unlink()
    app = show(store, key)
    assert app.selectbox(key="ex-overlap").disabled
    assert "training text" not in words(app)
    assert listed(app) == [2, 3, 4, 1]


def test_texts_are_never_taken_for_markup(store: RunStore, key: str) -> None:
    app = show(store, key, ex_text="2")
    assert "<b>" not in words(app)
    assert "&lt;b&gt;bold&lt;/b&gt;" in words(app)


def test_one_after_the_other(store: RunStore, key: str) -> None:
    app = show(store, key)
    assert app.button(key="ex-previous").disabled
    run(app.button(key="ex-next").click())
    assert "Text 3: CE" in words(app)
    assert app.query_params["ex-text"] == "3"
    run(app.button(key="ex-next").click())
    run(app.button(key="ex-next").click())
    assert "Text 1: CE" in words(app)
    assert app.button(key="ex-next").disabled
    run(app.button(key="ex-previous").click())
    assert "Text 4: CE" in words(app)


def test_another_order_begins_at_the_top(store: RunStore, key: str) -> None:
    app = show(store, key, ex_text="1")
    assert "Text 1: CE" in words(app)
    run(app.selectbox(key="ex-order").set_value("Longest first"))
    assert "Text 4: CE" in words(app)
    # Another checkpoint keeps the text: that is what one wants to compare.
    run(app.number_input(key="ex-text").set_value(3))
    run(app.selectbox(key="ex-step").set_value(10))
    assert "Text 3: CE 1.000" in words(app)


def test_a_chosen_text_that_the_search_leaves_out_is_still_shown(store: RunStore, key: str) -> None:
    app = show(store, key, ex_find="bold", ex_text="1")
    assert listed(app) == [2]
    assert "Text 1 (left out of the list by what was searched for)" in words(app)


def test_on_and_off(store: RunStore, key: str) -> None:
    app = show(store, key, ex_text="2")
    app.session_state["ex-bce"] = True
    run(app)
    on, off = (metric.value for metric in app.metric)
    assert (on, off) == (f"{2.5 - WEIGHT * 0.4:.4f}", "2.5000")
    assert "CE 2.5000 plus the weight 0.250 times R −0.4000: −0.1000 is BCE’s own term" in words(app)
    parts = next(frame.value for frame in app.dataframe if "part" in frame.value)
    assert list(parts["part"])[:2] == ["reward (rl)", "typicality (iso)"]
    assert list(parts["value"]) == [0.5] * 9


def test_the_tokens_as_a_table(store: RunStore, key: str) -> None:
    app = show(store, key, ex_text="1")
    app.session_state["ex-tokens"] = True
    run(app)
    tokens = next(frame.value for frame in app.dataframe if "token" in frame.value)
    assert list(tokens["token"]) == ["will", "help", "us"]
    assert list(tokens["chance"]) == pytest.approx([100 * math.exp(-1)] * 3)


def test_a_loss_that_is_no_number_comes_first_and_is_named(store: RunStore, run_id: str) -> None:
    app = show(store, evaluated(store, run_id, split(), {10: [1.0, math.nan, 2.0, 3.0]}))
    assert listed(app) == [2, 4, 3, 1]
    assert "Text 2: its loss is not a number" in words(app)


def test_one_checkpoint_has_no_change(store: RunStore, run_id: str) -> None:
    app = show(store, evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0, 4.0]}))
    assert "Got better most" not in app.selectbox(key="ex-order").options
    assert "change" not in app.dataframe[0].value


def test_a_long_list_has_pages_and_a_link_opens_the_right_one(store: RunStore, run_id: str) -> None:
    many = [f"text number {n}" for n in range(35)]
    key = evaluated(store, run_id, split(many), {10: [float(n) for n in range(35)]})
    app = show(store, key)
    assert listed(app) == list(range(35, 25, -1))
    assert "1 to 10 of 35 texts" in words(app)
    app = show(store, key, ex_text="12")
    assert listed(app) == list(range(15, 5, -1))
    for _ in range(7):
        run(app.button(key="ex-next").click())
    assert listed(app) == list(range(5, 0, -1))
    assert "Text 5: CE" in words(app)


def test_what_is_measured_so_far_is_shown_while_it_goes_on(store: RunStore, run_id: str) -> None:
    app = show(store, evaluated(store, run_id, split(), {10: [1.0, 2.0]}, whole=False))
    assert listed(app) == [2, 1]
    app = show(store, evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0, 4.0], 20: [1.0, 2.0]}, whole=False))
    assert "Got better most" not in app.selectbox(key="ex-order").options


def test_before_anything_is_measured(store: RunStore, run_id: str, key: str) -> None:
    (EvaluationStore(store).directory(key) / "result.json").unlink()
    app = show(store, key)
    assert "as soon as the first ones are scored" in words(app)


def test_damaged_examples_give_a_sentence(store: RunStore, key: str) -> None:
    (EvaluationStore(store).directory(key) / "examples.parquet").write_bytes(b"PAR1 no")
    app = show(store, key)
    assert "These texts cannot be shown" in app.error[0].value
    assert "Evaluate once more" in app.error[0].value


def test_reading_leaves_the_tokens_on_the_disk_and_is_done_once(
    store: RunStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = evaluate_rows.Measured(str(store.root), key, "val", 20)
    asked: list[tuple[str, ...]] = []
    read = EvaluationStore.examples

    def examples(
        self: EvaluationStore, key: str, columns: tuple[str, ...], filters: list[tuple[str, str, int]]
    ) -> object:
        asked.append(tuple(columns))
        return read(self, key, columns, filters)

    monkeypatch.setattr(EvaluationStore, "examples", examples)
    first = evaluate_rows.examples_of(measured)
    assert evaluate_rows.examples_of(measured) is first
    assert asked == [("example", "text", "tokens", "length", "ce", "nll")]


def test_more_that_was_measured_is_read_again(store: RunStore, run_id: str) -> None:
    key = evaluated(store, run_id, split(), {10: [1.0, 2.0]}, whole=False)
    measured = evaluate_rows.Measured(str(store.root), key, "val", 10)
    assert len(evaluate_rows.examples_of(measured)) == 2
    directory = EvaluationStore(store).directory(key)
    write_part(directory, 1, [example_row(split(), 10, 2, 3.0)])
    assert len(evaluate_rows.examples_of(measured)) == 3
    merge_parts(directory)
    assert len(evaluate_rows.examples_of(measured)) == 3
    assert evaluate_rows.example_of(measured, 3) is None
