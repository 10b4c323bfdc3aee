"""What the Run page shows of one run: how far it is, how well it learns, whether BCE acts, and what it was made of.

Everything that moves stands in one fragment, whose tree of elements stays the same while the run is going on: the
browser then changes values in place.
"""

from __future__ import annotations

import streamlit as st

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.jobs.evaluations import current_evaluations
from bcecore.jobs.local import current_records, reconciled
from bcecore.report.acting import Acting, Light, acting
from bcecore.report.imported_headline import headline
from bcecore.report.palette import HELD_OUT
from bcecore.report.progress import checkpoint_words, done_share, pace_words, step_words
from bcecore.report.run_figures import run_color
from bcecore.report.small_charts import sparkline
from bcecore.report.summary import At, RunSummary, summarise
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.record import WAITING, RunRecord, now
from bcecore.store.runs import RunStore
from bcecore.ui import dialogs, imported_view, news, run_findings
from bcecore.ui.live import REFRESH_SECONDS, open_history
from bcecore.ui.page import ABOUT_PAGE, HOME_PAGE, LAUNCH_PAGE, RUN_PARAMETER, keep_supervised
from bcecore.ui.queue_outlook import outlook
from bcecore.ui.run_actions import show_bar
from bcecore.ui.run_charts import show_charts
from bcecore.ui.run_checkpoints import evaluate_link
from bcecore.ui.run_details import show_details
from bcecore.ui.run_dialogs import show_dialogs
from bcecore.ui.run_findings import Seen
from bcecore.ui.study_link import show_belonging
from bcecore.ui.words import STATUS_WORDS, duration, moment, number, plain

_CHOICE = "run-choice"
_LIGHTS: dict[Light, tuple[str, str]] = {
    "off": (":material/radio_button_unchecked:", "gray"),
    "unknown": (":material/pending:", "gray"),
    "warming": (":material/trending_up:", "blue"),
    "acting": (":material/check_circle:", "green"),
    "idle": (":material/warning:", "orange"),
}


def choose(store: RunStore) -> str | None:
    """The run that the page is about: the one in its address, else the newest at work, else the newest.

    None when there is nothing to show; the page has then said so.
    """
    records = current_records(store)
    asked = st.query_params.get(RUN_PARAMETER)
    known = {record.id: record for record in records}
    if not records:
        st.title("No run yet" if asked is None else "This run is not here", anchor=False)
        st.markdown("A run shows here how far it is and how well it learns, while it is going on and after.")
        st.page_link(HOME_PAGE, label="Start the first one from Home", icon=":material/home:")
        return None
    if asked is None:
        newest = next((record for record in records if record.is_active), records[0])
        asked = newest.id
    if asked not in known:
        st.error(
            "**There is no run at this address.** It may have been deleted, or the address was cut short. "
            "Choose one of the runs below.",
            icon=":material/search_off:",
        )
    found = asked if asked in known else None
    if found is None or len(records) > 1:
        # Another page's selection must not linger: the address decides.
        st.session_state[_CHOICE] = found
        st.selectbox(
            "Run",
            list(known),
            key=_CHOICE,
            format_func=lambda run_id: _option(known[run_id]),
            placeholder="Choose a run",
            on_change=_chosen,
            width=460,
        )
    return found


def _option(record: RunRecord) -> str:
    return f"{record.name} · {moment(record.created)}"


def _chosen() -> None:
    st.query_params[RUN_PARAMETER] = st.session_state[_CHOICE]


def show(store: RunStore, run_id: str) -> None:
    """One run, refreshed until it is over."""
    try:
        record = reconciled(store, store.record(run_id))
        config = None
        if record.status == "imported":
            store.imported(run_id)  # raises if it cannot be read
        else:
            config = store.config(run_id)
    except RunError as error:
        st.error(
            "**This run cannot be shown:** its files are damaged. Its checkpoints and its model, if it had any, are "
            "not touched.",
            icon=":material/broken_image:",
        )
        with st.expander("Technical detail"):
            st.code(str(error), language=None, wrap_lines=True)
        return
    live = not record.is_over
    show_dialogs(store, leave_deleted=True)
    st.fragment(_run, run_every=REFRESH_SECONDS if live else None)(store, run_id, config, live)


def _run(store: RunStore, run_id: str, config: RunConfig | None, live: bool) -> None:
    """`config` is None for a run that was imported."""
    dialogs.redraw_if_asked()
    try:
        record = reconciled(store, store.record(run_id))
    except RunError:
        st.rerun(scope="app")  # deleted in the meantime: the page says so
    if live == record.is_over:
        st.rerun(scope="app")  # once: the page is drawn anew, without a timer or with one
    if live:
        keep_supervised(store)
    records = current_records(store)
    found = current_evaluations(store)
    news.tell([*records, *found])
    with open_history(store, run_id) as history:
        latest = history.last
        summary = summarise(history.series)
        imported = headline(history) if config is None else None
        color = run_color(config, history.keys)
    seen = run_findings.look(store, record)
    place = None
    if record.status in WAITING:
        place = outlook(store, records, found).get(run_id)
    _header(record, latest.get("tokens_per_second"), place, seen)
    show_belonging(store, record)
    show_bar(store, record, config)
    with st.container(key="notice"):
        if config is None:
            imported_view.show_notice(store, record)
        else:
            _notice(store, record, config, summary)
    if imported is not None:
        imported_view.show_headline(imported, color, _LIGHTS)
    elif config is not None:
        _headline(config, summary, acting(config, latest, summary.gradient_ratio), waiting=live)
    show_charts(store, run_id, config, seen.standing, waiting=live)
    show_details(store, record, config, summary, seen)


def _header(record: RunRecord, tokens_per_second: float | None, place: str | None, seen: Seen) -> None:
    words = STATUS_WORDS[record.status]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run-header"):
        st.title(plain(record.name), anchor=False, width="content")
        st.badge(words.word, icon=words.icon, color=words.color)
        if record.archived:
            st.badge("Archived", icon=":material/inventory_2:", color="gray")
        for tag in record.tags:
            st.badge(plain(tag), icon=":material/sell:", color="gray")
        run_findings.show_count(seen)
        run_findings.show_jump()
    if record.notes:
        st.caption(plain(record.notes))
    if record.status == "imported":
        imported_view.show_reach(record)
        return
    if place is not None:
        parts = [place, step_words(record)] if record.progress else [place]
    else:
        parts = [step_words(record), *pace_words(record, now(), tokens_per_second)]
    st.progress(done_share(record), text=" · ".join(parts))


def _notice(store: RunStore, record: RunRecord, config: RunConfig, summary: RunSummary) -> None:
    """What the status means and what can be done now."""
    if record.status == "finished":
        _finished(record, config, summary)
    elif record.status == "stopped":
        kept = checkpoint_words(checkpoint_steps(store.directory(record.id)))
        st.warning(f"**Stopped before its end.** {kept}", icon=":material/stop_circle:")
    elif record.status in ("failed", "crashed"):
        _failed(store, record)


def _finished(record: RunRecord, config: RunConfig, summary: RunSummary) -> None:
    taken = record.elapsed_seconds(now())
    words = "**Finished**" + (f" in {duration(taken)}." if taken is not None else ".")
    if summary.best_held_out is not None:
        best = summary.best_held_out
        on = "held-out text" if config.data.holds_out else "the training lines that were re-used for checking"
        words += f" CE on {on} was best at step {best.step:,}: {number(best.value)}."
    st.success(f"{words} The model and its checkpoints are kept with the run.", icon=":material/check_circle:")
    with st.container(horizontal=True, key="after-the-end"):
        evaluate_link(record.id, "Evaluate it on texts of your choice")
        st.page_link(LAUNCH_PAGE, label="Start another run", icon=":material/rocket_launch:", width="content")


def _failed(store: RunStore, record: RunRecord) -> None:
    kept = checkpoint_words(checkpoint_steps(store.directory(record.id)))
    failure = record.failure
    at = f" at step {failure.step:,}" if failure is not None and failure.step else " before its first step"
    what = "failed" if record.status == "failed" else "ended unexpectedly"
    message = plain(failure.message) if failure is not None else "No reason was recorded."
    st.error(f"**This run {what}{at}.** {message}\n\n{kept} All values up to here are below.", icon=":material/error:")
    if failure is not None and failure.detail:
        with st.expander("Technical detail", icon=":material/code:"):
            st.code(failure.detail, language=None, wrap_lines=True)


def _headline(config: RunConfig, summary: RunSummary, light: Acting, *, waiting: bool) -> None:
    with st.grid(3, min_column_width=260, key="headline"):
        with st.container(border=True, height="stretch", gap="xsmall"):
            _ce(config, summary, waiting)
        with st.container(border=True, height="stretch", gap="xsmall"):
            _held_out(config, summary, waiting)
        with st.container(border=True, height="stretch", gap="xsmall", key="bce-light"):
            icon, color = _LIGHTS[light.light]
            st.markdown(f":{color}[{icon}] **{light.headline}**")
            st.caption(light.explanation)
            st.page_link(ABOUT_PAGE, label="What is BCE?", icon=":material/help:")


def _ce(config: RunConfig, summary: RunSummary, waiting: bool) -> None:
    st.metric(
        "CE (language loss)",
        _value(summary.ce, waiting),
        delta="nats per token",
        delta_color="off",
        delta_arrow="off",
        help="How surprised the model is by the next token, on average: cross-entropy in nats, without BCE's term. "
        "Lower is better.",
    )
    st.vega_lite_chart(sparkline(summary.trend, run_color(config)), alt="CE over the run")


def _held_out(config: RunConfig, summary: RunSummary, waiting: bool) -> None:
    last, best = summary.held_out, summary.best_held_out
    if config.data.validation == "none":
        below = "no text was set aside"
    elif last is None:
        below = f"first check at step {config.logging.eval_steps:,}" if waiting else "not checked"
    elif best is None:
        below = "never a finite number"
    elif best.step == last.step:
        below = "its best so far" if waiting else f"its best, at step {best.step:,}"
    else:
        below = f"best {number(best.value)} at step {best.step:,}"
    title = "Held-out CE" if config.data.holds_out else "CE on re-used training lines"
    meaning = "The same on text that the model does not learn from: the number that tells learning from memorising."
    if config.data.validation == "first_rows_of_training":
        meaning = "The same on lines that the model also learns from, as in the report: it shows memory, not learning."
    st.metric(
        "Held-out CE" if config.data.validation == "none" else title,
        _value(last, waiting and config.data.validation != "none"),
        delta=below,
        delta_color="off",
        delta_arrow="off",
        help=meaning,
    )
    if config.data.validation != "none":
        st.vega_lite_chart(sparkline(summary.held_out_trend, HELD_OUT), alt=f"{title} over the run")


def _value(at: At | None, waiting: bool) -> str:
    if at is None:
        return "…" if waiting else "–"
    return number(at.value)
