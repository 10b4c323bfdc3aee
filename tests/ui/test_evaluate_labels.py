from __future__ import annotations

import math

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from bcecore.store.evaluations import SplitTexts
from bcecore.store.runs import RunStore
from bcecore.ui.evaluate_labels import answers
from tests.ui.evaluated import evaluated, listed, opened, run, run_with_training, words

TEXTS = ["good day now", "bad <b>day</b> now", "fine day now", "no idea now"]
LABELS = ["positive", "negative", "positive", "positive"]


def split() -> SplitTexts:
    return SplitTexts(
        "moods",
        "labelled",
        "moods.csv",
        TEXTS,
        48,
        labels_of_texts=LABELS,
        template="{text} It is {label}",
        labels=("negative", "positive"),
    )


def logs(*shares: float) -> list[list[float]]:
    """Scores by which the second label has these probabilities."""
    return [[math.log(1 - share), math.log(share)] for share in shares]


@pytest.fixture
def run_id(store: RunStore) -> str:
    return run_with_training(store, [])


@pytest.fixture
def key(store: RunStore, run_id: str) -> str:
    losses = [1.0, 2.0, 3.0, 4.0]
    scores = {10: logs(0.4, 0.8, 0.6, 0.3), 20: logs(0.9, 0.3, 0.1, 0.45)}
    return evaluated(store, run_id, split(), {10: losses, 20: losses}, scores=scores)


def show(store: RunStore, key: str, **address: str) -> AppTest:
    return opened("evaluate_labels", "show_labels", store, key, **address)


def test_the_answer_first(store: RunStore, key: str) -> None:
    app = show(store, key)
    assert "Right on 2 of 4 texts: 50 %" in words(app)
    assert "“{text} It is {label}”" in words(app)
    # Negative: one of one found, one of three answers right. Positive: one of three found, its one answer right.
    assert {metric.label: metric.value for metric in app.metric} == {
        "Accuracy": "50 %",
        "Baseline": "75 %",
        "Macro F1": "0.500",
        "Confidence gap": "41 %",
    }


def test_the_tables(store: RunStore, key: str) -> None:
    app = show(store, key)
    matrix = next(frame.value for frame in app.dataframe if frame.value.index.name == "label")
    assert matrix.to_numpy().tolist() == [[1, 0], [2, 1]]
    classes = next(frame.value for frame in app.dataframe if "recall" in frame.value)
    assert classes["recall"].tolist() == [100.0, pytest.approx(100 / 3)]
    assert classes["precision"].tolist() == [pytest.approx(100 / 3), 100.0]
    every = next(frame.value for frame in app.dataframe if "step" in frame.value)
    assert every["step"].tolist() == [10, 20]
    assert every["accuracy"].tolist() == [25.0, 50.0]


def test_the_wrong_answers_come_first_the_surest_on_top(store: RunStore, key: str) -> None:
    app = show(store, key)
    assert listed(app) == [3, 4]
    assert "Wrong: “negative” instead of “positive”" in words(app).replace("**", "")
    assert "90 % sure" in words(app)
    assert listed(show(store, key, lab_show="Right")) == [1, 2]
    assert listed(show(store, key, lab_show="All")) == [3, 4, 1, 2]
    app = show(store, key, lab_show="All", lab_text="2", lab_step="step 10")
    assert "Wrong: “positive” instead of “negative”" in words(app).replace("**", "")
    assert "&lt;b&gt;day&lt;/b&gt;" in words(app)
    chances = next(frame.value for frame in app.dataframe if "chance" in frame.value)
    assert chances["label"].tolist() == ["positive", "negative"]
    assert chances["chance"].tolist() == pytest.approx([80.0, 20.0])
    assert chances["right"].tolist() == ["", "✓"]


def test_another_checkpoint_can_be_chosen(store: RunStore, key: str) -> None:
    app = show(store, key)
    run(app.selectbox(key="lab-step").set_value(10))
    assert "Right on 1 of 4 texts" in words(app)


def test_all_right_says_so(store: RunStore, run_id: str) -> None:
    scores = {20: logs(0.9, 0.1, 0.8, 0.7)}
    app = show(store, evaluated(store, run_id, split(), {20: [1.0] * 4}, scores=scores))
    assert "No answer was wrong" in app.info[0].value
    assert not any("Every checkpoint" in expander.label for expander in app.expander)


def test_a_broken_checkpoint_is_named_and_the_others_are_shown(store: RunStore, run_id: str) -> None:
    broken = [[math.nan, math.nan], *logs(0.3, 0.1, 0.45)]
    scores = {10: logs(0.4, 0.8, 0.6, 0.3), 20: broken}
    key = evaluated(store, run_id, split(), {10: [1.0] * 4, 20: [1.0] * 4}, scores=scores)
    app = show(store, key)
    assert "These labels cannot be counted" in app.warning[0].value
    run(app.selectbox(key="lab-step").set_value(10))
    every = next(frame.value for frame in app.dataframe if "step" in frame.value)
    assert every["accuracy"].tolist()[0] == 25.0
    assert math.isnan(every["accuracy"].tolist()[1])


def test_without_labels_it_says_what_they_are_good_for(store: RunStore, run_id: str) -> None:
    plain = SplitTexts("val", "file", "val.txt", TEXTS, 48)
    app = show(store, evaluated(store, run_id, plain, {20: [1.0] * 4}))
    assert "No labelled texts are in this evaluation" in app.info[0].value
    assert not app.dataframe


def test_answers_are_sorted_and_have_every_probability() -> None:
    rows = pd.DataFrame(
        {
            "example": [0, 1, 2],
            "text": ["a", "b", "c"],
            "label": ["x", "y", "x"],
            "predicted": ["x", "x", "y"],
            "label_scores": [[math.log(0.75), math.log(0.25)], [0.0, -math.inf], [math.log(0.2), math.log(0.8)]],
        }
    )
    table = answers(rows, ("x", "y"))
    assert table["number"].tolist() == [2, 3, 1]
    assert table["sure"].tolist() == pytest.approx([1.0, 0.8, 0.75])
    assert table["probability of y"].tolist() == pytest.approx([0.0, 0.8, 0.25])
