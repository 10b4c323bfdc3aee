"""What a log comes to: exact figures, kept in a file that is used only while it is true."""

import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.store import summary
from bcecore.store.columns import Series
from bcecore.store.history import History
from bcecore.store.metrics import MetricsWriter
from bcecore.store.runs import RunStore
from bcecore.store.summary import (
    SUMMARY_FILE,
    Basics,
    Figures,
    LogSummary,
    basics_of,
    figures_of,
    read_summary,
    summarise_log,
    trend_of,
)
from tests.examples import example_config, example_run

anything = st.floats(allow_nan=True, allow_infinity=True)


def series(values: list[float]) -> Series:
    array = np.array(values, dtype=np.float64)
    return Series(np.arange(10, 10 + len(array)), array, array, array)


def same(a: object, b: object) -> bool:
    """Whether two lots of figures are equal, NaN taken for equal to itself."""
    return repr(a) == repr(b)


def read(store: RunStore, run_id: str) -> tuple[LogSummary, Basics]:
    return read_summary(store, store.record(run_id))


def kept(store: RunStore, run_id: str) -> Path:
    return store.directory(run_id) / SUMMARY_FILE


def test_the_figures_of_a_few_values() -> None:
    assert figures_of(series([3.0, 1.0, 2.0, 1.0, 5.0, 5.0, 4.0])) == Figures(7, 3.0, 4.0, 16, 1.0, 11, 5.0, 14)
    assert figures_of(series([])) is None


def test_what_is_not_finite_is_neither_lowest_nor_highest() -> None:
    found = figures_of(series([math.nan, 2.0, -math.inf, 3.0, math.inf]))
    assert found is not None
    assert (found.logged, found.last, found.lowest, found.lowest_step) == (5, math.inf, 2.0, 11)
    assert (found.highest, found.highest_step) == (3.0, 13)
    assert math.isnan(found.first)


def test_where_nothing_is_finite_there_is_no_best() -> None:
    found = figures_of(series([math.nan, math.inf]))
    assert found is not None and math.isnan(found.lowest) and math.isnan(found.highest)
    assert (found.lowest_step, found.highest_step) == (-1, -1)


@given(st.lists(anything, max_size=400))
def test_a_trend_is_short_and_finite_and_stays_within_the_values(values: list[float]) -> None:
    trend = trend_of(series(values))
    finite = [value for value in values if math.isfinite(value)]
    assert len(trend) <= 60
    assert all(math.isfinite(point) for point in trend)
    if len(finite) <= 60:
        assert list(trend) == finite
    else:
        slack = 1e-9 * max(map(abs, finite))
        assert all(min(finite) - slack <= point <= max(finite) + slack for point in trend)


def test_the_trend_of_many_values_is_their_means() -> None:
    assert trend_of(series([1.0, 3.0] * 60)) == (2.0,) * 60


def test_nothing_is_known_of_a_key_that_was_not_logged() -> None:
    assert LogSummary({}, {}).figures("ce") is None


def test_a_run_that_is_over_is_summarised_once(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = example_run(store, "finished", steps=120, config=example_config(bce__profile="seed"))
    log, basics = read(store, run_id)
    assert basics == Basics("seed", True, "built here")
    found = log.figures("ce")
    assert found is not None
    assert (found.logged, found.last_step, found.lowest_step, found.highest_step) == (120, 120, 120, 1)
    monkeypatch.setattr(summary, "History", None)  # the log is not read again
    again, basics_again = read(store, run_id)
    assert basics_again == basics
    assert again.keys == log.keys
    assert all(same(again.figures(key), log.figures(key)) for key in log.keys)
    assert {key: len(points) for key, points in again.trends.items()} == {"ce": 60, "loss": 60, "eval_loss": 2}
    assert again.trends["ce"].tolist() == pytest.approx(log.trends["ce"].tolist(), rel=1e-4)


def test_the_file_holds_json_that_everybody_can_read(store: RunStore) -> None:
    run_id = example_run(store, "failed", steps=3, last_line={"step": 4, "ce": math.nan, "loss": math.inf})

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    read(store, run_id)
    content = json.loads(kept(store, run_id).read_text(), parse_constant=refuse)
    assert content["figures"]["ce"][2] is None
    log, _ = read(store, run_id)
    found = log.figures("ce")
    assert found is not None and math.isnan(found.last) and (found.last_step, found.lowest_step) == (4, 3)


@given(st.dictionaries(st.text(max_size=5), st.lists(anything, min_size=1, max_size=5), max_size=4))
def test_what_is_kept_is_what_was_found(columns: dict[str, list[float]]) -> None:
    log = summarise_log(columns, lambda key: series(columns[key]))
    numbers = {key: [n if math.isfinite(n) else None for n in log.figures(key) or ()] for key in log.keys}
    content = {
        "figures": json.loads(json.dumps(numbers)),
        "trends": {},
        "basics": Basics()._asdict(),
        "ce_is_worked_out": False,
    }
    again, basics = summary._parsed(content)
    assert (again.keys, basics) == (log.keys, Basics())
    for key in log.keys:
        before, after = log.figures(key), again.figures(key)
        assert before is not None and after is not None
        for a, b in zip(before, after, strict=True):
            assert a == b or (math.isnan(b) and not math.isfinite(a))


def test_a_log_that_grew_is_summarised_again(store: RunStore) -> None:
    run_id = example_run(store, "stopped", steps=3)
    read(store, run_id)
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        writer.write({"step": 4, "ce": 0.5})
    log, _ = read(store, run_id)
    found = log.figures("ce")
    assert found is not None and (found.last, found.last_step) == (0.5, 4)


def test_a_copy_of_the_run_needs_no_new_summary(store: RunStore) -> None:
    run_id = example_run(store)
    read(store, run_id)
    content = kept(store, run_id).read_bytes()
    os.utime(store.directory(run_id) / "metrics.jsonl", (1, 1))
    read(store, run_id)
    assert kept(store, run_id).read_bytes() == content


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 0, "logs": {}}', "\xff"])
def test_a_damaged_summary_is_made_anew(store: RunStore, content: str) -> None:
    run_id = example_run(store, steps=2)
    kept(store, run_id).write_text(content, encoding="latin-1")
    log, _ = read(store, run_id)
    assert log.figures("ce") is not None
    assert json.loads(kept(store, run_id).read_text())["version"] == 2


def test_a_summary_whose_figures_are_cut_short_is_made_anew(store: RunStore) -> None:
    run_id = example_run(store, steps=2)
    read(store, run_id)
    content = json.loads(kept(store, run_id).read_text())
    content["figures"]["ce"].pop()
    kept(store, run_id).write_text(json.dumps(content))
    log, _ = read(store, run_id)
    assert log.figures("ce") == figures_of(_history(store, run_id).series("ce"))


def _history(store: RunStore, run_id: str) -> History:
    history = History(store.directory(run_id))
    history.refresh()
    return history


def test_a_full_disk_is_no_reason_to_fail(tiny_disk: Callable[[int], Path]) -> None:
    store = RunStore(tiny_disk(512) / "runs")
    run_id = example_run(store, steps=20)
    with suppress(OSError), (store.root / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 1024)
    log, _ = read(store, run_id)
    assert log.figures("ce") is not None
    assert not kept(store, run_id).exists()


def test_a_run_that_was_deleted_meanwhile_has_logged_nothing(store: RunStore) -> None:
    run_id = example_run(store)
    record = store.record(run_id)
    store.directory(run_id).rename(store.root / "away")
    log, basics = read_summary(store, record)
    assert (log.keys, basics) == ((), Basics())


def test_settings_that_cannot_be_read_are_tried_again(store: RunStore) -> None:
    run_id = example_run(store)
    config = store.directory(run_id) / "config.json"
    content = config.read_bytes()
    config.write_text("{")
    log, basics = read(store, run_id)
    assert basics == Basics() and log.figures("ce") is not None
    config.write_bytes(content)
    assert read(store, run_id)[1].bce == "active"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bce__enabled": False}, Basics("off", True, "built here")),
        ({"data__validation": "none"}, Basics("active", False, "built here")),
        ({"model__source": "prajjwal1/bert-tiny"}, Basics("active", True, "prajjwal1/bert-tiny")),
        ({"model__source": "/home/somebody/models/mine/"}, Basics("active", True, "mine")),
    ],
)
def test_what_the_table_says_of_settings(changes: dict[str, object], expected: Basics) -> None:
    assert basics_of(example_config(bce__profile="active", **({"bce__enabled": True} | changes))) == expected


def foreign_run(store: RunStore, *lines: dict[str, float]) -> str:
    """A log from elsewhere as an imported run."""
    run_id = example_run(store, steps=1)
    directory = store.directory(run_id)
    (directory / "metrics.jsonl").unlink()
    (directory / "config.json").rename(directory / "import.json")
    (directory / "import.json").write_text('{"facts": {}}')
    (directory / "imported").mkdir()
    records = json.dumps({"log_history": lines})
    (directory / "imported" / "trainer_state.json").write_text(records)
    for name in ("run.json", "run.copy.json"):
        content = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(content | {"status": "imported"}))
    return run_id


WITH_BCE = {"step": 2, "loss": 1.9, "bce_weight": 0.5, "bce_loss": -0.4}


def test_ce_of_a_log_from_elsewhere_is_worked_out(store: RunStore) -> None:
    run_id = foreign_run(store, {**WITH_BCE, "step": 1, "loss": 2.8}, WITH_BCE)
    for log, basics in (read(store, run_id), read(store, run_id)):  # computed, and from its file
        found = log.figures("ce")
        assert found is not None and found.last == pytest.approx(2.1) and found.last_step == 2
        assert log.ce_is_worked_out and list(log.trends["ce"]) == pytest.approx([3.0, 2.1])
        assert basics.bce == "logged"
    assert kept(store, run_id).exists()


def test_a_summary_of_an_older_version_is_made_anew(store: RunStore) -> None:
    run_id = foreign_run(store, WITH_BCE)
    read(store, run_id)
    content = json.loads(kept(store, run_id).read_text())
    del content["ce_is_worked_out"], content["figures"]["ce"]
    kept(store, run_id).write_text(json.dumps(content | {"version": 1, "basics": {"bce": "unknown"}}))
    log, basics = read(store, run_id)
    assert log.ce_is_worked_out and basics.bce == "logged"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"loss": 1.0, "bce_loss": 0.3, "dice_loss": 0.4}, "unknown"),  # binary cross-entropy
        ({"loss": 1.0}, "unknown"),
        ({"loss": 1.0, "bce_weight": 0.0, "bce_loss": -0.4}, "off"),
        ({"loss": 1.0, "bce_rl": 0.5}, "logged"),
    ],
)
def test_what_a_log_from_elsewhere_says_of_bce(store: RunStore, line: dict[str, float], kind: str) -> None:
    log, basics = read(store, foreign_run(store, {"step": 1, **line}))
    assert basics.bce == kind
    assert log.ce_is_worked_out == (kind == "off")
