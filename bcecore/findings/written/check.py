"""A written report held against what it speaks of: every figure is right, wrong, or said to be unchecked. Pure."""

from __future__ import annotations

from bcecore.findings.written.against_facts import check_facts
from bcecore.findings.written.against_log import check_scored, check_steps, check_values, step_column, table_step
from bcecore.findings.written.against_measured import check_count, check_measured, counts_in, entries
from bcecore.findings.written.document import Written, WrittenTable, parse
from bcecore.findings.written.evidence import Evidence
from bcecore.findings.written.figures import figures_in
from bcecore.findings.written.in_prose import PROSE_CELL, check_passage
from bcecore.findings.written.ledger import Check, Ledger, Place, Spot
from bcecore.findings.written.words import is_of_a_check, split_named


def check_report(markdown: str, evidence: Evidence) -> Check:
    """What is wrong with the figures of a report, and what could not be checked."""
    written = parse(markdown)
    ledger = _entered(written)
    for table in written.tables:
        if evidence.log is not None:
            if step_column(table) is not None:
                check_steps(table, evidence.log, ledger)
            elif not check_scored(table, evidence.log, ledger):
                check_values(table, evidence.log, ledger)
                if len(table.header) == 2 and table_step(table) is None and not is_of_a_check(table.title):
                    check_facts(table, evidence.log, ledger)
        _counts(table, evidence, ledger)
    check_measured(entries(written, evidence), evidence, ledger)
    for passage in written.passages:
        check_passage(passage, evidence, ledger)
    return ledger.check()


def _entered(written: Written) -> Ledger:
    ledger = Ledger()
    for table in written.tables:
        for row in table.rows:
            name = row.cells[0] if row.cells else ""
            for at, cell in enumerate(row.cells):
                column = table.header[at] if at < len(table.header) else ""
                for figure in figures_in(cell):
                    ledger.enter(Spot(row.line, at, figure.start), Place(row.line, table.title, name, column), figure)
    for passage in written.passages:
        for figure in figures_in(passage.text):
            ledger.enter(Spot(passage.line, PROSE_CELL, figure.start), Place(passage.line, passage.title), figure)
    return ledger


def _counts(table: WrittenTable, evidence: Evidence, ledger: Ledger) -> None:
    """Numbers of lines in the names of rows: `wikitext-2 (val, first 400 non-empty lines)`."""
    for row in table.rows:
        for at, cell in enumerate(row.cells):
            split = split_named(cell, evidence.splits)
            places = counts_in(cell)
            for figure in figures_in(cell):
                if split is not None and figure.start in places:
                    check_count(Spot(row.line, at, figure.start), figure, split, evidence, ledger)
