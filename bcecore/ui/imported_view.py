"""What the Run page shows of an imported run in place of what only our own runs have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import streamlit as st

from bcecore.report.acting import Light
from bcecore.report.imported_headline import Card, Headline
from bcecore.report.palette import HELD_OUT
from bcecore.report.small_charts import sparkline
from bcecore.store.imported import Source
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.tensorboard import is_event_file
from bcecore.ui.page import ABOUT_PAGE
from bcecore.ui.words import count, moment, number, plain


def show_reach(record: RunRecord) -> None:
    """How far the log goes, where a run of our own shows its progress."""
    done = record.progress
    if done is None:
        return
    steps = count(done.step, "step")
    if done.total_steps > done.step:
        steps = f"{done.step:,} of {done.total_steps:,} steps"
    st.caption(f"{steps} · epoch {done.epoch:.4g} · imported {moment(record.created)}")


def show_notice(store: RunStore, record: RunRecord) -> None:
    """Where the values come from, and what had to be mended."""
    imported = store.imported(record.id)
    st.info(
        f"**Imported from {_names(imported.sources)}.** What a log cannot tell is not shown; it can be added under "
        "Facts.",
        icon=":material/download_done:",
    )
    if imported.notes:
        with st.expander(f"Reading the log: {count(len(imported.notes), 'note')}", icon=":material/sticky_note_2:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in imported.notes))


def _names(sources: Sequence[Source]) -> str:
    """The files that a run was made from, without their folders."""
    kept = [PurePosixPath(source.name).name for source in sources if source.kept_as]
    names = [plain(name) for name in dict.fromkeys(kept) if not is_event_file(name)]
    if any(is_event_file(name) for name in kept):
        names.append("TensorBoard’s files")
    return ", ".join(names) or "a log"


def show_headline(headline: Headline, color: str, lights: Mapping[Light, tuple[str, str]]) -> None:
    """The cards at the head of the page. `color`: the run's; `lights`: icon and colour of each light of BCE."""
    with st.grid(3, min_column_width=260, key="headline"):
        with st.container(border=True, height="stretch", gap="xsmall"):
            _card(headline.learning, color)
        with st.container(border=True, height="stretch", gap="xsmall"):
            _card(headline.check, HELD_OUT)
        with st.container(border=True, height="stretch", gap="xsmall", key="bce-light"):
            icon, color = lights[headline.bce.light]
            st.markdown(f":{color}[{icon}] **{headline.bce.headline}**")
            st.caption(headline.bce.explanation)
            st.page_link(ABOUT_PAGE, label="What is BCE?", icon=":material/help:")


def _card(card: Card, color: str) -> None:
    if card.last is None:
        below = "not in this log"
    elif card.best is None:
        below = f"at step {card.last.step:,}"
    elif card.best.step == card.last.step:
        below = f"its best, at step {card.best.step:,}"
    else:
        below = f"best {number(card.best.value)} at step {card.best.step:,}"
    st.metric(
        plain(card.title),
        "–" if card.last is None else number(card.last.value),
        delta=f"{card.unit} · {below}" if card.unit else below,
        delta_color="off",
        delta_arrow="off",
        help=card.about or None,
    )
    if card.trend:
        st.vega_lite_chart(sparkline(card.trend, color), alt=f"{card.title} over the run")
