"""Runs side by side: which ones, what differs, their curves, their values against the baseline, and seeds."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from bcecore.errors import RunError
from bcecore.findings.of_comparison import forbids_judging
from bcecore.jobs.local import current_records
from bcecore.report.comparability import warnings
from bcecore.report.comparison import CHANCE, Compared, compare, shared_keys
from bcecore.report.differences import differences, seed_groups
from bcecore.report.palette import run_palette
from bcecore.report.spread import reach_words, spreads
from bcecore.store.baseline import load_baseline
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui import compare_address as address
from bcecore.ui import news
from bcecore.ui.compare_charts import show_charts
from bcecore.ui.compare_sides import open_sides, option
from bcecore.ui.compare_tables import card_keys, show_cards, show_differences, show_others, show_seeds
from bcecore.ui.config_form import choice_words
from bcecore.ui.evaluation_findings import about_comparison
from bcecore.ui.findings_list import show_findings
from bcecore.ui.live import REFRESH_SECONDS
from bcecore.ui.page import LAUNCH_PAGE, RUN_PAGE, RUN_PARAMETER, keep_supervised
from bcecore.ui.words import STATUS_WORDS, count, plain

MOST_RUNS = 12
_RUNS, _BASELINE, _AT = "compare-runs", "compare-baseline", "compare-at"
# The colour of the run's curves; their names are in the charts' legends.
_SWATCH = (
    '<span aria-hidden="true" style="display:inline-block;width:1.1rem;height:0.35rem;border-radius:3px;'
    'background:{color}"></span>'
)
_AT_WORDS = {False: "Last and best values", True: "Values at the same step"}


def show(store: RunStore, records: Sequence[RunRecord]) -> None:
    """The choice of runs, and what is compared of them, refreshed while one of them is going on."""
    known = {record.id: record for record in records}
    chosen = _choose(known)
    if len(chosen) < 2:
        _too_few(records, chosen)
        return
    baseline = _choose_baseline(store, known, chosen)
    live = any(not known[run_id].is_over for run_id in chosen)
    st.fragment(_compared, run_every=REFRESH_SECONDS if live else None)(store, chosen, baseline, live)


def _choose(known: dict[str, RunRecord]) -> list[str]:
    asked = address.runs()
    chosen = [run_id for run_id in asked if run_id in known][:MOST_RUNS]
    gone = sum(run_id not in known for run_id in asked)
    if gone:
        st.warning(
            f"**{count(gone, 'run')} of this address {'is' if gone == 1 else 'are'} not here.** A run may have been "
            "deleted, or the address was cut short. The others are below.",
            icon=":material/search_off:",
        )
    # Those that were put away are only offered where they are compared already.
    offered = [run_id for run_id, record in known.items() if not record.archived or run_id in chosen]
    st.session_state[_RUNS] = chosen
    st.multiselect(
        "Runs",
        offered,
        key=_RUNS,
        format_func=lambda run_id: option(known[run_id]),
        placeholder="Choose two or more runs; type to search",
        max_selections=MOST_RUNS,
        on_change=_runs_chosen,
    )
    return chosen


def _runs_chosen() -> None:
    address.set_runs(st.session_state[_RUNS])


def _too_few(records: Sequence[RunRecord], chosen: Sequence[str]) -> None:
    if len(records) == 1:
        st.markdown(
            "There is one run so far. With a second one, their curves and values are compared here; steps of one run "
            "can be compared already."
        )
        st.page_link(LAUNCH_PAGE, label="Start another run", icon=":material/rocket_launch:")
        return
    st.markdown(
        "Their curves, their values and what differs in their settings will be shown here. "
        + ("Choose one more run." if chosen else "Choose the runs above, or begin with the newest.")
    )
    if not chosen:
        newest = [record.id for record in records if not record.archived][:2]
        st.button(
            "Compare the two newest runs",
            type="primary",
            icon=":material/compare_arrows:",
            key="compare-newest",
            on_click=address.set_runs,
            args=(newest,),
            disabled=len(newest) < 2,
        )


def _choose_baseline(store: RunStore, known: dict[str, RunRecord], chosen: Sequence[str]) -> str:
    """The run in the address, else the pinned one, else the first."""
    pinned = load_baseline(store)
    wanted = [address.baseline(), pinned, chosen[0]]
    baseline = next(run_id for run_id in wanted if run_id is not None and run_id in chosen)
    st.session_state[_BASELINE] = baseline
    st.selectbox(
        "Baseline",
        chosen,
        key=_BASELINE,
        format_func=lambda run_id: f"{'★ ' if run_id == pinned else ''}{option(known[run_id])}",
        help="Every difference is the value of a run minus the value of this one. ★ is the run pinned on Home.",
        on_change=_baseline_chosen,
        width=460,
    )
    return baseline


def _baseline_chosen() -> None:
    address.set_baseline(st.session_state[_BASELINE])


def _compared(store: RunStore, chosen: Sequence[str], baseline_id: str, live: bool) -> None:
    known = {record.id: record for record in current_records(store)}
    news.tell(known.values())
    if any(run_id not in known for run_id in chosen):
        st.rerun(scope="app")  # deleted in the meantime: the page says so
    records = [known[run_id] for run_id in chosen]
    if live != any(not record.is_over for record in records):
        st.rerun(scope="app")  # once: the page is drawn anew, without a timer or with one
    if live:
        keep_supervised(store)
    try:
        _show_compared(store, records, list(chosen).index(baseline_id))
    except RunError:
        st.rerun(scope="app")  # deleted this very moment


def _show_compared(store: RunStore, records: Sequence[RunRecord], baseline: int) -> None:
    same_step = address.same_step()
    chosen = [(record, None) for record in records]
    noticed = about_comparison(store, records)
    judged = not forbids_judging(noticed)
    with open_sides(store, chosen) as sides:
        keys = shared_keys(sides, baseline)
        first = card_keys(keys)
        compared = compare(sides, baseline, same_step=same_step, keys=first, judged=judged)
        differing = differences(sides, choice_words)
        groups = seed_groups(sides)
        members = [[sides[place] for place in group.members] for group in groups]
        measured = [
            (group, spreads(those, first), reach_words(those)) for group, those in zip(groups, members, strict=True)
        ]
        cautions = warnings(first, sides, baseline)

    def compare_others() -> list[Compared]:
        others = [key for key in keys if key not in first]
        with open_sides(store, chosen) as again:
            return compare(again, baseline, same_step=same_step, keys=others, judged=judged)

    _heads(records, baseline)
    show_differences(differing, sides)
    st.header("Curves", anchor=False)
    show_charts(store, records, groups)
    st.header("Values against the baseline", anchor=False)
    st.caption(f"{CHANCE} CE and loss are of the lines of a single step, so that they jump; held-out CE is steadier.")
    with st.container(key="compare-cautions"):
        for caution in cautions:
            st.warning(plain(caution), icon=":material/warning:")
        show_findings(noticed, key="compare-noticed")
    _choose_at(same_step)
    if not keys:
        st.caption("The runs have logged nothing that can be compared yet.")
    elif not same_step and any(one.at_different_steps for one in compared):
        st.caption(
            ":material/info: The last values are of different steps, as the small figures say. “Values at the same "
            "step” compares what the runs had reached after equally many steps."
        )
    show_cards(compared, sides, baseline, by_step=same_step)
    show_others(len(keys) - len(first), compare_others, sides, by_step=same_step)
    if measured:
        show_seeds(measured, sides)


def _choose_at(same_step: bool) -> None:
    st.session_state[_AT] = same_step
    st.segmented_control(
        "Which values",
        list(_AT_WORDS),
        format_func=lambda same: _AT_WORDS[same],
        required=True,
        key=_AT,
        on_change=_at_chosen,
        label_visibility="collapsed",
        help="The same step is the largest one at which all of the runs logged the value.",
    )


def _at_chosen() -> None:
    address.set_same_step(st.session_state[_AT])


def _heads(records: Sequence[RunRecord], baseline: int) -> None:
    colors = run_palette([record.id for record in records])
    with st.grid(4, min_column_width=230, key="compare-heads"):
        for place, record in enumerate(records):
            words = STATUS_WORDS[record.status]
            with st.container(border=True, height="stretch", gap="xsmall", key=f"head-{record.id}"):
                st.page_link(RUN_PAGE, label=f"**{plain(record.name)}**", query_params={RUN_PARAMETER: record.id})
                with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
                    st.html(_SWATCH.format(color=colors[record.id]), width="content")
                    st.badge(words.word, icon=words.icon, color=words.color)
                    if place == baseline:
                        st.badge("Baseline", icon=":material/star:", color="blue")
                done = record.progress
                if done is not None:
                    st.caption(f"{count(done.step, 'step')}" + ("" if record.is_over else f" of {done.total_steps:,}"))
