"""The command line: `python -m bcecore COMMAND`. Whatever the dashboard starts can be started here too."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bcecore import (
    bootstrap,
    cli_acknowledge,
    cli_compare,
    cli_data,
    cli_diagnose,
    cli_evaluate,
    cli_findings,
    cli_import,
    cli_report,
    cli_runs,
    cli_study,
)
from bcecore.config import RunConfig
from bcecore.errors import BceError, ConfigError
from bcecore.recipes import DEFAULT_RECIPE, load_recipe, recipe_names
from bcecore.settings import describe, load_config_file, overlay, parse_assignment, with_values
from bcecore.store.runs import RunStore

BAD_INPUT = 2
# Each bench, and the module of `tests.benchmarks` that measures it.
_BENCHES = {
    "train": "training",
    "user": "training",
    "regularizer": "training",
    "live-log": "training",
    "estimate": "estimate",
    "history": "history",
    "score": "score",
    "page": "page",
    "table": "table",
    "memory": "memory",
    "launch": "launch",
    "idle": "idle",
    "chaos": "chaos",
    "crowd": "crowd",
    "protocol": "protocol",
    "studies": "real_studies",
    "findings": "findings",
}


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
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        advice = "Check the folder, its disk and its permissions."
        print(f"error: {error.strerror or error}{where}. {advice}", file=sys.stderr)
        return BAD_INPUT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bcecore", description="Launch, watch and compare fine-tuning runs with the BCE regulariser."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="open the dashboard")
    up.add_argument("--port", type=int, help="port of the dashboard (default: 8501, or the next free one)")
    up.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    cli_runs.add_runs_dir(up)
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
    train.add_argument("--check", action="store_true", help="say what is noticed about it, and start nothing")
    train.add_argument("--json", action="store_true", help="print one JSON object when done")
    cli_runs.add_runs_dir(train)
    train.set_defaults(run=_train)

    cli_runs.add_commands(commands)
    cli_evaluate.add_commands(commands)
    cli_import.add_commands(commands)
    cli_report.add_commands(commands)
    cli_acknowledge.add_command(commands)
    cli_compare.add_command(commands)
    cli_data.add_command(commands)
    cli_diagnose.add_command(commands)
    cli_study.add_commands(commands)

    settings = commands.add_parser("settings", help="list every setting with its help")
    settings.set_defaults(run=_settings)

    recipes = commands.add_parser("recipes", help="list the recipes")
    recipes.set_defaults(run=_recipes)

    bench = commands.add_parser("bench", help="measure the performance budgets; prints JSON")
    bench.add_argument("name", choices=list(_BENCHES))
    bench.add_argument("--rounds", type=int, help="alternating rounds to measure; for chaos, faults of each kind")
    bench.add_argument("--seed", type=int, default=0, help="what chaos and crowd do (default: 0)")
    bench.set_defaults(run=_bench)
    return parser


def _up(arguments: argparse.Namespace) -> int:
    return bootstrap.run_dashboard(arguments.port, arguments.runs_dir, not arguments.no_browser)


def _train(arguments: argparse.Namespace) -> int:
    from bcecore.jobs import control, submit

    config, recipe = _configuration(arguments)
    store = RunStore(arguments.runs_dir)
    if arguments.check:
        checked = submit.check(submit.with_absolute_paths(config))
        findings = cli_findings.say_beforehand(store, checked)
        if arguments.json:
            as_json = [finding.model_dump(mode="json") for finding in findings]
            print(cli_runs.json_text({"run": None, "total_steps": checked.total_steps, "findings": as_json}))
        return 0
    name = arguments.name or recipe or "run"
    run_id = control.launch(store, config, name=name, recipe=recipe, before=partial(cli_findings.say_beforehand, store))
    return cli_runs.follow_to_the_end(store, run_id, detach=arguments.detach, as_json=arguments.json)


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
    module = importlib.import_module(f"tests.benchmarks.{_BENCHES[arguments.name]}")
    if arguments.name in ("chaos", "crowd"):
        result = module.run(arguments.rounds, seed=arguments.seed)
    elif module.__name__.endswith(".training"):
        result = module.run(arguments.name, arguments.rounds)
    else:
        result = module.run(arguments.rounds)
    print(json.dumps(result, indent=2))
    return 0
