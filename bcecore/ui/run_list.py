"""The table of all runs on Home: finding some of them, putting them in order, choosing columns, acting on several.

All of that is done here and not in the browser, which only gets one page of rows: of ten thousand it would choke.
What is searched, filtered, sorted and shown is in the page's address.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from pandas.api.types import is_numeric_dtype
from streamlit.typing import DataframeState

from bcecore.errors import BceError
from bcecore.jobs import control
from bcecore.report.run_table import (
    BCE_WORDS,
    DEFAULT_COLUMNS,
    DEFAULT_ORDER,
    DIFFERENCE,
    NAME,
    Column,
    Query,
    Row,
    column,
    columns_for,
    in_order,
    labels,
    matching,
    run_table,
    worked_out_words,
)
from bcecore.store.baseline import load_baseline, save_baseline
from bcecore.store.record import STATUSES, RunRecord, now
from bcecore.store.runs import RunStore, said_by
from bcecore.store.summary import BCE_KINDS
from bcecore.ui import news
from bcecore.ui.actions import attempt
from bcecore.ui.live import Looked, look_over_some, table_rows
from bcecore.ui.page import COMPARE_PAGE, RUNS_PARAMETER, open_run
from bcecore.ui.study_link import study_name
from bcecore.ui.words import STATUS_WORDS, count, plain

PAGE_ROWS = 200
"""Rows that the browser gets at once."""

# Names of the choices, in the session and in the page's address.
_SEARCH, _STATUS, _BCE, _TAGS, _ARCHIVED, _STUDIES = "search", "status", "bce", "tags", "archived", "studies"
_COLUMNS, _SORT, _REVERSE, _PAGE = "columns", "sort", "reverse", "page"

_STATUS_CELLS: dict[str, str] = {
    status: f"{STATUS_WORDS[status].sign} {STATUS_WORDS[status].word}" for status in STATUSES
}
_PIN = "pin"
_PINNED, _UNPINNED = "★", "☆"
_ROW_HEIGHT, _HEADER_HEIGHT = 40, 37
_ROWS_IN_SIGHT = 15
_OF_CE = {"ce.last", "ce.best", "perplexity", "trend"}
_NUMBER_WIDTH, _PIN_WIDTH = 44, 44
# How long one look may spend on logs that were never looked at.
_READING_SECONDS = 1.0
# And on looking over runs that nobody has looked over.
_LOOKING_SECONDS = 0.3

# In the session: how often the table was made anew, the runs that are ticked, and the run that was clicked.
_TURN, _TICKED, _CLICKED = "runs:turn", "runs:ticked", "runs:clicked"


def show(store: RunStore, records: Sequence[RunRecord]) -> bool:
    """The table with all that belongs to it; whether some logs have still to be read, so that it is drawn again soon.

    `records` are those of all runs, newest first.
    """
    if clicked := st.session_state.pop(_CLICKED, None):
        open_run(clicked)
    rows, unread = table_rows(store, records, seconds=_READING_SECONDS)
    baseline = _baseline(store, rows)
    with st.container(horizontal=True, vertical_alignment="bottom", key="runs-controls"):
        query = _search_and_filters(store, records)
        found = matching(rows, query)
        codes, order, descending = _columns_and_order(rows)
    looked = Looked(0, 0)
    if found:
        listed = sum(query.archived or not record.archived for record in records)
        ordered = in_order(found, order, descending=descending)
        shown = _found(store, ordered, listed, codes, order, descending, baseline)
        if "findings" in codes:
            looked = look_over_some(store, shown, seconds=_LOOKING_SECONDS)
    else:
        _nothing_found(records, query)
    if unread:
        st.caption(f"The logs of {count(unread, 'run')} are still being read; what they hold appears bit by bit.")
    if looked.left:
        are = "is" if looked.left == 1 else "are"
        st.caption(f"{count(looked.left, 'run')} {are} still to be looked over for findings.")
    return unread > 0 or any(looked)


def _baseline(store: RunStore, rows: Sequence[Row]) -> Row | None:
    """The pinned run, unless it was deleted."""
    pinned = load_baseline(store)
    return next((row for row in rows if row.record.id == pinned), None)


# -- what is wanted


def _search_and_filters(store: RunStore, records: Sequence[RunRecord]) -> Query:
    search = st.text_input(
        "Search",
        key=_SEARCH,
        type="search",
        live=True,
        placeholder="Search names, tags, notes and ids",
        label_visibility="collapsed",
        width=300,
        bind="query-params",
    )
    set_before = sum(map(bool, map(_chosen, (_STATUS, _BCE, _TAGS, _STUDIES, _ARCHIVED))))
    filters = st.popover(
        f"Filter · {set_before}" if set_before else "Filter", icon=":material/filter_list:", key="filter"
    )
    with filters:
        statuses = st.multiselect(
            "Status",
            STATUSES,
            key=_STATUS,
            format_func=lambda status: STATUS_WORDS[status].word,
            placeholder="Any",
            bind="query-params",
        )
        bce = st.pills(
            "BCE",
            BCE_KINDS,
            selection_mode="multi",
            key=_BCE,
            format_func=lambda kind: BCE_WORDS[kind].capitalize(),
            bind="query-params",
        )
        tags = st.multiselect(
            "Tags",
            sorted({tag for record in records for tag in record.tags}, key=str.casefold),
            key=_TAGS,
            placeholder="Any",
            bind="query-params",
        )
        studies = _of_studies(store, records)
        archived = sum(record.archived for record in records)
        show_archived = st.toggle(
            f"Show archived runs ({archived:,})", key=_ARCHIVED, disabled=not archived, bind="query-params"
        )
    return Query(search, frozenset(statuses), frozenset(bce), frozenset(tags), show_archived, studies)


def _of_studies(store: RunStore, records: Sequence[RunRecord]) -> frozenset[str]:
    """The studies whose runs are wanted; not asked where no run belongs to one."""
    # The newest first: an id begins with its date.
    known = sorted({record.study for record in records if record.study is not None}, reverse=True)
    if not known:
        return frozenset()
    chosen = st.multiselect(
        "Study",
        known,
        key=_STUDIES,
        format_func=lambda study_id: study_name(store, study_id) or said_by(study_id)[0],
        placeholder="Any",
        bind="query-params",
    )
    return frozenset(chosen)


def _chosen(key: str) -> Any:
    """What is chosen, for what is drawn before the choice itself: at the first look only the address knows."""
    return st.session_state[key] if key in st.session_state else st.query_params.get_all(key)


def _columns_and_order(rows: Sequence[Row]) -> tuple[list[str], Column, bool]:
    """The columns to show, the one to sort by, and whether downwards."""
    # What was chosen stays a choice when no run has it any more.
    kept = [*st.session_state.get(_COLUMNS, ()), *DEFAULT_COLUMNS]
    codes = list(dict.fromkeys([*columns_for(rows), *kept]))
    named = labels([NAME, *codes])
    by_name = {label: code for code, label in named.items()}
    sort = _chosen(_SORT) or DEFAULT_ORDER
    if not isinstance(sort, str):
        sort = by_name.get(sort[-1], DEFAULT_ORDER)
    if sort not in named:
        sort = DEFAULT_ORDER
    with st.popover("Columns", icon=":material/view_column:", key="choose-columns"):
        chosen = st.multiselect(
            "Columns",
            codes,
            list(DEFAULT_COLUMNS),
            key=_COLUMNS,
            format_func=lambda code: named[code],
            placeholder="Only the name",
            help="Of every logged value there are the newest, the best and the step of the best.",
            bind="query-params",
        )
    with st.popover(f"By {_within(named[sort])}", icon=":material/sort:", key="choose-order"):
        code = st.selectbox(
            "Sort by",
            [NAME, *codes],
            index=None,
            key=_SORT,
            placeholder=named[DEFAULT_ORDER],
            format_func=lambda code: named[code],
            help="A click on the head of a column does the same, and a second click turns the order round.",
            bind="query-params",
        )
        reverse = st.toggle(
            "Other way round",
            key=_REVERSE,
            help="By itself the order is: best first, newest first, A to Z.",
            bind="query-params",
        )
    order = column(code or DEFAULT_ORDER)
    return chosen, order, order.best_first != reverse


def _within(label: str) -> str:
    """A column's name as it stands within a sentence."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def _clear() -> None:
    st.session_state[_SEARCH] = ""
    for key in (_STATUS, _BCE, _TAGS, _STUDIES):
        st.session_state[key] = []


def _show_archived() -> None:
    st.session_state[_ARCHIVED] = True


def _nothing_found(records: Sequence[RunRecord], query: Query) -> None:
    hidden = sum(record.archived for record in records)
    with st.container(border=True, key="nothing-found"):
        if query.search or query.filters:
            st.markdown("**No run fits.** Search for less, or take a filter away.")
            st.button("Show all runs", icon=":material/filter_list_off:", key="clear-filters", on_click=_clear)
        else:
            st.markdown(f"**All runs are archived.** {count(hidden, 'run')} can be listed again.")
            st.button("Show archived runs", icon=":material/inventory_2:", key="list-archived", on_click=_show_archived)


# -- the table


def _found(
    store: RunStore,
    found: Sequence[Row],
    listed: int,
    codes: Sequence[str],
    order: Column,
    descending: bool,
    baseline: Row | None,
) -> list[RunRecord]:
    """Returns the runs that are in sight."""
    bar = st.container(horizontal=True, vertical_alignment="center", key="runs-bar")
    table = st.container(key="runs-table")
    pages = -(-len(found) // PAGE_ROWS)
    page = st.pagination(pages, key=_PAGE, bind="query-params") if pages > 1 else 1
    shown = found[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    ticked = [row.record for row in shown if row.record.id in st.session_state.get(_TICKED, ())]
    with bar:
        if ticked:
            _actions(store, ticked, baseline)
        else:
            st.caption(f"{_shown_words(len(shown), page, len(found), listed)} Click a row to open its run.")
    with table:
        if baseline is not None:
            _baseline_line(store, baseline)
        _table(store, shown, 1 + (page - 1) * PAGE_ROWS, codes, order, descending, baseline)
        worked_out = [row.record.name for row in shown if row.log.ce_is_worked_out]
        if worked_out and not _OF_CE.isdisjoint(codes):
            st.caption(plain(worked_out_words(worked_out)))
    return [row.record for row in shown]


def _shown_words(shown: int, page: int, found: int, listed: int) -> str:
    if shown < found:
        first = (page - 1) * PAGE_ROWS + 1
        return f"Showing {first:,} to {first + shown - 1:,} of {count(found, 'run')}; search or sort to find others."
    return f"{count(found, 'run')}." if found == listed else f"{found:,} of {count(listed, 'run')}."


def _baseline_line(store: RunStore, baseline: Row) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="baseline"):
        st.markdown(f"{_PINNED} Differences are to **{plain(baseline.record.name)}**.", width="content")
        st.button("Unpin", key="unpin", type="tertiary", on_click=_pin, args=(store, None))


def _pin(store: RunStore, run_id: str | None) -> None:
    attempt(store, run_id or "", partial(save_baseline, store, run_id))


def _table(
    store: RunStore,
    rows: Sequence[Row],
    first: int,
    codes: Sequence[str],
    order: Column,
    descending: bool,
    baseline: Row | None,
) -> None:
    ids = tuple(row.record.id for row in rows)
    pinned = None if baseline is None else baseline.record.id
    table = run_table(rows, codes, _STATUS_CELLS, now(), baseline, first)
    table.insert(0, _PIN, [_PINNED if run_id == pinned else _UNPINNED for run_id in ids])
    # The browser remembers by its place what was ticked or clicked: other runs make another table.
    key = f"runs-{st.session_state.get(_TURN, 0)}-{hash(ids):x}"
    ticked = st.session_state.get(_TICKED, ())
    st.dataframe(
        table,
        key=key,
        height=_HEADER_HEIGHT + _ROW_HEIGHT * min(len(rows), _ROWS_IN_SIGHT),
        row_height=_ROW_HEIGHT,
        hide_index=False,
        on_select=partial(_selected, key, ids),
        selection_mode=["multi-row", "single-cell", "single-column"],
        selection_default={"selection": {"rows": [place for place, run_id in enumerate(ids) if run_id in ticked]}},
        placeholder="–",
        alt=f"Runs, by {_within(order.label)}",
        column_config=_column_config(store, table, ids, codes, order, descending),
    )


def _column_config(
    store: RunStore, table: pd.DataFrame, ids: Sequence[str], codes: Sequence[str], order: Column, descending: bool
) -> dict[str, Any]:
    kinds = st.column_config
    named = labels([NAME, *codes])
    config: dict[str, Any] = {
        # Not only for looks: a table that gets the focus selects its first cell, which would open the first run.
        # Cells of the index are not reported, and from there the arrow keys lead to any row.
        "_index": kinds.NumberColumn("No.", width=_NUMBER_WIDTH),
        _PIN: kinds.ButtonColumn(
            _PINNED,
            width=_PIN_WIDTH,
            type="tertiary",
            help="Pin a run, and the others show how they differ from it.",
            key="pinned-row",
            on_click=partial(_pin_clicked, store, ids),
        ),
    }
    for code in [NAME, *codes]:
        about = column(code)
        label = about.head or named[code]
        if code == order.code:
            label += " ↓" if descending else " ↑"
        match about.kind:
            case "progress":
                made: Any = kinds.ProgressColumn(
                    label, help=about.help, width=100, format="percent", min_value=0, max_value=1
                )
            case "number":
                made = kinds.NumberColumn(label, help=about.help, format=about.format, alignment="right")
                if not is_numeric_dtype(
                    table[code]
                ):  # there is one that is not finite, which a number column cannot say
                    made = kinds.TextColumn(label, help=about.help, alignment="right")
            case "whole":
                made = kinds.NumberColumn(label, help=about.help, format="localized")
            case "tags":
                made = kinds.ListColumn(label, help=about.help)
            case "trend":
                made = kinds.LineChartColumn(label, help=about.help, width="small", color="primary")
            case _:
                made = kinds.TextColumn(label, help=about.help, width="medium" if code == NAME else None)
        config[code] = made
        config[code + DIFFERENCE] = kinds.TextColumn(
            f"to {_PINNED}", help=f"{named[code]}: the difference to the pinned run.", alignment="right"
        )
    return config


def _selected(key: str, ids: Sequence[str]) -> None:
    """Somebody ticked rows, clicked the head of a column, or a cell. `ids` are those of the rows that were shown."""
    state: DataframeState = st.session_state[key]
    selection = state["selection"]
    if selection["columns"]:
        _sort_by(selection["columns"][0].removesuffix(DIFFERENCE))
    elif selection["cells"]:
        row, name = selection["cells"][0]
        if name == _PIN:
            return  # a button of its own, which the arrow keys pass on their way
        st.session_state[_CLICKED] = ids[row]
    else:
        st.session_state[_TICKED] = {ids[row] for row in selection["rows"]}
        return
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def _sort_by(code: str) -> None:
    if code == _PIN:
        return
    again = (st.session_state.get(_SORT) or DEFAULT_ORDER) == code
    st.session_state[_REVERSE] = again and not st.session_state.get(_REVERSE, False)
    st.session_state[_SORT] = code


def _pin_clicked(store: RunStore, ids: Sequence[str]) -> None:
    run_id = ids[st.session_state["pinned-row"]["row"]]
    _pin(store, None if load_baseline(store) == run_id else run_id)


# -- acting on several


def _actions(store: RunStore, ticked: Sequence[RunRecord], baseline: Row | None) -> None:
    st.markdown(f"**{count(len(ticked), 'run')} ticked**", width="content")
    compared = [record.id for record in ticked]
    if baseline is not None and baseline.record.id not in compared:
        compared.insert(0, baseline.record.id)
    if len(compared) > 1 and st.button("Compare", icon=":material/compare_arrows:", key="compare-ticked"):
        st.switch_page(COMPARE_PAGE, query_params={RUNS_PARAMETER: compared})
    if len(ticked) == 1 and (baseline is None or baseline.record.id != ticked[0].id):
        pin = partial(_pin, store, ticked[0].id)
        st.button("Pin as baseline", icon=":material/star:", key="pin-ticked", on_click=pin)
    for away, label, icon in ((False, "Archive", ":material/archive:"), (True, "Restore", ":material/unarchive:")):
        records = [record for record in ticked if record.is_over and record.archived == away]
        if records:
            archive = partial(_archive, store, records, not away)
            st.button(label, icon=icon, key=f"{label.lower()}-ticked", on_click=archive)
    st.button("Untick", icon=":material/close:", key="untick", on_click=_untick)


def _archive(store: RunStore, records: Sequence[RunRecord], archived: bool) -> None:
    done = 0
    for record in records:
        try:
            control.archive(store, record.id, archived)
            done += 1
        except (BceError, OSError) as error:
            news.say(f"{record.name}: {error}", icon=":material/error:")
    if done:
        news.say(f"{count(done, 'run')} {'archived' if archived else 'listed again'}.", icon=":material/check:")
    _untick()


def _untick() -> None:
    st.session_state[_TICKED] = set()
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
