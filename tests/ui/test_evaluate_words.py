"""What the Evaluate page says of an evaluation: how far it is, what was left out, what went wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bcecore.store.evaluations import EvaluationProgress, EvaluationRecord, EvaluationRequest, SplitSpec
from bcecore.ui import evaluate_words as words

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "20260101-000000-a-run-0000/20260101-000001-mine-0001"


def split(name: str = "val", **fields: Any) -> SplitSpec:
    values = {"kind": "file", "file": "data/0.jsonl", "source": "val.txt", "sha256": "0", "rows": 10, "block_size": 64}
    return SplitSpec(**{"name": name, **values, **fields})


def record(status: str = "running", *, steps: tuple[int, ...] = (100, 200), **fields: Any) -> EvaluationRecord:
    run_id, _, own = KEY.partition("/")
    values: dict[str, Any] = {
        "id": own,
        "run_id": run_id,
        "name": "mine",
        "created": NOW,
        "status": status,
        "status_since": NOW,
        "request": EvaluationRequest(checkpoints=steps, splits=(split("a"), split("b"))),
    }
    return EvaluationRecord(**values | fields)


def progress(done: int, total: int = 40, **fields: Any) -> EvaluationProgress:
    return EvaluationProgress(**{"done": done, "total": total, "updated": NOW, **fields})


def test_how_far_it_is() -> None:
    assert (words.done_share(record()), words.done_words(record())) == (0.0, "The model and the texts are being loaded")
    half = record(progress=progress(20))
    assert (words.done_share(half), words.done_words(half)) == (0.5, "20 of 40 texts scored")
    over = record("finished", progress=progress(40))
    assert (words.done_share(over), words.done_words(over)) == (1.0, "All 40 texts scored")
    assert words.done_words(record("crashed")) == "Nothing was scored yet"


def test_pace_and_what_is_left() -> None:
    fast = record(progress=progress(20, examples_per_second=2.0), started=NOW - timedelta(seconds=12))
    assert words.pace_words(fast, NOW) == ["2 texts/s", "12 s so far", "about 10 s left"]
    nearly = record(progress=progress(39, examples_per_second=2.0))
    assert words.pace_words(nearly, NOW) == ["2 texts/s", "nearly done"]
    silent = words.pace_words(fast, NOW + timedelta(seconds=30))
    assert silent == ["2 texts/s", "42 s so far", "no news for 30 s"]
    ended = record("stopped", progress=progress(20, examples_per_second=2.0), started=NOW, ended=NOW)
    assert words.pace_words(ended, NOW + timedelta(days=1)) == ["0.0 s in all"]


def test_what_is_kept_is_what_the_result_counts() -> None:
    stopped = record("stopped", progress=progress(25))
    assert words.kept_words(stopped, None) == "Nothing had been measured yet."
    result = {
        "splits": {"a": {"checkpoints": {"100": {"examples": 10}, "200": {"examples": 4}}}, "b": {"checkpoints": {}}}
    }
    assert words.kept_words(stopped, result) == "What it had measured, 14 of 40 texts, is kept and shown below."


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((100,), "Step 100 on a and b"),
        ((100, 1200), "Steps 100 and 1,200 on a and b"),
        ((1, 2, 3, 4), "Steps 1, 2, 3 and 4 on a and b"),
        ((1, 2, 3, 4, 5), "5 checkpoints from step 1 to step 5 on a and b"),
    ],
)
def test_what_it_measures(steps: tuple[int, ...], expected: str) -> None:
    assert words.about_words(record(steps=steps)) == expected
    assert words.about_words(record(request=None)) == "What it measured cannot be read"


def test_what_was_left_out_and_cut() -> None:
    assert words.dropped_words({}) == ""
    left_out = words.dropped_words({"empty": 1200, "too_short": 1, "no_label": 2})
    assert left_out == "1,203 left out: 1,200 empty, 1 too short to predict anything, 2 without a label"
    assert words.reading_words(split(), 0) == "none longer than 64 tokens"
    assert words.reading_words(split(), 3) == "3 cut after 64 tokens"
    assert words.reading_words(split(), None) == "cut after 64 tokens"
    windows = split(long_texts="window", stride=32)
    assert words.reading_words(windows, 0) == "long texts in windows of 64 tokens, each 32 tokens behind the one before"


@pytest.mark.parametrize(
    ("x", "expected"), [(1.06, "1.0600"), (24.9111, "24.91"), (1422.5, "1,422"), (float("inf"), "infinite")]
)
def test_perplexities(x: float, expected: str) -> None:
    assert words.perplexity_words(x) == expected
