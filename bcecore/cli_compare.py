"""The command that compares runs, or steps of runs: what differs in their settings, and in their values."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bcecore.cli_runs import add_runs_dir, json_text
from bcecore.errors import RunError
from bcecore.store.runs import RunStore

if TYPE_CHECKING:
    from bcecore.report.comparability import Side
    from bcecore.store.history import History


def add_command(commands: Any) -> None:
    """Add `compare` to the command line's parser."""
    about = "compare runs, or steps of runs: settings that differ, values, differences to the first one"
    parser = commands.add_parser("compare", help=about, description=about)
    parser.add_argument(
        "references", nargs="+", metavar="RUN[@STEP]", help="id, beginning or end of an id, or name; with @, at a step"
    )
    parser.add_argument("--same-step", action="store_true", help="values at the largest step that all have logged")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_runs_dir(parser)
    parser.set_defaults(run=lambda arguments: _compare(RunStore(arguments.runs_dir), arguments))


def _compare(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.report.comparison_text import comparison_json, comparison_text

    sides = _sides(store, arguments.references)
    if arguments.same_step and any(side.step is not None for side in sides):
        raise RunError("Give the steps with @ or with --same-step, not both.")
    if arguments.json:
        content = comparison_json(sides, same_step=arguments.same_step)
        print(json_text(content))
    else:
        print(comparison_text(sides, same_step=arguments.same_step))
    return 0


def _sides(store: RunStore, references: Sequence[str]) -> list[Side]:
    """The runs that are meant, and their steps.

    Raises RunError for a run that is not there, a step without values, and for fewer than two of them.
    """
    from bcecore.report.comparability import Side, side_names

    chosen = [_chosen(store, reference) for reference in references]
    if len(set(chosen)) < len(chosen):
        raise RunError("The same run is named twice. Name different runs, or different steps of one: RUN@100 RUN@200.")
    if len(chosen) < 2:
        raise RunError(f"There is nothing to compare {references[0]!r} with. Name at least two runs.")
    records = [(store.record(run_id), step) for run_id, step in chosen]
    sides = []
    for (record, step), name in zip(records, side_names(records), strict=True):
        history = _history(store, record.id, step)
        is_foreign = record.status == "imported"
        config = None if is_foreign else store.config(record.id)
        imported = store.imported(record.id) if is_foreign else None
        sides.append(Side(name, record, config, history, imported, step))
    return sides


def _chosen(store: RunStore, reference: str) -> tuple[str, int | None]:
    name, separator, step = reference.rpartition("@")
    if not separator or not step.isdecimal():
        return store.resolve(reference), None
    try:
        return store.resolve(reference), None  # a run may be called so
    except RunError:
        return store.resolve(name), int(step)


def _history(store: RunStore, run_id: str, step: int | None) -> History:
    from bcecore.report.comparison import nearest_step
    from bcecore.store.history import History

    history = History(store.directory(run_id))
    history.refresh()
    if not len(history.steps):
        raise RunError(f"Run {run_id} has logged nothing yet, so there is nothing to compare.")
    if step is not None and step not in history.steps:
        near = nearest_step(history.steps, step)
        raise RunError(f"Run {run_id} has no values at step {step}. The nearest step that was logged is {near}.")
    return history
