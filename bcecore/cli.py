"""The command line: `python -m bcecore COMMAND`. Whatever the dashboard starts can be started here too."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bcecore import bootstrap
from bcecore.config import RunConfig
from bcecore.errors import BceError, ConfigError
from bcecore.recipes import DEFAULT_RECIPE, load_recipe, recipe_names
from bcecore.settings import describe, load_config_file, overlay, parse_assignment, readable_number, with_values
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RunStore

BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 the run failed, 2 the input was wrong."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["test"]:
        return bootstrap.run_tests(argv[1:])  # all that follows is pytest's, options too
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return BAD_INPUT
    except BceError as error:
        print(f"error: {f'{error.field}: ' if error.field else ''}{error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        return 0  # the reader, `head` say, has seen enough
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bcecore", description="Launch, watch and compare fine-tuning runs with the BCE regulariser."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="open the dashboard")
    up.add_argument("--port", type=int, help="port of the dashboard (default: 8501, or the next free one)")
    up.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    _add_runs_dir(up)
    up.set_defaults(run=_up)

    commands.add_parser("test", help="run every test; what follows goes to pytest")

    train = commands.add_parser("train", help="start a run")
    train.add_argument("--recipe", metavar="NAME", help=f"what to start from: {', '.join(recipe_names())}")
    train.add_argument("--config", type=Path, metavar="FILE", help="JSON file with settings, on top of the recipe")
    train.add_argument("--train-file", metavar="F", help="text to learn from (.txt, .jsonl, .csv, .parquet)")
    train.add_argument("--validation-file", metavar="F", help="text to check against")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting; repeatable")
    train.add_argument("--name", metavar="N", help="the run's name (default: the recipe's)")
    train.add_argument("--detach", action="store_true", help="return at once; the run goes on by itself")
    train.add_argument("--json", action="store_true", help="print one JSON object when done")
    _add_runs_dir(train)
    train.set_defaults(run=_train)

    runs = commands.add_parser("runs", help="list the runs")
    runs.add_argument("--json", action="store_true", help="print a JSON list")
    _add_runs_dir(runs)
    runs.set_defaults(run=_runs)

    show = commands.add_parser("show", help="show one run: facts, status, last values")
    show.add_argument("reference", metavar="RUN", help="id, beginning or end of an id, or name")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    _add_runs_dir(show)
    show.set_defaults(run=_show)

    settings = commands.add_parser("settings", help="list every setting with its help")
    settings.set_defaults(run=_settings)

    recipes = commands.add_parser("recipes", help="list the recipes")
    recipes.set_defaults(run=_recipes)

    bench = commands.add_parser("bench", help="measure the performance budgets; prints JSON")
    bench.add_argument("name", choices=("train", "user", "regularizer", "live-log", "estimate"))
    bench.add_argument("--rounds", type=int, help="alternating rounds to measure")
    bench.set_defaults(run=_bench)
    return parser


def _add_runs_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs-dir", type=Path, metavar="D", help="where runs live (default: BCE_RUNS_DIR, or runs/)")


def _up(arguments: argparse.Namespace) -> int:
    return bootstrap.run_dashboard(arguments.port, arguments.runs_dir, not arguments.no_browser)


def _train(arguments: argparse.Namespace) -> int:
    from bcecore.jobs import local
    from bcecore.jobs.submit import submit

    config, recipe = _configuration(arguments)
    store = RunStore(arguments.runs_dir)
    run_id = submit(store, config, name=arguments.name or recipe or "run", recipe=recipe)
    local.start(store, run_id)
    if not arguments.json:
        print(run_id, flush=True)
    record = store.record(run_id) if arguments.detach else _follow(store, run_id)
    if arguments.json:
        print(json.dumps(_as_json(store, record), indent=2, ensure_ascii=False))
    elif record.failure is not None:
        print(f"error: {record.failure.message}", file=sys.stderr)
    return 1 if record.status in ("failed", "crashed") else 0


def _configuration(arguments: argparse.Namespace) -> tuple[RunConfig, str | None]:
    """The settings that the options of `train` ask for, and the recipe they start from."""
    name = arguments.recipe or (None if arguments.config else DEFAULT_RECIPE)
    config = RunConfig() if name is None else load_recipe(name).config
    if arguments.config:
        config = overlay(config, load_config_file(arguments.config))
    changes: dict[str, Any] = {}
    if arguments.train_file is not None:
        changes["data.train_file"] = arguments.train_file
    if arguments.validation_file is not None:
        changes |= {"data.validation": "file", "data.validation_file": arguments.validation_file}
    changes |= dict(parse_assignment(text) for text in arguments.set)
    return with_values(config, changes), name


def _follow(store: RunStore, run_id: str) -> RunRecord:
    """Show the run's progress until it is over. Ctrl-C asks it to save and stop; a second one leaves it alone."""
    from tqdm import tqdm

    from bcecore.jobs import local

    asked = False
    with tqdm(unit="step", desc="starting", dynamic_ncols=True) as bar:
        while True:
            try:
                record = local.reconciled(store, store.record(run_id))
                _draw(bar, store, record)
                if record.is_over:
                    return record
                time.sleep(0.3)
            except KeyboardInterrupt:
                if asked:
                    bar.write(f"{run_id} goes on in the background.", file=sys.stderr)
                    return store.record(run_id)
                asked = True
                bar.write("Saving a checkpoint and stopping; press ctrl-C again to leave.", file=sys.stderr)
                local.request_stop(store, run_id)


def _draw(bar: Any, store: RunStore, record: RunRecord) -> None:
    bar.set_description_str(record.status, refresh=False)
    if record.progress is not None:
        bar.total = record.progress.total_steps
        bar.n = record.progress.step
    bar.refresh()


def _runs(arguments: argparse.Namespace) -> int:
    from bcecore.jobs.local import current_records

    store = RunStore(arguments.runs_dir)
    records = current_records(store)
    if arguments.json:
        print(json.dumps([_as_json(store, record, values=False) for record in records], indent=2, ensure_ascii=False))
        return 0
    if not records:
        print(f"There are no runs in {store.root} yet. Start one: python -m bcecore train --recipe {DEFAULT_RECIPE}")
        return 0
    width = min(max(len(record.name) for record in records), max(12, shutil.get_terminal_size().columns - 66))
    for record in records:
        done = record.progress
        progress = f"{done.step:,}/{done.total_steps:,}" if done else ""
        print(f"{record.id:<40}  {record.name[:width]:<{width}}  {record.status:<9}  {progress:>15}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from bcecore.jobs.local import reconciled

    store = RunStore(arguments.runs_dir)
    record = reconciled(store, store.record(store.resolve(arguments.reference)))
    if arguments.json:
        print(json.dumps(_as_json(store, record), indent=2, ensure_ascii=False))
        return 0
    from bcecore.report.facts import run_facts
    from bcecore.report.summary import summarise
    from bcecore.store.history import History

    history = History(store.directory(record.id))
    history.refresh()
    print(f"{record.name}  ({record.id})\n{record.status}" + (f": {record.failure.message}" if record.failure else ""))
    for label, value in run_facts(record, store.config(record.id), summarise(history.series), now()):
        print(f"  {label:<28} {value}")
    print("last values")
    for key, value in history.last.items():
        print(f"  {key:<28} {readable_number(value)}")
    return 0


def _as_json(store: RunStore, record: RunRecord, *, values: bool = True) -> dict[str, Any]:
    """A run for a script: its record, and with `values` its settings and the last value of everything logged."""
    from bcecore.store.history import History

    found = record.model_dump(mode="json")
    if values:
        history = History(store.directory(record.id))
        history.refresh()
        finite = {key: value if value == value else None for key, value in history.last.items()}
        found |= {
            "directory": str(store.directory(record.id)),
            "config": store.config(record.id).model_dump(mode="json"),
        }
        found["last"] = finite
    return found


def _settings(_: argparse.Namespace) -> int:
    section = ""
    for item in describe():
        if item.section_title != section:
            section = item.section_title
            print(f"\n{section}")
        allowed = ", ".join(item.choices) or item.bounds
        print(f"  {item.key}  (default: {item.default!r}{f'; {allowed}' if allowed else ''})\n      {item.help}")
    return 0


def _recipes(_: argparse.Namespace) -> int:
    for name in recipe_names():
        recipe = load_recipe(name)
        print(f"{name}\n    {recipe.summary}")
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from tests.benchmarks import estimate, training

    if arguments.name == "estimate":
        result = estimate.run(arguments.rounds)
    else:
        result = training.run(arguments.name, arguments.rounds)
    print(json.dumps(result, indent=2))
    return 0
