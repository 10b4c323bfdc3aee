"""The example explorer: which texts the model finds hard or easy, and in each of them which words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from bcecore.errors import BceError
from bcecore.evaluation.comparable import NotComparable
from bcecore.evaluation.decomposition import Side, exponential, known
from bcecore.evaluation.explorer import FINE_EDGES, Bucket, Order, Overlap, choose, length_buckets
from bcecore.evaluation.paired import changes
from bcecore.report.evaluation_words import fixed, nats
from bcecore.report.metrics import COMPONENTS
from bcecore.store.evaluations import EvaluationStore, SplitSpec
from bcecore.store.runs import RunStore
from bcecore.ui import evaluate_list
from bcecore.ui.evaluate_rows import (
    Measured,
    Signature,
    example_of,
    examples_of,
    overlap_with_training,
    state_of,
)
from bcecore.ui.evaluate_tokens import show_colours, show_legend, show_token_table
from bcecore.ui.words import count, number, percent, plain

_KEY = "ex"
_ORDERS: dict[str, Order] = {
    "Hardest first": "hardest",
    "Easiest first": "easiest",
    "Longest first": "longest",
    "Shortest first": "shortest",
    "As in the file": "as in the file",
}
_WORSENED, _IMPROVED = "Got worse most", "Got better most"
_ANY_LENGTH, _ANY = "any length", "all texts"
_OVERLAPS: dict[str, Overlap] = {
    _ANY: "any",
    "also in the training text": "also in training",
    "not in the training text": "not in training",
}
_ORDERED = 32


@st.fragment
def show_examples(store: RunStore, run_id: str, evaluation_id: str, result: Mapping[str, Any] | None) -> None:
    """The examples of an evaluation: choose, sort, search, and look at one of them token by token.

    `result` is what `result.json` says by now; None before anything was measured.
    """
    steps_of = measured_steps(result)
    if result is None or not steps_of:
        st.caption("The texts are listed here as soon as the first ones are scored, the hardest first.")
        return
    key = f"{run_id}/{evaluation_id}"
    try:
        request = EvaluationStore(store).record(key).request
        specs = {} if request is None else {split.name: split for split in request.splits}
        _explore(store, run_id, key, result, steps_of, specs)
    except BceError as error:
        cannot_be_shown(error)


def measured_steps(result: Mapping[str, Any] | None) -> dict[str, list[int]]:
    """The splits of which something was measured, and the steps of their checkpoints, ascending."""
    splits = {} if result is None else result["splits"]
    found = {name: sorted(int(step) for step in entry["checkpoints"]) for name, entry in splits.items()}
    return {name: steps for name, steps in found.items() if steps}


def cannot_be_shown(error: BceError) -> None:
    """Say that the examples cannot be read, and why behind an expander."""
    st.error(
        "**These texts cannot be shown:** the evaluation's files are damaged or gone. Evaluate once more to get them "
        "back; the run is not touched.",
        icon=":material/broken_image:",
    )
    with st.expander("Technical detail"):
        st.code(str(error), language=None, wrap_lines=True)


def choose_measured(
    store: RunStore, key: str, steps_of: Mapping[str, list[int]], prefix: str, *, on_split: Any
) -> Measured:
    """Let a split and one of its checkpoints be chosen, at first the last; `on_split` is called when the split is."""
    split = st.selectbox(
        "Texts", list(steps_of), key=f"{prefix}-split", bind="query-params", persist_state="page", on_change=on_split
    )
    steps = steps_of[split]
    step = st.selectbox(
        "Checkpoint",
        steps,
        index=len(steps) - 1,
        format_func=lambda step: f"step {step:,}",
        key=f"{prefix}-step",
        bind="query-params",
        persist_state="page",
    )
    return Measured(str(store.root), key, split, step)


@dataclass(frozen=True)
class _Texts:
    """The examples of one checkpoint on one split, and what is known of each besides."""

    measured: Measured
    rows: pd.DataFrame
    """As `evaluate_rows.examples_of`."""
    spec: SplitSpec | None
    """None where the evaluation's record is damaged."""
    earlier: int | None
    """The step of the checkpoint before, if there is one."""
    change: npt.NDArray[np.float64] | None
    """The change of CE since then, by row of the split's file."""
    overlap: npt.NDArray[np.bool_] | None
    """Whether it is also a training text, by row of the split's file."""

    def of_rows(self, by_example: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values by row of the split's file as values by row of `rows`."""
        found: npt.NDArray[Any] = by_example[self.rows["example"].to_numpy()]
        return found


def _explore(
    store: RunStore,
    run_id: str,
    key: str,
    result: Mapping[str, Any],
    steps_of: Mapping[str, list[int]],
    specs: Mapping[str, SplitSpec],
) -> None:
    with st.grid(6, min_column_width=150, vertical_alignment="bottom", key="ex-choices"):
        measured = choose_measured(store, key, steps_of, _KEY, on_split=_from_top)
        rows = examples_of(measured)
        earlier = max((step for step in steps_of[measured.split] if step < measured.step), default=None)
        spec = specs.get(measured.split)
        texts = _Texts(
            measured,
            rows,
            spec,
            earlier,
            None if earlier is None else _change_since(measured, earlier),
            None if spec is None else overlap_with_training(store, run_id, key, spec),
        )
        places, order = _filtered(texts)
    if rows.empty:
        st.info("None of these texts could be scored.", icon=":material/search_off:")
        return
    table = _table(texts, places)
    with st.container(horizontal=True, vertical_alignment="center", key="ex-found"):
        st.caption(_found_words(texts, places), width="stretch")
        st.download_button(
            "Download this list",
            lambda: _csv(table, earlier),
            file_name=f"{measured.key.rpartition('/')[2]}-texts.csv",
            mime="text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="ex-download",
        )
    if table.empty:
        st.info("No text fits. Search for other words, or choose any length and all texts.", icon=":material/search:")
        return
    last_row = int(rows["example"].max()) + 1 if spec is None else spec.rows
    of = measured.split if spec is None else spec.sha256
    with st.grid(2, min_column_width=400, gap="medium", key="ex-both") as grid:
        with grid.cell():
            slot = st.container(key="ex-list")
        with grid.cell(), st.container(key="ex-one"):
            listing = evaluate_list.choose(_KEY, table["example"].to_numpy(dtype=np.int64), last_row, of)
            _one(texts, listing, result)
    with slot:
        evaluate_list.show_list(listing, table, _columns(texts), f"Texts of {measured.split}, {order.lower()}")


def _from_top() -> None:
    evaluate_list.restart(_KEY)


def _filtered(texts: _Texts) -> tuple[npt.NDArray[np.int64], str]:
    """Let the order be chosen and what is listed; the places in `texts.rows` that fit, in order, and the order."""
    orders, about = list(_ORDERS), None
    if texts.change is not None and texts.earlier is not None:
        orders += [_IMPROVED, _WORSENED]
        about = f"Better and worse are since the checkpoint before this, step {texts.earlier:,}."
    order = st.selectbox(
        "Order", orders, key="ex-order", bind="query-params", persist_state="page", on_change=_from_top, help=about
    )
    search = st.text_input(
        "Find",
        key="ex-find",
        bind="query-params",
        persist_state="page",
        placeholder="words of the text",
        on_change=_from_top,
        help="Every word has to occur; case and punctuation make no difference.",
    )
    buckets = {f"{found.title} tokens": found for found in length_buckets(texts.rows, FINE_EDGES) if found.examples}
    length = st.selectbox(
        "Length",
        [_ANY_LENGTH, *buckets],
        key="ex-length",
        bind="query-params",
        persist_state="page",
        on_change=_from_top,
    )
    seen = st.selectbox(
        "In training",
        [_ANY] if texts.overlap is None else list(_OVERLAPS),
        key="ex-overlap",
        bind="query-params",
        persist_state="page",
        on_change=_from_top,
        disabled=texts.overlap is None,
        help="Whether the very same text, but for case, spaces and punctuation, is among those that the run learnt "
        "from. A model knows such a text, so a low loss on it says little.",
    )
    bounds = _bounds(buckets.get(length))
    marks = None if texts.overlap is None else texts.of_rows(texts.overlap)
    places = _ordered(texts.measured, state_of(texts.measured), order, search, bounds, seen, texts.rows, marks)
    if texts.change is not None and order in (_IMPROVED, _WORSENED):
        since = texts.of_rows(texts.change)[places]
        places = places[np.argsort(since if order == _IMPROVED else -since, kind="stable")]
    return places, order


def _table(texts: _Texts, places: npt.NDArray[np.int64]) -> pd.DataFrame:
    table = texts.rows.iloc[places]
    if texts.change is not None:
        table = table.assign(change=texts.of_rows(texts.change)[places])
    if texts.overlap is not None:
        table = table.assign(in_training=texts.of_rows(texts.overlap)[places])
    return table


def _columns(texts: _Texts) -> dict[str, Any]:
    columns: dict[str, Any] = {
        # The figure that the list is about comes first, where a narrow screen shows it.
        "ce": st.column_config.NumberColumn(
            "CE", format="%.3f", width=64, help="How surprised the model is by a token, on average (nats)."
        ),
        "text": st.column_config.TextColumn("Text", width="medium"),
        "tokens": st.column_config.NumberColumn("Tokens", format="localized", width=64),
    }
    if texts.change is not None and texts.earlier is not None:
        columns["change"] = st.column_config.NumberColumn(
            "Change", format="%+.3f", width=76, help=f"Of CE, since step {texts.earlier:,}. Below 0 is better."
        )
    return columns


def _csv(table: pd.DataFrame, earlier: int | None) -> bytes:
    named = table.assign(example=table["example"] + 1).rename(
        columns={"example": "text_number", "change": f"change_of_ce_since_step_{earlier}"}
    )
    return named.to_csv(index=False).encode("utf-8-sig")


def _bounds(bucket: Bucket | None) -> tuple[int, int | None]:
    return (0, None) if bucket is None else (bucket.above, bucket.up_to)


def _change_since(measured: Measured, earlier: int) -> npt.NDArray[np.float64] | None:
    """The change of CE since an earlier checkpoint, by row of the split's file; None where it is not all measured."""
    before = Measured(measured.root, measured.key, measured.split, earlier)
    return _changes(before, state_of(before), measured)


@st.cache_resource(max_entries=_ORDERED, show_spinner=False)
def _changes(before: Measured, signature: Signature | None, measured: Measured) -> npt.NDArray[np.float64] | None:
    try:
        table = changes(examples_of(before), examples_of(measured))
    except NotComparable:
        return None  # one of them is still being scored
    found = np.full(int(table["example"].max()) + 1, math.nan)
    found[table["example"].to_numpy()] = table["change"].to_numpy()
    return found


@st.cache_resource(max_entries=_ORDERED, show_spinner=False)
def _ordered(
    measured: Measured,
    signature: Signature | None,
    order: str,
    search: str,
    bounds: tuple[int, int | None],
    seen: str,
    _rows: pd.DataFrame,
    _marks: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.int64]:
    """The rows that fit, as places in `_rows`, in order; kept, as searching through long texts takes a moment."""
    table = _rows if _marks is None else _rows.assign(in_training=_marks)
    above, up_to = bounds
    overlap: Overlap = "any" if _marks is None else _OVERLAPS[seen]
    how = _ORDERS.get(order, "as in the file")
    found = choose(table, search=search, above=above, up_to=up_to, overlap=overlap, order=how)
    return found.index.to_numpy(dtype=np.int64)


def _found_words(texts: _Texts, places: npt.NDArray[np.int64]) -> str:
    all_of_them = len(places) == len(texts.rows)
    words = count(len(places), "text") if all_of_them else f"{len(places):,} of {count(len(texts.rows), 'text')} fit"
    if texts.overlap is not None and len(places):
        inside = int(texts.of_rows(texts.overlap)[places].sum())
        how_many = "None" if not inside else "All" if inside == len(places) > 1 else f"{inside:,}"
        be = "is" if inside <= 1 else "are"
        words += f". {how_many} of them {be} also in the training text"
        if inside:
            words += ", so the model may know " + ("it" if inside == 1 else "them") + " by heart"
    return f"{words}."


def _one(texts: _Texts, listing: evaluate_list.Listing, result: Mapping[str, Any]) -> None:
    """The chosen example: its text with its tokens coloured, and where its figures come from."""
    example = example_of(texts.measured, listing.chosen)
    if example is None:
        st.info(
            f"Text {listing.chosen + 1:,} was not scored. Choose another one from the list.",
            icon=":material/search_off:",
        )
        return
    st.markdown(plain(_sentence(example, texts.rows, listing)))
    show_colours(example, key="ex-colours")
    show_legend()
    if texts.change is not None and texts.earlier is not None:
        since = float(texts.change[listing.chosen])
        words = "Its CE is not a number at one of them" if math.isnan(since) else _since_words(since)
        st.caption(plain(f"{words} since the checkpoint before, step {texts.earlier:,}."))
    if texts.overlap is not None and texts.overlap[listing.chosen]:
        st.caption(":material/content_copy: This text is also in the training text.")
    _objective(texts.measured, example, result)
    show_token_table(example, key="ex-tokens")


def _since_words(change: float) -> str:
    if change == 0:
        return "Its CE has not changed"
    return f"Its CE has {'fallen' if change < 0 else 'risen'} by {nats(abs(change))} nats per token"


def _sentence(example: Mapping[str, Any], rows: pd.DataFrame, listing: evaluate_list.Listing) -> str:
    title = f"Text {listing.chosen + 1:,}"
    if listing.place is None:
        title += " (left out of the list by what was searched for)"
    ce = float(example["ce"])
    if not math.isfinite(ce):
        return f"{title}: its loss is not a number. The model is broken at this checkpoint, or on this text."
    chance = percent(exponential(-ce))
    words = f"{title}: CE {fixed(ce, 3)}. On average the model gave each of its {count(example['tokens'], 'token')} a "
    words += f"chance of {chance}"
    others = rows["ce"].to_numpy()
    if len(others) > 1:
        easier = float((others < ce).sum()) / (len(others) - 1)
        if easier in (0, 1):
            words += f"; the {'hardest' if easier else 'easiest'} of all texts"
        else:
            words += f"; harder than {percent(easier)} of the texts"
    return f"{words}."


def _objective(measured: Measured, example: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """BCE on and off for this example, and what R is made of."""
    summary = result["splits"][measured.split]["checkpoints"].get(str(measured.step), {})
    weight = known(summary.get("weight")) or 0.0
    side = Side(float(example["ce"]), float(example["bce_loss"]), weight)
    with st.expander("With BCE on and off", icon=":material/balance:", key="ex-bce", on_change="rerun") as expander:
        if not expander.open:
            return
        with st.container(horizontal=True):
            st.metric("BCE on: CE + w·R", fixed(side.objective, 4), width="content")
            st.metric("BCE off: CE", fixed(side.ce, 4), width="content")
        st.markdown(
            plain(
                f"On is CE {fixed(side.ce, 4)} plus the weight {number(weight)} times R {fixed(side.bce_loss, 4)}: "
                f"{fixed(side.term, 4)} is BCE’s own term. What the model predicts is the same."
                if weight
                else "BCE has the weight 0 at this checkpoint, so on and off are the same."
            )
        )
        st.caption("What R is made of, before weighting; R is minus 0.8 times their mean, unless it is scaled.")
        means = summary.get("components") or {}
        parts = pd.DataFrame(
            [
                {
                    "part": f"{name} ({key.removeprefix('bce_')})",
                    "value": example[key],
                    "mean": known(means.get(key.removeprefix("bce_"))),
                }
                for key, name in COMPONENTS.items()
            ]
        )
        st.dataframe(
            parts,
            hide_index=True,
            height="content",
            column_config={
                "part": "Part",
                "value": st.column_config.ProgressColumn("This text", min_value=0, max_value=1, format="%.4f"),
                "mean": st.column_config.NumberColumn("Mean of all texts", format="%.4f"),
            },
            alt="The nine parts of the BCE value of this text, and their means over all texts",
        )
