"""Lines of the live log as arrays: Arrow and Python read the same of them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.store import live_log
from bcecore.store.columns import Block
from bcecore.store.live_log import Resumed, Unreadable, parse_lines
from bcecore.store.metrics import RESUME, metrics_line

Parts = list[Any]

numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=True)
records = st.lists(
    st.builds(
        lambda step, values: {"step": step, **values},
        st.integers(0, 9),
        st.dictionaries(st.sampled_from(["loss", "ce", "eval_loss"]), numbers, max_size=3),
    )
    | st.builds(lambda step: {"event": RESUME, "from": step}, st.integers(0, 9))
    | st.just({"event": "started"}),
    max_size=20,
)


def said(parts: Parts) -> list[Any]:
    """What blocks and events say, line by line, however they are cut into blocks."""
    told: list[Any] = []
    for part in parts:
        if isinstance(part, Block):
            for row, step in enumerate(part.steps.tolist()):
                values = {
                    key: repr(float(column[row])) for key, column in part.columns.items() if part.present[key][row]
                }
                told.append((step, values))
        else:
            told.append(part)
    return told


def parsed(text: str, few_bytes: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(live_log, "_FEW_BYTES", few_bytes)
    return said(list(parse_lines(text.encode())))


@given(records)
def test_arrow_and_python_read_the_same(written: list[dict[str, Any]]) -> None:
    text = "".join(metrics_line(record) + "\n" for record in written)
    with pytest.MonkeyPatch.context() as patch:
        assert parsed(text, 0, patch) == parsed(text, 10**9, patch)


def test_values_events_and_what_was_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        {"step": 1, "loss": 2, "note": "words", "flag": True},
        {"step": 2, "loss": math.nan, "grad_norm": math.inf},
        {"event": RESUME, "from": 1},
        {"step": 2, "loss": 1.5},
        {"event": RESUME},
    ]
    text = "".join(metrics_line(line) + "\n" for line in lines)
    expected = [(1, {"loss": "2.0"}), (2, {"loss": "nan", "grad_norm": "nan"}), Resumed(1), (2, {"loss": "1.5"})]
    for few_bytes in (0, 10**9):
        assert parsed(text, few_bytes, monkeypatch) == expected


def test_damaged_lines_are_counted_and_the_others_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"step":1,"loss":1.0}\n{"step":2,"lo\n\n[3]\n{"step":4,"loss":4.0}\n{"step":"five","loss":5.0}\n'
    for few_bytes in (0, 10**9):
        found = parsed(text, few_bytes, monkeypatch)
        assert found == [(1, {"loss": "1.0"}), (4, {"loss": "4.0"}), Unreadable(2)]


def test_keys_of_any_language_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"step": 1, "损失": 0.5, "eval_ağırlık": 2, "": 3.0}, ensure_ascii=False) + "\n"
    for few_bytes in (0, 10**9):
        assert parsed(text, few_bytes, monkeypatch) == [(1, {"损失": "0.5", "eval_ağırlık": "2.0", "": "3.0"})]
