"""What the address of the Compare page says: which runs or steps are compared, and to what. It survives a reload.

The address decides, and the widgets show it: they are set from it before they are drawn, and write it when they change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from bcecore.ui.page import RUN_PARAMETER, RUNS_PARAMETER, STEPS_PARAMETER

Mode = Literal["runs", "checkpoints"]

# More than any run has steps, and few enough for the numbers of a log.
_DIGITS = 18
_MODE, _BASELINE, _AT, _SHOWN, _SEEDS = "mode", "baseline", "at", "show", "seeds"


def of_checkpoints(run_id: str) -> dict[str, str]:
    """What leads to the checkpoints of a run, as the query parameters of a link."""
    return {_MODE: "checkpoints", RUN_PARAMETER: run_id}


def mode() -> Mode:
    """Whether runs are compared, or steps of one run."""
    return "checkpoints" if st.query_params.get(_MODE) == "checkpoints" else "runs"


def set_mode(value: Mode) -> None:
    """Have the other one shown."""
    _set(_MODE, value if value != "runs" else None)


def runs() -> list[str]:
    """The ids of the runs to compare, as they stand in the address; they may not exist."""
    return list(dict.fromkeys(filter(None, st.query_params.get_all(RUNS_PARAMETER))))


def set_runs(run_ids: Sequence[str]) -> None:
    """Compare other runs."""
    st.query_params[RUNS_PARAMETER] = list(run_ids)


def baseline() -> str | None:
    """The id of the run that the others are compared to; None if the address leaves it open."""
    return st.query_params.get(_BASELINE)


def set_baseline(run_id: str) -> None:
    """Compare to another run."""
    _set(_BASELINE, run_id)


def same_step() -> bool:
    """Whether values of the same step are compared, in place of the last ones."""
    return st.query_params.get(_AT) == "same-step"


def set_same_step(value: bool) -> None:
    """Compare values of the same step, or the last ones."""
    _set(_AT, "same-step" if value else None)


def seed_means() -> bool:
    """Whether runs that differ in their seed only are drawn as one."""
    return st.query_params.get(_SEEDS) == "mean"


def set_seed_means(value: bool) -> None:
    """Draw them as one, or each for itself."""
    _set(_SEEDS, "mean" if value else None)


def shown() -> list[str]:
    """The keys whose charts are shown; empty if the address leaves it open."""
    return st.query_params.get_all(_SHOWN)


def set_shown(keys: Sequence[str]) -> None:
    """Show the charts of other keys."""
    st.query_params[_SHOWN] = list(keys)


def run() -> str | None:
    """The id of the run whose steps are compared."""
    return st.query_params.get(RUN_PARAMETER)


def set_run(run_id: str) -> None:
    """Compare steps of another run: the steps that were chosen are not its own."""
    _set(RUN_PARAMETER, run_id)
    _set(STEPS_PARAMETER, None)


def steps() -> tuple[list[int], list[str]]:
    """The steps to compare, in order; and what stands there in place of a step."""
    texts = list(dict.fromkeys(st.query_params.get_all(STEPS_PARAMETER)))
    found = {text: as_step(text) for text in texts}
    return sorted({step for step in found.values() if step is not None}), [t for t in texts if found[t] is None]


def as_step(text: str) -> int | None:
    """The step that a text means; None if it is no whole number from 0 that a step could be."""
    cleaned = text.replace(",", "").strip()
    return int(cleaned) if cleaned.isdecimal() and len(cleaned) <= _DIGITS else None


def set_steps(chosen: Sequence[int]) -> None:
    """Compare other steps."""
    st.query_params[STEPS_PARAMETER] = [str(step) for step in sorted(set(chosen))]


def _set(name: str, value: str | None) -> None:
    if value is None:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value
