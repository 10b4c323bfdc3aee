"""Holding a written report against a run: its figures beside what the log and the files really say.

Nothing is stored: what was found is kept in this window only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import streamlit as st

from bcecore.errors import BceError
from bcecore.findings.collect_files import files_with_run
from bcecore.findings.written.check import check_report
from bcecore.findings.written.ledger import Check, Mismatch, Place
from bcecore.report.document import Table
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.config_form import show_problems
from bcecore.ui.run_tables import show_table
from bcecore.ui.words import count, plain

_REPORT, _FURTHER, _RESULT = "written-report", "written-files", "written-result"
_MOST_ROWS = 200


class GivenFile(Protocol):
    """A file as a browser hands it over."""

    @property
    def name(self) -> str: ...
    def getvalue(self) -> bytes: ...


class Result(NamedTuple):
    """What came of the files that were given last."""

    run_id: str
    report: str
    """The name of the report."""
    check: Check | None
    problem: str
    """Why there is none."""


def show_written_check(store: RunStore, record: RunRecord) -> None:
    """The place for a report and the files it speaks of, and what is wrong with its figures."""
    st.markdown("**Check a written report against this run**")
    st.caption(
        "Every figure in its tables and sentences is compared with this run’s log, with the files you add, and with "
        "the other figures of the report. Nothing is stored."
    )
    with st.grid(2, min_column_width=320):
        st.file_uploader("Report (Markdown)", ["md", "markdown"], key=_REPORT, on_change=_take, args=(store, record.id))
        st.file_uploader(
            "Files that it speaks of, if there are any",
            ["json", "txt", "jsonl", "csv", "parquet"],
            accept_multiple_files=True,
            key=_FURTHER,
            on_change=_take,
            args=(store, record.id),
            help="Stats of its evaluation (bce_eval_stats.json, eval_results.json) and the texts it was checked on.",
        )
    result: Result | None = st.session_state.get(_RESULT)
    if result is None or result.run_id != record.id:
        return
    if result.check is None:
        show_problems([result.problem])
    else:
        _show(result.report, result.check)


def _take(store: RunStore, run_id: str) -> None:
    """Check what was given; as a callback."""
    report: GivenFile | None = st.session_state[_REPORT]
    st.session_state[_RESULT] = None
    if report is None:
        return
    try:
        check, problem = checked(store, run_id, report, st.session_state[_FURTHER] or ()), ""
    except (BceError, OSError) as error:
        check, problem = None, str(error)
    st.session_state[_RESULT] = Result(run_id, report.name, check, problem)


def checked(store: RunStore, run_id: str, report: GivenFile, further: Iterable[GivenFile]) -> Check:
    """What is wrong with an uploaded report. Raises BceError for files that cannot be read."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = []
        for number, file in enumerate((report, *further)):
            # In folders of their own: the name comes from a browser, and two may have the same.
            folder = Path(scratch) / str(number)
            folder.mkdir()
            path = folder / (Path(file.name).name or "report.md")
            path.write_bytes(file.getvalue())
            paths.append(path)
        files = files_with_run(store, run_id, paths)
    return check_report(files.reports[0].markdown, files.evidence())


def _show(report: str, check: Check) -> None:
    name = plain(report)
    if not check.figures:
        st.info(f"**{name} has no figures** that could be checked.", icon=":material/info:")
        return
    if not check.checked:
        st.info(
            f"**None of the {count(check.figures, 'figure')} in {name} could be checked:** its words do not say what "
            "they are, or this run’s log and the files do not have it.",
            icon=":material/info:",
        )
    elif check.mismatches:
        st.warning(
            f"**{name}: {_wrong(check)} of the {count(check.checked, 'figure')} that could be checked "
            f"{'is' if _wrong(check) == 1 else 'are'} wrong**, in {count(len(check.groups), 'place')}. Each stands "
            "below with the true value.",
            icon=":material/warning:",
        )
        show_table(mismatch_table(check.mismatches[:_MOST_ROWS]), alt="Figures that are wrong")
        if len(check.mismatches) > _MOST_ROWS:
            st.caption(f"Showing {_MOST_ROWS:,} of {len(check.mismatches):,}.")
    else:
        st.success(
            f"**{name}: {_all_right(check.checked)}.**",
            icon=":material/check_circle:",
        )
    _unchecked(check)


def _wrong(check: Check) -> int:
    return len({(one.place, one.claimed) for one in check.mismatches})


def _all_right(checked: int) -> str:
    return (
        "the one figure that could be checked is right"
        if checked == 1
        else f"all {checked:,} figures checked are right"
    )


def mismatch_table(mismatches: Sequence[Mismatch]) -> Table:
    """A row for each wrong figure."""
    rows = tuple((_where(one.place), one.claimed, one.true or "–", _why(one)) for one in mismatches)
    return Table("Figures that are wrong", ("Where", "Written", "True", "Why"), rows)


def _why(one: Mismatch) -> str:
    return one.why if one.kind == "row" else f"{one.why} ({one.source})"  # a row's says the step itself


def _where(place: Place) -> str:
    parts = [place.section, place.row, place.column if place.row else ""]
    return f"Line {place.line:,}: {' · '.join(part for part in parts if part)}"


def _unchecked(check: Check) -> None:
    if not check.unchecked:
        st.caption(f"Every one of its {count(check.figures, 'figure')} was checked.")
        return
    title = f"{count(len(check.unchecked), 'figure')} of {check.figures:,} could not be checked"
    with st.expander(title, icon=":material/help:"):
        st.caption("Nothing says that they are wrong, and nothing that they are right.")
        lines: dict[str, list[str]] = {}
        for one in check.unchecked[:_MOST_ROWS]:
            lines.setdefault(_where(one.place), []).append(one.figure)
        st.markdown("\n".join(f"- {plain(where)}: {plain(', '.join(figures))}" for where, figures in lines.items()))
