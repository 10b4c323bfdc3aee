"""The menu with which a run's values are downloaded. A file is only made when it is asked for."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from bcecore.store.export import Format, export, file_name
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.tensorboard import is_installed

# Format, whether each number as it was logged, label, what it is good for.
_CHOICES: tuple[tuple[Format, bool, str, str], ...] = (
    ("csv", False, "Table for a spreadsheet (CSV)", "One row for each step, one column for each value, all digits."),
    (
        "parquet",
        False,
        "Table for programs (Parquet)",
        "The same, smaller and faster to read, as for pandas.",
    ),
    (
        "csv",
        True,
        "Everything as it was logged (CSV)",
        "One row for each number, under the name and the step that it has in the log: nothing is left out, also not "
        "what was logged twice.",
    ),
    ("tensorboard", False, "For TensorBoard", "A file to put into a folder that TensorBoard shows. It keeps 7 digits."),
)


def show_export_menu(store: RunStore, record: RunRecord) -> None:
    """A button that opens the choice of files."""
    with st.popover("Export", icon=":material/download:", key="export"):
        st.caption("All logged values, as a file:")
        for format, records, label, about in _CHOICES:
            if format == "tensorboard" and not is_installed():
                continue
            name = file_name(record.name, format, records=records)
            st.download_button(
                label,
                partial(_content, store, record.id, format, records),
                file_name=name,
                mime="application/octet-stream" if format != "csv" else "text/csv",
                on_click="ignore",
                help=about,
                key=f"export-{format}-{'records' if records else 'table'}",
                width="stretch",
            )


def _content(store: RunStore, run_id: str, format: Format, records: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        export(store, run_id, path, format, records=records)
        return path.read_bytes()
