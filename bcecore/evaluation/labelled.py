"""How well a model labels texts, from the likelihood that it gave each label: counts, F1, calibration. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

from bcecore.errors import BceError

LEVEL = 0.95
CALIBRATION_BINS = 10

Floats = npt.NDArray[np.float64]


class LabelError(BceError):
    """Labels or scores that do not fit each other."""


@dataclass(frozen=True)
class ClassMetrics:
    """How one label fares. A share of nothing is None: precision of a label that was never predicted, and so on."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    """None for a label that neither occurs nor was predicted; it does not count in the macro F1."""
    support: int
    """Texts that have this label."""
    predicted: int
    """Texts that the model gave it to."""


@dataclass(frozen=True)
class Bin:
    """One bar of the reliability diagram: predictions whose confidence lies in (low, high]."""

    low: float
    high: float
    examples: int
    confidence: float | None
    """Mean confidence; None in an empty bin."""
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Whether the model is right as often as it is sure."""

    error: float
    """Expected calibration error, 0 to 1."""
    log_loss: float
    """Mean of −ln of the probability given to the right label, nats."""
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class LabelMetrics:
    """What a labelled set says of a model."""

    labels: tuple[str, ...]
    examples: int
    right: int
    accuracy: float
    low: float
    high: float
    """Wilson's interval of the accuracy at 95 %."""
    most_frequent: str
    baseline: float
    """The accuracy of answering the most frequent label every time."""
    macro_f1: float
    classes: tuple[ClassMetrics, ...]
    confusion: npt.NDArray[np.int64]
    """(true label, predicted label), in the order of `labels`."""
    calibration: Calibration

    @property
    def beats_baseline(self) -> bool:
        """Whether even the low end of the interval is above always giving the most frequent label."""
        return self.low > self.baseline


def label_metrics(examples: pd.DataFrame, labels: Sequence[str]) -> LabelMetrics:
    """The metrics of one checkpoint on one labelled split, from its rows of `examples.parquet`.

    Needs the columns `label`, `predicted` and `label_scores` (log-likelihood of each of `labels`, in that order).
    Raises LabelError for no rows, labels that are not among `labels`, and scores that do not fit or are no numbers.
    """
    if not len(examples):
        raise LabelError("There are no labelled texts. Choose a file with at least one text and its label.")
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise LabelError(f"It takes two or more different labels, got {', '.join(labels) or 'none'}.")
    true = _places(examples["label"], labels, "label")
    predicted = _places(examples["predicted"], labels, "prediction")
    probabilities = label_probabilities(list(examples["label_scores"]), len(labels))
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (true, predicted), 1)
    right = int(np.trace(confusion))
    n = len(examples)
    low, high = wilson(right, n)
    classes = tuple(_class(label, place, confusion) for place, label in enumerate(labels))
    support = confusion.sum(axis=1)
    return LabelMetrics(
        labels=tuple(labels),
        examples=n,
        right=right,
        accuracy=right / n,
        low=low,
        high=high,
        most_frequent=labels[int(support.argmax())],
        baseline=float(support.max() / n),
        macro_f1=float(np.mean([item.f1 for item in classes if item.f1 is not None])),
        classes=classes,
        confusion=confusion,
        calibration=_calibration(probabilities, true, predicted),
    )


def wilson(right: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share (E. B. Wilson, JASA 22, 1927): within 0 and 1, and right also near them.

    Raises ValueError for no trials or more successes than trials.
    """
    if n < 1 or not 0 <= right <= n:
        raise ValueError(f"0 to n of n, with n at least 1; got {right} of {n}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = right / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At the ends the formula gives 0 and 1 but for rounding.
    return (0.0 if right == 0 else middle - half), (1.0 if right == n else middle + half)


def label_probabilities(scores: Sequence[Sequence[float]], labels: int) -> Floats:
    """The probability of each label among the labels, (n, labels): the softmax of their log-likelihoods.

    A label that cannot be (−inf) gets 0. Raises LabelError for scores that are missing or of another number than the
    labels, not numbers, or impossible for every label.
    """
    for row, values in enumerate(scores):
        if values is None or np.ndim(values) != 1 or len(values) != labels:
            found = "no scores" if values is None or np.ndim(values) != 1 else f"{len(values)} scores"
            raise LabelError(f"Text {row + 1:,} has {found} for {labels} labels. Evaluate the file anew.")
    logs: Floats = np.asarray([list(values) for values in scores], dtype=np.float64).reshape(-1, labels)
    highest = logs.max(axis=1, keepdims=True)
    broken = ~np.isfinite(highest[:, 0])
    if broken.any():
        row = int(broken.argmax())
        raise LabelError(
            f"The scores of text {row + 1:,} are not numbers ({', '.join(f'{x:g}' for x in logs[row])}): the model is "
            "broken at this checkpoint. Choose an earlier one."
        )
    weights = np.exp(logs - highest)
    return weights / weights.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def _places(values: pd.Series, labels: Sequence[str], what: str) -> npt.NDArray[np.intp]:
    place = {label: number for number, label in enumerate(labels)}
    unknown = sorted({str(value) for value in values if value not in place})
    if unknown:
        listed = ", ".join(f"“{value}”" for value in unknown[:5])
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise LabelError(
            f"The {what} {listed}{more} is not among the labels that were scored ({', '.join(labels)}). "
            "Correct the file or add the label, and evaluate it anew."
        )
    return np.array([place[value] for value in values], dtype=np.intp)


def _class(label: str, place: int, confusion: npt.NDArray[np.int64]) -> ClassMetrics:
    hits = int(confusion[place, place])
    support, predicted = int(confusion[place].sum()), int(confusion[:, place].sum())
    return ClassMetrics(
        label,
        precision=hits / predicted if predicted else None,
        recall=hits / support if support else None,
        f1=2 * hits / (support + predicted) if support + predicted else None,
        support=support,
        predicted=predicted,
    )


def _calibration(
    probabilities: Floats, true: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp], bins: int = CALIBRATION_BINS
) -> Calibration:
    """Expected calibration error over bins of equal width (C. Guo et al., arXiv 1706.04599, 2017)."""
    rows = np.arange(len(true))
    confidence = probabilities[rows, predicted]
    right = true == predicted
    # (low, high], so that full confidence is in the last bin; the first one holds 0 as well.
    which = np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
    found = []
    error = 0.0
    for number in range(bins):
        inside = which == number
        count = int(inside.sum())
        mean, accuracy = (float(confidence[inside].mean()), float(right[inside].mean())) if count else (None, None)
        if mean is not None and accuracy is not None:
            error += count / len(true) * abs(accuracy - mean)
        found.append(Bin(number / bins, (number + 1) / bins, count, mean, accuracy))
    given = probabilities[rows, true]
    with np.errstate(divide="ignore"):
        log_loss = float(-np.log(given).mean())
    return Calibration(error, log_loss, tuple(found))
