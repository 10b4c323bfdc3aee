"""What changed from one side to another on the same texts, text by text: the whole difference, then the biggest change.

A side is one checkpoint, measured by one evaluation; both may be of one evaluation, of two, or of two runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from bcecore.evaluation.comparable import NotComparable, SideOfComparison, must_be_comparable, what_differs
from bcecore.evaluation.decomposition import known
from bcecore.evaluation.explorer import choose
from bcecore.evaluation.paired import Comparison, changes, compare
from bcecore.findings.few_drivers import few_drivers
from bcecore.findings.finding import Finding
from bcecore.findings.scored_twice import scored_twice
from bcecore.report.evaluation_words import comparison_cautions, comparison_sentence, fixed, nats, signed
from bcecore.report.example_charts import changes_chart
from bcecore.store.evaluations import SplitSpec
from bcecore.ui import evaluate_list
from bcecore.ui.evaluate_rows import Measured, Signature, example_of, examples_of, state_of
from bcecore.ui.evaluate_tokens import show_colours, show_legend
from bcecore.ui.findings_list import show_findings
from bcecore.ui.words import count, plain

_KEY = "vs"
_BIGGEST, _BETTER, _WORSE = "Biggest change first", "Got better most", "Got worse most"
_KEPT = 16


@dataclass(frozen=True)
class Side:
    """One side of the comparison."""

    measured: Measured
    name: str
    split: SplitSpec
    result: Mapping[str, Any]

    @property
    def of_comparison(self) -> SideOfComparison:
        return SideOfComparison(self.name, self.split, str(self.result["settings"]["tokenizer"]))

    @property
    def bits_per_byte(self) -> float | None:
        return known(self._summary.get("bits_per_byte"))

    @property
    def weights(self) -> str | None:
        """Hash of the weights that were measured; None where it was not recorded."""
        found = self._summary.get("weights_sha256")
        return None if found is None else str(found)

    @property
    def _summary(self) -> Mapping[str, Any]:
        summary: Mapping[str, Any] = self.result["splits"][self.split.name]["checkpoints"][str(self.measured.step)]
        return summary


def from_top() -> None:
    """Begin at the top of the list again, for when a side is another one; as a callback."""
    evaluate_list.restart(_KEY)


def show_changes(first: Side, second: Side) -> None:
    """Everything that changed from the first side to the second, or why they cannot be compared.

    Raises RunError where the examples cannot be read.
    """
    try:
        must_be_comparable(first.of_comparison, second.of_comparison)
        table, comparison = _changes(
            first.measured, state_of(first.measured), second.measured, state_of(second.measured)
        )
    except NotComparable as error:
        _refuse(first, second, error)
        return
    show_findings(_noticed(first, second, table, comparison), key="vs-findings")
    _headline(first, second, comparison)
    if comparison.identical:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox(
            "Order",
            [_BIGGEST, _BETTER, _WORSE],
            key="vs-order",
            bind="query-params",
            persist_state="page",
            on_change=from_top,
            width=220,
            help=f"Better is with a lower CE on {second.name}.",
        )
        search = st.text_input(
            "Find",
            key="vs-find",
            bind="query-params",
            persist_state="page",
            placeholder="words of the text",
            on_change=from_top,
            width=220,
        )
        st.download_button(
            "Download the changes",
            lambda: _csv(table, first, second),
            file_name=f"changes-{first.measured.step}-{second.measured.step}.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="vs-download",
        )
    found = _sorted(table, order, search)
    if found.empty:
        st.info("No text has these words.", icon=":material/search:")
        return
    slot = st.container(key="vs-list")
    listing = evaluate_list.choose(
        _KEY, found["example"].to_numpy(dtype=np.int64), second.split.rows, second.split.sha256
    )
    with slot:
        evaluate_list.show_list(
            listing,
            found,
            {
                "change": st.column_config.NumberColumn(
                    "Change", format="%+.3f", width=76, help="Of CE, nats per token. Below 0 the second side is better."
                ),
                "text": st.column_config.TextColumn("Text", width="large"),
                "ce_first": st.column_config.NumberColumn("CE, first", format="%.3f", width=76),
                "ce_second": st.column_config.NumberColumn("CE, second", format="%.3f", width=86),
                "tokens": st.column_config.NumberColumn("Tokens", format="localized", width=64),
            },
            "Texts by how much their CE changed",
        )
    _both(first, second, listing.chosen)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _changes(
    first: Measured, first_state: Signature | None, second: Measured, second_state: Signature | None
) -> tuple[pd.DataFrame, Comparison]:
    one, other = examples_of(first), examples_of(second)
    table = changes(one, other)
    # The search looks at lengths too, which nobody narrows here.
    return table.assign(length=table["tokens"]), compare(one, other)


def _sorted(table: pd.DataFrame, order: str, search: str) -> pd.DataFrame:
    if search.strip():
        fitting = choose(table.assign(ce=table["ce_second"]), search=search, order="as in the file")
        table = table[table["example"].isin(fitting["example"])]
    if order == _BIGGEST:
        return table
    return table.sort_values("change", ascending=order == _BETTER, kind="stable", na_position="last")


def _refuse(first: Side, second: Side, error: NotComparable) -> None:
    """Say what keeps the sides from being compared; what can be said of both all the same, say too."""
    st.warning(f"**No fair comparison.** {plain(str(error))}", icon=":material/balance:")
    found = what_differs(first.of_comparison, second.of_comparison)
    bits = [side.bits_per_byte for side in (first, second)]
    if [difference.what for difference in found] == ["the tokenizer"] and None not in bits:
        with st.container(horizontal=True):
            for side, value in zip((first, second), bits, strict=True):
                st.metric(
                    f"Bits per byte, {plain(side.name)}",
                    fixed(value, 4),
                    width="content",
                    help="How many bits the model needs for a byte of the text: the same measure however a text is cut "
                    "into tokens. Lower is better.",
                )


def _noticed(first: Side, second: Side, table: pd.DataFrame, comparison: Comparison) -> list[Finding]:
    """What the rules say of the two sides together."""
    where = f"“{second.split.name}”"
    weights = first.weights
    if weights is not None and weights == second.weights:
        names = f"{first.name[:1].upper()}{first.name[1:]}", second.name
        return scored_twice(
            second.measured.key, table["ce_first"].tolist(), table["ce_second"].tolist(), where, names=names
        )
    return few_drivers(second.measured.key, table["change_total"], comparison.low, comparison.high, where)


def _headline(first: Side, second: Side, comparison: Comparison) -> None:
    st.markdown(f"**{plain(comparison_sentence(comparison, first.name, second.name))}**")
    for caution in comparison_cautions(comparison):
        st.caption(f":material/info: {plain(caution)}")
    if comparison.identical or not comparison.documents:
        return
    with st.grid(2, min_column_width=400, gap="medium", key="vs-head") as grid:
        with grid.cell(), st.container(horizontal=True, key="vs-metrics"):
            st.metric(f"CE, {plain(first.name)}", fixed(comparison.ce_first, 3), width="content")
            st.metric(
                f"CE, {plain(second.name)}",
                fixed(comparison.ce_second, 3),
                # Streamlit reads the sign of a plain hyphen only, and draws its arrow after it.
                delta=f"{signed(nats(comparison.difference.value)).replace('−', '-')} nats per token",
                delta_color="inverse",
                width="content",
            )
            unchanged = f", no change on {comparison.same:,}" if comparison.same else ""
            st.caption(
                f"Better on {comparison.better:,}, worse on {comparison.worse:,}{unchanged} of "
                f"{count(comparison.documents, 'text')}. Long texts weigh more in CE than short ones."
            )
        with grid.cell():
            table, _ = _changes(first.measured, state_of(first.measured), second.measured, state_of(second.measured))
            st.altair_chart(
                changes_chart(table["change"].to_numpy(), second.name),
                alt=f"Texts by their change of CE: better on {comparison.better:,}, worse on {comparison.worse:,}",
            )


def _both(first: Side, second: Side, example: int) -> None:
    """One text as both sides predict it."""
    with st.grid(2, min_column_width=340, gap="medium", key="vs-both") as grid:
        for number, side in enumerate((first, second)):
            with grid.cell():
                found = example_of(side.measured, example)
                if found is None:
                    st.caption(f"Text {example + 1:,} was not scored with {plain(side.name)}.")
                    continue
                words = fixed(found["ce"], 3) if math.isfinite(found["ce"]) else "not a number"
                st.markdown(f"**{plain(side.name)}** · CE {plain(words)}")
                show_colours(found, key=f"vs-colours-{number}")
    show_legend()


def _csv(table: pd.DataFrame, first: Side, second: Side) -> bytes:
    columns: dict[str, npt.ArrayLike] = {
        "text_number": table["example"] + 1,
        "text": table["text"],
        "tokens": table["tokens"],
        f"ce ({first.name})": table["ce_first"],
        f"ce ({second.name})": table["ce_second"],
        "change": table["change"],
    }
    return pd.DataFrame(columns).to_csv(index=False).encode("utf-8-sig")
