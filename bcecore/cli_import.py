"""The commands that take runs in and give them out: import a log from elsewhere, export the values of a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from bcecore.cli_runs import add_runs_dir
from bcecore.errors import RunError
from bcecore.store.imported import FACTS
from bcecore.store.runs import RunStore


def add_commands(commands: Any) -> None:
    """Add the commands of this module to the command line's parser."""
    about = "make a read-only run from the log of any Trainer"
    facts = "; ".join(f"{name}: {meaning}" for name, meaning in FACTS.items())
    importing = commands.add_parser("import", help=about, description=about, epilog=f"Facts: {facts}.")
    importing.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a trainer_state.json, a checkpoint, a whole output folder, or TensorBoard's files; of one run",
    )
    importing.add_argument("--name", metavar="N", help="the run's name (default: that of the folder or file)")
    importing.add_argument(
        "--fact", action="append", default=[], metavar="KEY=VALUE", help="what a log cannot know; repeatable"
    )
    importing.add_argument("--again", action="store_true", help="even if it was imported before")
    add_runs_dir(importing)
    importing.set_defaults(run=_import)

    about = "write a run's values to a file"
    exporting = commands.add_parser("export", help=about, description=about)
    exporting.add_argument("reference", metavar="RUN", help="id, beginning or end of an id, or name")
    formats = ("csv", "parquet", "tensorboard")
    exporting.add_argument("--format", choices=formats, default="csv", help="of the file (default: csv)")
    exporting.add_argument(
        "--records", action="store_true", help="every number as it was logged, one a line; else one line a step"
    )
    exporting.add_argument(
        "--output", type=Path, metavar="FILE", help="the file, which is replaced (default: named after the run, here)"
    )
    add_runs_dir(exporting)
    exporting.set_defaults(run=_export)


def _import(arguments: argparse.Namespace) -> int:
    from bcecore.store.imports import find_logs, import_run

    facts = dict(_fact(text) for text in arguments.fact)
    store = RunStore(arguments.runs_dir)
    found = find_logs(arguments.paths)
    run_id = import_run(store, found, name=arguments.name, facts=facts, again=arguments.again)
    print(run_id)
    for note in found.notes:
        print(note, file=sys.stderr)
    return 0


def _fact(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise RunError(f"A fact is written KEY=VALUE, as in wall_clock=106.96, not {text!r}.")
    return key.strip(), value


def _export(arguments: argparse.Namespace) -> int:
    from bcecore.store.export import export, file_name

    store = RunStore(arguments.runs_dir)
    record = store.record(store.resolve(arguments.reference))
    path = arguments.output or Path(file_name(record.name, arguments.format, records=arguments.records))
    if arguments.output is None and path.exists():
        raise RunError(f"{path} is there already. Say with --output which file is to be written.")
    export(store, record.id, path, arguments.format, records=arguments.records)
    print(path)
    return 0
