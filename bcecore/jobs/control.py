"""What a person asks of runs: launch, stop, resume, save or check or sample now, put away, delete.

Whoever asks, from a page or a command line, asks here; asking twice is asking once. Nothing here waits for the run.
"""

from __future__ import annotations

from collections.abc import Callable

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.jobs import queue
from bcecore.jobs.election import wake
from bcecore.jobs.local import reconciled
from bcecore.jobs.queue import Job
from bcecore.jobs.submit import Checked, submit
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.evaluations import EvaluationStore, awaited_steps, store_of
from bcecore.store.record import RunRecord, now
from bcecore.store.requests import StopRequest, ask, clear_stop, read_stop, write_stop
from bcecore.store.runs import RunStore, check_name
from bcecore.store.trash import move_to_trash

MAX_TAGS = 20
MAX_TAG_CHARACTERS = 40
MAX_NOTES_CHARACTERS = 20_000


def launch(
    store: RunStore,
    config: RunConfig,
    *,
    name: str,
    recipe: str | None = None,
    before: Callable[[Checked], object] | None = None,
) -> str:
    """Check and freeze a run, put it into the queue, and see to it that it starts; returns its id.

    `before` is told what was found out while there is no run yet (see `submit`). Raises a BceError that names the
    setting; nothing is left behind then.
    """
    run_id = submit(store, config, name=name, recipe=recipe, before=before)
    wake(store)
    return run_id


def stop(store: RunStore, key: str, *, save: bool = True) -> Job:
    """Ask a run to stop after its present step: with a checkpoint, or at once without one. Returns its record.

    An evaluation, asked by its key, keeps what it has measured either way. Asking again is harmless, and asking without
    a checkpoint after asking with one makes it end at once. What is over stays as it is. Raises RunError for what has
    not started.
    """
    records = store_of(store, key)
    record: Job = records.record(key)
    if record.is_over:
        return record
    if not record.is_active:
        what = f"{record.noun.capitalize()} {key}"
        raise RunError(f"{what} is {record.status} and not at work yet. It can be taken out of the queue.")
    directory = records.directory(key)
    before = read_stop(directory)
    kind = "save" if save and (before is None or before.kind == "save") else "now"
    if before is None or before.kind != kind:
        write_stop(directory, StopRequest(kind=kind, at=now()))
    try:
        record = records.transition(key, "stopping")
    except RunError:  # not running yet, stopping already, or over in the meantime
        record = records.record(key)
    if record.is_over:
        clear_stop(directory)
    wake(store)
    return record


def resume(store: RunStore, run_id: str, from_step: int | None = None) -> RunRecord:
    """Put a run that did not finish back into the queue, to go on from its last whole checkpoint or a chosen one.

    Without any checkpoint it begins anew. Harmless if it waits already. Raises RunError for a run that is finished or
    at work, for a step without a whole checkpoint, and where an evaluation still needs a later one, which would be set
    aside.
    """
    with queue.changing(store):
        record = store.record(run_id)
        if record.status == "queued" and from_step is None:
            return record
        if record.status == "finished":
            raise RunError(f"Run {run_id} is finished. Extend it to train it further.")
        if record.status not in ("stopped", "failed", "crashed", "removed"):
            raise RunError(f"Run {run_id} is {record.status}: there is nothing to resume.")
        store.config(run_id)  # raises if it cannot be read
        directory = store.directory(run_id)
        steps = checkpoint_steps(directory)
        if from_step is not None and from_step not in steps:
            there = ", ".join(f"{step:,}" for step in steps) or "none"
            raise RunError(f"Run {run_id} has no whole checkpoint at step {from_step:,}. Whole ones: {there}.")
        needed = max(awaited_steps(directory), default=0)
        if from_step is not None and needed > from_step:
            raise RunError(
                f"Run {run_id} cannot go on from step {from_step:,} now: an evaluation needs its checkpoint at step "
                f"{needed:,}, which is then set aside. Let it finish, or stop it or take it out of the queue."
            )
        # What never started begins where it was to begin.
        place = record.resume_from if record.status == "removed" else "last"
        clear_stop(directory)
        record = store.transition(
            run_id,
            "queued",
            ended=None,
            failure=None,
            archived=False,
            resume_from=place if from_step is None else str(from_step),
        )
        queue.put_last(store, run_id)
    wake(store)
    return record


def ask_now(store: RunStore, run_id: str, request: str) -> None:
    """Leave one of `store.requests`' save, evaluate and sample requests. Raises RunError if the run is not running."""
    record = store.record(run_id)
    if record.status != "running":
        raise RunError(f"Run {run_id} is {record.status}: this can be asked of a running run only.")
    ask(store.directory(run_id), request)


def release(store: RunStore, key: str) -> None:
    """Let a held run or evaluation start when its turn comes."""
    queue.release(store, key)
    wake(store)


def delete(store: RunStore, run_id: str) -> None:
    """Move a run to the trash, and its evaluations with it; those that wait are taken out of the queue.

    Raises RunError for one that is at work or waits in the queue itself, or of which an evaluation is at work.
    """
    evaluations = EvaluationStore(store)
    with queue.changing(store):
        record = store.record(run_id)
        if record.is_active:
            raise RunError(f"Run {run_id} is {record.status} and cannot be deleted. Stop it first.")
        if not record.is_over:
            raise RunError(f"Run {run_id} is {record.status} and cannot be deleted. Take it out of the queue first.")
        own = [reconciled(evaluations, evaluation) for evaluation in evaluations.records(run_id)]
        at_work = next((evaluation for evaluation in own if evaluation.is_active), None)
        if at_work is not None:
            raise RunError(
                f"Run {run_id} cannot be deleted: its evaluation {at_work.key} is {at_work.status}. Stop that first."
            )
        for evaluation in own:
            if not evaluation.is_over:
                evaluations.transition(evaluation.key, "removed")
        move_to_trash(store, run_id)


def archive(store: RunStore, run_id: str, archived: bool = True) -> None:
    """Put a run away so that it is not listed, or back. Raises RunError for one that is not over."""
    record = store.record(run_id)
    if archived and not record.is_over:
        raise RunError(f"Run {run_id} is {record.status}: only runs that are over can be put away.")
    store.update(run_id, archived=archived)


def rename(store: RunStore, run_id: str, name: str) -> None:
    """Give a run another name; its id stays. Raises RunError for an unusable name."""
    store.update(run_id, name=check_name(name))


def set_tags(store: RunStore, run_id: str, tags: list[str]) -> None:
    """Replace a run's tags. Raises RunError for too many or too long ones."""
    cleaned = tuple(dict.fromkeys(tag for tag in (" ".join(tag.split()) for tag in tags) if tag))
    if len(cleaned) > MAX_TAGS:
        raise RunError(f"A run has at most {MAX_TAGS} tags, not {len(cleaned)}.", field="tags")
    for tag in cleaned:
        if len(tag) > MAX_TAG_CHARACTERS or not tag.isprintable():
            raise RunError(
                f"The tag {tag[:60]!r} cannot be used: a tag is at most {MAX_TAG_CHARACTERS} visible characters long.",
                field="tags",
            )
    store.update(run_id, tags=cleaned)


def set_notes(store: RunStore, run_id: str, notes: str) -> None:
    """Replace a run's notes. Raises RunError for too long ones."""
    if len(notes) > MAX_NOTES_CHARACTERS:
        raise RunError(f"Notes have at most {MAX_NOTES_CHARACTERS:,} characters, these {len(notes):,}.", field="notes")
    store.update(run_id, notes=notes)
