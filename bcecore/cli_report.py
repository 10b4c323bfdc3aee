"""The command that writes a run's report, and the tables that `show` prints."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bcecore.cli_runs import add_runs_dir, add_steps, json_text
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore

if TYPE_CHECKING:
    from bcecore.report.document import Table
    from bcecore.report.material import Material
    from bcecore.report.summary import At


def add_commands(commands: Any) -> None:
    """Add `report` to the command line's parser."""
    about = "write a run's report, as report.md and report.html"
    parser = commands.add_parser("report", help=about, description=about)
    parser.add_argument("reference", metavar="RUN", help="id, beginning or end of an id, or name")
    parser.add_argument("--output", type=Path, metavar="DIR", help="the folder to write to (default: the run's own)")
    parser.add_argument("--json", action="store_true", help="print one JSON object: the files, and all tables")
    add_steps(parser)
    add_runs_dir(parser)
    parser.set_defaults(run=lambda arguments: _report(RunStore(arguments.runs_dir), arguments))


def _report(store: RunStore, arguments: argparse.Namespace) -> int:
    from bcecore.jobs.local import reconciled
    from bcecore.report.writing import report_of, write_report

    record = reconciled(store, store.record(store.resolve(arguments.reference)))
    material = material_for(store, record, arguments.step)
    directory = arguments.output or store.directory(record.id)
    directory.mkdir(parents=True, exist_ok=True)
    paths = write_report(report_of(material), directory)
    if arguments.json:
        files = {"markdown": str(paths[0]), "html": str(paths[1])}
        print(json_text({"id": record.id, **files, **tables_as_json(material)}))
    else:
        print(*paths, sep="\n")
    return 0


def material_for(store: RunStore, record: RunRecord, extra_steps: Iterable[int]) -> Material:
    """All that is known of a run now, and steps that are to be among its highlights. RunError if it is damaged."""
    from bcecore.findings.of_run import of_run
    from bcecore.report.gathering import material_of
    from bcecore.store.history import History

    history = History(store.directory(record.id))
    history.refresh()
    return material_of(store, record, history, extra_steps, of_run(store, record.id))


def tables_as_json(material: Material) -> dict[str, Any]:
    """The tables and sentences of a run for a script. A number that is not finite is null."""
    snapshot, pace = material.snapshot, material.pace
    return {
        "run_facts": {fact.title: fact.value for fact in material.facts},
        "highlights": [
            {"stage": list(row.names), "asked": row.asked, "step": row.step, **_finite(row.values)}
            for row in material.highlights
        ],
        "snapshot": None if snapshot is None else {"step": snapshot.step, **_finite(snapshot.values)},
        "best": {
            row.metric.key: {
                "better": row.metric.better,
                "last": _at(row.last),
                "best": _at(row.best),
                "lowest": _at(row.lowest),
                "highest": _at(row.highest),
                "values": row.values,
                "worked_out": row.worked_out,
            }
            for row in material.best
        },
        "throughput": {
            "steps": pace.steps,
            "wall_clock": pace.seconds,
            "steps_per_second": pace.steps_per_second,
            "tokens_per_second": pace.tokens_per_second,
            "source": pace.source,
        },
        "findings": [
            {
                **each.finding.model_dump(mode="json"),
                "accepted": None
                if each.accepted is None
                else {"reason": each.accepted.reason, "when": each.accepted.when.isoformat()},
            }
            for each in material.findings or ()
        ],
        "observations": [
            {"key": item.key, "text": item.text, "figures": _finite(item.figures)} for item in material.observations
        ],
        "limits": [{"title": limit.title, "text": limit.text} for limit in material.limits],
        "next_steps": [{"text": step.text, "command": step.command} for step in material.next_steps],
    }


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def _at(at: At | None) -> dict[str, Any] | None:
    return None if at is None else {"value": at.value if math.isfinite(at.value) else None, "step": at.step}


def print_tables(material: Material) -> None:
    """Facts, highlights, best and last values, observations."""
    from bcecore.report.finding_words import SEVERITY_WORDS, accepted_words
    from bcecore.report.tables import best_table, highlights_table

    for fact in material.facts:
        print(f"  {fact.title:<28} {fact.value}")
    for table in (highlights_table(material), best_table(material, by_key=True)):
        if table is not None:
            print(f"\n{table.caption}")
            _print_table(table)
    if material.findings:
        print("\nFindings")
        for each in material.findings:
            after = each.finding.what_to_do if each.accepted is None else accepted_words(each.accepted)
            kind = SEVERITY_WORDS[each.finding.severity].one
            print(f"  - {each.finding.id} ({kind}): {each.finding.sentence} {after}")
    if material.observations:
        print("\nObservations")
        for observation in material.observations:
            print(f"  - {observation.text}")


def _print_table(table: Table) -> None:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(table.columns))]
    for line in lines:
        first, *rest = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  " + "  ".join((first, *rest)).rstrip())
    if table.note:
        print(f"  {table.note}")
