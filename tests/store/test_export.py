"""Exports: nothing is lost, no digit is, and no spreadsheet is tricked."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.errors import RunError
from bcecore.store.export import TableFormat, export, file_name, logged_rows, write_records, write_table
from bcecore.store.history import History
from bcecore.store.imports import Upload, import_run
from bcecore.store.metrics import MetricsWriter
from bcecore.store.runs import RunStore
from tests.examples import example_run

ODD = [
    {"step": 1, "loss": 0.1, "=cmd()": 1.0, "long": 0.1 + 0.2},
    {"step": 2, "loss": math.nan, "grad_norm": math.inf, "tiny": 5e-324},
    {"step": 2, "loss": 2.5, "grad_norm": -math.inf},
    {"step": 3, 'with "quotes", and comma': -0.0, "öğrenme": 1e22},
]


def imported(store: RunStore, records: list[dict[str, Any]]) -> str:
    return import_run(store, [Upload("a.json", json.dumps(records).encode())], again=True)


def exported(store: RunStore, run_id: str, format: TableFormat, *, records: bool = False) -> list[dict[str, Any]]:
    """What another program reads from the file: CSV as text, Parquet as numbers."""
    path = store.root / "out"
    export(store, run_id, path, format, records=records)
    if format == "csv":
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    rows: list[dict[str, Any]] = pd.read_parquet(path, dtype_backend="pyarrow").to_dict("records")
    return rows


def test_a_table_for_a_spreadsheet(store: RunStore) -> None:
    first, second, third = exported(store, imported(store, ODD), "csv")
    assert first == {
        "step": "1", "loss": "0.1", "'=cmd()": "1", "long": "0.30000000000000004",
        "grad_norm": "", "tiny": "", 'with "quotes", and comma': "", "öğrenme": "",
    }  # fmt: skip
    assert (second["loss"], second["grad_norm"], second["tiny"]) == ("2.5", "-inf", "5e-324")
    assert (third['with "quotes", and comma'], third["öğrenme"], third["loss"]) == ("-0", "1e+22", "")


def test_what_is_not_a_number_is_not_what_is_missing(store: RunStore) -> None:
    run_id = imported(store, [{"step": 1, "loss": math.nan}, {"step": 2, "ce": math.inf}])
    assert [row["loss"] for row in exported(store, run_id, "csv")] == ["nan", ""]
    path = store.root / "out.parquet"
    export(store, run_id, path, "parquet")
    columns = pd.read_parquet(path, dtype_backend="pyarrow")
    assert columns["loss"].isna().tolist() == [False, True]


@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_numbers_keep_all_their_digits(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    directory = tmp_path_factory.mktemp("export")
    (directory / "imported").mkdir()
    records = [{"step": step, "x": value} for step, value in enumerate(values)]
    (directory / "imported" / "01-log.json").write_text(json.dumps(records))
    history = History(directory)
    history.refresh()
    file = io.BytesIO()
    write_table(history, file, "csv")
    read = [float(row["x"]) for row in csv.DictReader(io.StringIO(file.getvalue().decode()))]
    assert [repr(value) for value in read] == [repr(value) for value in values]
    file = io.BytesIO()
    write_records(directory, file, "csv")
    rows = csv.DictReader(io.StringIO(file.getvalue().decode()))
    assert [repr(float(row["value"])) for row in rows if row["key"] == "x"] == [repr(value) for value in values]


def test_every_record_has_what_a_later_one_replaced(store: RunStore) -> None:
    rows = exported(store, imported(store, ODD), "csv", records=True)
    losses = [(row["record"], row["step"], row["value"]) for row in rows if row["key"] == "loss"]
    assert losses == [("0", "1", "0.1"), ("1", "2", "nan"), ("2", "2", "2.5")]
    assert [row["column"] for row in rows if row["key"] == "'=cmd()"] == ["'=cmd()"]
    assert [row["column"] for row in rows if row["key"] == "step"] == [""] * 4
    assert {row["file"] for row in rows} == {"01-a.json"}


def test_a_shifted_record_says_where_it_was_and_where_it_belongs(store: RunStore) -> None:
    records = [{"step": 0, "epoch": 0.0, "bce_eff_w": 0.1}, {"epoch": 0.5, "loss": 3.0, "step": 1}, {"x": 2.0}]
    rows = [
        (row["step"], row["step_as_logged"], row["key"], row["column"])
        for row in exported(store, imported(store, records), "csv", records=True)
        if row["key"] not in ("step", "loss")
    ]
    assert rows == [
        ("1", "0", "epoch", ""),
        ("1", "0", "bce_eff_w", "bce_weight"),
        ("1", "1", "epoch", "epoch"),
        ("1", "", "x", "x"),
    ]


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize(
    "path",
    [
        *(f"trainer_states/{name}.json" for name in ("cpt-generation", "multi-eval-groups", "rl-two-cadences")),
        "trainer_states/t5-summarization.json",
        "report/trainer_state.json",
    ],
)
def test_of_a_real_log_nothing_is_lost(store: RunStore, shared_data: Path, path: str, format: TableFormat) -> None:
    records = json.loads((shared_data / path).read_text())["log_history"]
    logged = Counter(
        (position, key, float(value)) for position, record in enumerate(records) for key, value in record.items()
    )
    assert len(logged) > 200
    rows = exported(store, import_run(store, [shared_data / path]), format, records=True)
    assert Counter((int(row["record"]), row["key"], float(row["value"])) for row in rows) == logged


def test_our_own_runs_too(store: RunStore) -> None:
    run_id = example_run(store, steps=20)
    table = exported(store, run_id, "csv")
    assert [row["step"] for row in table] == [str(step) for step in range(1, 21)]
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        writer.write({"event": "resume", "from": 18})
        writer.write({"step": 19, "ce": 7.0, "loss": math.nan})
    rows = exported(store, run_id, "csv", records=True)
    assert [(row["record"], row["key"], row["value"]) for row in rows if row["step"] == "19"][-3:] == [
        ("21", "step", "19"),
        ("21", "ce", "7"),
        ("21", "loss", "nan"),
    ]
    assert sum(row["key"] == "ce" and row["step"] == "19" for row in rows) == 2  # also what was computed again
    assert len(exported(store, run_id, "csv")) == 19


def test_a_run_without_values_gives_an_empty_table(store: RunStore) -> None:
    run_id = example_run(store, "queued")
    assert exported(store, run_id, "csv") == []
    assert exported(store, run_id, "csv", records=True) == []
    assert list(logged_rows(store.directory(run_id))) == []


def test_the_file_is_whole_or_as_it_was(store: RunStore, tmp_path: Path) -> None:
    run_id = imported(store, ODD)
    path = tmp_path / "mine.csv"
    path.write_text("before")
    damaged = next((store.directory(run_id) / "imported").iterdir())
    damaged.write_text("no log any more")
    with pytest.raises(Exception, match="not a Trainer's log"):
        export(store, run_id, path, "csv", records=True)
    assert path.read_text() == "before"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.csv", "runs"]


def test_what_cannot_be_is_refused(store: RunStore, tmp_path: Path) -> None:
    run_id = imported(store, ODD)
    with pytest.raises(RunError, match="Write all records as csv or parquet"):
        export(store, run_id, tmp_path / "x", "tensorboard", records=True)
    for path in (tmp_path, tmp_path / "nowhere" / "x.csv"):
        with pytest.raises(RunError, match="cannot be a file"):
            export(store, run_id, path, "csv")


def test_names_of_files() -> None:
    assert file_name("Koşu 1", "csv") == "kosu-1.csv"
    assert file_name("a run", "parquet", records=True) == "a-run-records.parquet"
    assert file_name("a run", "tensorboard") == "events.out.tfevents.0.a-run"
