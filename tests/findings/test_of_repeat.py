"""Runs that repeat another: real ones, one that ends the same and one in which chance has its hand."""

from __future__ import annotations

import shutil

import pytest

from bcecore.errors import RunError
from bcecore.findings.of_repeat import of_repeat, repeat_words
from bcecore.findings.of_run import of_run
from bcecore.findings.of_study import Member
from bcecore.jobs import derive
from bcecore.store.runs import RunStore
from tests.examples import example_run
from tests.findings.conftest import edit_json
from tests.training.processes import assert_same_end, run_patched, run_worker

# As a library does that draws a number of its own now and then.
DRAWS = "import torch\nafter_step(3, lambda: torch.rand(1))"


@pytest.fixture(autouse=True)
def nobody_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "wake", lambda store: None)


def test_a_repeat_ends_the_same_unless_something_else_decides(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, first = twins[0], twins[1][0].run
    again = derive.repeat(store, first)
    record = store.record(again)
    assert (record.repeat_of, record.parent, record.study) == (first, None, None)
    assert record.name == "worker test, repeated" and store.config(again) == store.config(first)
    assert of_repeat(store, store.record(again)) == [] and repeat_words(store, again) == ""  # not trained yet
    assert run_worker(store, again).returncode == 0
    assert_same_end(store, first, again)
    assert of_repeat(store, store.record(again)) == []
    assert "nondeterminism" not in {each.id for each in of_run(store, again)}
    assert repeat_words(store, again).endswith("ended the same: both have the same weights, in every bit.")

    other = derive.repeat(store, first, name="by chance")
    assert run_patched(store, other, DRAWS).returncode == 0
    (found,) = of_repeat(store, store.record(other))
    assert found.id == "nondeterminism" and set(found.numbers["differ"]) == {"random_end", "final_weights"}
    assert found in of_run(store, other)
    assert repeat_words(store, other).startswith(f"It repeats run {first} with the same settings, but did not end")

    # On a graphics card nothing can be said; nor without the run that was repeated.
    edit_json(store.directory(other) / "run.json", device="H200")
    assert of_repeat(store, store.record(other)) == [] and "not both ran on a processor" in repeat_words(store, other)
    shutil.rmtree(store.directory(first))
    assert of_repeat(store, store.record(again)) == [] and "not there any more" in repeat_words(store, again)


def test_what_cannot_be_repeated(store: RunStore) -> None:
    with pytest.raises(RunError, match=r"is stopped\. Only a run that was trained here to its end"):
        derive.repeat(store, example_run(store, "stopped"))
    unrecorded = example_run(store)
    with pytest.raises(RunError, match="did not record how it ended"):
        derive.repeat(store, unrecorded)
    edit_json(store.directory(unrecorded) / "run.json", parent="20260101-000000-first-0000")
    with pytest.raises(RunError, match="Repeat that one, and extend it"):
        derive.repeat(store, unrecorded)
    assert repeat_words(store, unrecorded) == "" and len(store.ids()) == 2
