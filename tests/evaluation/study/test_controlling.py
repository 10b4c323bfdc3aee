"""Watching, stopping, resuming, extending and deleting a study."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bcecore.errors import RunError
from bcecore.evaluation.study.controlling import delete, extend, restore, resume, stop
from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.progress import progress
from bcecore.evaluation.study.verdicts import take_due_looks
from bcecore.jobs import control, evaluations, queue
from bcecore.store.evaluations import EvaluationStore, SplitTexts
from bcecore.store.identity import own_identity
from bcecore.store.record import Progress, now
from bcecore.store.requests import read_stop
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore, cell
from bcecore.store.trash import empty_trash, trash
from tests.evaluation.study.studied import draft, fail, finish, finish_all, finish_run


def begin(store: RunStore, run_id: str, step: int) -> None:
    store.transition(run_id, "starting", process=own_identity())
    store.transition(run_id, "running", started=now() - timedelta(seconds=3))
    reached = Progress(step=step, total_steps=6, epoch=0.5, updated=now(), steps_per_second=2.0)
    store.update(run_id, progress=reached)


def test_progress_says_what_goes_on_and_what_is_the_matter(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    runs = StudyStore(asleep).state(plan.id).runs
    found = progress(asleep, plan.id)
    assert (found.status, found.steps, found.seconds_left) == ("at work", (0, 24), None)
    assert found.sentence == "0 of 4 runs are trained and measured."
    begin(asleep, runs["off/1"], 3)
    found = progress(asleep, plan.id)
    assert [each.status for each in found.cells] == ["training", "waiting", "waiting", "waiting"]
    assert found.steps == (3, 24) and found.seconds_left == pytest.approx(21 / 2.0)
    fail(asleep, runs["active/1"], "The text is gone.")
    (trouble,) = progress(asleep, plan.id).troubles
    assert trouble.trouble.endswith("has failed: The text is gone.") and "study resume" in trouble.what_to_do
    queue.remove(asleep, runs["off/2"])
    queue.hold(asleep, runs["active/2"])
    found = progress(asleep, plan.id)
    assert [each.status for each in found.cells] == ["training", "failed", "stopped", "stopped"]
    asleep.transition(runs["off/1"], "stopped", process=None)
    found = progress(asleep, plan.id)
    assert found.status == "needs somebody" and found.seconds_left == 0.0
    assert found.sentence.endswith("nothing goes on by itself.")


def test_progress_follows_a_run_until_it_is_measured(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    finish_run(asleep, plan, "off", 1)
    assert progress(asleep, plan.id).cells[0].status == "to measure"
    key = StudyStore(asleep).state(plan.id).evaluations["off/1"]
    EvaluationStore(asleep).transition(key, "starting", process=own_identity())
    assert progress(asleep, plan.id).cells[0].status == "measuring"
    EvaluationStore(asleep).transition(key, "failed")
    found = progress(asleep, plan.id).cells[0]
    assert found.status == "failed" and "evaluation" in found.trouble
    resume(asleep, plan.id)
    finish_all(asleep, plan, {"active": 0.1}, seeds=(2,))
    found = progress(asleep, plan.id)
    assert [each.status for each in found.cells] == ["to measure", "waiting", "done", "done"]
    assert found.seeds_ended() == (2,) and found.due == ()
    # Two measured runs of 40 s for 6 steps, and 2 s for measuring.
    assert found.seconds_left == pytest.approx(40 + 2 * 2, abs=1)


def test_a_stopped_study_goes_on_where_it_was(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    state = StudyStore(asleep).state(plan.id)
    begin(asleep, state.runs["off/1"], 3)
    stop(asleep, plan.id)
    stop(asleep, plan.id)
    request = read_stop(asleep.directory(state.runs["off/1"]))
    assert request is not None and request.kind == "save"
    assert asleep.record(state.runs["off/1"]).status == "stopping" and queue.waiting_jobs(asleep) == []
    asleep.transition(state.runs["off/1"], "stopped", process=None)
    assert progress(asleep, plan.id).status == "stopped"
    resume(asleep, plan.id)
    again = [job.key for job in queue.waiting_jobs(asleep)]
    expected = [
        names[cell(arm, seed)]
        for seed in (1, 2)
        for names in (state.runs, state.evaluations)
        for arm in ("off", "active")
    ]
    assert again == expected and asleep.record(state.runs["off/1"]).resume_from == "last"
    assert StudyStore(asleep).state(plan.id).runs == state.runs


def test_deleted_runs_and_measurements_are_made_again(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    state = StudyStore(asleep).state(plan.id)
    finish(asleep, plan, "off", 1)
    control.delete(asleep, state.runs["off/1"])
    EvaluationStore(asleep).transition(state.evaluations["active/1"], "removed")
    EvaluationStore(asleep).delete(state.evaluations["active/1"])
    found = progress(asleep, plan.id)
    assert found.cells[0].status == "missing" and found.cells[0].run is None
    resume(asleep, plan.id)
    new = StudyStore(asleep).state(plan.id)
    assert new.runs["off/1"] != state.runs["off/1"]
    assert new.evaluations["off/1"].startswith(new.runs["off/1"])
    assert new.evaluations["active/1"] != state.evaluations["active/1"]
    assert progress(asleep, plan.id).counts == {"waiting": 4}


def test_extended_only_as_planned(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, seeds=(1, 2, 9), looks=(2, 3)))
    assert len(asleep.ids()) == 4 and progress(asleep, plan.id).next_look == 3
    finish_all(asleep, plan, {"active": -0.2})
    take_due_looks(asleep, plan.id)
    extend(asleep, plan.id)
    found = progress(asleep, plan.id)
    assert [(each.seed, each.status) for each in found.cells][4:] == [(9, "waiting"), (9, "waiting")]
    assert found.status == "at work" and found.state.launched == 3
    with pytest.raises(RunError, match=r"all the seeds that were planned .looks at 2, 3.*create a new study"):
        extend(asleep, plan.id)
    finish_all(asleep, plan, {"active": -0.2}, seeds=(9,))
    assert [look.seeds for look in take_due_looks(asleep, plan.id).looks] == [2, 3]


def test_a_stopped_or_changed_study_is_not_extended(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, seeds=(1, 2, 3), looks=(2, 3)))
    stop(asleep, plan.id)
    with pytest.raises(RunError, match="Resume it before"):
        extend(asleep, plan.id)
    path = StudyStore(asleep).directory(plan.id) / "data" / "held-out-0.jsonl"
    path.write_text(path.read_text().replace("river", "brook"))
    for act in (extend, resume):
        with pytest.raises(RunError, match=r"changed since: data/held-out-0\.jsonl"):
            act(asleep, plan.id)
    assert len(asleep.ids()) == 4


def test_deleted_with_its_runs_and_taken_back(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    runs = StudyStore(asleep).state(plan.id).runs
    begin(asleep, runs["off/1"], 3)
    with pytest.raises(RunError, match="Stop it first"):
        delete(asleep, plan.id)
    assert len(asleep.ids()) == 4
    asleep.transition(runs["off/1"], "stopped", process=None)
    delete(asleep, plan.id)
    assert asleep.ids() == [] and StudyStore(asleep).ids() == [] and queue.waiting_jobs(asleep) == []
    restore(asleep, plan.id)
    assert sorted(asleep.ids()) == sorted(runs.values()) and progress(asleep, plan.id).counts == {"stopped": 4}
    assert queue.waiting_jobs(asleep) == []
    delete(asleep, plan.id)
    assert empty_trash(asleep) == 4 and StudyStore(trash(asleep)).ids() == []
    with pytest.raises(RunError, match="no study"):
        restore(asleep, plan.id)


def test_it_is_not_deleted_around_an_evaluation_that_somebody_else_asked_for(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    run_id = finish_run(asleep, plan, "off", 1)
    own = [SplitTexts(name="own", kind="file", source="here", texts=["a b c", "d e f"], block_size=16)]
    key = evaluations.submit_for_the_end(asleep, run_id, own).key
    EvaluationStore(asleep).transition(key, "starting", process=own_identity())
    with pytest.raises(RunError, match=f"at work.*{key}"):
        delete(asleep, plan.id)
    assert len(asleep.ids()) == 4 and StudyStore(asleep).ids() == [plan.id]
