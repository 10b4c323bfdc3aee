"""The commands about studies: `study create | list | status | verdict | report | stop | resume | extend | delete`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore import cli_runs
from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.files import expanded
from bcecore.recipes import DEFAULT_RECIPE, load_recipe, recipe_names
from bcecore.settings import load_config_file, overlay, parse_assignment, with_values
from bcecore.store.runs import RunStore
from bcecore.store.studies import MARGIN, MAX_SEED, Look, StudyStore

if TYPE_CHECKING:
    from bcecore.evaluation.outcome import Foretold, Outcome
    from bcecore.evaluation.study.drafting import Draft, HeldOut, Prepared
    from bcecore.evaluation.study.preflight import Preflight
    from bcecore.evaluation.study.progress import StudyProgress
    from bcecore.findings.finding import Finding

_LOOK_SECONDS = 1.0
_SUPERVISOR_SECONDS = 3.0
_PROBE_SECONDS = 180.0
_DESIGN = ("config", "train_file", "set", "arm", "planted", "seeds", "looks", "held_out", "margin")
"""Options of `study create` that decide what a study is."""
NOT_YET = 1
"""Exit status where there is no verdict yet, or runs have failed."""


def add_commands(commands: Any) -> None:
    """Add `study` and its commands to the command line's parser."""
    about = "find out whether BCE helped: twin runs, several seeds, one verdict"
    study = commands.add_parser("study", help=about, description=f"{about[0].upper()}{about[1:]}.")
    own = study.add_subparsers(dest="study_command", required=True, metavar="COMMAND")

    create = _command(own, "create", "freeze a study and queue all of its runs", _create)
    start = create.add_mutually_exclusive_group()
    start.add_argument("--recipe", metavar="NAME", help=f"what to start from: {', '.join(recipe_names())}")
    start.add_argument("--run", dest="of_run", metavar="RUN", help="start from the settings of this run")
    start.add_argument("--like", metavar="STUDY", help="make another study again: its id, name or folder")
    create.add_argument("--config", type=Path, metavar="FILE", help="JSON file with settings, on top of that")
    create.add_argument("--train-file", metavar="F", help="text to learn from (.txt, .jsonl, .csv, .parquet)")
    create.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting; repeatable"
    )
    create.add_argument(
        "--arm",
        action="append",
        default=[],
        metavar="ARM",
        help="off, seed, active, or NAME:KEY=VALUE,KEY=VALUE with settings of BCE; repeatable, the first is the "
        "reference (default: off and active)",
    )
    create.add_argument(
        "--planted",
        metavar="NAME:KEY=VALUE",
        help="one arm more as a positive control: it changes a setting of training, such as learning_rate",
    )
    create.add_argument("--seeds", metavar="N", help="how many seeds, or which: 5, or 11,12,13 (default: 5)")
    create.add_argument("--looks", metavar="N,N", help="numbers of seeds at which to look (default: at all of them)")
    create.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="text to measure on, which no run learns from; repeatable, the verdict is about the first (default: the "
        "lines that the settings set aside)",
    )
    create.add_argument("--margin", type=float, metavar="X", help=f"nats per token that matter (default: {MARGIN:g})")
    create.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="FINDING=REASON",
        help="launch it despite a finding that forbids it; the verdict and the report state the reason; repeatable",
    )
    create.add_argument("--name", metavar="N", help="what to call it (default: what it starts from)")
    create.add_argument("--no-estimate", action="store_true", help="do not measure first how long it will take")
    create.add_argument("--dry-run", action="store_true", help="check it and say what it will see, but make nothing")
    _add_waiting(create)

    listing = _command(own, "list", "list the studies", _list)
    listing.add_argument("--json", action="store_true", help="print a JSON list")

    status = _command(own, "status", "how far a study is; never a result", _status, takes_study=True)
    status.add_argument("--json", action="store_true", help="print one JSON object")

    verdict = _command(own, "verdict", "take the planned looks that are due, and say the verdict", _verdict, True)
    verdict.add_argument("--json", action="store_true", help="print one JSON object")
    verdict.add_argument(
        "--again",
        action="store_true",
        help="repeat a look at which nothing could be compared, after mending what was in the way",
    )

    report = _command(own, "report", "write a study's report, as report.md and report.html", _report, takes_study=True)
    report.add_argument("--output", type=Path, metavar="DIR", help="the folder to write to (default: the study's own)")
    report.add_argument("--json", action="store_true", help="print one JSON object: the files, and the results")

    _command(own, "stop", "save and stop everything of a study", _stop, takes_study=True)
    _add_waiting(_command(own, "resume", "go on with everything of a study that did not finish", _resume, True))
    _add_waiting(_command(own, "extend", "queue the seeds of the next planned look", _extend, takes_study=True))
    _command(own, "delete", "move a study to the trash with all of its runs", _delete, takes_study=True)
    restore = _command(own, "restore", "take a study and its runs back out of the trash", _restore)
    restore.add_argument("reference", metavar="STUDY", help="id, beginning or end of an id, or name")


def _command(
    commands: Any,
    name: str,
    about: str,
    run: Callable[[RunStore, argparse.Namespace], int],
    takes_study: bool = False,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    if takes_study:
        parser.add_argument("reference", metavar="STUDY", help="id, beginning or end of an id, or name")
    cli_runs.add_runs_dir(parser)
    parser.set_defaults(run=lambda arguments: run(RunStore(arguments.runs_dir), arguments))
    return parser


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="show its progress until it is measured, then the verdict")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


# -- creating


def _create(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study import creating, foretelling

    said: list[Foretold] = []
    noticed: list[Finding] = []

    def foretold(ready: Prepared, found: Preflight) -> Mapping[str, Any]:
        if not arguments.no_estimate:
            _measure_pace(store, ready)
        said.append(foretelling.foretell(store, ready, found))
        noticed.extend(found.findings)
        if not arguments.json:
            _say_beforehand(said[0], ready.draft.margin, found)
        if arguments.dry_run:
            raise _OnlyLookedAt
        return foretelling.as_expectations(said[0])

    try:
        plan = creating.create(store, _draft(store, arguments), foretold, _reasons(arguments.accept))
    except _OnlyLookedAt:
        if arguments.json:
            findings = [finding.model_dump(mode="json") for finding in noticed]
            print(cli_runs.json_text({"study": None, "foretold": asdict(said[0]), "findings": findings}))
        return 0
    if not arguments.json:
        print(plan.id, flush=True)
    return _wait_or_say(store, plan.id, arguments)


def _reasons(accepted: Sequence[str]) -> dict[str, str]:
    """The reason for each finding that is accepted, by its rule."""
    found = {}
    for text in accepted:
        rule, equals, reason = text.partition("=")
        if not equals:
            raise RunError(f"--accept takes FINDING=REASON: overlap='only a trial' for example, not {text!r}.")
        found[rule.strip()] = reason
    return found


class _OnlyLookedAt(Exception):  # noqa: N818 - nothing went wrong
    """Leaves `create` before anything is made."""


def _measure_pace(store: RunStore, ready: Prepared) -> None:
    """Let short probes measure how long a step takes, unless that is known; give up after a while."""
    from bcecore.evaluation.study.foretelling import start_probes

    end = time.monotonic() + _PROBE_SECONDS
    told = False
    while start_probes(store, ready) and time.monotonic() < end:
        if not told:
            print("Measuring how long it will take …", file=sys.stderr, flush=True)
            told = True
        time.sleep(0.2)


def _say_beforehand(foretold: Foretold, margin: float, found: Preflight) -> None:
    from bcecore.report.study_words import foretold_words

    for sentence in foretold_words(foretold, margin):
        print(f"  {sentence}")
    for finding in found.findings:
        print(f"  Note ({finding.id}): {finding.sentence} {finding.what_to_do}")


def _draft(store: RunStore, arguments: argparse.Namespace) -> Draft:
    from bcecore.evaluation.study.drafting import Draft, HeldOut, arm_of, known_arm, with_held_out

    if arguments.like:
        return _like(store, arguments)
    base, name, recipe = _base(store, arguments)
    held_out = [_held_out(text) for text in arguments.held_out]
    if held_out and held_out[0].path is not None:
        base = with_held_out(base, held_out[0].path)
    seeds, looks = _seeds(arguments)
    arms = [arm_of(words) for words in arguments.arm] or [known_arm("off"), known_arm("active")]
    if arguments.planted:
        arms.append(arm_of(arguments.planted, planted=True))
    return Draft(
        name=arguments.name or name,
        base=base,
        arms=arms,
        seeds=seeds,
        looks=looks,
        held_out=held_out or (HeldOut(),),
        margin=MARGIN if arguments.margin is None else arguments.margin,
        recipe=recipe,
    )


def _base(store: RunStore, arguments: argparse.Namespace) -> tuple[RunConfig, str, str | None]:
    """The base settings, a name for the study, and the recipe that it starts from."""
    from bcecore.jobs.derive import clone_config

    if arguments.of_run:
        record = store.record(store.resolve(arguments.of_run))
        config, name, recipe = clone_config(store, record.id), f"{record.name}: does BCE help", record.recipe
    else:
        recipe = arguments.recipe or (None if arguments.config else DEFAULT_RECIPE)
        config = RunConfig() if recipe is None else load_recipe(recipe).config
        name = f"{recipe or 'study'}: does BCE help"
    if arguments.config:
        config = overlay(config, load_config_file(arguments.config))
    changes: dict[str, Any] = {}
    if arguments.train_file is not None:
        changes["data.train_file"] = arguments.train_file
    changes |= dict(parse_assignment(text) for text in arguments.set)
    return with_values(config, changes), name, recipe


def _held_out(text: str) -> HeldOut:
    from bcecore.evaluation.study.drafting import HeldOut

    name, equals, file = text.partition("=")
    if equals and name and file:
        return HeldOut(name, expanded(file))
    return HeldOut(Path(text).stem, expanded(text))


def _seeds(arguments: argparse.Namespace) -> tuple[Sequence[int], list[int]]:
    """The seeds, and the numbers of seeds at which to look."""
    from bcecore.evaluation.study.drafting import DEFAULT_SEEDS

    looks = _numbers(arguments.looks, "--looks") if arguments.looks else None
    if arguments.seeds is None:
        given: Sequence[int] = range(1, (looks[-1] if looks else DEFAULT_SEEDS) + 1)
    elif "," in arguments.seeds:
        given = _numbers(arguments.seeds, "--seeds")
    else:
        given = range(1, _numbers(arguments.seeds, "--seeds")[0] + 1)
    return given, looks or [len(given)]


def _numbers(text: str, option: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise RunError(f"{option} takes whole numbers, with commas between: 5,8 for example, not {text!r}.")
    numbers = [int(part) for part in parts]
    if max(numbers) > MAX_SEED:
        raise RunError(f"{option} takes numbers up to {MAX_SEED}, not {max(numbers)}.")
    return numbers


def _like(store: RunStore, arguments: argparse.Namespace) -> Draft:
    """The same study again, from its frozen plan and texts. Raises RunError for options that would make it another."""
    from bcecore.evaluation.study.drafting import draft_like

    given = [f"--{name.replace('_', '-')}" for name in _DESIGN if getattr(arguments, name) not in (None, [])]
    if given:
        raise RunError(
            f"--like makes the same study again, so {', '.join(given)} cannot be given with it. Leave that out, or "
            "create a study of its own."
        )
    folder = expanded(arguments.like)
    if (folder / "study.json").is_file():  # a copy from elsewhere, in a folder named as it was
        runs = RunStore(folder.resolve().parent.parent)
        study_id = folder.resolve().name
    else:
        runs, study_id = store, StudyStore(store).resolve(arguments.like)
    return draft_like(StudyStore(runs), study_id, name=arguments.name)


# -- watching


def _wait_or_say(store: RunStore, study_id: str, arguments: argparse.Namespace) -> int:
    if arguments.wait:
        found = _follow(store, study_id)
        if found.due or found.state.looks:
            return _say_verdict(store, study_id, as_json=arguments.json)
    return _say_status(store, study_id, as_json=arguments.json)


def _follow(store: RunStore, study_id: str) -> StudyProgress:
    """Show the progress until nothing goes on by itself. Ctrl-C stops the study; a second one leaves it alone."""
    from tqdm import tqdm

    from bcecore.evaluation.study import controlling
    from bcecore.evaluation.study.progress import progress
    from bcecore.jobs.election import see_to_supervisor
    from bcecore.report.words import roughly

    asked, looked = False, 0.0
    with tqdm(unit="step", desc="starting", dynamic_ncols=True) as bar:
        while True:
            try:
                if time.monotonic() - looked > _SUPERVISOR_SECONDS:
                    see_to_supervisor(store)
                    looked = time.monotonic()
                found = progress(store, study_id)
                bar.n, bar.total = found.steps
                left = "" if found.seconds_left is None else f", about {roughly(found.seconds_left)} left"
                bar.set_description_str(f"{found.counts['done']} of {len(found.cells)} runs measured{left}")
                if found.status != "at work" and not any(_is_moving(each.status) for each in found.cells):
                    return found
                time.sleep(_LOOK_SECONDS)
            except KeyboardInterrupt:
                if asked:
                    bar.write("The study goes on in the background.", file=sys.stderr)
                    return progress(store, study_id)
                asked = True
                controlling.stop(store, study_id)
                bar.write("Saving and stopping; press ctrl-C again to leave.", file=sys.stderr)


def _is_moving(status: str) -> bool:
    return status in ("waiting", "training", "to measure", "measuring")


def _list(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study.progress import progress

    studies = StudyStore(store).listed()
    rows = []
    for study in studies:
        try:
            words = study.problem or progress(store, study.id).status
        except RunError as error:  # a run of it that is damaged must not hide the other studies
            words = str(error)
        rows.append({"id": study.id, "name": study.name, "created": study.created.isoformat(), "status": words})
    if arguments.json:
        print(cli_runs.json_text(rows))
    elif not rows:
        print("There are no studies yet. Make one: python -m bcecore study create --recipe quick-look")
    for row in [] if arguments.json else rows:
        print(f"{row['id']}  {row['name']}  {row['status']}")
    return 0


def _status(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs.election import see_to_supervisor

    study_id = StudyStore(store).resolve(arguments.reference)
    status = _say_status(store, study_id, as_json=arguments.json)
    # As every page does: "waiting" would be for ever where the machine went down or the supervisor was killed.
    see_to_supervisor(store)
    return status


def _say_status(store: RunStore, study_id: str, *, as_json: bool) -> int:
    from bcecore.evaluation.study.progress import progress
    from bcecore.report.words import roughly

    found = progress(store, study_id)
    status = NOT_YET if found.status == "needs somebody" else 0
    if as_json:
        print(cli_runs.json_text(_as_json(store, found)))
        return status
    print(f"{found.plan.name}  ({study_id})\n{found.sentence}")
    if found.seconds_left:
        print(f"About {roughly(found.seconds_left)} left.")
    for each in found.cells:
        print(f"  seed {each.seed:<6} {each.arm:<20} {each.status:<11} {each.done:,}/{each.total:,}")
    for each in found.troubles:
        print(f"  {each.trouble} {each.what_to_do}")
    if found.alteration is not None:
        print(f"  {found.alteration}")
    if found.due:
        print(f"The verdict: python -m bcecore study verdict {study_id}")
    elif found.next_look is not None and found.status == "complete":
        print(f"The next planned look takes {found.next_look} seeds: python -m bcecore study extend {study_id}")
    return status


def _as_json(store: RunStore, found: StudyProgress) -> dict[str, Any]:
    """A study for a script: its plan, how far it is, and the looks that were taken."""
    return {
        "id": found.plan.id,
        "directory": str(StudyStore(store).directory(found.plan.id)),
        "status": found.status,
        "sentence": found.sentence,
        "plan": found.plan.model_dump(mode="json"),
        "plan_sha256": found.state.plan_sha256,
        "alteration": found.alteration,
        "launched": found.state.launched,
        "due": list(found.due),
        "next_look": found.next_look,
        "seconds_left": found.seconds_left,
        "runs": [
            {
                "arm": each.arm,
                "seed": each.seed,
                "status": each.status,
                "steps": each.done,
                "total_steps": each.total,
                "run": None if each.run is None else each.run.id,
                "evaluation": None if each.evaluation is None else each.evaluation.key,
                "trouble": each.trouble,
                "what_to_do": each.what_to_do,
            }
            for each in found.cells
        ],
        "looks": [look.model_dump(mode="json") for look in found.state.looks],
    }


# -- the result


def _verdict(store: RunStore, arguments: argparse.Namespace) -> int:
    study_id = StudyStore(store).resolve(arguments.reference)
    if arguments.again:
        from bcecore.evaluation.study.verdicts import look_again

        look_again(store, study_id)
    return _say_verdict(store, study_id, as_json=arguments.json)


def _say_verdict(store: RunStore, study_id: str, *, as_json: bool) -> int:
    from bcecore.evaluation.study.verdicts import outcome_of, take_due_looks

    state = take_due_looks(store, study_id)
    if not state.looks:
        if not as_json:
            print("There is no verdict yet: results are looked at as planned, and not before.", file=sys.stderr)
        _say_status(store, study_id, as_json=as_json)
        return NOT_YET
    from bcecore.evaluation.study.progress import progress

    if as_json:
        print(cli_runs.json_text(_as_json(store, progress(store, study_id))))
        return 0
    for look in state.looks:  # an earlier one may have named a winner that the last one does not
        _print_outcome(look, outcome_of(look))
        print()
    print(f"The report: python -m bcecore study report {study_id}")
    return 0


def _print_outcome(look: Look, outcome: Outcome) -> None:
    from bcecore.report.study_words import nats, proof_words

    print(f"At {look.seeds} seeds, looked at on {look.taken.astimezone():%Y-%m-%d, %H:%M}:")
    for found in outcome.comparisons:
        print(f"\n{found.verdict.headline}")
        if found.planted:
            print("  A positive control: it says nothing about BCE.")
        for sentence in proof_words(found):
            print(f"  {sentence}")
        for seed in found.seeds:
            print(f"  seed {seed.seed:<6} {nats(seed.value)}")
        for advice in found.verdict.what_to_do:
            print(f"  {advice}")


def _report(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study.material import study_material
    from bcecore.report.study_writing import study_report_of
    from bcecore.report.writing import write_report

    study_id = StudyStore(store).resolve(arguments.reference)
    material = study_material(store, study_id)
    directory = arguments.output or StudyStore(store).directory(study_id)
    directory.mkdir(parents=True, exist_ok=True)
    paths = write_report(study_report_of(material), directory)
    if arguments.json:
        outcome = None if material.outcome is None else material.outcome.model_dump(mode="json")
        files = {"markdown": str(paths[0]), "html": str(paths[1])}
        print(cli_runs.json_text({"id": study_id, **files, "outcome": outcome}))
    else:
        print(*paths, sep="\n")
    return 0


# -- changing


def _stop(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study import controlling

    study_id = StudyStore(store).resolve(arguments.reference)
    controlling.stop(store, study_id)
    print(f"{study_id} saves and stops. Go on later: python -m bcecore study resume {study_id}")
    return 0


def _resume(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study import controlling

    study_id = StudyStore(store).resolve(arguments.reference)
    controlling.resume(store, study_id)
    return _wait_or_say(store, study_id, arguments)


def _extend(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study import controlling

    study_id = StudyStore(store).resolve(arguments.reference)
    controlling.extend(store, study_id)
    return _wait_or_say(store, study_id, arguments)


def _delete(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study import controlling

    study_id = StudyStore(store).resolve(arguments.reference)
    controlling.delete(store, study_id)
    print(f"{study_id} is in the trash, with its runs. Take it back: python -m bcecore study restore {study_id}")
    return 0


def _restore(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.evaluation.study import controlling
    from bcecore.store.trash import trash

    study_id = StudyStore(trash(store)).resolve(arguments.reference)
    controlling.restore(store, study_id)
    print(f"{study_id} is back, with its runs.")
    return 0
