"""A study while it is at work: how far it is, each of its runs, what failed, and what can be done. Never a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from urllib.parse import urlencode

import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.evaluation.study import controlling
from bcecore.evaluation.study.progress import WAITS_FOR_SOMEBODY, CellProgress, StudyProgress, progress
from bcecore.files import directory_size
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from bcecore.ui import dialogs, news
from bcecore.ui.page import NEW_STUDY, RUN_PAGE, RUN_PARAMETER, STUDY_PARAMETER, keep_supervised
from bcecore.ui.study_list import open_study
from bcecore.ui.study_words import (
    CELL_WORDS,
    STUDY_WORDS,
    about_words,
    advice_words,
    cell_words,
    done_share,
    is_moving,
    time_left_words,
    when_words,
)
from bcecore.ui.words import count, moment, plain, size

_DELETE, _EXTEND = "delete-study", "extend-study"
_TROUBLES = 4
# Shades of the text's own colour suit both themes; the sign and the word say what the colour says.
_STYLE = """<style>
.study-grid { overflow-x: auto; }
.study-grid table { border-collapse: separate; border-spacing: 4px; width: 100%; font-size: 0.93rem; }
.study-grid caption { text-align: left; padding: 0 0 0.3rem 4px; opacity: 0.85; }
.study-grid th { text-align: left; font-weight: 600; padding: 0.25rem 0.5rem; white-space: nowrap; }
.study-grid thead th { white-space: normal; overflow-wrap: anywhere; }
.study-grid td { padding: 0; border-radius: 6px; background: color-mix(in srgb, currentColor 6%, transparent);
  border-left: 4px solid var(--mark, #7A7F87); min-width: 7rem; }
.study-grid td a, .study-grid td span { display: block; padding: 0.3rem 0.6rem; color: inherit; }
.study-grid .violet { --mark: #6a61d8; } .study-grid .green { --mark: #009E73; }
.study-grid .orange { --mark: #BF830A; } .study-grid .red { --mark: #D1495B; }
</style>"""


def show_work(store: RunStore, study_id: str, live: bool, due: Sequence[int]) -> None:
    """How far a study is, with its buttons. Refreshed while `live`; `due` are the looks that could not be taken."""
    dialogs.redraw_if_asked()
    if st.query_params.get(STUDY_PARAMETER) != study_id:
        st.rerun(scope="app")  # left for another one
    try:
        found = progress(store, study_id)
    except RunError:
        st.rerun(scope="app")  # deleted in the meantime: the page says so
    if live != is_moving(found) or tuple(due) != found.due:
        st.rerun(scope="app")  # over, begun again, or a result is due
    if live:
        keep_supervised(store)
    news.tell(())
    _header(found)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="study-actions"):
        _actions(store, found)
    _notice(found)
    if not found.state.looks or found.status != "complete":
        show_grid(found)


def _header(found: StudyProgress) -> None:
    plan, words = found.plan, STUDY_WORDS[found.status]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="study-header"):
        st.title(plain(plan.name), anchor=False, width="content")
        st.badge(words.word, icon=words.icon, color=words.color)
    st.caption(f"{plain(about_words(plan))} · {moment(plan.created)}")
    if found.status == "complete":
        return
    done, total = found.steps
    parts = [found.sentence.rstrip("."), f"step {done:,} of {total:,}", time_left_words(found)]
    st.progress(done_share(found), text=" · ".join(filter(None, parts)))


def _actions(store: RunStore, found: StudyProgress) -> None:
    study_id = found.plan.id
    if is_moving(found) and not found.state.stopped:
        _button(
            "Stop",
            ":material/stop_circle:",
            partial(controlling.stop, store, study_id),
            "What is at work saves and stops, what waits leaves the queue. Nothing is lost: it can go on later.",
        )
    elif is_moving(found) or any(map(_is_active, found.cells)):
        st.button("Stopping…", icon=":material/stop_circle:", key="study-stop", disabled=True)
    if _can_resume(found):
        _button(
            "Resume",
            ":material/resume:",
            partial(controlling.resume, store, study_id),
            "Everything that did not finish goes back into the queue and goes on from its last checkpoint; what is "
            "missing is made anew.",
            primary=not is_moving(found),
        )
    if found.status == "complete" and found.next_look is not None:
        more = found.next_look - found.state.launched
        st.button(
            f"Train the next {count(more, 'seed')}",
            icon=":material/playlist_add:",
            key="study-extend",
            type="primary",
            help=f"The next planned look is at {found.next_look} seeds.",
            on_click=dialogs.ask,
            args=(_EXTEND, study_id),
        )
    st.button("All studies", icon=":material/list:", key="all-studies", on_click=open_study, args=(None,))
    st.button("New study", icon=":material/add:", key="new-study", on_click=open_study, args=(NEW_STUDY,))
    st.button(
        "Delete",
        icon=":material/delete:",
        key="study-delete",
        disabled=any(_is_active(each) for each in found.cells),
        help="A study that is at work has to be stopped first." if any(map(_is_active, found.cells)) else None,
        on_click=dialogs.ask,
        args=(_DELETE, study_id),
    )


def _can_resume(found: StudyProgress) -> bool:
    """Whether there is something that only goes on if somebody says so, and nothing is about to stop."""
    stopping = found.state.stopped and any(map(_is_active, found.cells))
    return not stopping and any(each.status in WAITS_FOR_SOMEBODY for each in found.cells)


def _is_active(each: CellProgress) -> bool:
    return any(job is not None and job.is_active for job in (each.run, each.evaluation))


def _button(label: str, icon: str, action: Callable[[], object], about: str, *, primary: bool = False) -> None:
    st.button(
        label,
        icon=icon,
        type="primary" if primary else "secondary",
        key=f"study-{label.lower()}",
        help=about,
        on_click=attempt_of_study,
        args=(action,),
    )


def attempt_of_study(action: Callable[[], object], done: str | None = None) -> None:
    """Do it, or say why it could not be done; for callbacks."""
    try:
        action()
    except (BceError, OSError) as error:
        news.say(advice_words(str(error)), icon=":material/error:")
        return
    if done is not None:
        news.say(done, icon=":material/check:")


def _notice(found: StudyProgress) -> None:
    """What its state means, and what is the matter with single runs."""
    with st.container(key="study-notice"):
        if found.status == "stopped":
            st.warning(
                "**Stopped.** What is trained and measured is kept. “Resume” goes on from the last checkpoints.",
                icon=":material/stop_circle:",
            )
        elif found.status == "needs somebody":
            st.error(
                "**Nothing goes on by itself.** Look at the runs below, then press “Resume”: it tries once more from "
                "their last checkpoints.",
                icon=":material/error:",
            )
        elif found.status == "complete" and found.next_look is not None:
            st.info(
                f"**A look at {found.next_look} seeds is planned as well.** It was planned before the first result, so "
                "it may be taken whatever that says; more than that would make chance look like a finding.",
                icon=":material/playlist_add:",
            )
        # What broke for good is told by the verdict; and that all runs of a stopped study are stopped is no news.
        troubles = [] if found.status == "complete" else list(found.troubles)
        if found.state.stopped:
            troubles = [each for each in troubles if each.status != "stopped"]
        for each in troubles[:_TROUBLES]:
            _trouble(each)
        if troubles[_TROUBLES:]:
            st.caption(f"{count(len(troubles) - _TROUBLES, 'more run')} like this: see the table below.")
        if found.status in ("at work", "stopped", "needs somebody"):
            st.info(when_words(found), icon=":material/visibility_off:")


def _trouble(each: CellProgress) -> None:
    advice = advice_words(each.what_to_do)
    with st.container(horizontal=True, vertical_alignment="center", key=f"trouble-{each.arm}-{each.seed}"):
        st.markdown(
            f":red[:material/error:] {plain(each.trouble[:1].upper() + each.trouble[1:])} {plain(advice)}",
            width="stretch",
        )
        if each.run is not None:
            st.page_link(
                RUN_PAGE,
                label="Look at the run",
                icon=":material/monitoring:",
                query_params={RUN_PARAMETER: each.run.id},
                width="content",
            )


def show_grid(found: StudyProgress) -> None:
    """Every run of the study: a row for each seed, a column for each arm; each leads to its run."""
    st.html(_STYLE + grid_html(found))


def grid_html(found: StudyProgress) -> str:
    """The table that `show_grid` shows."""
    cells = {(each.seed, each.arm): each for each in found.cells}
    plan = found.plan
    head = "".join(f'<th scope="col">{escape(arm.name)}</th>' for arm in plan.arms)
    rows = []
    for seed in plan.seeds[: found.state.launched]:
        row = "".join(_cell(cells[seed, arm.name]) for arm in plan.arms)
        rows.append(f'<tr><th scope="row">Seed {seed}</th>{row}</tr>')
    later = len(plan.seeds) - found.state.launched
    more = f"; {count(later, 'more seed')} at the next planned looks" if later else ""
    caption = f"{count(len(cells), 'run')}: the runs of a row are twins{more}."
    return (
        '<div class="study-grid" role="region" aria-label="Runs of the study" tabindex="0">'
        f"<table><caption>{caption}</caption>"
        f'<thead><tr><th scope="col"></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _cell(each: CellProgress) -> str:
    words = CELL_WORDS[each.status]
    said = f'<b aria-hidden="true">{words.sign}</b> {escape(cell_words(each))}'
    if each.run is None:
        return f'<td class="{words.color}"><span>{said}</span></td>'
    address = escape(f"Run?{urlencode({RUN_PARAMETER: each.run.id})}")
    return f'<td class="{words.color}"><a href="{address}" target="_self">{said}</a></td>'


# -- dialogs


def show_dialogs(store: RunStore) -> None:
    """Draw the question that was asked for, if any. Outside what refreshes, and before it."""
    dialogs.show_asked(
        {
            _DELETE: ("Delete this study?", partial(_delete, store)),
            _EXTEND: ("Train more seeds?", partial(_extend, store)),
        }
    )


def _delete(store: RunStore, study_id: str) -> None:
    studies = StudyStore(store)
    try:
        name, runs = studies.plan(study_id).name, list(studies.state(study_id).runs.values())
    except RunError:
        st.error("This study is not here any more, or its files are damaged.", icon=":material/error:")
        return
    there = [run_id for run_id in runs if (store.root / run_id).is_dir()]
    taken = sum(directory_size(store.root / run_id) for run_id in there)
    st.markdown(
        f"**{plain(name)}** goes to the trash with its verdict and its {count(len(there), 'run')}, their checkpoints, "
        f"logs and measurements: {size(taken)}. Until the trash is emptied it can be taken back."
    )
    st.code(f"python -m bcecore study restore {study_id}", language="bash", wrap_lines=True)
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Keep it", key="dialog-leave", on_click=dialogs.close)
        if st.button("Delete", icon=":material/delete:", type="primary", key="dialog-delete"):
            attempt_of_study(partial(controlling.delete, store, study_id), f"{name} is in the trash, with its runs.")
            dialogs.close()
            if study_id not in studies.ids():
                open_study(None)
            st.rerun()


def _extend(store: RunStore, study_id: str) -> None:
    try:
        found = progress(store, study_id)
    except RunError:
        st.error("This study is not here any more, or its files are damaged.", icon=":material/error:")
        return
    if found.next_look is None:
        st.markdown("All the seeds that were planned are trained.")
        return
    more = found.next_look - found.state.launched
    st.markdown(
        f"{count(more, 'more seed')}, {count(more * len(found.plan.arms), 'run')} in all, join the queue. When they "
        f"are measured, all {found.next_look} seeds are looked at together, as planned before the first result."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Not now", key="dialog-leave", on_click=dialogs.close)
        if st.button("Train them", icon=":material/playlist_add:", type="primary", key="dialog-extend"):
            attempt_of_study(partial(controlling.extend, store, study_id))
            dialogs.close()
            st.rerun()
