from datetime import UTC, datetime, timedelta
from typing import Any

from bcecore.report.progress import checkpoint_words, done_share, pace_words, seconds_left, step_words
from bcecore.store.record import Progress, RunRecord

NOW = datetime(2025, 11, 12, 14, 3, tzinfo=UTC)


def record(step: int = 1312, pace: float | None = 31.2, **changes: Any) -> RunRecord:
    progress = Progress(step=step, total_steps=2000, epoch=6.56, updated=NOW, steps_per_second=pace)
    values: dict[str, Any] = {
        "id": "x",
        "name": "x",
        "created": NOW,
        "status": "running",
        "status_since": NOW,
        "started": NOW - timedelta(seconds=42),
        "progress": progress,
    }
    return RunRecord(**(values | changes))


def test_a_running_run() -> None:
    assert step_words(record()) == "Step 1,312 of 2,000"
    assert done_share(record()) == 0.656
    assert pace_words(record(), NOW, 4100.4) == [
        "epoch 6.6",
        "31.2 steps/s",
        "4,100 tokens/s",
        "42 s so far",
        "about 22 s left",
    ]


def test_before_the_first_step_nothing_is_made_up() -> None:
    starting = record(status="starting", progress=None, started=None)
    assert step_words(starting) == "The model is being loaded"
    assert done_share(starting) == 0
    assert pace_words(starting, NOW) == []
    assert seconds_left(record(pace=None)) is None


def test_the_last_moment() -> None:
    assert "nearly done" in pace_words(record(step=1999), NOW)


def test_a_process_that_says_nothing_is_not_given_an_end() -> None:
    parts = pace_words(record(), NOW + timedelta(seconds=95))
    assert parts[-1] == "no news for 1 m 35 s"
    assert not any("left" in part for part in parts)


def test_a_finished_run_tells_the_pace_of_the_whole_run() -> None:
    over = record(status="finished", ended=NOW, facts={"train_steps_per_second": 18.7})
    assert pace_words(over, NOW + timedelta(days=1)) == ["epoch 6.6", "18.7 steps/s", "42 s in all"]


def test_checkpoints_that_are_safe() -> None:
    assert checkpoint_words([]) == "No checkpoint had been saved yet."
    assert checkpoint_words([800]) == "The checkpoint of step 800 is kept."
    assert checkpoint_words([200, 400, 800]) == "The checkpoint of step 800 is kept, and 2 earlier ones."
