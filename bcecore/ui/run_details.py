"""What stands below the charts of the Run page: findings, checkpoints, samples, facts, tables, settings, the log, the
report."""

from __future__ import annotations

import json

import streamlit as st

from bcecore.config import RunConfig
from bcecore.report.document import Table
from bcecore.report.facts import settings_by_section
from bcecore.report.summary import RunSummary
from bcecore.store.log import log_tail
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.config_form import choice_words
from bcecore.ui.import_dialog import show_fact_form
from bcecore.ui.run_checkpoints import show_checkpoints
from bcecore.ui.run_findings import DETAILS, TAB, Seen, show_list
from bcecore.ui.run_report import show_report
from bcecore.ui.run_samples import show_samples
from bcecore.ui.run_tables import show_facts, show_table, show_tables
from bcecore.ui.words import count
from bcecore.ui.written_check import show_written_check

_LOG_LINES = 200
_LOG_HEIGHT = 420


def show_details(store: RunStore, record: RunRecord, config: RunConfig | None, summary: RunSummary, seen: Seen) -> None:
    """One tab each; only the open one is made. A run that was imported has no settings, and nothing wrote its log."""
    titles = [TAB, "Facts", "Tables", "Report"]
    if config is not None:
        titles = [TAB, "Checkpoints", "Samples", "Facts", "Tables", "Settings", "Log", "Report"]
    with st.container(key="run-details"):
        tabs = dict(zip(titles, st.tabs(titles, key=DETAILS, on_change="rerun"), strict=True))
    open_tab = next((title for title, tab in tabs.items() if tab.open), TAB)
    with tabs[open_tab]:
        match open_tab:
            case "Findings":
                show_list(store, record, config, seen)
            case "Facts":
                show_facts(store, record)
                if config is None:
                    show_fact_form(store, record)
            case "Tables":
                show_tables(store, record)
            case "Report":
                show_report(store, record)
                show_written_check(store, record)
            case "Checkpoints":
                show_checkpoints(store, record, summary)
            case "Samples":
                show_samples(store, record)
            case "Settings":
                assert config is not None
                _settings(config)
            case "Log":
                _log(store, record)


def _settings(config: RunConfig) -> None:
    st.caption("Frozen when the run was made.")
    with st.grid(2, min_column_width=380):
        for title, rows in settings_by_section(config, choice_words).items():
            with st.container():
                st.markdown(f"**{title}**")
                show_table(Table(f"Settings: {title}", ("Setting", "Value"), tuple(rows)))
    with st.expander("As text, to copy", icon=":material/data_object:"):
        st.code(json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False), language="json")


def _log(store: RunStore, record: RunRecord) -> None:
    path = store.directory(record.id) / "train.log"
    lines = log_tail(path, _LOG_LINES)
    if not lines:
        st.caption("The training process has written nothing yet.")
        return
    st.caption(f"The last {count(len(lines), 'line')} that the training process wrote.")
    with st.container(height=_LOG_HEIGHT, autoscroll=True, key="log-lines"):
        st.code("\n".join(lines), language=None)
    st.download_button(
        "Download the whole log",
        path.read_bytes,
        file_name=f"{record.id}.log",
        mime="text/plain",
        on_click="ignore",
        icon=":material/download:",
        key="download-log",
    )
