"""The run table: what is found, in which order, in which columns."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.run_table import (
    DEFAULT_COLUMNS,
    Query,
    Row,
    column,
    columns_for,
    difference,
    in_order,
    labels,
    matching,
    perplexity,
    run_table,
    worked_out_words,
)
from bcecore.store.record import Progress, RunRecord
from bcecore.store.summary import Basics, LogSummary

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
WORDS = {"queued": "○ Waiting", "finished": "✓ Finished", "imported": "↓ Imported"}


def row(name: str = "a run", *, basics: Basics | None = None, log: dict[str, tuple[float, ...]] | None = None,
        trends: dict[str, list[float]] | None = None, **fields: Any) -> Row:  # fmt: skip
    """A row; `log` has last, lowest, its step, highest and its step by key."""
    figures = {key: (9, 0.0, last, 9, low, low_at, high, high_at) for key, (last, low, low_at, high, high_at)
               in (log or {}).items()}  # fmt: skip
    values = {"created": NOW - timedelta(hours=3), "status": "finished"} | fields
    record = RunRecord(id=f"id-of-{name}", name=name, status_since=NOW, **values)
    return Row(record, LogSummary(figures, trends or {}), basics or Basics("seed", True, "built here"))


def names(rows: list[Row]) -> list[str]:
    return [row.record.name for row in rows]


ROWS = [
    row("Twin on", tags=("sweep", "big"), basics=Basics("active", True)),
    row("twin off", notes="the control", basics=Basics("off", True)),
    row("put away", archived=True),
    row("from elsewhere", status="imported", basics=Basics()),
    row("of a study", archived=True, study="20260101-000000-a-study-abcd"),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), ["Twin on", "twin off", "from elsewhere"]),
        (Query(archived=True), ["Twin on", "twin off", "put away", "from elsewhere", "of a study"]),
        (Query(archived=True, studies=frozenset({"20260101-000000-a-study-abcd"})), ["of a study"]),
        (Query(studies=frozenset({"20260101-000000-another-abcd"})), []),
        (Query(search="TWIN"), ["Twin on", "twin off"]),
        (Query(search=" twin  control "), ["twin off"]),
        (Query(search="sweep"), ["Twin on"]),
        (Query(search="id-of-from"), ["from elsewhere"]),
        (Query(search="id-"), []),  # too little of an id
        (Query(search="onsweep"), []),
        (Query(statuses=frozenset({"imported"})), ["from elsewhere"]),
        (Query(bce=frozenset({"off", "unknown"})), ["twin off", "from elsewhere"]),
        (Query(tags=frozenset({"big", "small"})), ["Twin on"]),
        (Query(search="twin", bce=frozenset({"seed"})), []),
    ],
)
def test_what_is_found(query: Query, found: list[str]) -> None:
    assert names(matching(ROWS, query)) == found


def test_filters_are_counted_without_the_search() -> None:
    assert Query(search="x", archived=True).filters == 0
    assert Query(statuses=frozenset({"failed"}), tags=frozenset({"a", "b"})).filters == 2


def logged(value: float | None) -> Row:
    return row(str(value), log={} if value is None else {"ce": (value, value, 1, value, 1)})


@given(st.lists(st.none() | st.floats(allow_nan=True)), st.booleans())
def test_rows_are_sorted_and_those_without_a_value_come_last(values: list[float | None], descending: bool) -> None:
    found = [column("ce.last").value(row) for row in in_order([*map(logged, values)], column("ce.last"),
             descending=descending)]  # fmt: skip
    known = [value for value in values if value is not None and not math.isnan(value)]
    assert found[: len(known)] == sorted(known, reverse=descending)
    assert all(value is None or math.isnan(value) for value in found[len(known) :])
    assert len(found) == len(values)


def test_equal_rows_stay_as_they_came_in_either_direction() -> None:
    rows = [row(name, basics=Basics(bce)) for name, bce in (("1", "off"), ("2", "seed"), ("3", "off"), ("4", "seed"))]
    assert names(in_order(rows, column("bce"), descending=False)) == ["1", "3", "2", "4"]
    assert names(in_order(rows, column("bce"), descending=True)) == ["2", "4", "1", "3"]


@pytest.mark.parametrize(
    ("code", "descending"),
    [("when", True), ("name", False), ("ce.last", False), ("eval_accuracy.best", True), ("grad_norm.last", True),
     ("progress", True), ("perplexity", False), ("tokens_per_second.best", True)],
)  # fmt: skip
def test_the_best_comes_first_unless_the_order_is_turned(code: str, descending: bool) -> None:
    assert column(code).best_first is descending


def test_best_is_what_the_metric_says_is_better() -> None:
    found = row(log={"eval_loss": (2.5, 1.5, 40, 9.0, 1), "eval_accuracy": (0.5, 0.1, 1, 0.75, 70)})
    values = {code: column(code).value(found) for code in columns_for([found]) if "." in code}
    assert values["eval_loss.best"] == 1.5 and values["eval_loss.best_step"] == 40
    assert values["eval_accuracy.best"] == 0.75 and values["eval_accuracy.best_step"] == 70
    assert values["eval_loss.last"] == 2.5


def test_of_a_metric_without_a_better_there_are_lowest_and_highest() -> None:
    found = row(log={"grad_norm": (2.0, 1.0, 4, 8.0, 1)})
    assert [code for code in columns_for([found]) if "." in code] == [
        "grad_norm.last",
        "grad_norm.lowest",
        "grad_norm.highest",
    ]
    assert column("grad_norm.highest").value(found) == 8.0


def test_checks_on_lines_that_were_learnt_are_not_shown_as_held_out() -> None:
    log = {"eval_loss": (2.5, 1.5, 40, 9.0, 1)}
    assert column("eval_loss.best").value(row(log=log, basics=Basics("seed", False))) is None
    assert column("eval_loss.best").value(row(log=log, basics=Basics())) == 1.5


def test_where_nothing_was_finite_there_is_no_best_step() -> None:
    found = row(log={"ce": (math.nan, math.nan, -1, math.nan, -1)})
    assert column("ce.best_step").value(found) is None


@pytest.mark.parametrize("code", ["", "ce", "ce.", ".last", "ce.middle"])
def test_there_is_no_other_column(code: str) -> None:
    with pytest.raises(KeyError):
        column(code)


def test_two_columns_never_have_one_name() -> None:
    named = labels(["ce.last", "CE.last", "bce", "BCE.last"])
    assert len(set(named.values())) == 4
    assert named["ce.last"] == "CE"


def test_perplexity_is_that_of_the_cross_entropy() -> None:
    assert column("perplexity").value(row(log={"ce": (2.0, 1.0, 1, 3.0, 1), "loss": (1.0, 1.0, 1, 1.0, 1)})) == (
        math.exp(2.0)
    )
    assert column("perplexity").value(row(log={"loss": (1.0, 1.0, 1, 1.0, 1)})) is None
    assert math.isnan(perplexity(1e9)) and math.isnan(perplexity(math.nan))


def test_the_table_has_a_row_for_every_run_and_no_invented_values() -> None:
    progress = Progress(step=150, total_steps=300, epoch=1.0, updated=NOW)
    done = row("done", progress=progress, log={"ce": (2.5, 1.0, 1, 3.0, 1)}, trends={"ce": [3.0, 2.5]})
    waiting = row("waiting", status="queued", created=NOW, basics=Basics())
    table = run_table([waiting, done], [*DEFAULT_COLUMNS, "tags"], WORDS, NOW)
    assert table.index.tolist() == [1, 2]
    assert table["name"].tolist() == ["waiting", "done"]
    assert table["status"].tolist() == ["○ Waiting", "✓ Finished"]
    assert table["progress"].tolist() == [0.0, 0.5]
    assert table["bce"].tolist() == ["unknown", "seed"]
    assert table["ce.last"].isna().tolist() == [True, False]
    assert table["eval_loss.best"].isna().all()
    assert table["trend"].tolist() == [[], [3.0, 2.5]]
    assert table["when"].tolist() == ["just now", "3 h ago"]
    assert not [name for name in table if name.endswith(".difference")]
    assert run_table([waiting, done], [], WORDS, NOW, first=201).index.tolist() == [201, 202]


def test_a_value_that_was_not_finite_is_not_the_same_as_none() -> None:
    rows = [row("a", log={"ce": (math.nan, 1.0, 1, 1.0, 1)}), row("b", log={"ce": (2.34567, 1.0, 1, 3.0, 1)}), row("c")]
    cells = run_table(rows, ["ce.last"], WORDS, NOW)["ce.last"]
    assert cells.tolist()[:2] == ["not finite", "2.346"]
    assert cells.isna().tolist() == [False, False, True]


def test_the_trend_of_a_foreign_run_is_that_of_its_loss() -> None:
    foreign = row("x", status="imported", trends={"loss": [2.0, 1.0], "ce": []})
    assert run_table([foreign], ["trend"], WORDS, NOW)["trend"].tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize(
    ("code", "mine", "other", "words"),
    [
        ("ce.last", 2.5, 3.0, "−0.500 better"),
        ("ce.last", 3.25, 3.0, "+0.250 worse"),
        ("ce.last", 3.0, 3.0, "same"),
        ("eval_accuracy.last", 0.75, 0.5, "+0.250 better"),
        ("grad_norm.last", 0.75, 0.5, "+0.250"),
        ("ce.last", math.nan, 3.0, None),
        ("ce.last", 3.0, math.inf, None),
        ("ce.last", None, 3.0, None),
    ],
)
def test_differences_say_whether_they_are_for_the_better(
    code: str, mine: float | None, other: float, words: str | None
) -> None:
    key = code.partition(".")[0]

    def with_last(name: str, value: float | None) -> Row:
        return row(name, log={} if value is None else {key: (value, 1.0, 1, 1.0, 1)})

    assert difference(with_last("mine", mine), with_last("other", other), column(code)) == words


def test_with_a_baseline_each_number_has_its_difference() -> None:
    pinned = row("pinned", log={"ce": (3.0, 1.0, 5, 3.0, 1)})
    other = row("other", log={"ce": (2.5, 2.0, 7, 3.0, 1)})
    table = run_table([other, pinned], ["status", "ce.last", "ce.best_step"], WORDS, NOW, pinned)
    assert list(table) == ["name", "status", "ce.last", "ce.last.difference", "ce.best_step"]
    assert table["ce.last.difference"].tolist() == ["−0.500 better", "★"]


def test_a_baseline_that_is_not_listed_still_counts() -> None:
    pinned = row("pinned", archived=True, log={"ce": (3.0, 1.0, 5, 3.0, 1)})
    other = row("other", log={"ce": (2.5, 2.0, 7, 3.0, 1)})
    assert run_table([other], ["ce.last"], WORDS, NOW, pinned)["ce.last.difference"].tolist() == ["−0.500 better"]


def test_columns_know_every_key_that_some_run_has_logged() -> None:
    rows = [row("a", log={"ce": (1, 1, 1, 1, 1)}), row("b", log={"ce": (1, 1, 1, 1, 1), "rewards/x": (1, 1, 1, 1, 1)}),
            row("c", log={"time": (1, 1, 1, 1, 1)})]  # fmt: skip
    codes = columns_for(rows)
    assert {"ce.best", "rewards/x.best", "tags", "model"} <= set(codes)
    assert "name" not in codes and "time.last" not in codes
    assert len(codes) == len(set(codes)) and all(column(code).code == code for code in codes)


def test_bce_is_named_in_words() -> None:
    foreign = row("x", status="imported", basics=Basics("logged"))
    assert column("bce").value(foreign) == "on, kind not known"
    assert matching([foreign, row("y")], Query(bce=frozenset({"logged"}))) == [foreign]


def test_columns_of_both_kinds_of_runs_do_not_claim_held_out_ce() -> None:
    best = column("eval_loss.best")
    assert best.label == "Best check loss"
    assert "nats per token for runs that were made here" in best.help and "does not say" in best.help
    assert "worked out" not in column("loss.last").help
    assert "what is left without the term" in column("ce.last").help


def test_a_difference_to_a_log_from_elsewhere_is_no_verdict() -> None:
    mine, other = (row(n, log={"eval_loss": (v, v, 9, v, 9)}) for n, v in (("a", 1.0), ("b", 2.0)))
    foreign = row("c", status="imported", log={"eval_loss": (2.0, 2.0, 9, 2.0, 9)})
    assert difference(mine, other, column("eval_loss.best")) == "−1 better"
    assert difference(mine, foreign, column("eval_loss.best")) == "−1"
    assert difference(foreign, mine, column("eval_loss.best")) == "+1"


def test_whose_ce_is_worked_out() -> None:
    assert worked_out_words(["a"]) == "CE of “a” is worked out: the logged loss less BCE’s term."
    assert worked_out_words(list("abcde")).startswith("CE of “a”, “b”, “c” and 2 more is")
