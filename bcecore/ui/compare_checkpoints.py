"""Steps of one run side by side: which checkpoint to keep, logged values, and what the checkpoints write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from bcecore.errors import RunError
from bcecore.findings.finding import Finding
from bcecore.findings.of_comparison import forbids_judging
from bcecore.jobs import evaluations, generation
from bcecore.jobs.local import current_records
from bcecore.report.comparability import Side
from bcecore.report.comparison import Compared, compare, nearest_step, shared_keys
from bcecore.report.keeping import Advice, which_to_keep, within
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.columns import Steps
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui import compare_address as address
from bcecore.ui import news
from bcecore.ui.compare_generation import show_writing
from bcecore.ui.compare_measured import show_measured, show_next_step
from bcecore.ui.compare_sides import open_sides, option
from bcecore.ui.compare_tables import card_keys, show_cards, show_others
from bcecore.ui.evaluation_findings import about_comparison
from bcecore.ui.findings_list import show_findings
from bcecore.ui.live import REFRESH_SECONDS, configs_of
from bcecore.ui.page import keep_supervised
from bcecore.ui.words import plain

MOST_STEPS = 6
_RUN, _STEPS = "compare-run", "compare-steps"
# Of the steps that were checked but not saved, so many are offered; any other logged one can be typed.
_OFFERED = 100


def show(store: RunStore, records: Sequence[RunRecord]) -> None:
    """The choice of a run, and its steps side by side, refreshed while it is going on or its checkpoints write."""
    known = {record.id: record for record in records}
    run_id = _choose_run(known)
    if run_id is None:
        return
    live = _is_live(store, known[run_id])
    st.fragment(_steps, run_every=REFRESH_SECONDS if live else None)(store, run_id, live)


def _is_live(store: RunStore, record: RunRecord) -> bool:
    writing = generation.current(store, record.id)
    return (
        not record.is_over
        or (writing is not None and writing.state == "running")
        or any(not evaluation.is_over for evaluation in evaluations.current_evaluations(store, record.id))
    )


def _choose_run(known: dict[str, RunRecord]) -> str | None:
    asked = address.run()
    if asked is None:
        asked = next((run_id for run_id, record in known.items() if record.progress is not None), next(iter(known)))
    if asked not in known:
        st.warning(
            "**There is no run at this address.** It may have been deleted, or the address was cut short. "
            "Choose one of the runs below.",
            icon=":material/search_off:",
        )
    found = asked if asked in known else None
    st.session_state[_RUN] = found
    st.selectbox(
        "Run",
        list(known),
        key=_RUN,
        format_func=lambda run_id: option(known[run_id]),
        placeholder="Choose a run",
        on_change=_run_chosen,
        width=460,
    )
    return found


def _run_chosen() -> None:
    address.set_run(st.session_state[_RUN])


def _steps(store: RunStore, run_id: str, live: bool) -> None:
    records = current_records(store)
    news.tell([*records, *evaluations.current_evaluations(store)])
    record = next((record for record in records if record.id == run_id), None)
    if record is None or live != _is_live(store, record):
        st.rerun(scope="app")  # deleted, begun or ended: the page is drawn anew
    if live:
        keep_supervised(store)
    saved = checkpoint_steps(store.directory(run_id))
    noticed = about_comparison(store, [record])
    judged = not forbids_judging(noticed)
    try:
        with open_sides(store, [(record, None)]) as [whole]:
            logged = whole.steps.copy()
            if not len(logged):
                st.markdown("Nothing was logged yet. Its steps are compared here as soon as there are some.")
                return
            advice = which_to_keep(whole, saved)
            checked = whole.series("eval_loss").steps
            chosen = _chosen(logged, saved, checked, advice)
            sides = _sides(whole, chosen)
            keys = shared_keys(sides) if len(sides) > 1 else []
            first = card_keys(keys)
            compared = compare(sides, keys=first, judged=judged)
    except RunError:
        st.rerun(scope="app")

    def compare_others() -> list[Compared]:
        with open_sides(store, [(record, None)]) as [again]:
            return compare(_sides(again, chosen), keys=[key for key in keys if key not in first], judged=judged)

    _say_what_is_not_there(logged, saved)
    _choose_steps(logged, saved, checked.tolist(), chosen)
    _answer(store, record, advice, chosen, saved, noticed)
    if len(chosen) < 2:
        st.caption("Choose a second step to compare with.")
    else:
        st.header("Logged values", anchor=False)
        st.caption(
            f"Differences are to step {chosen[0]:,}. A value that was not logged at a step is shown for the nearest "
            "one at which it was. CE and loss are of the lines of a single step: they tell little about two of them."
        )
        show_cards(compared, sides, 0, by_step=True)
        show_others(len(keys) - len(first), compare_others, sides, by_step=True)
    show_writing(store, record, chosen, saved)


def _sides(whole: Side, steps: Sequence[int]) -> list[Side]:
    return [replace(whole, name=f"Step {step:,}", step=step) for step in steps]


def _chosen(logged: Steps, saved: Sequence[int], checked: Steps, advice: Advice) -> list[int]:
    """The steps in the address, each moved to the nearest that was logged; else the first ones worth a look."""
    asked, _ = address.steps()
    if asked:
        return sorted({step if step in saved else nearest_step(logged, step) for step in asked})[:MOST_STEPS]
    worth = [*saved[-1:], *([] if advice.step is None else [advice.step]), *saved[::-1]]
    worth += [*checked[-1:].tolist(), *checked[:1].tolist(), int(logged[-1]), int(logged[0])]
    return sorted(list(dict.fromkeys(worth))[:2])


def _say_what_is_not_there(logged: Steps, saved: Sequence[int]) -> None:
    """Which steps of the address this run does not have; a link may be of another run, or older than this one."""
    asked, no_steps = address.steps()
    missing = [step for step in asked if step not in saved and nearest_step(logged, step) != step]
    parts = [f"“{plain(text)}” is not a step." for text in no_steps]
    parts += [f"Step {step:,} was not logged; step {nearest_step(logged, step):,} is the nearest." for step in missing]
    if len(asked) > MOST_STEPS:
        parts.append(f"Only {MOST_STEPS} steps are compared at a time.")
    if parts:
        st.warning(f"**Not all steps of this address are here.** {' '.join(parts)}", icon=":material/search_off:")


def _choose_steps(logged: Steps, saved: Sequence[int], checked: Sequence[int], chosen: Sequence[int]) -> None:
    offered = sorted({*saved, *checked[-_OFFERED:], *chosen}, reverse=True)
    st.session_state[_STEPS] = [str(step) for step in chosen]
    st.multiselect(
        "Steps",
        [str(step) for step in offered],
        key=_STEPS,
        format_func=lambda text: _step_words(text, saved),
        accept_new_options=True,
        max_selections=MOST_STEPS,
        placeholder="Choose steps, or type one",
        help="Saved checkpoints and checked steps are listed. Any other step can be typed: the nearest logged one is "
        "taken.",
        on_change=_steps_chosen,
        args=(logged, saved),
    )


def _step_words(text: str, saved: Sequence[int]) -> str:
    if not text.isdecimal():
        return text
    return f"Step {int(text):,}{' · saved' if int(text) in saved else ''}"


def _steps_chosen(logged: Steps, saved: Sequence[int]) -> None:
    """Typed steps are taken for the nearest that was logged, and what is no number for nothing, with a word on it."""
    chosen = []
    for text in st.session_state[_STEPS]:
        step = address.as_step(str(text))
        if step is None:
            news.say(f"“{text}” is not a step. Type a whole number.", icon=":material/error:")
            continue
        near = step if step in saved else nearest_step(logged, step)
        if near != step:
            news.say(f"Step {step:,} was not logged; step {near:,}, the nearest that was, is taken.")
        chosen.append(near)
    address.set_steps(chosen)


def _answer(
    store: RunStore,
    record: RunRecord,
    advice: Advice,
    chosen: Sequence[int],
    saved: Sequence[int],
    noticed: Sequence[Finding],
) -> None:
    """Which to keep: from what was measured of the chosen steps, and only where nothing was, from the log."""
    config = configs_of(store, [record]).get(record.id)
    if config is None:
        _show_advice(advice, saved)
        return
    records = evaluations.current_evaluations(store, record.id)
    with st.container(key="compare-measured"):
        measured = show_measured(store, config, records, chosen)
    if not measured:
        show_findings(noticed, key="compare-noticed")
        _show_advice(within(advice, noticed), saved)
    elif advice.step is not None and advice.step not in measured:
        st.caption(
            f"By the log alone, step {advice.step:,} had the lowest held-out CE of the saved checkpoints. It is not "
            "among the steps that were measured here."
        )
    able = [step for step in evaluations.evaluable_steps(store, record.id) if step in chosen]
    show_next_step(record, records, able, measured)


def _show_advice(advice: Advice, saved: Sequence[int]) -> None:
    with st.container(key="compare-advice"):
        if advice.step is None:
            st.info(f"**Which to keep?** {advice.reason}", icon=":material/help:")
        elif saved:
            st.success(f"**Keep step {advice.step:,}.** {advice.reason}", icon=":material/bookmark_star:")
        else:
            st.info(
                f"**Step {advice.step:,} was the best.** {advice.reason} There is no checkpoint of this run here.",
                icon=":material/bookmark_star:",
            )
