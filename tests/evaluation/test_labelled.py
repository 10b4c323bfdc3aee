from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support

from bcecore.evaluation.labelled import LabelError, label_metrics, label_probabilities, wilson

LABELS = ("good", "bad", "odd")


def rows(pairs: list[tuple[str, str]], scores: list[list[float]] | None = None) -> pd.DataFrame:
    """Rows of `examples.parquet` from pairs of true and predicted label, the predicted one surest."""
    if scores is None:
        scores = [[-1.0 if label == predicted else -3.0 for label in LABELS] for _, predicted in pairs]
    return pd.DataFrame(
        {
            "label": [true for true, _ in pairs],
            "predicted": [predicted for _, predicted in pairs],
            "label_scores": pd.Series([np.array(row) for row in scores], dtype=object),
        }
    )


def test_metrics_by_hand() -> None:
    metrics = label_metrics(rows([("good", "good")] * 6 + [("good", "bad")] * 2 + [("bad", "bad")] * 2), LABELS)
    assert (metrics.examples, metrics.right, metrics.accuracy) == (10, 8, 0.8)
    assert (metrics.most_frequent, metrics.baseline) == ("good", 0.8)
    assert not metrics.beats_baseline
    assert metrics.confusion.tolist() == [[6, 2, 0], [0, 2, 0], [0, 0, 0]]
    good, bad, odd = metrics.classes
    assert (good.precision, good.recall, good.f1, good.support, good.predicted) == (1.0, 0.75, 12 / 14, 8, 6)
    assert (bad.precision, bad.recall, bad.f1, bad.support, bad.predicted) == (0.5, 1.0, 4 / 6, 2, 4)
    # A label that neither occurs nor was predicted has no share of anything, and does not count in the mean.
    assert (odd.precision, odd.recall, odd.f1, odd.support, odd.predicted) == (None, None, None, 0, 0)
    assert metrics.macro_f1 == pytest.approx((12 / 14 + 4 / 6) / 2)


def test_wilsons_interval() -> None:
    # The example of R. G. Newcombe (Statistics in Medicine 17, 1998): 81 of 263, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(20, 20)[1] == 1.0
    low, high = wilson(81, 263, 0.99)
    assert low < 0.2553 < 0.3662 < high
    for right, n in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="0 to n of n"):
            wilson(right, n)


def test_calibration_by_hand() -> None:
    sure = [math.log(0.9), math.log(0.05), math.log(0.05)]
    unsure = [math.log(0.45), math.log(0.4), math.log(0.15)]
    pairs = [("good", "good")] * 3 + [("bad", "good")] + [("bad", "good")] * 2
    metrics = label_metrics(rows(pairs, [sure] * 4 + [unsure] * 2), LABELS)
    found = {(round(item.low, 1), round(item.high, 1)): item for item in metrics.calibration.bins if item.examples}
    assert set(found) == {(0.8, 0.9), (0.4, 0.5)}
    assert (found[0.8, 0.9].examples, found[0.8, 0.9].accuracy) == (4, 0.75)
    assert found[0.8, 0.9].confidence == pytest.approx(0.9)
    assert found[0.4, 0.5].accuracy == 0.0
    assert metrics.calibration.error == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.45)
    assert metrics.calibration.log_loss == pytest.approx(-(3 * math.log(0.9) + math.log(0.05) + 2 * math.log(0.4)) / 6)
    assert sum(item.examples for item in metrics.calibration.bins) == 6
    assert all(item.confidence is None for item in metrics.calibration.bins if not item.examples)


def test_full_confidence_has_its_bin() -> None:
    metrics = label_metrics(rows([("good", "good")], [[0.0, -math.inf, -math.inf]]), LABELS)
    assert metrics.calibration.bins[-1].examples == 1
    assert (metrics.calibration.error, metrics.calibration.log_loss) == (0.0, 0.0)


def test_probabilities_are_a_softmax_that_does_not_overflow() -> None:
    found = label_probabilities([[-2000.0, -2000.0 + math.log(3)], [0.0, -math.inf]], 2)
    assert found == pytest.approx(np.array([[0.25, 0.75], [1.0, 0.0]]))


answers = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=60)


@given(answers)
def test_equal_to_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = label_metrics(rows(pairs), LABELS)
    true, predicted = [list(side) for side in zip(*pairs, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of shares of nothing, which it takes as 0
        f1 = f1_score(true, predicted, average="macro")
        by_class = precision_recall_fscore_support(true, predicted, labels=list(LABELS), zero_division=0)
    assert metrics.macro_f1 == pytest.approx(f1, abs=1e-12)
    for place, item in enumerate(metrics.classes):
        ours = (item.precision or 0.0, item.recall or 0.0, item.f1 or 0.0, item.support)
        assert ours == pytest.approx([column[place] for column in by_class], abs=1e-12)
    assert metrics.confusion.tolist() == confusion_matrix(true, predicted, labels=list(LABELS)).tolist()
    probabilities = label_probabilities(list(rows(pairs)["label_scores"]), len(LABELS))
    places = [LABELS.index(label) for label in true]
    assert metrics.calibration.log_loss == pytest.approx(log_loss(places, probabilities, labels=[0, 1, 2]), abs=1e-9)


@given(answers, st.randoms(use_true_random=False))
def test_the_order_of_texts_does_not_matter(pairs: list[tuple[str, str]], random: object) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = label_metrics(rows(pairs), LABELS), label_metrics(rows(shuffled), LABELS)
    assert (one.confusion == other.confusion).all()
    assert (one.accuracy, one.macro_f1, one.classes) == (other.accuracy, other.macro_f1, other.classes)
    assert one.calibration.error == pytest.approx(other.calibration.error)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(LabelError, match="no labelled texts"):
        label_metrics(rows([]), LABELS)
    with pytest.raises(LabelError, match="two or more different labels, got good"):
        label_metrics(rows([("good", "good")]), ["good"])
    with pytest.raises(LabelError, match=r"label “fine” is not among the labels that were scored \(good, bad, odd\)"):
        label_metrics(rows([("fine", "good")]), LABELS)
    with pytest.raises(LabelError, match="prediction “None”"):
        label_metrics(rows([("good", None)], [[0.0] * 3]), LABELS)  # type: ignore[list-item]
    with pytest.raises(LabelError, match="Text 2 has 2 scores for 3 labels"):
        label_probabilities([[0.0] * 3, [0.0] * 2], 3)
    with pytest.raises(LabelError, match="Text 1 has no scores for 3 labels"):
        label_probabilities([None], 3)  # type: ignore[list-item]
    with pytest.raises(LabelError, match=r"scores of text 2 are not numbers \(nan, 0\)"):
        label_probabilities([[0.0, 0.0], [math.nan, 0.0]], 2)
