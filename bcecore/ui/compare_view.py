"""What the Compare page shows: runs side by side, or steps of one run."""

from __future__ import annotations

import streamlit as st

from bcecore.jobs.local import current_records
from bcecore.store.runs import RunStore
from bcecore.ui import compare_address as address
from bcecore.ui import compare_checkpoints, compare_runs
from bcecore.ui.page import HOME_PAGE

_MODE = "compare-mode"
_MODES: dict[address.Mode, str] = {"runs": "Runs", "checkpoints": "Steps of one run"}


def show(store: RunStore) -> None:
    """The whole page below its frame."""
    records = current_records(store)
    st.title("Compare", anchor=False)
    if not records:
        st.markdown("Runs are laid side by side here: their curves, their values, and what differs in their settings.")
        st.page_link(HOME_PAGE, label="Start the first run from Home", icon=":material/home:")
        return
    st.session_state[_MODE] = address.mode()
    st.segmented_control(
        "What to compare",
        list(_MODES),
        format_func=lambda mode: _MODES[mode],
        required=True,
        key=_MODE,
        on_change=_mode_chosen,
        label_visibility="collapsed",
    )
    if address.mode() == "runs":
        compare_runs.show(store, records)
    else:
        compare_checkpoints.show(store, records)


def _mode_chosen() -> None:
    address.set_mode(st.session_state[_MODE])
