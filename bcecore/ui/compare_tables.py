"""The tables of the Compare page: what differs, values with their differences to the baseline, means over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from bcecore.report.comparability import Obstacle, Side
from bcecore.report.comparison import Compared, Delta, direction_words, figure, signed, worked_out_words
from bcecore.report.differences import Differences, SeedGroup
from bcecore.report.metrics import metric
from bcecore.report.spread import Measured, Spread
from bcecore.report.summary import At
from bcecore.ui.words import count, plain

# What people look at first has a table of its own; the rest is in one, folded away.
_CARDS = 6
_CARD_GROUPS = ("learning", "check")
_NONE = "–"


def show_differences(differing: Differences, sides: Sequence[Side]) -> None:
    """What differs in settings, texts, device and versions, one column a run."""
    st.header(f"What differs ({len(differing.rows):,})", anchor=False)
    if differing.rows:
        rows = [[plain(f"{row.title}"), *(plain(words) for words in row.words)] for row in differing.rows]
        table = pd.DataFrame(rows, columns=["Setting", *(plain(side.name) for side in sides)])
        st.table(table.set_index("Setting"), border="horizontal", alt="What differs between the runs")
    st.caption(differing.rest_words)


def card_keys(keys: Sequence[str]) -> list[str]:
    """Of these, the metrics that people look at first."""
    return [key for key in keys if metric(key).group in _CARD_GROUPS and metric(key).better is not None][:_CARDS]


def show_cards(compared: Sequence[Compared], sides: Sequence[Side], baseline: int, *, by_step: bool) -> None:
    """A table for each metric. `by_step`: without last and best."""
    with st.grid(2, min_column_width=420, key="compare-cards"):
        for one in compared:
            with st.container(border=True, key=f"values-{one.metric.key}"):
                _card(one, sides, baseline, by_step=by_step)


def show_others(
    number: int, compare_others: Callable[[], Sequence[Compared]], sides: Sequence[Side], *, by_step: bool
) -> None:
    """All other metrics in one table, folded away; of long logs they take a while, so not before it is opened."""
    if not number:
        return
    folded = st.expander(
        f"All other measures ({number:,})", icon=":material/table:", key="compare-others", on_change="rerun"
    )
    if folded.open:
        with folded:
            _others(compare_others(), sides, by_step=by_step)


def _card(one: Compared, sides: Sequence[Side], baseline: int, *, by_step: bool) -> None:
    about = ", ".join(filter(None, (one.metric.unit, direction_words(one.metric))))
    below = f"  \n:small[{plain(about)}]" if about else ""
    st.markdown(f"**{plain(_capital(one.metric.name))}**{below}")
    rows = []
    for place, (side, entry) in enumerate(zip(sides, one.entries, strict=True)):
        is_base = place == baseline
        row = [plain(side.name), _at(entry.value, side.step), _against(entry.delta, entry.obstacle, is_base)]
        if not by_step:
            told = entry.obstacle is not None and entry.obstacle.known
            row += [_at(entry.best, None), _NONE if told else _against(entry.best_delta, entry.obstacle, is_base)]
        rows.append(row)
    first = "Run" if sides[0].step is None else "Step"
    columns = [first, "Value", "Difference"] if by_step else [first, "Last", "Difference", "Best", "Best: difference"]
    table = pd.DataFrame(rows, columns=columns).set_index(first)
    st.table(table, border="horizontal", alt=f"{_capital(one.metric.name)} of each, and the difference to the baseline")
    if one.worked_out:
        st.caption(plain(worked_out_words(one)))


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _at(at: At | None, asked: int | None) -> str:
    """A value, with its step unless that was asked for."""
    if at is None:
        return _NONE
    where = "" if at.step == asked else f" :gray[:small[at {at.step:,}]]"
    return plain(figure(at.value)) + where


def _against(delta: Delta | None, reason: Obstacle | None, is_base: bool) -> str:
    """Sign, word, icon and colour together: none of them has to carry the meaning alone."""
    if is_base:
        return ":gray[baseline]"
    if reason is not None and reason.known:
        return f":orange[:material/warning: not comparable: {reason.short}]"
    if delta is None:
        return _NONE
    words = plain(signed(delta.difference))
    match delta.verdict:
        case "better":
            return f":green[:material/thumb_up: {words} better]"
        case "worse":
            return f":red[:material/thumb_down: {words} worse]"
        case "equal":
            return ":gray[:material/equal: the same]"
    return words if reason is None else f"{words} :orange[:material/help: {reason.short}]"


def _others(compared: Sequence[Compared], sides: Sequence[Side], *, by_step: bool) -> None:
    rows = []
    for one in compared:
        for side, entry in zip(sides, one.entries, strict=True):
            row = {
                "Measure": one.metric.name,
                "Run": side.name,
                "Value" if by_step else "Last": entry.value.value if entry.value else None,
                "At step": entry.value.step if entry.value else None,
                "Difference": entry.delta.difference if entry.delta else None,
                "Which is": entry.delta.verdict if entry.delta and entry.delta.verdict != "none" else "",
            }
            if not by_step:
                row["Best"] = entry.best.value if entry.best else None
                row["Best at step"] = entry.best.step if entry.best else None
            rows.append(row)
    table = pd.DataFrame(rows)
    steps = [name for name in ("At step", "Best at step") if name in table]
    table[steps] = table[steps].astype("Int64")
    digits = st.column_config.NumberColumn(format="%.5g")
    st.dataframe(
        table,
        hide_index=True,
        placeholder=_NONE,
        alt="All other measures",
        key="compare-others-table",
        column_config=dict.fromkeys(("Value", "Last", "Difference", "Best"), digits),
    )


def show_seeds(groups: Sequence[tuple[SeedGroup, Sequence[Spread], str]], sides: Sequence[Side]) -> None:
    """Mean and standard deviation over runs that differ in their seed only.

    With each group goes how far its runs are, where they are not equally far.
    """
    st.header("Over seeds", anchor=False)
    st.caption(
        "Runs that differ in nothing but their seed. The mean ± the standard deviation says how far the seed alone "
        "moves a value; n is the number of runs."
    )
    for group, found, reach in groups:
        with st.container(border=True, key=f"seeds-{sides[group.members[0]].record.id}"):
            names = ", ".join(plain(sides[place].name) for place in group.members)
            seeds = ", ".join(f"{seed}" for seed in group.seeds)
            st.markdown(f"**{plain(group.name)}**  \n:small[{names} · seeds {seeds}]")
            if reach:
                st.warning(
                    f"**Not all of them are equally far.** {plain(reach)}. The mean is of the last step that all "
                    "logged; the mean of the best is of all that each has logged, so that a longer run had more "
                    "chances.",
                    icon=":material/warning:",
                )
            rows = [
                [plain(_capital(one.metric.name)), _measured(one.at_step), _step(one.step), _measured(one.best)]
                for one in found
            ]
            table = pd.DataFrame(rows, columns=["Measure", "Mean", "At step", "Mean of the best"]).set_index("Measure")
            st.table(table, border="horizontal", alt=f"Mean over {count(len(group.members), 'seed')}")


def _measured(measured: Measured | None) -> str:
    return _NONE if measured is None else plain(measured.words)


def _step(step: int | None) -> str:
    return _NONE if step is None else f"{step:,}"
