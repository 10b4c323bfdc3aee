"""What a person asks of runs, as far as it shows on disk; what comes of it is in test_supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.errors import RunError
from bcecore.jobs import control, queue
from bcecore.store.record import Failure, Status
from bcecore.store.requests import SAVE_REQUEST, read_stop, take
from bcecore.store.runs import RunStore
from bcecore.store.trash import trash
from tests.examples import example_run


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """How often the supervisor was woken, which is not started here."""
    calls: list[Path] = []
    monkeypatch.setattr(control, "wake", lambda store: calls.append(store.root))
    return calls


class TestStop:
    def test_saving(self, store: RunStore, rung: list[Path]) -> None:
        run_id = example_run(store, "running")
        assert control.stop(store, run_id).status == "stopping"
        request = read_stop(store.directory(run_id))
        assert request is not None and request.kind == "save"
        assert rung == [store.root]

    def test_twice_is_once_and_now_is_stronger(self, store: RunStore) -> None:
        run_id = example_run(store, "running")
        control.stop(store, run_id)
        first = read_stop(store.directory(run_id))
        control.stop(store, run_id)
        assert read_stop(store.directory(run_id)) == first  # the patience with it counts from the first time
        control.stop(store, run_id, save=False)
        stronger = read_stop(store.directory(run_id))
        assert stronger is not None and stronger.kind == "now"
        control.stop(store, run_id)  # whoever only wants it saved comes too late
        assert read_stop(store.directory(run_id)) == stronger

    def test_while_starting(self, store: RunStore) -> None:
        run_id = example_run(store, "starting")
        assert control.stop(store, run_id).status == "starting"
        assert read_stop(store.directory(run_id)) is not None

    @pytest.mark.parametrize("status", ["finished", "stopped", "failed", "crashed"])
    def test_of_a_run_that_is_over_changes_nothing(self, store: RunStore, status: Status) -> None:
        run_id = example_run(store, status)
        before = store.record(run_id)
        assert control.stop(store, run_id) == before
        assert read_stop(store.directory(run_id)) is None

    def test_of_a_waiting_run_is_refused_with_what_to_do(self, store: RunStore) -> None:
        with pytest.raises(RunError, match="can be taken out of the queue"):
            control.stop(store, example_run(store, "queued"))


class TestResume:
    @pytest.mark.parametrize("status", ["stopped", "failed", "crashed"])
    def test_goes_to_the_end_of_the_queue(self, store: RunStore, status: Status, rung: list[Path]) -> None:
        run_id = example_run(store, status, failure=Failure(message="Why."), checkpoints=(50, 100))
        others = [example_run(store, "queued") for _ in range(2)]
        record = control.resume(store, run_id)
        assert (record.status, record.resume_from) == ("queued", "last")
        assert [waiting.id for waiting in queue.waiting(store)] == [*others, run_id]
        assert rung == [store.root]

    def test_from_a_chosen_checkpoint(self, store: RunStore) -> None:
        run_id = example_run(store, "stopped", checkpoints=(50, 100))
        with pytest.raises(RunError, match=r"no whole checkpoint at step 70\. Whole ones: 50, 100"):
            control.resume(store, run_id, 70)
        assert store.record(run_id).status == "stopped"
        assert control.resume(store, run_id, 50).resume_from == "50"

    def test_twice_is_once(self, store: RunStore) -> None:
        run_id = example_run(store, "crashed", checkpoints=(50,))
        assert control.resume(store, run_id) == control.resume(store, run_id)

    def test_what_was_taken_out_of_the_queue_can_be_put_back(self, store: RunStore) -> None:
        run_id = example_run(store, "queued")
        queue.remove(store, run_id)
        record = control.resume(store, run_id)
        assert (record.status, record.resume_from) == ("queued", None)

    def test_an_old_request_to_stop_does_not_stop_the_new_process(self, store: RunStore) -> None:
        run_id = example_run(store, "running")
        control.stop(store, run_id)
        store.transition(run_id, "crashed", process=None)
        control.resume(store, run_id)
        assert read_stop(store.directory(run_id)) is None

    @pytest.mark.parametrize(("status", "words"), [("finished", "Extend it"), ("running", "nothing to resume")])
    def test_refused(self, store: RunStore, status: Status, words: str) -> None:
        with pytest.raises(RunError, match=words):
            control.resume(store, example_run(store, status))


def test_asking_a_running_run(store: RunStore) -> None:
    run_id = example_run(store, "running")
    control.ask_now(store, run_id, SAVE_REQUEST)
    control.ask_now(store, run_id, SAVE_REQUEST)
    assert take(store.directory(run_id), SAVE_REQUEST)
    assert not take(store.directory(run_id), SAVE_REQUEST)
    with pytest.raises(RunError, match="is finished"):
        control.ask_now(store, example_run(store), SAVE_REQUEST)


class TestPuttingAway:
    def test_archive_and_back(self, store: RunStore) -> None:
        run_id = example_run(store)
        control.archive(store, run_id)
        assert store.record(run_id).archived
        control.archive(store, run_id, archived=False)
        assert not store.record(run_id).archived

    @pytest.mark.parametrize("status", ["queued", "starting", "running"])
    def test_not_while_it_is_needed(self, store: RunStore, status: Status) -> None:
        run_id = example_run(store, status)
        with pytest.raises(RunError, match="only runs that are over"):
            control.archive(store, run_id)
        with pytest.raises(RunError, match="cannot be deleted"):
            control.delete(store, run_id)
        assert store.ids() == [run_id]

    def test_delete(self, store: RunStore) -> None:
        run_id = example_run(store)
        control.delete(store, run_id)
        assert (store.ids(), trash(store).ids()) == ([], [run_id])
        with pytest.raises(RunError, match="There is no run"):
            control.delete(store, run_id)


class TestNaming:
    def test_name_tags_and_notes(self, store: RunStore) -> None:
        run_id = example_run(store)
        control.rename(store, run_id, "  Işık \n koşusu ")
        control.set_tags(store, run_id, ["a", " b  c ", "", "a"])
        control.set_notes(store, run_id, "line\nline")
        record = store.record(run_id)
        assert (record.name, record.tags, record.notes) == ("Işık koşusu", ("a", "b c"), "line\nline")

    @pytest.mark.parametrize(
        ("tags", "words"),
        [(["x" * 41], "at most 40"), (["a\x00b"], "visible"), ([str(n) for n in range(21)], "at most 20 tags")],
    )
    def test_impossible_tags(self, store: RunStore, tags: list[str], words: str) -> None:
        run_id = example_run(store)
        with pytest.raises(RunError, match=words):
            control.set_tags(store, run_id, tags)
        assert store.record(run_id).tags == ()

    def test_endless_notes(self, store: RunStore) -> None:
        with pytest.raises(RunError, match="at most 20,000 characters"):
            control.set_notes(store, example_run(store), "x" * 20_001)
