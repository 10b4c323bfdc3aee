"""How long the run will take and how much of the disk.

Both come from a probe that runs in the background while somebody goes on with the form.
"""

from __future__ import annotations

import streamlit as st

from bcecore.jobs import estimate
from bcecore.jobs.submit import Checked
from bcecore.store.runs import RunStore
from bcecore.ui.launch_words import estimate_words

_POLL_SECONDS = 1.0
_MEASURED = "launch:measured"
"""The configuration that this session last had measured."""


def show_estimate(store: RunStore, checked: Checked | None) -> None:
    """The estimate, or what is being done about it. Starts a measurement where that costs nothing but seconds."""
    if checked is None:
        st.caption("Time and disk space are estimated as soon as there is no problem left above.")
        return
    waiting = estimate.estimate(store, checked) is None and estimate.probe_failure(store, checked) is None
    # A Hub model may have to be fetched first, which can be large: that is for the person to decide.
    if waiting and not estimate.is_probing(store, checked) and checked.config.model.kind == "hub":
        if not st.button("Measure how long it takes", icon=":material/timer:", key="launch-measure"):
            st.caption("This fetches the model from the Hub if it is not here yet, and tries a few steps.")
            return
        _measure(store, checked)
    st.fragment(_estimate, run_every=_POLL_SECONDS if waiting else None)(store, checked, waiting)


def _estimate(store: RunStore, checked: Checked, waiting: bool) -> None:
    found = estimate.estimate(store, checked)
    failure = estimate.probe_failure(store, checked)
    if found is None and failure is None:
        _measure(store, checked)
        st.markdown(":material/hourglass_top: Trying a few steps to estimate time and disk space…")
        return
    if waiting:
        st.rerun(scope="app")  # there is nothing to wait for any more: ends the polling
    if found is not None:
        st.markdown(f":material/timer: Estimate: {estimate_words(found)}")
        return
    st.warning(
        "Time and disk space could not be estimated: the trial steps failed, and the run would probably fail too.",
        icon=":material/timer_off:",
    )
    with st.expander("What the trial said"):
        st.code(failure, language=None, wrap_lines=True)


def _measure(store: RunStore, checked: Checked) -> None:
    """Start measuring, unless an earlier measurement of this session is still at work: two would disturb each other."""
    earlier: Checked | None = st.session_state.get(_MEASURED)
    if earlier is not None and estimate.is_probing(store, earlier):
        return
    st.session_state[_MEASURED] = checked
    estimate.start_probe(store, checked)
