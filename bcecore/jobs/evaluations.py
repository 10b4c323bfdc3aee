"""What a person asks of evaluations: evaluate, resume, delete. Stopping is as for runs (`jobs.control.stop`).

Evaluations wait in the same queue as runs, under their keys (`jobs.queue`), and take the same places. Whoever asks,
from a page or a command line, asks here; nothing here waits for the evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bcecore.errors import RunError
from bcecore.jobs import queue
from bcecore.jobs.election import wake
from bcecore.jobs.local import reconciled
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.evaluations import EvaluationRecord, EvaluationRequest, EvaluationStore, SplitTexts, refuse_imported
from bcecore.store.record import WAITING
from bcecore.store.requests import clear_stop
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore

FINAL = 0
"""The step that stands for the end of a finished run, whatever its number is."""


def evaluable_steps(store: RunStore, run_id: str) -> list[int]:
    """The steps at which a run can be evaluated, ascending: its whole checkpoints, and the end of a finished run.

    Of a run that waits to go on from a step, those beyond it are about to be set aside.
    """
    record, directory = store.record(run_id), store.directory(run_id)
    steps = set(checkpoint_steps(directory))
    if record.status in (*WAITING, "starting") and record.resume_from is not None and record.resume_from.isdecimal():
        steps = {step for step in steps if step <= int(record.resume_from)}
    if record.status == "finished" and record.step_reached is not None and (directory / "model").is_dir():
        steps.add(record.step_reached)
    return sorted(steps)


def chosen_steps(store: RunStore, run_id: str, wanted: Sequence[int] = ()) -> tuple[int, ...]:
    """The steps to evaluate, ascending, each once: the `wanted` ones, by default the last that there is.

    FINAL is the end of a finished run. Raises RunError for an imported run, for a step at which nothing was kept, and
    where there is no checkpoint yet.
    """
    record = store.record(run_id)
    refuse_imported(record)
    there = evaluable_steps(store, run_id)
    if not there:
        raise RunError(
            f"Run {run_id} ({record.status}) has no whole checkpoint, so there is nothing to evaluate. It takes one, "
            "which a run saves now and then while it trains, and when it is stopped."
        )
    steps = set()
    for step in wanted or there[-1:]:
        resolved = record.step_reached if step == FINAL and record.status == "finished" else step
        if resolved not in there:
            listed = ", ".join(f"{each:,}" for each in there)
            what = (
                "is not finished, so it has no final model" if step == FINAL else f"has no checkpoint at step {step:,}"
            )
            raise RunError(f"Run {run_id} {what}. It can be evaluated at: {listed}.", field="checkpoints")
        steps.add(resolved)
    return tuple(sorted(steps))


def submit(
    store: RunStore,
    run_id: str,
    splits: Sequence[SplitTexts],
    *,
    steps: Sequence[int] = (),
    name: str | None = None,
    batch_tokens: int | None = None,
) -> EvaluationRecord:
    """Freeze an evaluation of a run, put it into the queue, and see to it that it starts.

    `steps` as in `chosen_steps`; a run that is still at work can be evaluated at its finished checkpoints. Without a
    `name` it gets one that says what is evaluated. Raises a BceError; nothing is left behind then.
    """
    record = _create(store, run_id, chosen_steps(store, run_id, steps), splits, name=name, batch_tokens=batch_tokens)
    wake(store)
    return record


def submit_for_the_end(
    store: RunStore,
    run_id: str,
    splits: Sequence[SplitTexts],
    *,
    name: str | None = None,
    batch_tokens: int | None = None,
) -> EvaluationRecord:
    """Queue an evaluation of the end of a run that need not have begun: it starts when the run is finished.

    A run that is finished has done exactly the steps that its settings plan, so the step is known now. Wakes nobody:
    there is nothing to start before the run is. Else as `submit`.
    """
    refuse_imported(store.record(run_id))
    last = store.config(run_id).total_steps(store.record(run_id).dataset["train_examples"])
    return _create(store, run_id, (last,), splits, name=name, batch_tokens=batch_tokens, after_run=True)


def _create(
    store: RunStore,
    run_id: str,
    chosen: tuple[int, ...],
    splits: Sequence[SplitTexts],
    *,
    name: str | None,
    batch_tokens: int | None,
    **fields: Any,
) -> EvaluationRecord:
    if not splits:
        raise RunError("There is nothing to evaluate on. Choose at least one text.", field="splits")
    names = [split.name for split in splits]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise RunError(f"Two texts have the name '{twice}'. Give one of them another name.", field="splits")
    options = {} if batch_tokens is None else {"batch_tokens": batch_tokens}

    def fill(directory: Path) -> EvaluationRequest:
        frozen = tuple(split.freeze(directory, number) for number, split in enumerate(splits))
        seed = store.config(run_id).training.seed
        try:
            return EvaluationRequest(checkpoints=chosen, splits=frozen, seed=seed, **options)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            raise RunError(f"This cannot be evaluated: {where}: {problem['msg']}.", field=where) from error

    return EvaluationStore(store).create(run_id, name or _name(chosen, names), fill, **fields)


def _name(steps: Sequence[int], splits: Sequence[str]) -> str:
    checkpoints = f"step {steps[0]:,}" if len(steps) == 1 else f"{len(steps)} checkpoints"
    name = f"{checkpoints} on {', '.join(splits)}"
    return name if len(name) <= MAX_NAME_CHARACTERS else f"{checkpoints} on {len(splits)} texts"


def resume(store: RunStore, key: str) -> EvaluationRecord:
    """Put an evaluation that did not finish back into the queue; what it has measured is not measured again.

    Harmless if it waits already. Raises RunError for one that is finished or at work, and where a checkpoint that it
    needs is gone.
    """
    evaluations = EvaluationStore(store)
    with queue.changing(store):
        record = reconciled(evaluations, evaluations.record(key))
        if record.status == "queued":
            return record
        if record.status == "finished":
            raise RunError(f"Evaluation {key} is finished. To measure once more, evaluate anew.")
        if record.status not in ("stopped", "failed", "crashed", "removed") or record.request is None:
            raise RunError(f"Evaluation {key} is {record.status}: there is nothing to resume.")
        if queue.awaited(store, record) is None:
            chosen_steps(store, record.run_id, record.request.checkpoints)
        clear_stop(evaluations.directory(key))
        record = evaluations.transition(key, "queued", ended=None, failure=None)
        queue.put_last(store, key)
    wake(store)
    return record


def delete(store: RunStore, key: str) -> None:
    """Delete an evaluation for good, one whose record is damaged too.

    Raises RunError for one that is at work or waits in the queue.
    """
    evaluations = EvaluationStore(store)
    with queue.changing(store):
        evaluations.directory(key)  # raises if there is none
        # A damaged record is listed too, as crashed.
        listed = current_evaluations(store, key.partition("/")[0])
        record = next(record for record in listed if record.key == key)
        if not record.is_over:
            how = "Stop it first." if record.is_active else "Take it out of the queue first."
            raise RunError(f"Evaluation {key} is {record.status} and cannot be deleted. {how}")
        evaluations.delete(key)


def current_evaluations(store: RunStore, run_id: str | None = None) -> list[EvaluationRecord]:
    """The records of all evaluations, of one run or of all, newest first; those whose process is gone as crashed."""
    evaluations = EvaluationStore(store)
    return [reconciled(evaluations, record) for record in evaluations.records(run_id)]
