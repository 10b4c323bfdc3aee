"""What a page says of everything that waits in the queue."""

from __future__ import annotations

import pytest

from bcecore.jobs import evaluations
from bcecore.jobs.submit import submit
from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.runs import RunStore
from bcecore.ui.queue_outlook import outlook
from tests.examples import example_config, example_run

TEXTS = SplitTexts("held out", "file", "a file", ["One line of words.", "Another line of words."], block_size=32)


def told(store: RunStore) -> dict[str, str]:
    return outlook(store, store.records(), EvaluationStore(store).records())


def test_what_waits_for_its_run_says_so_and_takes_no_place(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "wake", lambda _store: None)
    first = submit(store, example_config(), name="first")
    waits = evaluations.submit_for_the_end(store, first, [TEXTS]).key
    ended = example_run(store, "finished", checkpoints=(100,))
    second = evaluations.submit(store, ended, [TEXTS], steps=(100,)).key
    words = told(store)
    assert list(words) == [first, waits, second]
    assert words[waits] == "Waits until its run is finished"
    assert words[first].startswith("Next in the queue") and words[second].startswith("2nd in the queue")


def test_what_waits_for_a_run_that_was_stopped_says_what_to_do(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluations, "wake", lambda _store: None)
    stopped = example_run(store, "stopped")
    waits = evaluations.submit_for_the_end(store, stopped, [TEXTS]).key
    assert told(store) == {waits: f"Waits for its run, which is stopped and not finished: resume {stopped}"}
