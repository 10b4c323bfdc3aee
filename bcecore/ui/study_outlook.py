"""Beside the form of a study: what it can and cannot see, how long it will take, and what it takes of the disk."""

from __future__ import annotations

import shutil

import streamlit as st

from bcecore.evaluation.study.foretelling import start_probes
from bcecore.jobs import estimate
from bcecore.jobs.disk import disk_problem
from bcecore.jobs.submit import with_other_settings
from bcecore.report.study_words import sight_words, time_words
from bcecore.store.runs import RunStore
from bcecore.ui.study_draft import Form, paces_of
from bcecore.ui.words import plain, roughly, size

_POLL_SECONDS = 1.0


# On a wide screen it stays in sight beside the long form.
_STYLE = """<style>
@media (min-width: 641px) {
  [data-testid="stColumn"]:has(.st-key-study-outlook) { position: sticky; top: 4.5rem; align-self: flex-start; }
}
</style>"""


def show_outlook(store: RunStore, form: Form) -> None:
    """All of it, or why it cannot be told yet."""
    st.html(_STYLE)
    with st.container(border=True, key="study-outlook"):
        st.header("What it can and cannot see", anchor=False)
        if form.foretold is None or form.draft is None:
            st.markdown(
                "Said here as soon as nothing in the form stands in the way: how small a difference the study will "
                "likely see, how long it takes, and how much of the disk."
            )
            return
        sight = sight_words(form.foretold, form.draft.margin)
        st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sight))
        st.header("What it takes", anchor=False)
        waiting = _is_waiting(store, form)
        with st.container(key="study-takes"):
            st.fragment(_takes, run_every=_POLL_SECONDS if waiting else None)(store, form, waiting)
        problem = disk_problem(store, disk_bytes(form) or 0)
        if problem is not None:
            st.error(f"**Not enough room.** {plain(problem)}", icon=":material/hard_drive:")


def disk_bytes(form: Form) -> int | None:
    """Of all runs that are planned, at their end; None while a pace is not measured."""
    if form.draft is None or not form.paces:
        return None
    known = [pace.disk_bytes for pace in form.paces if pace is not None]
    return sum(known) * len(form.draft.seeds) if len(known) == len(form.paces) else None


def _is_waiting(store: RunStore, form: Form) -> bool:
    """Whether some arm's pace is neither measured nor impossible to measure. A Hub model is not fetched for it."""
    if form.ready is None or form.ready.base.model.kind == "hub":
        return False
    checked = [with_other_settings(form.ready.checked, config) for config in form.ready.arms.values()]
    return any(
        pace is None and estimate.probe_failure(store, each) is None
        for pace, each in zip(form.paces, checked, strict=True)
    )


def _takes(store: RunStore, form: Form, waiting: bool) -> None:
    assert form.ready is not None and form.foretold is not None and form.draft is not None
    if waiting:
        if start_probes(store, form.ready):
            st.markdown(":material/hourglass_top: Trying a few steps of each arm to see how long they take…")
            return
        st.rerun(scope="app")  # there is nothing to wait for any more: ends the polling
    if None in paces_of(store, form.ready):
        st.markdown(
            ":material/timer_off: How long it takes is known after the first run. "
            + ("" if form.ready.base.model.kind == "hub" else "The trial steps failed, and the runs may fail too.")
        )
        return
    st.markdown(f":material/timer: {plain(time_words(form.foretold))}")
    if len(form.draft.looks) > 1 and form.foretold.seconds is not None:
        first, last = form.draft.looks[0], form.draft.looks[-1]
        whole = form.foretold.seconds / first * last / max(1, form.foretold.places)
        st.markdown(f":material/more_time: With all {last} seeds, about {roughly(whole)}.")
    needed = disk_bytes(form)
    if needed is not None:
        free = size(shutil.disk_usage(store.root if store.root.is_dir() else ".").free)
        st.markdown(f":material/hard_drive: About {size(needed)} of disk for checkpoints and models; {free} are free.")
