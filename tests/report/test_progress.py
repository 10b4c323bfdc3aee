from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bcecore.report.progress import (
    checkpoint_words,
    done_share,
    expected_words,
    pace_words,
    place_words,
    seconds_left,
    step_words,
    unsaved_words,
)
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


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([500, 1000], "The work since step 1,000, about 10 s, is lost."),
        ([], "All of its work so far, about 40 s, is lost: no checkpoint was saved yet."),
        ([1312], "Nothing is lost: no step was made since the last checkpoint."),
    ],
)
def test_what_is_lost_without_saving(steps: list[int], words: str) -> None:
    assert unsaved_words(record(), steps) == words


def test_what_is_lost_at_an_unknown_pace() -> None:
    assert unsaved_words(record(pace=None), [1000]) == "The work since step 1,000 is lost."
    assert unsaved_words(record(progress=None), []) == "No step was made yet."


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (1, "Next in the queue"),
        (2, "2nd in the queue"),
        (3, "3rd in the queue"),
        (4, "4th in the queue"),
        (11, "11th in the queue"),
        (21, "21st in the queue"),
        (112, "112th in the queue"),
    ],
)
def test_places_in_the_queue(place: int, words: str) -> None:
    assert place_words(place) == words


def test_a_held_run_keeps_its_place() -> None:
    assert place_words(None).startswith("On hold")


def test_what_is_expected() -> None:
    assert expected_words(25, 118) == "starts in about 25 s, done in about 2 min"
    assert expected_words(0, 30) == "starts in a moment, done in about 30 s"
    assert expected_words(25, None) == "starts in about 25 s"
    assert expected_words(None, None) == "starts after those before it"
