"""The tables of a run and the sentences about it: values where its schedules turn, the best and the last ones."""

from __future__ import annotations

import re

import pandas as pd
import streamlit as st

from bcecore.report.document import Table
from bcecore.report.gathering import material_of
from bcecore.report.material import Material
from bcecore.report.tables import best_table, facts_table, highlights_table, snapshot_table, throughput_table
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.live import open_history
from bcecore.ui.words import plain

_MORE_STEPS = "highlights"
_LONGEST = 200
_MOST_STEPS = 50


def show_tables(store: RunStore, record: RunRecord) -> None:
    """What there is to say of a run, then its tables."""
    with open_history(store, record.id) as history:
        material = material_of(store, record, history, steps_asked_for())
        highlights, snapshot, best = highlights_table(material), snapshot_table(material), best_table(material)
        throughput = throughput_table(material)
        _observations(material)
    if highlights is None or snapshot is None or best is None:
        st.caption("The tables begin with the first step." if not record.is_over else "No step was logged.")
        return
    show_table(highlights, titled=True)
    _more_steps()
    with st.grid(2, min_column_width=340):
        with st.container():
            show_table(snapshot, titled=True)
        with st.container():
            show_table(throughput, titled=True)
    show_table(best, titled=True)
    _limits(material)


def show_facts(store: RunStore, record: RunRecord) -> None:
    """Run facts."""
    with open_history(store, record.id) as history:
        table = facts_table(material_of(store, record, history))
    show_table(table, alt="Facts of this run")


def show_table(table: Table, *, titled: bool = False, alt: str | None = None) -> None:
    """A table of the report on a page; its first column names the rows. Two columns need no titles."""
    if titled:
        st.markdown(f"**{plain(table.caption)}**")
    rows = [[plain(cell) for cell in row] for row in table.rows]
    frame = pd.DataFrame(rows, columns=[plain(column) for column in table.columns])
    # With a header, Streamlit sets that of the column beside an index apart from its values.
    pairs = len(table.columns) == 2
    st.table(
        frame.set_index(frame.columns[0]) if pairs else frame,
        border="horizontal",
        hide_header=pairs,
        hide_index=not pairs,
        alt=alt or table.caption,
    )
    if table.note:
        st.caption(plain(table.note))


def _observations(material: Material) -> None:
    if material.observations:
        st.markdown("**Observations**")
        st.markdown("\n".join(f"- {plain(observation.text)}" for observation in material.observations))


def _limits(material: Material) -> None:
    with st.expander("What these figures cannot show", icon=":material/visibility_off:"):
        st.markdown("\n".join(f"- **{plain(limit.title)}.** {plain(limit.text)}" for limit in material.limits))


def _more_steps() -> None:
    st.text_input(
        "More steps to show",
        key=_MORE_STEPS,
        placeholder="700, 1200",
        max_chars=_LONGEST,
        help="Steps that the table is to show as well, separated by commas. A step that was not logged takes the "
        "nearest one.",
        bind="query-params",
        width=320,
    )
    if _not_steps():
        st.caption(f"No step: {plain(', '.join(_not_steps()))}. A step is a whole number from 1.")


def _typed() -> list[str]:
    # The address may hold anything.
    return re.split(r"[,;\s]+", str(st.session_state.get(_MORE_STEPS) or "")[:_LONGEST].strip(", ;"))


def steps_asked_for() -> list[int]:
    """The steps that somebody typed, to be shown among the highlights."""
    return [int(part) for part in _typed() if _is_step(part)][:_MOST_STEPS]


def _not_steps() -> list[str]:
    return [part for part in _typed() if part and not _is_step(part)]


def _is_step(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < 12 and int(part) > 0
