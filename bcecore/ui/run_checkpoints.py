"""The checkpoints of a run: which there are, how large, which is the best, and going on from one of them."""

from __future__ import annotations

import streamlit as st

from bcecore.files import directory_size
from bcecore.report.summary import RunSummary
from bcecore.store.checkpoints import Checkpoint, checkpoints
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui import compare_address
from bcecore.ui.page import COMPARE_PAGE, EVALUATE_PAGE, RUN_PARAMETER
from bcecore.ui.run_actions import resume_from
from bcecore.ui.words import count, size

_SHOWN = 30


def show_checkpoints(store: RunStore, record: RunRecord, summary: RunSummary) -> None:
    """All checkpoints, the newest first."""
    found = checkpoints(store.directory(record.id))[::-1]
    if not found:
        st.caption("A checkpoint is all that a run needs to go on later. None was saved yet.")
        return
    st.caption("A checkpoint is all that a run needs to go on later. Older ones are deleted as the settings say.")
    with st.container(horizontal=True, key="checkpoint-links"):
        if len(found) > 1:
            st.page_link(
                COMPARE_PAGE,
                label="Compare them side by side",
                icon=":material/compare_arrows:",
                query_params=compare_address.of_checkpoints(record.id),
                width="content",
            )
        evaluate_link(record.id, "Evaluate them on texts")
    best = summary.best_held_out.step if summary.best_held_out is not None else None
    for checkpoint in found[:_SHOWN]:
        with st.container(border=True, key=f"checkpoint-{checkpoint.step}"):
            _checkpoint(store, record, checkpoint, is_best=checkpoint.step == best)
    if len(found) > _SHOWN:
        st.caption(f"And {count(len(found) - _SHOWN, 'earlier one')}.")


def evaluate_link(run_id: str, label: str) -> None:
    """A link to the form that evaluates this run."""
    st.page_link(
        EVALUATE_PAGE,
        label=label,
        icon=":material/fact_check:",
        query_params={RUN_PARAMETER: run_id},
        width="content",
    )


def _checkpoint(store: RunStore, record: RunRecord, checkpoint: Checkpoint, *, is_best: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Step {checkpoint.step:,}**", width="content")
        st.markdown(size(directory_size(checkpoint.directory)), width="content")
        if checkpoint.complete:
            st.badge("Whole", icon=":material/check:", color="gray")
        if is_best:
            st.badge("Best held-out CE", icon=":material/star:", color="green")
        if not checkpoint.complete:
            being_saved = record.is_active and (record.progress is None or checkpoint.step >= record.progress.step)
            words = "Being saved" if being_saved else "Not whole: nothing can go on from it"
            st.badge(words, icon=":material/pending:" if being_saved else ":material/broken_image:", color="orange")
        elif record.status in ("stopped", "failed", "crashed"):
            st.button(
                "Resume from here",
                icon=":material/resume:",
                key=f"resume-at-{checkpoint.step}",
                help="Later values and checkpoints of this run are then computed anew.",
                on_click=resume_from,
                args=(store, record.id, checkpoint.step),
            )
