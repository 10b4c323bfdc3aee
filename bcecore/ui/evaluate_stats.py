"""The report's own evaluation files, in the same tables as our evaluations. They are kept in this window only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import streamlit as st

from bcecore.errors import BceError
from bcecore.evaluation.report_stats import FIRST_WEIGHT, ReportStats, read_report_stats
from bcecore.report.evaluation_tables import as_markdown, on_off_table, report_table, totals_table
from bcecore.ui.config_form import show_problems
from bcecore.ui.evaluate_blocks import (
    TOTALS_TITLES,
    show_as_reported,
    show_lengths,
    show_no_verdict,
    show_predicted,
    show_timing,
)
from bcecore.ui.evaluate_downloads import ON_OFF_TITLES, REPORT_TITLES
from bcecore.ui.words import count, plain

VIEW_PARAMETER, REPORT_VIEW = "view", "report"
"""The query parameter that leads here, and its value."""
_STATS, _PROBLEM, _UPLOADER = "evaluate:report-stats", "evaluate:report-problem", "evaluate:report-files"


class GivenFile(Protocol):
    """A file as a browser hands it over."""

    @property
    def name(self) -> str: ...
    def getvalue(self) -> bytes: ...


def open_report_files() -> None:
    """Have the page show the report's files; as a callback."""
    st.query_params.from_dict({VIEW_PARAMETER: REPORT_VIEW})


def _leave() -> None:
    st.query_params.clear()


def show_report_files() -> None:
    """The place to drop the files, and what they say."""
    st.title("The report's evaluation files", anchor=False)
    st.button("Evaluate a run", icon=":material/arrow_back:", type="tertiary", key="leave-report", on_click=_leave)
    st.file_uploader(
        "bce_eval_stats.json, wikitext_eval_stats.json, or both",
        ["json"],
        accept_multiple_files=True,
        key=_UPLOADER,
        on_change=_take,
        help="What the Sollana Framework's report was written from.",
    )
    problem = st.session_state.get(_PROBLEM)
    show_problems([problem] if problem else [])
    stats: ReportStats | None = st.session_state.get(_STATS)
    if stats is None:
        st.caption("Their tables appear here. Nothing is stored: they are kept in this window only.")
        return
    st.caption(
        f"From {plain(', '.join(stats.sources))}. Kept in this window only: nothing is stored, and a reload forgets it."
    )
    _show(stats)


def _take() -> None:
    """Read what was given; as a callback."""
    given = st.session_state[_UPLOADER]
    st.session_state[_PROBLEM] = None
    st.session_state[_STATS] = None
    if not given:
        return
    try:
        st.session_state[_STATS] = stats_of(given)
    except BceError as error:
        st.session_state[_PROBLEM] = str(error)


def stats_of(files: Iterable[GivenFile]) -> ReportStats:
    """The content of uploaded stats files. Raises StatsFileError."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = []
        for number, file in enumerate(files):
            # In folders of their own: the name comes from a browser, and two may have the same.
            folder = Path(scratch) / str(number)
            folder.mkdir()
            path = folder / (Path(file.name).name or "stats.json")
            path.write_bytes(file.getvalue())
            paths.append(path)
        return read_report_stats(paths)


def _show(stats: ReportStats) -> None:
    found = {split.name: split.differences for split in stats.splits}
    same = all(each.change_in_ce == 0 for differences in found.values() for each in differences)
    if same:
        st.subheader(
            "The model predicts the same with BCE on and off, on every text: all that differs is BCE's term.",
            anchor=False,
        )
    show_no_verdict()
    off = [split.name for split in stats.splits if any(each.off.weight for each in split.differences)]
    if off:
        st.warning(
            f"**“Off” was not off** on {plain(' and '.join(off))}: BCE had a weight on both sides, as the second table "
            "shows. In this product off is weight 0, always.",
            icon=":material/toggle_off:",
        )
    show_as_reported(found, FIRST_WEIGHT, "training's end, on each side")
    show_predicted(found, stats.result())
    with st.expander("CE by length", icon=":material/straighten:"):
        for split in stats.splits:
            if split.buckets:
                st.markdown(f"**{plain(split.name)}**")
                show_lengths(split.name, split.buckets)
    with st.expander("How long it took", icon=":material/timer:"):
        show_timing(stats.result())
    _examples(stats)
    _notes(stats)
    st.download_button(
        "All tables (Markdown)",
        lambda: _markdown(stats),
        file_name="report-evaluation.md",
        mime="text/markdown",
        on_click="ignore",
        icon=":material/download:",
        key="download-report-tables",
    )


def _examples(stats: ReportStats) -> None:
    examples = stats.examples()
    if examples.empty:
        return
    with st.expander(f"The {count(len(examples), 'text')} that the files show", icon=":material/notes:"):
        st.dataframe(
            examples.sort_values("ce", ascending=False)[["split", "example", "text", "length", "ce"]],
            hide_index=True,
            alt="Texts shown in the report's files, the hardest first",
            column_config={
                "split": st.column_config.TextColumn("Text"),
                "example": st.column_config.NumberColumn("Row"),
                "text": st.column_config.TextColumn("Example", width="large"),
                "length": st.column_config.NumberColumn("Tokens"),
                "ce": st.column_config.NumberColumn("CE", format="%.4f"),
            },
        )


def _notes(stats: ReportStats) -> None:
    lines = [f"- **{plain(split.name)}**: {plain(note)}" for split in stats.splits for note in split.notes]
    if lines:
        st.subheader("What was worked out from the files", anchor=False)
        st.markdown("\n".join(lines))


def _markdown(stats: ReportStats) -> str:
    found = {split.name: split.differences for split in stats.splits}
    sections = {
        "BCE vs No-BCE": (report_table(found), REPORT_TITLES),
        "Means over the examples": (totals_table(found), TOTALS_TITLES),
        "Where each difference comes from": (on_off_table(found), ON_OFF_TITLES),
    }
    tables = [
        f"## {heading}\n\n{as_markdown(table, {name: title for name, title in titles.items() if name in table})}"
        for heading, (table, titles) in sections.items()
    ]
    return "\n".join([f"# The report's evaluation, from {', '.join(stats.sources)}\n", *tables])
