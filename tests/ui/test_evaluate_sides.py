from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.runs import RunStore
from bcecore.ui.evaluate_changes import Side, _csv
from tests.ui.evaluated import evaluated, listed, opened, run, run_with_training, words

TEXTS = ["one two three", "a <i>bold</i> b", "four five six"]


def split(texts: list[str] = TEXTS, name: str = "val", **how: object) -> SplitTexts:
    return SplitTexts(name, "file", "val.txt", texts, 48, **how)  # type: ignore[arg-type]


@pytest.fixture
def run_id(store: RunStore) -> str:
    return run_with_training(store, [], name="first run")


def show(store: RunStore, key: str, **address: str) -> AppTest:
    return opened("evaluate_sides", "show_sides", store, key, **address)


def test_two_checkpoints_the_biggest_change_first(store: RunStore, run_id: str) -> None:
    app = show(store, evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0], 20: [0.5, 2.25, 1.0], 30: [9, 9, 9]}))
    run(app.selectbox(key="vs-second").set_value(20))
    assert listed(app) == [3, 1, 2]
    # All texts have two predicted words, so the difference is the plain mean: (−0.5 + 0.25 − 2) / 3.
    assert "−0.750 nats per token from step 10 to step 20" in words(app)
    assert [metric.value for metric in app.metric] == ["2.000", "1.250"]
    assert app.metric[1].delta == "-0.750 nats per token"
    assert "Better on 2, worse on 1 of 3 texts" in words(app)
    assert "Only 3 texts: a first look" in words(app)
    assert "step 10 · CE 3.000" in words(app).replace("**", "")
    assert "step 20 · CE 1.000" in words(app).replace("**", "")


def test_every_order_and_the_search(store: RunStore, run_id: str) -> None:
    key = evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0], 20: [0.5, 2.25, 1.0]})
    assert listed(show(store, key, vs_order="Got better most")) == [3, 1, 2]
    assert listed(show(store, key, vs_order="Got worse most")) == [2, 1, 3]
    assert listed(show(store, key, vs_find="BOLD")) == [2]
    assert "No text has these words" in show(store, key, vs_find="nowhere").info[0].value


def test_an_address_leads_to_the_same_text(store: RunStore, run_id: str) -> None:
    key = evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0], 20: [0.5, 2.25, 1.0], 30: [1.0, 2.0, 2.5]})
    app = show(store, key, vs_first="step 20", vs_second="step 30", vs_text="2")
    assert listed(app) == [3, 1, 2]
    assert "step 20 · CE 2.250" in words(app).replace("**", "")
    assert "&lt;i&gt;bold&lt;/i&gt;" in words(app)
    assert "<i>" not in words(app)


def test_a_checkpoint_is_never_compared_with_itself(store: RunStore, run_id: str) -> None:
    app = show(store, evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0], 20: [0.5, 2.25, 1.0]}))
    run(app.selectbox(key="vs-first").set_value(20))
    assert app.selectbox(key="vs-second").options == ["step 10"]
    assert "from step 20 to step 10" in words(app)


def test_another_run_on_the_same_texts(store: RunStore, run_id: str) -> None:
    other = run_with_training(store, [], name="second *run*")
    evaluated(store, other, split(name="called otherwise"), {20: [1.0, 1.0, 1.0]})
    key = evaluated(store, run_id, split(), {20: [2.0, 2.0, 2.0]})
    app = show(store, key)
    assert listed(app) == [1, 2, 3]
    assert "CE is lower with second *run*, step 20 than with first run, step 20, by 1.000" in words(app)
    assert app.selectbox(key="vs-with").options[0].startswith("second *run* · planted · ")


def test_the_same_run_evaluated_twice_has_two_names(store: RunStore, run_id: str) -> None:
    evaluated(store, run_id, split(), {20: [1.0, 1.0, 1.0]}, name="earlier")
    app = show(store, evaluated(store, run_id, split(), {20: [1.0, 1.0, 1.0]}, name="later"))
    said = "Exactly the same is predicted by first run, step 20 (later) and first run, step 20 (earlier) on 3 texts."
    assert said in words(app)
    assert not app.dataframe


def test_other_texts_are_refused(store: RunStore, run_id: str) -> None:
    evaluated(store, run_id, split(["quite other words"], name="others"), {20: [1.0]}, name="on others")
    app = show(store, evaluated(store, run_id, split(), {20: [2.0, 2.0, 2.0]}))
    warning = app.warning[0].value.replace("\\", "")
    assert "No fair comparison" in warning
    assert "the texts: “val” (3 rows" in warning
    assert "“others” (1 rows" in warning
    assert not app.metric
    assert not app.dataframe


def test_another_tokenizer_is_refused_but_bits_per_byte_are_told(store: RunStore, run_id: str) -> None:
    evaluated(store, run_id, split(), {20: [1.0, 1.0, 1.0]}, tokenizer="u" * 64, name="other words")
    app = show(store, evaluated(store, run_id, split(), {20: [2.0, 2.0, 2.0]}))
    assert "They differ in the tokenizer: tttttttttttt and uuuuuuuuuuuu" in app.warning[0].value.replace("\\", "")
    first, second = (float(metric.value) for metric in app.metric)
    assert first == pytest.approx(2 * second, abs=2e-4)


def test_other_windows_are_refused(store: RunStore, run_id: str) -> None:
    evaluated(store, run_id, split(long_texts="window", stride=24), {20: [1.0, 1.0, 1.0]}, name="in windows")
    app = show(store, evaluated(store, run_id, split(), {20: [2.0, 2.0, 2.0]}))
    assert "what is done with long texts" in app.warning[0].value


def test_of_several_texts_the_comparable_ones_are_taken(store: RunStore, run_id: str) -> None:
    evaluated(store, run_id, split(["something else here"], name="others"), {20: [1.0]}, name="first made")
    evaluated(store, run_id, split(name="same"), {20: [1.0, 1.0, 1.0]}, name="last made")
    app = show(store, evaluated(store, run_id, split(), {20: [2.0, 2.0, 2.0]}))
    assert "last made" in app.selectbox(key="vs-with").options[0]
    assert not app.warning


def test_what_may_be_compared_is_offered_before_what_may_not(store: RunStore, run_id: str) -> None:
    evaluated(store, run_id, split(), {20: [1.0, 1.0, 1.0]}, name="fits")
    evaluated(store, run_id, split(), {20: [1.0, 1.0, 1.0]}, tokenizer="u" * 64, name="other words")
    evaluated(store, run_id, split(["something else here"]), {20: [1.0]}, name="other texts")
    app = show(store, evaluated(store, run_id, split(), {20: [2.0, 2.0, 2.0]}))
    assert [option.split(" · ")[1] for option in app.selectbox(key="vs-with").options] == [
        "fits",
        "other words",
        "other texts",
    ]
    assert not app.warning


def test_one_side_alone_says_what_it_takes(store: RunStore, run_id: str) -> None:
    app = show(store, evaluated(store, run_id, split(), {20: [1.0, 1.0, 1.0]}))
    assert "It takes two sides" in app.info[0].value
    assert not app.warning


def test_an_unfinished_side_is_refused(store: RunStore, run_id: str) -> None:
    key = evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0], 20: [0.5]}, whole=False)
    app = show(store, key)
    assert "2 of 3 documents were scored on one side only" in app.warning[0].value


def test_a_deleted_evaluation_beside_this_one(store: RunStore, run_id: str) -> None:
    key = evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0], 20: [0.5, 2.25, 1.0]})
    app = show(store, key, vs_with="gone · gone · 1 Jan, 10:00 · abcd")
    assert listed(app) == [3, 1, 2]


def test_a_link_to_another_run_outlives_its_name(store: RunStore, run_id: str) -> None:
    other = run_with_training(store, [], name="second run")
    there = evaluated(store, other, split(), {20: [1.0, 1.0, 1.0]})
    key = evaluated(store, run_id, split(), {10: [1.0, 2.0, 3.0], 20: [0.5, 2.25, 1.0]})
    app = show(store, key)
    run(app.selectbox(key="vs-with").set_value(there))
    assert app.query_params["vs-with"] == there
    store.update(other, name="called otherwise")
    again = show(store, key, vs_with=there)
    assert "called otherwise, step 20" in words(again)


def test_the_file_to_download(store: RunStore, run_id: str) -> None:
    table = pd.DataFrame(
        {"example": [2], "text": ["ğ, x"], "tokens": [2], "ce_first": [3.0], "ce_second": [1.0], "change": [-2.0]}
    )
    first, second = (Side(None, name, None, {}) for name in ("step 10", "step 20"))  # type: ignore[arg-type]
    read = pd.read_csv(io.BytesIO(_csv(table, first, second)))
    assert list(read.columns) == ["text_number", "text", "tokens", "ce (step 10)", "ce (step 20)", "change"]
    assert read.iloc[0].tolist() == [3, "ğ, x", 2, 3.0, 1.0, -2.0]


MANY = SplitTexts("many", "file", "many.txt", [f"text {n} of many words" for n in range(120)], 48)


@pytest.mark.parametrize(("drivers", "fires"), [(6, True), (60, False)])
def test_a_few_texts_that_make_the_difference(store: RunStore, drivers: int, fires: bool) -> None:
    """Of 120 texts, 6 are 5 %; the same difference from half of them is as broad as it should be."""
    first = [3.0] * 120
    second = [3.0 - 6 / drivers * (n < drivers) - 0.001 * (n % 3) for n in range(120)]
    key = evaluated(store, run_with_training(store, []), MANY, {50: first, 100: second})
    app = opened("evaluate_sides", "show_sides", store, key)
    said = [warning.value.replace("\\", "") for warning in app.warning]
    assert [text.startswith("**6 documents of 120 make 98 % of the difference on “many”") for text in said] == [
        True
    ] * fires


@pytest.mark.parametrize(("other", "fires"), [("a" * 64, True), ("b" * 64, False)])
def test_one_model_scored_twice_is_called_so(store: RunStore, other: str, fires: bool) -> None:
    run_id = run_with_training(store, [])
    losses = [1.0 + n / 100 for n in range(120)]
    keys = [evaluated(store, run_id, MANY, {50: losses}, name=name) for name in ("with BCE", "without")]
    for key, weights in zip(keys, ("a" * 64, other), strict=True):
        path = EvaluationStore(store).directory(key) / "result.json"
        result = json.loads(path.read_text())
        result["splits"]["many"]["checkpoints"]["50"]["weights_sha256"] = weights
        path.write_text(json.dumps(result))
    app = opened("evaluate_sides", "show_sides", store, keys[1])
    said = [warning.value.replace("\\", "") for warning in app.warning if "scored twice" in warning.value]
    assert len(said) == fires and all("all 120 texts have the same CE on both sides" in text for text in said)
