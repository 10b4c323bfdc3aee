"""The commands about runs that are there: list, show, stop, resume, queue, and all else that the dashboard offers."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore.errors import RunError
from bcecore.recipes import DEFAULT_RECIPE
from bcecore.settings import parse_assignment, with_values
from bcecore.store.evaluations import EvaluationStore, store_of
from bcecore.store.record import WAITING, RunRecord
from bcecore.store.requests import read_stop
from bcecore.store.runs import RunStore

if TYPE_CHECKING:
    from bcecore.jobs.queue import Job

# A run starts by itself a moment after it was asked for; only what takes longer is worth a word.
_LOOK_SECONDS = 0.3
_SUPERVISOR_SECONDS = 3.0


def add_runs_dir(parser: argparse.ArgumentParser) -> None:
    """The option that says where runs live."""
    parser.add_argument("--runs-dir", type=Path, metavar="D", help="where runs live (default: BCE_RUNS_DIR, or runs/)")


def add_steps(parser: argparse.ArgumentParser) -> None:
    """The option that adds steps to the highlights of a run's schedules."""
    parser.add_argument(
        "--step",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="a step more among the highlights; repeatable",
    )


def add_commands(commands: Any) -> None:
    """Add the commands of this module to the command line's parser."""
    runs = _command(commands, "runs", "list the runs", _runs)
    runs.add_argument("--all", action="store_true", help="archived runs too")
    runs.add_argument("--json", action="store_true", help="print a JSON list")

    show = _command(
        commands, "show", "show one run: facts, highlights of its schedules, last values", _show, takes_run=True
    )
    show.add_argument("--json", action="store_true", help="print one JSON object")
    add_steps(show)

    waiting = _command(commands, "queue", "show the queue, or change it", _queue)
    actions = ("up", "down", "first", "last", "hold", "release", "remove")
    waiting.add_argument("action", nargs="?", choices=actions, help="what to do with a waiting one")
    waiting.add_argument("reference", nargs="?", metavar="RUN", help="the run, or RUN/EVALUATION")
    waiting.add_argument("--json", action="store_true", help="print a JSON list")

    stop = _command(commands, "stop", "save a checkpoint of a run and stop it", _stop, takes_run=True)
    stop.add_argument("--now", action="store_true", help="stop at once: the work since the last checkpoint is lost")
    stop.add_argument("--wait", action="store_true", help="return when it has stopped")

    resume = _command(commands, "resume", "go on with a run that did not finish", _resume, takes_run=True)
    resume.add_argument("--from", dest="step", type=int, metavar="STEP", help="its step (default: the last)")
    _add_following(resume)

    extend = _command(commands, "extend", "train a finished run further, as a new run", _extend, takes_run=True)
    length = extend.add_mutually_exclusive_group(required=True)
    length.add_argument("--epochs", type=float, metavar="N", help="so many more epochs")
    length.add_argument("--steps", type=int, metavar="N", help="so many more steps")
    extend.add_argument("--name", metavar="N", help="the new run's name")
    _add_following(extend)

    clone = _command(commands, "clone", "start a run with another one's settings", _clone, takes_run=True)
    clone.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting; repeatable")
    clone.add_argument("--name", metavar="N", help="the new run's name")
    _add_following(clone)

    repeat = _command(
        commands, "repeat", "train a finished run once more, to see if it ends the same", _repeat, takes_run=True
    )
    repeat.add_argument("--name", metavar="N", help="the new run's name")
    _add_following(repeat)

    _command(commands, "archive", "put a run away, so that it is not listed", _archive, takes_run=True)
    _command(commands, "unarchive", "list a run again", _unarchive, takes_run=True)
    _command(commands, "delete", "move a run to the trash", _delete, takes_run=True)
    _command(commands, "restore", "take a run back out of the trash", _restore, takes_run=True)
    empty = _command(commands, "empty-trash", "delete what is in the trash for good", _empty_trash)
    empty.add_argument("--yes", action="store_true", help="really; without it, only say what is in the trash")

    supervise = _command(commands, "supervise", "start waiting runs, here, until it is stopped", _supervise)
    supervise.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    supervise.add_argument("--idle-seconds", type=float, help=argparse.SUPPRESS)


def _command(
    commands: Any,
    name: str,
    about: str,
    run: Callable[[RunStore, argparse.Namespace], int],
    *,
    takes_run: bool = False,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    if takes_run:
        parser.add_argument("reference", metavar="RUN", help="id, beginning or end of an id, or name")
    add_runs_dir(parser)
    parser.set_defaults(run=lambda arguments: run(RunStore(arguments.runs_dir), arguments))
    return parser


def _add_following(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="return at once; the run goes on by itself")
    parser.add_argument("--json", action="store_true", help="print one JSON object when done")


# -- watching


def follow_to_the_end(store: RunStore, run_id: str, *, detach: bool, as_json: bool) -> int:
    """Say the run's id, show its progress until it is over unless `detach`, and return the exit status."""
    if not as_json:
        print(run_id, flush=True)
    record = store.record(run_id) if detach else _follow(store, run_id)
    if as_json:
        print(json_text(_as_json(store, record)))
    elif record.failure is not None:
        print(f"error: {record.failure.message}", file=sys.stderr)
    return 1 if record.status in ("failed", "crashed") else 0


def _follow(store: RunStore, run_id: str) -> RunRecord:
    record = follow(store, run_id, unit="step", stopping="Saving a checkpoint and stopping")
    assert isinstance(record, RunRecord)
    return record


def follow(store: RunStore, key: str, *, unit: str, stopping: str) -> Job:
    """Show a job's progress until it is over. Ctrl-C asks it to stop; a second one leaves it alone."""
    from tqdm import tqdm

    from bcecore.jobs import control, local, queue

    records = store_of(store, key)
    asked, looked = False, 0.0
    with tqdm(unit=unit, desc="starting", dynamic_ncols=True) as bar:
        while True:
            try:
                looked = _keep_supervised(store, looked)
                record: Job = local.reconciled(records, records.record(key))
                _draw(bar, store, record)
                if record.is_over:
                    return record
                time.sleep(_LOOK_SECONDS)
            except KeyboardInterrupt:
                if asked:
                    bar.write(f"{key} goes on in the background.", file=sys.stderr)
                    return records.record(key)  # type: ignore[no-any-return]
                asked = True
                try:
                    record = control.stop(store, key)
                    bar.write(f"{stopping}; press ctrl-C again to leave.", file=sys.stderr)
                except RunError:
                    queue.remove(store, key)
                    bar.write("Taken out of the queue.", file=sys.stderr)


def _keep_supervised(store: RunStore, looked: float) -> float:
    """See to it now and then that somebody starts what waits; returns when that was last done."""
    from bcecore.jobs.election import see_to_supervisor

    if time.monotonic() - looked < _SUPERVISOR_SECONDS:
        return looked
    see_to_supervisor(store)
    return time.monotonic()


def _draw(bar: Any, store: RunStore, record: Job) -> None:
    from bcecore.jobs import queue

    words: str = record.status
    if record.status == "queued":
        waiting = [other.key for other in queue.waiting_jobs(store) if other.status == "queued"]
        reason = queue.reason_to_wait(store, record)
        if reason is not None:
            words = reason
        elif record.key in waiting:
            words = f"waiting, number {waiting.index(record.key) + 1} in the queue"
    bar.set_description_str(words, refresh=False)
    if record.counts is not None:
        bar.n, bar.total = record.counts
    bar.refresh()


# -- looking


def _runs(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs.local import current_records

    records = [record for record in current_records(store) if arguments.all or not record.archived]
    if arguments.json:
        print(json_text([_as_json(store, record, values=False) for record in records]))
        return 0
    if not records:
        print(f"There are no runs in {store.root} yet. Start one: python -m bcecore train --recipe {DEFAULT_RECIPE}")
        return 0
    print_jobs({record.id: record for record in records})
    return 0


def print_jobs(jobs: Mapping[str, Job]) -> None:
    """One line for each run or evaluation: what to call it, its name, how it is, and how far."""
    columns = max(map(len, jobs))
    names = max(len(job.name) for job in jobs.values())
    width = min(names, max(12, shutil.get_terminal_size().columns - columns - 31))
    for called, job in jobs.items():
        progress = "{:,}/{:,}".format(*job.counts) if job.counts else ""
        print(f"{called:<{columns}}  {job.name[:width]:<{width}}  {job.status:<9}  {progress:>15}")


def _show(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore import cli_report
    from bcecore.jobs.local import reconciled

    record = reconciled(store, store.record(store.resolve(arguments.reference)))
    material = cli_report.material_for(store, record, arguments.step)
    if arguments.json:
        shown = _as_json(store, record) | cli_report.tables_as_json(material)
        print(json_text(shown))
        return 0
    print(f"{record.name}  ({record.id})\n{record.status}" + (f": {record.failure.message}" if record.failure else ""))
    cli_report.print_tables(material)
    return 0


def json_text(value: Any) -> str:
    """What a command prints for a script: strict JSON, in which a number that is not finite is null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


def _as_json(store: RunStore, record: RunRecord, *, values: bool = True) -> dict[str, Any]:
    """A run for a script: its record, and with `values` its settings and the last value of everything logged.

    An imported run has no settings, but what is known about it.
    """
    from bcecore.store.history import History

    found = record.model_dump(mode="json")
    if values:
        history = History(store.directory(record.id))
        history.refresh()
        found |= {"directory": str(store.directory(record.id)), "config": None, "last": history.last}
        if record.status == "imported":
            found["imported"] = store.imported(record.id).model_dump(mode="json")
        else:
            found["config"] = store.config(record.id).model_dump(mode="json")
    return found


# -- changing


def _queue(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control, queue
    from bcecore.jobs.evaluations import current_evaluations
    from bcecore.jobs.local import current_records

    if arguments.action is not None:
        if arguments.reference is None:
            raise RunError(f"Say which run or evaluation: python -m bcecore queue {arguments.action} RUN")
        key = _job_key(store, arguments.reference)
        match arguments.action:
            case "hold":
                queue.hold(store, key)
            case "release":
                control.release(store, key)
            case "remove":
                queue.remove(store, key)
            case move:
                queue.move(store, key, move)
    jobs = queue.waiting_jobs(store, [*current_records(store), *current_evaluations(store)])
    if arguments.json:
        print(json_text([job.model_dump(mode="json") for job in jobs]))
    elif not jobs:
        print("Nothing is waiting.")
    else:
        print_jobs({job.key: job for job in jobs})
    return 0


def _job_key(store: RunStore, reference: str) -> str:
    """The run that a person means, or with a slash in it the evaluation."""
    return EvaluationStore(store).resolve(reference) if "/" in reference else store.resolve(reference)


def _stop(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control, queue
    from bcecore.jobs.local import reconciled

    run_id = store.resolve(arguments.reference)
    if reconciled(store, store.record(run_id)).status in WAITING:
        queue.remove(store, run_id)
        print(f"{run_id} had not started. It is taken out of the queue; back: python -m bcecore resume {run_id}")
        return 0
    record, looked = control.stop(store, run_id, save=not arguments.now), 0.0
    while arguments.wait and not record.is_over:
        time.sleep(_LOOK_SECONDS)
        looked = _keep_supervised(store, looked)
        record = reconciled(store, store.record(run_id))
    request = read_stop(store.directory(run_id))
    if record.is_over:
        print(f"{run_id} is {record.status}.")
    elif request is not None and request.kind == "now":
        print(f"{run_id} stops now; what it learnt since its last checkpoint is lost.")
    else:
        print(f"{run_id} saves a checkpoint and stops. Go on later: python -m bcecore resume {run_id}")
    return 0


def _resume(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control
    from bcecore.jobs.local import reconciled

    run_id = store.resolve(arguments.reference)
    reconciled(store, store.record(run_id))
    control.resume(store, run_id, arguments.step)
    return follow_to_the_end(store, run_id, detach=arguments.detach, as_json=arguments.json)


def _extend(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import derive

    run_id = store.resolve(arguments.reference)
    new = derive.extend(store, run_id, epochs=arguments.epochs, steps=arguments.steps, name=arguments.name)
    return follow_to_the_end(store, new, detach=arguments.detach, as_json=arguments.json)


def _clone(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control, derive

    record = store.record(store.resolve(arguments.reference))
    changes = dict(parse_assignment(text) for text in arguments.set)
    name = derive.follow_up_name(record.name, "again") if arguments.name is None else arguments.name
    config = with_values(derive.clone_config(store, record.id), changes)
    new = control.launch(store, config, name=name, recipe=record.recipe)
    return follow_to_the_end(store, new, detach=arguments.detach, as_json=arguments.json)


def _repeat(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.findings.of_repeat import repeat_words
    from bcecore.jobs import derive

    new = derive.repeat(store, store.resolve(arguments.reference), name=arguments.name)
    status = follow_to_the_end(store, new, detach=arguments.detach, as_json=arguments.json)
    words = repeat_words(store, new)
    if words and not arguments.json:
        print(words)
    return status


def _archive(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control

    run_id = store.resolve(arguments.reference)
    control.archive(store, run_id)
    print(f"{run_id} is put away. List it again: python -m bcecore unarchive {run_id}")
    return 0


def _unarchive(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control

    run_id = store.resolve(arguments.reference)
    control.archive(store, run_id, archived=False)
    print(f"{run_id} is listed again.")
    return 0


def _delete(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control

    run_id = store.resolve(arguments.reference)
    control.delete(store, run_id)
    print(f"{run_id} is in the trash. Take it back: python -m bcecore restore {run_id}")
    return 0


def _restore(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.store.trash import take_back, trash

    deleted = trash(store)
    if not deleted.ids():
        raise RunError("The trash is empty.")
    try:
        run_id = deleted.resolve(arguments.reference)
    except RunError:
        there = ", ".join(f"{record.id} ({record.name})" for record in deleted.records())
        raise RunError(f"There is no run {arguments.reference!r} in the trash. In it: {there}.") from None
    take_back(store, run_id)
    print(f"{run_id} is back.")
    return 0


def _empty_trash(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.store.trash import empty_trash, trash

    records = trash(store).records()
    if not records:
        print("The trash is empty.")
        return 0
    if not arguments.yes:
        names = ", ".join(record.name for record in records)
        raise RunError(f"This deletes for good: {names}. Say so: python -m bcecore empty-trash --yes")
    count = empty_trash(store)
    print(f"{count} run{'s' * (count > 1)} deleted for good.")
    return 0


def _supervise(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import supervisor

    return supervisor.main(store, detached=arguments.detached, idle_seconds=arguments.idle_seconds)
