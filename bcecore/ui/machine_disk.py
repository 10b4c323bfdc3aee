"""What the runs take of the disk, the largest first, and the trash. Measured on request: it looks at every file."""

from __future__ import annotations

from functools import partial

import streamlit as st

from bcecore.files import directory_size
from bcecore.jobs import control
from bcecore.jobs.disk import GB, DiskUse, disk_use
from bcecore.store.preferences import load_preferences
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.trash import empty_trash, take_back, trash
from bcecore.ui import dialogs, news
from bcecore.ui.actions import attempt
from bcecore.ui.page import open_run
from bcecore.ui.run_dialogs import show_dialogs
from bcecore.ui.words import STATUS_WORDS, count, moment, plain, size

_MEASURED = "disk:measured"
_SHOWN = 20


def show_disk(store: RunStore) -> None:
    """Where the runs live, what they take, and what was deleted."""
    with st.container(border=True, key="machine-disk"):
        st.header("Disk", anchor=False)
        st.markdown("The runs live in this folder. To keep them elsewhere, set `BCE_RUNS_DIR` before the start.")
        st.code(str(store.root), language=None, wrap_lines=True)
        if st.button("Measure what the runs take", icon=":material/hard_drive:", key="disk-measure"):
            with st.spinner("Looking at every run…"):
                st.session_state[_MEASURED] = disk_use(store)
        use: DiskUse | None = st.session_state.get(_MEASURED)
        if use is not None:
            _show_use(store, use)
    with st.container(border=True, key="machine-trash"):
        st.header("Trash", anchor=False)
        _show_trash(store)
    show_dialogs(store)
    dialogs.show_asked({"empty-trash": ("Empty the trash?", partial(_ask_to_empty, store))})


def _show_use(store: RunStore, use: DiskUse) -> None:
    with st.container(horizontal=True, gap="large"):
        st.metric("All runs", size(use.all_runs), width="content")
        st.metric("Trash", size(use.trash), width="content")
        st.metric("Free on this disk", f"{size(use.free)} of {size(use.total)}", width="content")
    limit = load_preferences(store).warn_runs_gb
    if use.all_runs > limit * GB:
        st.warning(
            f"**The runs take more than {limit:g} GB.** Delete what is not needed any more, the largest first.",
            icon=":material/warning:",
        )
    records = {record.id: record for record in store.records()}
    # Those that were deleted since they were measured are not listed.
    there = [run_id for run_id in sorted(use.runs, key=lambda run_id: -use.runs[run_id]) if run_id in records]
    for run_id in there[:_SHOWN]:
        _run(store, records[run_id], use.runs[run_id])
    if len(there) > _SHOWN:
        st.caption(f"And {count(len(there) - _SHOWN, 'smaller one')}.")


def _run(store: RunStore, record: RunRecord, taken: int) -> None:
    words = STATUS_WORDS[record.status]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.markdown(f"**{size(taken)}** · {plain(record.name)}", width="content")
            st.badge(words.word, icon=words.icon, color=words.color)
            if record.archived:
                st.badge("Archived", icon=":material/inventory_2:", color="gray")
        with st.container(horizontal=True, width="content"):
            if st.button("Open", key=f"disk-open-{record.id}", icon=":material/monitoring:"):
                open_run(record.id)
            if record.is_over and not record.archived:
                st.button(
                    "Archive",
                    key=f"disk-archive-{record.id}",
                    icon=":material/inventory_2:",
                    help="Home lists it on request only. It takes the same space.",
                    on_click=attempt,
                    args=(store, record.id, partial(control.archive, store, record.id)),
                )
            if record.is_over:
                st.button(
                    "Delete…",
                    key=f"disk-delete-{record.id}",
                    icon=":material/delete:",
                    on_click=dialogs.ask,
                    args=("delete", record.id),
                )


def _show_trash(store: RunStore) -> None:
    deleted = trash(store)
    records = deleted.records()
    if not records:
        st.caption("Deleted runs are kept here, and can be taken back until the trash is emptied. It is empty.")
        return
    for record in records:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"{plain(record.name)} · made {moment(record.created)}", width="content")
            st.button(
                "Restore",
                key=f"restore-{record.id}",
                icon=":material/restore_from_trash:",
                on_click=attempt,
                args=(deleted, record.id, partial(take_back, store, record.id), f"{record.name} is back."),
            )
    st.button(
        "Empty the trash…",
        key="trash-empty",
        icon=":material/delete_forever:",
        on_click=dialogs.ask,
        args=("empty-trash",),
    )


def _ask_to_empty(store: RunStore, _: str) -> None:
    deleted = trash(store)
    runs = count(len(deleted.ids()), "run")
    st.markdown(
        f"**{runs}, {size(directory_size(deleted.root))}:** their values, checkpoints and models are gone for good. "
        "Nobody can bring them back."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Keep them", key="dialog-leave", on_click=dialogs.close)
        st.button(
            "Empty the trash",
            icon=":material/delete_forever:",
            type="primary",
            key="dialog-empty",
            on_click=_empty,
            args=(store,),
        )


def _empty(store: RunStore) -> None:
    news.say(f"{count(empty_trash(store), 'run')} deleted for good.", icon=":material/delete_forever:")
    st.session_state.pop(_MEASURED, None)
    dialogs.close()
