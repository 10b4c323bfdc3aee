"""The commands about evaluations: `evaluate` measures checkpoints on texts, `evaluations` lists what was measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore import cli_runs
from bcecore.errors import RunError
from bcecore.files import expanded
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore, SplitTexts
from bcecore.store.runs import RunStore

if TYPE_CHECKING:
    from bcecore.findings.finding import Finding

_SEVERITIES = {"B": "Forbids a conclusion", "W": "Warning", "N": "Note"}


def add_commands(commands: Any) -> None:
    """Add the commands of this module to the command line's parser."""
    about = "measure checkpoints of runs on texts, with BCE on and off"
    evaluate = commands.add_parser(
        "evaluate",
        help=about,
        description=f"{about[0].upper()}{about[1:]}. Without a text it is the run's own held-out lines; without a step "
        "the last checkpoint.",
    )
    evaluate.add_argument(
        "references",
        nargs="*",
        metavar="RUN[@STEP]",
        help="id, part of one, or name, and steps of its checkpoints (final: the end of a finished run): RUN@400@final",
    )
    evaluate.add_argument("--own", action="store_true", help="the run's own held-out lines")
    evaluate.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a text (.txt, .jsonl, .csv, .parquet) and what to call it; repeatable",
    )
    evaluate.add_argument(
        "--hub",
        action="append",
        default=[],
        metavar="NAME[:N]",
        help="first N non-empty lines of a Hub dataset: wikitext-2, or owner/name[/configuration][@split]; repeatable",
    )
    evaluate.add_argument("--labels", type=Path, metavar="FILE", help="texts with labels (.csv, .jsonl, .parquet)")
    evaluate.add_argument("--template", metavar="T", help="what a labelled text is put into, with {text} and {label}")
    evaluate.add_argument("--label-names", metavar="A,B,…", help="labels to choose from (default: those in the file)")
    evaluate.add_argument("--text-column", default="text", metavar="C", help="column with the texts (default: text)")
    evaluate.add_argument(
        "--label-column", default="label", metavar="C", help="column with the labels (default: label)"
    )
    evaluate.add_argument(
        "--long",
        choices=("truncate", "window"),
        default="truncate",
        help="long texts are cut, as the report did (truncate), or read in overlapping windows (window)",
    )
    evaluate.add_argument(
        "--stride", type=int, metavar="N", help="tokens from window to window (default: half a window)"
    )
    evaluate.add_argument("--name", metavar="N", help="what to call the evaluation (default: what is measured)")
    evaluate.add_argument("--detach", action="store_true", help="return at once; the evaluation goes on by itself")
    evaluate.add_argument("--json", action="store_true", help="print one JSON object when done")
    others = evaluate.add_mutually_exclusive_group()
    others.add_argument("--resume", metavar="ID", help="go on with an evaluation that did not finish")
    others.add_argument("--stop", metavar="ID", help="stop an evaluation; what it has measured is kept")
    others.add_argument("--delete", metavar="ID", help="delete an evaluation for good")
    cli_runs.add_runs_dir(evaluate)
    evaluate.set_defaults(run=lambda arguments: _evaluate(RunStore(arguments.runs_dir), arguments))

    listing = commands.add_parser("evaluations", help="list the evaluations of a run, or of all")
    listing.add_argument("reference", nargs="?", metavar="RUN", help="id, part of one, or name (default: all runs)")
    listing.add_argument("--json", action="store_true", help="print a JSON list")
    cli_runs.add_runs_dir(listing)
    listing.set_defaults(run=lambda arguments: _evaluations(RunStore(arguments.runs_dir), arguments))


# -- what is asked for


def _evaluate(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs import evaluations

    own = arguments.resume or arguments.stop or arguments.delete
    if own and arguments.references:
        raise RunError("--resume, --stop and --delete take the evaluation's id alone, no run.")
    if arguments.stop:
        print(_stop(store, EvaluationStore(store).resolve(arguments.stop)))
        return 0
    if arguments.delete:
        key = EvaluationStore(store).resolve(arguments.delete)
        evaluations.delete(store, key)
        print(f"{key} is deleted.")
        return 0
    if arguments.resume:
        keys = [evaluations.resume(store, EvaluationStore(store).resolve(arguments.resume)).key]
    elif arguments.references:
        keys = _submit_all(store, arguments)
    else:
        raise RunError("Say which run: python -m bcecore evaluate RUN. `python -m bcecore runs` lists the runs.")
    return _follow_to_the_end(store, keys, detach=arguments.detach, as_json=arguments.json)


def _stop(store: RunStore, key: str) -> str:
    """Ask an evaluation to stop, or take it out of the queue; what was done, in a sentence."""
    from bcecore.jobs import control, queue
    from bcecore.jobs.local import reconciled

    evaluations = EvaluationStore(store)
    record = reconciled(evaluations, evaluations.record(key))
    if record.is_over:
        return f"{key} is {record.status}."
    if record.is_active:
        control.stop(store, key)
        return f"{key} stops; what it has measured is kept. Go on later: {_resume_command(key)}"
    queue.remove(store, key)
    return f"{key} had not started. It is taken out of the queue; back: {_resume_command(key)}"


def _resume_command(key: str) -> str:
    return f"python -m bcecore evaluate --resume {key}"


def _submit_all(store: RunStore, arguments: argparse.Namespace) -> list[str]:
    """Queue one evaluation for each run, once everything that they need was found to be there."""
    from bcecore.jobs import evaluations

    prepared = []
    for run_id, steps in _checkpoints(store, arguments.references).items():
        evaluations.chosen_steps(store, run_id, steps)
        prepared.append((run_id, steps, _splits(store, run_id, arguments)))
    return [
        evaluations.submit(store, run_id, splits, steps=steps, name=arguments.name).key
        for run_id, steps, splits in prepared
    ]


def _checkpoints(store: RunStore, references: Sequence[str]) -> dict[str, list[int]]:
    """The runs that `RUN@STEP@STEP` arguments mean, and for each the steps (none: the last)."""
    from bcecore.jobs.evaluations import FINAL

    wanted: dict[str, list[int]] = {}
    for reference in references:
        name, *steps = _parted(store, reference)
        found = wanted.setdefault(store.resolve(name), [])
        for step in steps:
            if step != "final" and not (step.isascii() and step.isdecimal() and int(step) > 0):
                raise RunError(f"{step!r} in {reference!r} is no step: it takes a number from 1 on, or final.")
            found.append(FINAL if step == "final" else int(step))
    return wanted


def _parted(store: RunStore, reference: str) -> list[str]:
    """A run and its steps; a name that holds an @ itself is taken whole where there is such a run."""
    if any(record.name == reference for record in store.records()):
        return [reference]
    return reference.split("@")


def _splits(store: RunStore, run_id: str, arguments: argparse.Namespace) -> list[SplitTexts]:
    from bcecore.evaluation import splits
    from bcecore.evaluation.template import DEFAULT_TEMPLATE

    reading = splits.reading_of(store, run_id, arguments.long, arguments.stride)
    found = []
    if arguments.own or not (arguments.split or arguments.hub or arguments.labels):
        found.append(splits.own_split(store, run_id, reading))
    for text in arguments.split:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise RunError(f"--split takes NAME=FILE, for example val=val_small.txt, not {text!r}.")
        found.append(splits.file_split(expanded(file), reading, name, column=arguments.text_column))
    for text in arguments.hub:
        words, limit = _hub(text)
        found.append(splits.hub_split(splits.hub_dataset(words), reading, words, limit=limit))
    if arguments.labels:
        given = None if arguments.label_names is None else arguments.label_names.split(",")
        found.append(
            splits.labelled_split(
                arguments.labels,
                reading,
                template=arguments.template or DEFAULT_TEMPLATE,
                labels=given,
                text_column=arguments.text_column,
                label_column=arguments.label_column,
            )
        )
    elif arguments.template or arguments.label_names:
        raise RunError("--template and --label-names belong to labelled texts: name their file with --labels.")
    return found


def _hub(text: str) -> tuple[str, int | None]:
    words, colon, number = text.partition(":")
    if colon and not (number.isascii() and number.isdecimal() and int(number) > 0):
        raise RunError(
            f"--hub takes NAME:N with a number N of lines from 1 on, for example wikitext-2:400, not {text!r}."
        )
    return words, int(number) if colon else None


# -- watching, and what came of it


def _follow_to_the_end(store: RunStore, keys: Sequence[str], *, detach: bool, as_json: bool) -> int:
    evaluations = EvaluationStore(store)
    if not as_json:
        print("\n".join(keys), flush=True)
    for number, key in enumerate(() if detach else keys):
        record = cli_runs.follow(store, key, unit="example", stopping="Stopping; what is measured is kept")
        if record.status in ("stopped", "removed"):  # ctrl-C means all that was asked for
            for other in keys[number + 1 :]:
                print(_stop(store, other), file=sys.stderr)
            break
    records = [evaluations.record(key) for key in keys]
    if as_json:
        shown = [
            _as_json(store, record) | {"findings": [each.model_dump(mode="json") for each in _noticed(store, record)]}
            for record in records
        ]
        print(json.dumps({"evaluations": shown}, indent=2, ensure_ascii=False))
    elif not detach:
        _print_results(store, records)
        for record in records:
            for number, found in enumerate(_noticed(store, record)):
                if number == 0:
                    print()
                print(f"{_SEVERITIES[found.severity]} ({found.id}): {found.sentence} {found.what_to_do}")
    for record in records:
        if record.failure is not None and not as_json:
            print(f"error: {record.failure.message}", file=sys.stderr)
        if record.status in ("stopped", "crashed") and not as_json:
            print(f"{record.key} is {record.status}. Go on: {_resume_command(record.key)}", file=sys.stderr)
    return 1 if any(record.status in ("failed", "crashed") for record in records) else 0


def _noticed(store: RunStore, record: EvaluationRecord) -> list[Finding]:
    """What the rules say of a finished evaluation."""
    from bcecore.findings.of_evaluation import of_evaluation

    return of_evaluation(store, record.key) if record.status == "finished" else []


def _as_json(store: RunStore, record: EvaluationRecord) -> dict[str, Any]:
    """An evaluation for a script: its record, where it is, and what was measured (null: nothing yet)."""
    evaluations = EvaluationStore(store)
    return record.model_dump(mode="json") | {
        "key": record.key,
        "directory": str(evaluations.directory(record.key)),
        "result": evaluations.result(record.key),
    }


def _print_results(store: RunStore, records: Sequence[EvaluationRecord]) -> None:
    rows = [row for record in records for row in _rows(store, record)]
    if not rows:
        return
    header = ["text", "checkpoint", "examples", "CE", "perplexity", "BCE weight", "objective on", "objective off"]
    if len(records) > 1:
        header = ["run", *header]
    else:
        rows = [row[1:] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    words = header.index("text") + 1  # the first columns hold words, the others numbers
    for row in (header, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:words], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[words:], widths[words:], strict=True)]
        print("  ".join(cells).rstrip())


def _rows(store: RunStore, record: EvaluationRecord) -> Iterator[list[str]]:
    result = EvaluationStore(store).result(record.key) or {}
    name = store.record(record.run_id).name
    for split, measured in result.get("splits", {}).items():
        for step, values in sorted(measured["checkpoints"].items(), key=lambda item: int(item[0])):
            yield [
                name,
                split,
                f"{int(step):,}",
                f"{values['examples']:,}",
                _number(values["ce"]),
                _number(values["perplexity"]),
                _number(values["weight"]),
                _number(values["objective_on"]),
                _number(values["objective_off"]),
            ]


def _number(value: float | None) -> str:
    """Digits enough to see a difference of a thousandth; a value that was not finite has none."""
    if value is None:
        return "not finite"
    return f"{value:,.4f}" if abs(value) < 1e5 else f"{value:.4g}"


def _evaluations(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs.evaluations import current_evaluations

    run_id = None if arguments.reference is None else store.resolve(arguments.reference)
    records = current_evaluations(store, run_id)
    if arguments.json:
        print(json.dumps([_as_json(store, record) for record in records], indent=2, ensure_ascii=False))
    elif not records:
        of = "There are no evaluations" if run_id is None else f"Run {run_id} has no evaluations"
        print(f"{of} yet. Make one: python -m bcecore evaluate {run_id or 'RUN'}")
    else:
        # Of one run, the evaluation's own id is enough to call it by.
        cli_runs.print_jobs({record.key if run_id is None else record.id: record for record in records})
    return 0
