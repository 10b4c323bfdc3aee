"""The command that looks over a run, a Trainer's output folder or a written report: `python -m bcecore diagnose`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore.cli_runs import add_runs_dir, json_text
from bcecore.errors import RunError
from bcecore.store.runs import RunStore

if TYPE_CHECKING:
    from bcecore.findings.of_files import Looked

NOTICED = 1
"""Exit status where there is a warning or worse."""
_WORDS = {"B": "blocks a verdict", "W": "warning", "N": "note"}
_MOST_VALUES = 12


def add_command(commands: Any) -> None:
    """Add `diagnose` to the command line's parser."""
    about = "look over a run, a Trainer's output folder or a written report, and say what is wrong with it"
    parser = commands.add_parser(
        "diagnose",
        help=about,
        description=about,
        epilog="Exit status: 0 if there is nothing above a note, 1 if there is, 2 if the input was wrong.",
    )
    parser.add_argument(
        "what",
        metavar="PATH|RUN",
        help="a folder, a checkpoint, a trainer_state.json, a report (.md); or a run: id, beginning or end of an id, "
        "or name",
    )
    parser.add_argument(
        "--against",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="FILE",
        help="further files of the same run: a log, stats, a report (.md), texts, a model's config.json",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object with everything")
    add_runs_dir(parser)
    parser.set_defaults(run=_diagnose)


def _diagnose(arguments: argparse.Namespace) -> int:
    from bcecore.findings.collect_files import collect_files
    from bcecore.findings.of_files import of_files

    path = Path(arguments.what)
    if path.exists():
        files = collect_files([path, *arguments.against], _say)
        looked = of_files(files, _say)
        subject, read, notes = files.subject, files.read, files.notes
    else:
        store = RunStore(arguments.runs_dir)
        run_id = _run(store, arguments.what)
        subject, read, notes, looked = _of_run(store, run_id, arguments.against)
    if arguments.json:
        print(json_text(_as_json(subject, read, notes, looked)))
    else:
        _print(subject, read, notes, looked)
    return NOTICED if any(finding.severity != "N" for finding in looked.findings) else 0


def _run(store: RunStore, reference: str) -> str:
    try:
        return store.resolve(reference)
    except RunError as error:
        if "/" in reference or "\\" in reference or "." in reference:
            raise RunError(f"There is no file or folder {reference}. Check how it is spelled.") from error
        raise


def _of_run(store: RunStore, run_id: str, against: list[Path]) -> tuple[str, list[str], list[str], Looked]:
    """One of our runs, with further files held against it."""
    from bcecore.findings.collect_files import files_with_run
    from bcecore.findings.of_files import of_files_with_run

    files = files_with_run(store, run_id, against, _say)
    return run_id, files.read, files.notes, of_files_with_run(store, run_id, files, _say)


def _say(words: str) -> None:
    print(words, file=sys.stderr)


def _as_json(subject: str, read: list[str], notes: list[str], looked: Looked) -> dict[str, Any]:
    return {
        "subject": subject,
        "read": read,
        "notes": notes,
        "findings": [finding.model_dump(mode="json") for finding in looked.findings],
        "looked": list(looked.rules),
        "could_not": looked.could_not,
        "reports": {
            name: {
                "figures": check.figures,
                "checked": check.checked,
                "wrong": [
                    {
                        "kind": one.kind,
                        "line": one.place.line,
                        "section": one.place.section,
                        "row": one.place.row,
                        "column": one.place.column,
                        "claimed": one.claimed,
                        "true": one.true,
                        "source": one.source,
                        "why": one.why,
                    }
                    for one in check.mismatches
                ],
                "unchecked": [
                    {"line": one.place.line, "section": one.place.section, "figure": one.figure}
                    for one in check.unchecked
                ],
            }
            for name, check in looked.checks.items()
        },
    }


def _print(subject: str, read: list[str], notes: list[str], looked: Looked) -> None:
    print(f"{subject}: {_counts(looked)}")
    for finding in looked.findings:
        print(f"\n[{_WORDS[finding.severity]}] {finding.id}")
        print(f"  {finding.sentence}")
        print(f"  What to do: {finding.what_to_do}")
        if numbers := _numbers(finding.numbers):
            print(f"  Numbers: {numbers}")
    print()
    for name, check in looked.checks.items():
        print(f"{name}: {check.words}; {len(check.unchecked):,} could not be checked.")
    print(f"Rules that looked ({len(looked.rules)}): {', '.join(looked.rules) or 'none'}.")
    if looked.could_not:
        print("Rules that could not look:")
        for rule, why in looked.could_not.items():
            print(f"  {rule}: {why}")
    if read:
        print(f"Read: {', '.join(read)}.")
    for note in notes:
        print(f"Note: {note}")


def _counts(looked: Looked) -> str:
    parts = []
    for severity, one, several in (("B", "blocks", "block"), ("W", "warning", "warnings"), ("N", "note", "notes")):
        if number := sum(finding.severity == severity for finding in looked.findings):
            parts.append(f"{number} {one if number == 1 else several}{' a verdict' if severity == 'B' else ''}")
    return ", ".join(parts) if parts else "nothing was noticed"


def _numbers(numbers: dict[str, Any]) -> str:
    """The plain ones among a finding's numbers; lists and tables are in the JSON."""
    plain = {key: value for key, value in numbers.items() if isinstance(value, (int, float, str)) and value != ""}
    shown = [f"{key} {_written(value)}" for key, value in list(plain.items())[:_MOST_VALUES]]
    return ", ".join(shown)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
