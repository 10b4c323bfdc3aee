"""What the Evaluate page shows: the form for a new evaluation, one evaluation, or the report's own files.

The address decides: `?run=ID` is the form, `&evaluation=ID` one evaluation, and `?view=report` the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bcecore.errors import RunError
from bcecore.jobs import evaluations
from bcecore.jobs.local import current_records
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore
from bcecore.store.record import JobRecord, RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs, news
from bcecore.ui.evaluate_form import show_form
from bcecore.ui.evaluate_progress import (
    open_evaluation,
    show_dialogs,
    show_header,
    show_list,
    show_progress,
)
from bcecore.ui.evaluate_results import show_results, show_so_far
from bcecore.ui.evaluate_stats import REPORT_VIEW, VIEW_PARAMETER, open_report_files, show_report_files
from bcecore.ui.live import REFRESH_SECONDS
from bcecore.ui.page import (
    EVALUATION_PARAMETER,
    HOME_PAGE,
    LAUNCH_PAGE,
    RUN_PARAMETER,
    keep_supervised,
)
from bcecore.ui.words import moment, plain

_RUN, _EVALUATION = "evaluate-run", "evaluate-evaluation"
_NEW = ""


def show(store: RunStore) -> None:
    """The whole page below its frame."""
    if st.query_params.get(VIEW_PARAMETER) == REPORT_VIEW:
        show_report_files()
        return
    st.title("Evaluate", anchor=False)
    choices = st.container(horizontal=True, key="evaluate-choices")
    record = _choose_run(store, choices)
    if record is None:
        _offer_report_files()
        return
    if record.status == "imported":
        _imported()
        _offer_report_files()
        return
    found = evaluations.current_evaluations(store, record.id)
    news.tell(found)
    show_dialogs(store)
    chosen = _chosen_evaluation(record, found, choices)
    if chosen is not None:
        _show_evaluation(store, record, chosen)
        return
    try:
        store.config(record.id)
    except RunError as error:
        _damaged(error)
        return
    show_form(store, record)
    show_list(store, record.id, found)
    _offer_report_files()


# -- which run


def _choose_run(store: RunStore, place: DeltaGenerator) -> RunRecord | None:
    """The run in the address, else the newest that can be evaluated; None, and the page has said so."""
    records = current_records(store)
    if not records:
        st.markdown(
            "Here you measure how well a run predicts texts that you choose, with BCE on and off side by side. "
            "There is no run yet to be measured."
        )
        st.page_link(HOME_PAGE, label="Start the first one from Home", icon=":material/home:")
        return None
    known = {record.id: record for record in records}
    asked = st.query_params.get(RUN_PARAMETER)
    if asked is None:
        own = [record for record in records if record.status != "imported"]
        asked = next((record.id for record in own if record.status == "finished"), (own or records)[0].id)
    if asked not in known:
        st.error(
            "**There is no run at this address.** It may have been deleted, or the address was cut short. "
            "Choose one of the runs below.",
            icon=":material/search_off:",
        )
    # Another page's selection must not linger: the address decides.
    st.session_state[_RUN] = asked if asked in known else None
    place.selectbox(
        "Run",
        list(known),
        key=_RUN,
        format_func=_titles(records).__getitem__,
        placeholder="Choose a run",
        on_change=lambda: open_evaluation(st.session_state[_RUN], None),
        width=460,
    )
    return known.get(asked)


def _titles(records: Sequence[JobRecord]) -> dict[str, str]:
    """What a list calls each, by id. No two alike: a list knows what was chosen by its words alone."""
    titles = {record.id: f"{record.name} · {moment(record.created)}" for record in records}
    often = Counter(titles.values())
    return {key: title if often[title] == 1 else f"{title} · {key.rpartition('-')[2]}" for key, title in titles.items()}


def _imported() -> None:
    st.info(
        "**An imported run cannot be evaluated.** Its log is here, but no model: an import brings the figures, not the "
        "weights. Train a run here, with the same settings if you like, and evaluate that.",
        icon=":material/download_done:",
    )
    st.page_link(LAUNCH_PAGE, label="Train a run", icon=":material/rocket_launch:")


def _offer_report_files() -> None:
    st.button(
        "Read the report's evaluation files",
        icon=":material/upload_file:",
        type="tertiary",
        key="open-report-files",
        help="Shows bce_eval_stats.json and wikitext_eval_stats.json in the same tables.",
        on_click=open_report_files,
    )


def _damaged(error: RunError) -> None:
    st.error(
        "**This run cannot be evaluated:** its settings are damaged. Its checkpoints are not touched.",
        icon=":material/broken_image:",
    )
    with st.expander("Technical detail"):
        st.code(str(error), language=None, wrap_lines=True)


# -- which evaluation


def _chosen_evaluation(
    record: RunRecord, found: list[EvaluationRecord], place: DeltaGenerator
) -> EvaluationRecord | None:
    """The evaluation in the address, if there is one; the others can be chosen beside it."""
    asked = st.query_params.get(EVALUATION_PARAMETER)
    known = {evaluation.id: evaluation for evaluation in found}
    if asked is not None and asked not in known:
        st.error(
            "**There is no evaluation at this address.** It may have been deleted, or the address was cut short.",
            icon=":material/search_off:",
        )
    chosen = known.get(asked or _NEW)
    if chosen is not None and len(known) > 1:
        st.session_state[_EVALUATION] = chosen.id
        place.selectbox(
            "Evaluation",
            [*known],
            key=_EVALUATION,
            format_func=_titles(found).__getitem__,
            on_change=lambda: open_evaluation(record.id, st.session_state[_EVALUATION]),
            width=460,
        )
    return chosen


def _show_evaluation(store: RunStore, run: RunRecord, record: EvaluationRecord) -> None:
    """One evaluation: refreshed while it is going on, and all of its results once it is over."""
    live = not record.is_over
    with st.container(key="evaluation"):
        st.fragment(_work, run_every=REFRESH_SECONDS if live else None)(store, record.key, live)
    if live or record.request is None:
        return
    try:
        result = EvaluationStore(store).result(record.key)
        config = store.config(run.id)
    except RunError as error:
        st.error("**The results cannot be read.** Evaluate once more.", icon=":material/broken_image:")
        with st.expander("Technical detail"):
            st.code(plain(str(error)), language=None, wrap_lines=True)
        return
    if result is not None and any(entry["checkpoints"] for entry in result["splits"].values()):
        show_results(store, run, config, record, result)


def _work(store: RunStore, key: str, live: bool) -> None:
    dialogs.redraw_if_asked()
    found = {record.key: record for record in evaluations.current_evaluations(store, key.partition("/")[0])}
    record = found.get(key)
    if record is None or live == record.is_over or st.query_params.get(EVALUATION_PARAMETER) != record.id:
        st.rerun(scope="app")  # deleted, begun again, over or left: the page is drawn anew
    if live:
        keep_supervised(store)
    news.tell(found.values())
    show_header(record)
    show_progress(store, record)
    if live:
        show_so_far(EvaluationStore(store), record)
