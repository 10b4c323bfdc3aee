"""The report of a run: written with one click, read here, taken along as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from bcecore.errors import BceError
from bcecore.findings.of_run import of_run
from bcecore.report.gathering import material_of
from bcecore.report.writing import HTML_FILE, MARKDOWN_FILE, report_of, write_report
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RunStore
from bcecore.ui.live import open_history
from bcecore.ui.run_tables import steps_asked_for
from bcecore.ui.words import age, plain

_PREVIEW_HEIGHT = 620


def show_report(store: RunStore, record: RunRecord) -> None:
    """The button that writes the report, and the report where there is one."""
    directory = store.directory(record.id)
    markdown, html = directory / MARKDOWN_FILE, directory / HTML_FILE
    written = markdown.is_file() and html.is_file()
    st.markdown(
        "All tables, charts and observations of this run on one page, with what its figures cannot show. It is kept "
        "with the run, and opens anywhere."
    )
    if st.button("Write the report", icon=":material/summarize:", key="write-report"):
        written = _write(store, record, directory) or written
    if not written:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        _download("Download the page", html, record, "text/html", ":material/html:")
        _download("Download the text", markdown, record, "text/markdown", ":material/markdown:")
    st.caption(_age_words(record, markdown))
    with st.container(height=_PREVIEW_HEIGHT, border=True, key="report-preview"):
        st.markdown(markdown.read_text(encoding="utf-8"))


def _write(store: RunStore, record: RunRecord, directory: Path) -> bool:
    try:
        with st.spinner("Looking the run over and drawing the charts …"):
            found = of_run(store, record.id)
            with open_history(store, record.id) as history:
                write_report(report_of(material_of(store, record, history, steps_asked_for(), found)), directory)
    except (BceError, OSError) as error:
        st.error(f"The report could not be written: {plain(str(error))}", icon=":material/error:")
        return False
    return True


def _download(label: str, path: Path, record: RunRecord, mime: str, icon: str) -> None:
    st.download_button(
        label,
        path.read_bytes,
        file_name=f"{record.id}{path.suffix}",
        mime=mime,
        on_click="ignore",
        icon=icon,
        key=f"download-report-{path.suffix[1:]}",
    )


def _age_words(record: RunRecord, path: Path) -> str:
    moment = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    words = f"Written {age(moment, now())}."
    ended = record.ended if record.is_over else record.progress.updated if record.progress is not None else None
    if ended is not None and ended > moment:
        words += " The run has gone on since: write the report again to have all of it."
    return f"{words} Its charts are in the page; the text alone is shown here."
