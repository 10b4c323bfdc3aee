"""The frame of every page: its title, the way to the other pages, the run store, and somebody who looks after the runs.

Every page begins with `begin`. The navigation is drawn here and not discovered, so that names, icons and order are
ours (`client.showSidebarNavigation` is off).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import streamlit as st

from bcecore.errors import BceError
from bcecore.jobs.election import see_to_supervisor
from bcecore.jobs.evaluations import current_evaluations
from bcecore.jobs.local import current_records
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs, news

PRODUCT = "BCE Lab"
RUN_PARAMETER = "run"
"""Name of the query parameter that says which run the Run page shows, or the Evaluate page is about."""
RUNS_PARAMETER = "runs"
"""Name of the query parameter, given once for each run, that says which runs the Compare page compares."""
FROM_PARAMETER, SET_PARAMETER = "from", "set"
"""Names of the query parameters of the Launch page: the run whose settings fill the form, and changes to them."""
EVALUATION_PARAMETER = "evaluation"
"""Name of the query parameter that says which evaluation of the run the Evaluate page shows; without it, a new one."""
STEPS_PARAMETER = "steps"
"""Name of the query parameter, given once for each step, that says which steps of the run are compared or evaluated."""
STUDY_PARAMETER = "study"
"""Name of the query parameter that says which study the Study page shows; `NEW_STUDY` is the form for another one."""
NEW_STUDY = "new"
HOME_PAGE, LAUNCH_PAGE, RUN_PAGE, SETTINGS_PAGE = "app.py", "pages/Launch.py", "pages/Run.py", "pages/Settings.py"
EVALUATE_PAGE = "pages/Evaluate.py"
COMPARE_PAGE = "pages/Compare.py"
STUDY_PAGE = "pages/Study.py"
DATA_PAGE = "pages/Data.py"
ABOUT_PAGE = "pages/What_is_BCE.py"

_LOOKED_FOR_SUPERVISOR = "page:looked-for-supervisor"
_LOOK_SECONDS = 5.0

# A picture of our own: the icons that Streamlit knows by name would be fetched from the internet.
_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#4f46b5"/>'
    '<path d="M6 9c3 11 8 14 20 14" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"/>'
    '<circle cx="26" cy="23" r="3" fill="#fff"/></svg>'
)
# Streamlit's own sign that a script is at work comes with a "Stop" button, which beside a training run would be taken
# for a way to stop that.
# The accent colour is too near the dark background to be read as text, which Streamlit makes of it in a chosen option
# or tab.
_STYLE = """<style>
[data-testid='stStatusWidget'] { display: none; }
[data-testid='stButtonGroup'] [data-selected='true'] p, [role='tab'][aria-selected='true'] p {
  color: color-mix(in srgb, currentColor 55%, CanvasText);
}
</style>"""


def begin(title: str) -> RunStore:
    """Set the page up, draw the sidebar, and return the store of the runs. The first call of every page."""
    st.set_page_config(page_title=f"{title} · {PRODUCT}", page_icon=_FAVICON, layout="wide")
    st.html(_STYLE)
    with st.sidebar:
        st.markdown(f"#### {PRODUCT}")
        st.page_link(HOME_PAGE, label="Home", icon=":material/home:")
        st.page_link(LAUNCH_PAGE, label="Launch", icon=":material/rocket_launch:")
        st.page_link(RUN_PAGE, label="Run", icon=":material/monitoring:")
        st.page_link(EVALUATE_PAGE, label="Evaluate", icon=":material/fact_check:")
        st.page_link(STUDY_PAGE, label="Study", icon=":material/science:")
        st.page_link(DATA_PAGE, label="Data", icon=":material/description:")
        st.page_link(COMPARE_PAGE, label="Compare", icon=":material/compare_arrows:")
        st.page_link(SETTINGS_PAGE, label="Settings", icon=":material/settings:")
        st.page_link(ABOUT_PAGE, label="What is BCE?", icon=":material/help:")
        st.caption("BCE here is the Behavioral Consciousness Engine, not binary cross-entropy.")
    store = RunStore()
    dialogs.arrive(title)
    keep_supervised(store)
    news.tell([*current_records(store), *current_evaluations(store)])
    return store


def keep_supervised(store: RunStore) -> None:
    """Have a supervisor started if none is at work: waiting runs would otherwise wait for ever.

    For every page, and for every look at a run that is not over.
    """
    moment = time.monotonic()
    if moment - st.session_state.get(_LOOKED_FOR_SUPERVISOR, -_LOOK_SECONDS) < _LOOK_SECONDS:
        return
    st.session_state[_LOOKED_FOR_SUPERVISOR] = moment
    try:
        see_to_supervisor(store)
    except (BceError, OSError) as error:
        # The runs can still be looked at, which is what somebody with a full disk needs.
        news.say(f"Waiting runs cannot be started now: {error}", icon=":material/error:")


def open_run(run_id: str) -> NoReturn:
    """Leave for the page of a run."""
    st.switch_page(RUN_PAGE, query_params={RUN_PARAMETER: run_id})


def use_settings(run_id: str, changes: Mapping[str, Any] | None = None) -> NoReturn:
    """Leave for the Launch page, its form filled with a run's settings and these changes to them."""
    assignments = [f"{key}:{json.dumps(value)}" for key, value in (changes or {}).items()]
    st.switch_page(LAUNCH_PAGE, query_params={FROM_PARAMETER: run_id, SET_PARAMETER: assignments})
