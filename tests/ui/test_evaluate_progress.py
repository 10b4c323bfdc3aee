"""What an evaluation that waits says about itself."""

from __future__ import annotations

import pytest

from bcecore.jobs import evaluations
from bcecore.store.evaluations import SplitTexts
from bcecore.store.runs import RunStore
from bcecore.ui.evaluate_progress import _place_words
from tests.examples import example_run


def test_one_that_waits_for_its_run_says_so(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "wake", lambda _store: None)
    texts = [SplitTexts("val", "file", "val.txt", ["some words"], 32)]
    waits = evaluations.submit_for_the_end(store, example_run(store, "running"), texts)
    assert _place_words(store, waits) == "Waits until its run is finished"
    stopped = example_run(store, "stopped")
    told = _place_words(store, evaluations.submit_for_the_end(store, stopped, texts))
    assert told == f"Waits for its run, which is stopped and not finished: resume {stopped}"
    done = example_run(store, "finished")
    (store.directory(done) / "model").mkdir()
    assert _place_words(store, evaluations.submit(store, done, texts)).endswith("in the queue")
