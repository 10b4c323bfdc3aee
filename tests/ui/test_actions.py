"""What is said when something cannot be done: by name, without ids, and without the command line."""

from __future__ import annotations

import pytest

from bcecore.errors import RunError
from bcecore.jobs import control, queue
from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.runs import RunStore
from bcecore.ui.actions import sentence
from tests.examples import example_run
from tests.ui.evaluated import evaluated


def test_a_run_is_called_by_its_name(store: RunStore) -> None:
    run_id = example_run(store, "finished", name="my run")
    for action in (control.resume, queue.remove, control.release):
        with pytest.raises(RunError) as caught:
            action(store, run_id)
        words = sentence(store, run_id, caught.value)
        assert words.startswith("“my run” is finished")
        assert run_id not in words


@pytest.mark.parametrize("run_id", ["20250101-000000-gone-0000", "elsewhere"])
def test_a_run_that_is_gone_is_said_to_be(store: RunStore, run_id: str) -> None:
    with pytest.raises(RunError) as caught:
        store.record(run_id)
    assert sentence(store, run_id, caught.value).startswith("This run is not here any more")


def test_an_evaluation_is_called_by_its_name_and_its_run_the_run(store: RunStore) -> None:
    run_id = example_run(store, name="my run")
    key = evaluated(store, run_id, SplitTexts("val", "file", "val.txt", ["one two"], 48), {10: [1.0]}, name="mine")
    assert sentence(store, key, RunError(f"Evaluation {key} is finished.")) == "“mine” is finished."
    assert sentence(store, key, RunError(f"Run {run_id} has no checkpoint.")) == "the run has no checkpoint."
    EvaluationStore(store).delete(key)
    assert sentence(store, key, RunError("whatever")).startswith("This evaluation is not here any more")
