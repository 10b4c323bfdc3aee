"""The command that accepts a finding with a reason, or takes that back: `acknowledge RUN|STUDY FINDING "REASON"`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore.cli_runs import add_runs_dir
from bcecore.errors import RunError
from bcecore.store import acknowledged
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore

if TYPE_CHECKING:
    from bcecore.findings.finding import Finding


def add_command(commands: Any) -> None:
    """Add `acknowledge` to the command line's parser."""
    about = "accept a finding with a reason, which every report then states"
    parser = commands.add_parser("acknowledge", help=about, description=about)
    parser.add_argument("reference", metavar="RUN|STUDY", help="id, beginning or end of an id, or name")
    parser.add_argument("finding", metavar="FINDING", help="what it is called, as `show RUN` has it")
    parser.add_argument("reason", metavar="REASON", nargs="?", default="", help="why it can be accepted")
    parser.add_argument("--withdraw", action="store_true", help="take it back: the finding counts again")
    add_runs_dir(parser)
    parser.set_defaults(run=lambda arguments: _acknowledge(RunStore(arguments.runs_dir), arguments))


def _acknowledge(store: RunStore, arguments: argparse.Namespace) -> int:
    rule = arguments.finding
    if arguments.withdraw and arguments.reason:
        raise RunError("--withdraw takes no reason.")
    directory, findings, of_plan = _subject(store, arguments.reference)
    if arguments.withdraw:
        if not acknowledged.withdraw(directory, rule):
            raise RunError(f"No finding {rule} was accepted. Accepted: {_named(acknowledged.read(directory))}.")
        print(f"{rule} is not accepted any more.")
    else:
        found = [finding for finding in findings if finding.id == rule]
        if not found:
            raise RunError(f"There is no finding {rule}. Noticed: {_named(findings)}.")
        for finding in found:
            acknowledged.acknowledge(directory, finding, arguments.reason, of_plan=of_plan)
            print(f"Accepted: {finding.sentence}")
    if directory.parent == store.root:
        from bcecore.findings.tally import keep_tally

        keep_tally(store, store.record(directory.name), findings)
    return 0


def _subject(store: RunStore, reference: str) -> tuple[Path, list[Finding], bool]:
    """The folder of the run, or else the study, that a person means; what is noticed about it; and whether that is
    about the plan of a study."""
    from bcecore.findings.of_run import of_run

    try:
        run_id = store.resolve(reference)
    except RunError as no_run:
        try:
            study_id = StudyStore(store).resolve(reference)
        except RunError as no_study:
            raise RunError(f"{no_run} {no_study}") from None
        return StudyStore(store).directory(study_id), *_of_study(store, study_id)
    return store.directory(run_id), of_run(store, run_id), False


def _of_study(store: RunStore, study_id: str) -> tuple[list[Finding], bool]:
    """What its last look noticed; before the first one, what was noticed before its launch, which is about the plan."""
    from bcecore.evaluation.study.verdicts import outcome_of
    from bcecore.findings.finding import Finding

    studies = StudyStore(store)
    looks = studies.state(study_id).looks
    if not looks:
        return [Finding.model_validate(each) for each in studies.plan(study_id).findings], True
    unique = {
        finding.model_dump_json(): finding
        for comparison in outcome_of(looks[-1]).comparisons
        for finding in comparison.findings
    }
    return list(unique.values()), False


def _named(found: Iterable[Any]) -> str:
    return ", ".join(sorted({each.id for each in found})) or "nothing"
