"""What stands below the charts of the Run page: checkpoints, samples, facts, settings, the log."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from bcecore.config import RunConfig
from bcecore.report.facts import Fact, run_facts, settings_by_section
from bcecore.report.summary import RunSummary
from bcecore.store.log import log_tail
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RunStore
from bcecore.ui.config_form import choice_words
from bcecore.ui.run_checkpoints import show_checkpoints
from bcecore.ui.run_samples import show_samples
from bcecore.ui.words import count, plain

_LOG_LINES = 200
_LOG_HEIGHT = 420


def show_details(store: RunStore, record: RunRecord, config: RunConfig, summary: RunSummary) -> None:
    """One tab each; only the open one is made."""
    titles = ["Checkpoints", "Samples", "Facts", "Settings", "Log"]
    checkpoints, samples, facts, settings, log = st.tabs(titles, default="Facts", key="details", on_change="rerun")
    with checkpoints:
        if checkpoints.open:
            show_checkpoints(store, record, summary)
    with samples:
        if samples.open:
            show_samples(store, record)
    with facts:
        if facts.open:
            _table(run_facts(record, config, summary, now()), "Facts of this run")
    with settings:
        if settings.open:
            _settings(config)
    with log:
        if log.open:
            _log(store, record)


def _settings(config: RunConfig) -> None:
    st.caption("Frozen when the run was made.")
    with st.grid(2, min_column_width=380):
        for title, rows in settings_by_section(config, choice_words).items():
            with st.container():
                st.markdown(f"**{title}**")
                _table(rows, f"Settings: {title}")
    with st.expander("As text, to copy", icon=":material/data_object:"):
        st.code(json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False), language="json")


def _log(store: RunStore, record: RunRecord) -> None:
    path = store.directory(record.id) / "train.log"
    lines = log_tail(path, _LOG_LINES)
    if not lines:
        st.caption("The training process has written nothing yet.")
        return
    st.caption(f"The last {count(len(lines), 'line')} that the training process wrote.")
    with st.container(height=_LOG_HEIGHT, autoscroll=True, key="log"):
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


def _table(rows: list[Fact], alt: str) -> None:
    table = pd.DataFrame([(plain(row.title), plain(row.value)) for row in rows], columns=["Item", "Value"])
    st.table(table.set_index("Item"), border="horizontal", hide_header=True, alt=alt)
