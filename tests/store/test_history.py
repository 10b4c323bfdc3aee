"""The history of a run: one row a step, checks merged in, what a resume computes again dropped."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.store.history import History
from bcecore.store.metrics import RESUME, MetricsWriter


def log(directory: Path, *lines: dict[str, Any]) -> History:
    with MetricsWriter(directory / "metrics.jsonl") as writer:
        for line in lines:
            writer.write(line)
    history = History(directory)
    history.refresh()
    return history


def test_before_the_first_line_there_is_an_empty_frame(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert not history.refresh()
    assert list(history.frame.columns) == ["step"]
    assert len(history.frame) == 0
    assert history.last == {}
    assert history.keys == ()
    assert len(history.series("loss")) == 0


def test_one_row_a_step_with_the_checks_merged_in(tmp_path: Path) -> None:
    history = log(
        tmp_path,
        {"step": 1, "epoch": 0.5, "loss": 3.0},
        {"step": 2, "epoch": 1.0, "loss": 2.0},
        {"step": 2, "epoch": 1.0, "eval_loss": 2.5},
        {"step": 3, "epoch": 1.5, "loss": 1.0},
    )
    expected = pd.DataFrame(
        {
            "step": [1, 2, 3],
            "epoch": [0.5, 1.0, 1.5],
            "loss": [3.0, 2.0, 1.0],
            "eval_loss": [math.nan, 2.5, math.nan],
        }
    )
    pd.testing.assert_frame_equal(history.frame, expected)
    assert history.last == {"step": 3, "epoch": 1.5, "loss": 1.0, "eval_loss": 2.5}


def test_it_grows_with_the_log(tmp_path: Path) -> None:
    history = log(tmp_path, {"step": 1, "loss": 3.0})
    before = history.version
    assert not history.refresh()
    assert history.version == before
    with MetricsWriter(tmp_path / "metrics.jsonl") as writer:
        writer.write({"step": 1, "eval_loss": 2.0})
        writer.write({"step": 2, "loss": 2.0})
    assert history.refresh()
    assert history.version > before
    assert list(history.frame["step"]) == [1, 2]
    assert history.frame["eval_loss"][0] == 2.0


def test_a_resume_drops_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    history = log(
        tmp_path,
        *({"step": step, "loss": float(step)} for step in range(1, 8)),
        {"step": 6, "eval_loss": 9.0},
        {"event": RESUME, "from": 4},
        {"step": 5, "loss": 50.0},
    )
    assert list(history.frame["step"]) == [1, 2, 3, 4, 5]
    assert list(history.frame["loss"]) == [1, 2, 3, 4, 50]
    assert "eval_loss" not in history.frame
    assert history.last == {"step": 5, "loss": 50.0}


def test_what_is_not_finite_is_a_gap_that_is_known(tmp_path: Path) -> None:
    history = log(
        tmp_path,
        {"step": 1, "loss": 1.0, "grad_norm": 2.0},
        {"step": 2, "loss": math.nan, "grad_norm": math.inf},
        {"step": 3, "grad_norm": 4.0},
    )
    assert history.frame["loss"].isna().tolist() == [False, True, True]
    # A value that was not finite has its place in the series; one that was not logged has none.
    assert history.series("loss").steps.tolist() == [1, 2]
    assert history.series("grad_norm").steps.tolist() == [1, 2, 3]
    assert math.isnan(history.last["loss"])


def test_a_series_has_the_places_that_were_logged(tmp_path: Path) -> None:
    history = log(
        tmp_path,
        {"step": 2, "epoch": 1.0, "time": 8.5, "loss": 2.0},
        {"step": 1, "epoch": 0.5, "time": 8.0, "loss": 3.0, "ce": 1.0},
    )
    series = history.series("loss")
    assert [column.tolist() for column in series] == [[1, 2], [3.0, 2.0], [0.5, 1.0], [8.0, 8.5]]
    assert history.series("ce").steps.tolist() == [1]


def test_words_and_events_are_no_columns(tmp_path: Path) -> None:
    history = log(
        tmp_path,
        {"event": "started", "at": 3},
        {"step": 1, "loss": 1.0, "note": "words", "list": [1]},
        {"event": RESUME},
        {"step": "two", "loss": 2.0},
        {"loss": 3.0},
    )
    assert history.frame.to_dict("list") == {"step": [1], "loss": [1.0]}


@pytest.mark.parametrize("content", [b"", b'{"step":5,"loss":1.0}\n'])
def test_a_log_that_begins_again_forgets_the_old_one(tmp_path: Path, content: bytes) -> None:
    history = log(tmp_path, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0})
    (tmp_path / "metrics.jsonl").write_bytes(content)
    assert history.refresh()
    assert history.frame["step"].tolist() == ([5] if content else [])


steps = st.integers(1, 12)
lines = st.lists(
    st.builds(lambda step, key, value: {"step": step, key: value}, steps, st.sampled_from("ab"), st.floats(-9, 9))
    | st.builds(lambda step: {"event": RESUME, "from": step}, st.integers(0, 12)),
    max_size=30,
)


@given(lines, st.integers(0, 30))
def test_it_is_what_reading_line_by_line_gives(
    tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, Any]], pause: int
) -> None:
    expected: dict[int, dict[str, Any]] = {}
    for line in written:
        if "event" in line:
            expected = {step: row for step, row in expected.items() if step <= line["from"]}
        else:
            expected.setdefault(line["step"], {}).update(line)
    directory = tmp_path_factory.mktemp("history")
    history = log(directory, *written[:pause])
    with MetricsWriter(directory / "metrics.jsonl") as writer:
        for line in written[pause:]:
            writer.write(line)
    history.refresh()
    assert history.frame["step"].tolist() == sorted(expected)
    for key in "ab":
        series = history.series(key)
        assert dict(zip(series.steps.tolist(), series.values.tolist(), strict=True)) == {
            step: row[key] for step, row in expected.items() if key in row
        }


def state(directory: Path, records: list[dict[str, Any]], step: int) -> None:
    content = {"epoch": 1.0, "global_step": step, "log_history": records}
    (directory / "trainer_state.json").write_text(json.dumps(content), encoding="utf-8")


def test_the_final_log_fills_in_what_the_live_one_lost(tmp_path: Path) -> None:
    log(tmp_path, *({"step": step, "loss": float(step)} for step in (1, 2, 3)))
    text = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(text.replace('"step":2', '"st'))
    state(tmp_path, [{"step": step, "loss": float(step), "ce": 0.5} for step in (1, 2, 3, 4)], 4)
    history = History(tmp_path)
    assert history.refresh()
    assert not history.refresh()
    assert history.steps.tolist() == [1, 2, 3, 4]
    assert history.column("loss").tolist() == [1, 2, 3, 4]
    (tmp_path / "metrics.jsonl").unlink()
    alone = History(tmp_path)
    alone.refresh()
    assert alone.column("loss").tolist() == [1, 2, 3, 4]


def test_a_whole_live_log_needs_no_other(tmp_path: Path) -> None:
    log(tmp_path, {"step": 1, "loss": 1.0})
    state(tmp_path, [{"step": 1, "loss": 7.0, "other": 1.0}], 1)
    history = History(tmp_path)
    history.refresh()
    assert history.frame.to_dict("list") == {"step": [1], "loss": [1.0]}


def test_the_final_log_of_an_earlier_end_does_not_count_after_a_resume(tmp_path: Path) -> None:
    state(tmp_path, [{"step": step, "loss": 9.0} for step in range(1, 9)], 8)
    os.utime(tmp_path / "trainer_state.json", (1, 1))
    history = log(tmp_path, {"step": 1, "loss": 1.0}, {"event": RESUME, "from": 1}, {"step": 2, "loss": 2.0})
    assert history.steps.tolist() == [1, 2]


def test_an_imported_run_is_read_from_its_files(tmp_path: Path) -> None:
    imported = tmp_path / "imported"
    imported.mkdir()
    early = {"global_step": 2, "log_history": [{"step": 1, "loss": 5.0}, {"step": 2, "loss": 4.0}]}
    late = {"global_step": 3, "log_history": [{"step": 2, "loss": 4.5}, {"step": 3, "loss": 3.0}]}
    (imported / "late.json").write_text(json.dumps(late))
    (imported / "zearly.json").write_text(json.dumps(early))
    (imported / "broken.json").write_text("{}")
    history = History(tmp_path)
    assert history.refresh()
    assert not history.refresh()
    assert history.column("loss").tolist() == [5.0, 4.5, 3.0]
    assert len(history.notes) == 1
    assert "broken.json is not a Trainer's log" in history.notes[0]


def test_who_reads_new_rows_only_is_told_when_earlier_ones_change(tmp_path: Path) -> None:
    history = log(tmp_path, {"step": 1, "loss": 3.0, "time": 1.0}, {"step": 2, "loss": 2.0, "time": 2.0})

    def is_told(*lines: dict[str, Any]) -> bool:
        before = history.rewrites
        with MetricsWriter(tmp_path / "metrics.jsonl") as writer:
            for line in lines:
                writer.write(line)
        history.refresh()
        return history.rewrites > before

    assert not is_told({"step": 3, "loss": 1.0, "time": 3.0})
    assert not is_told({"step": 3, "eval_loss": 1.5, "time": 3.5})  # a check joins the last row
    assert is_told({"step": 3, "eval_loss": 1.4})
    assert is_told({"step": 2, "eval_loss": 1.4})
    assert is_told({"event": RESUME, "from": 2}, {"step": 3, "loss": 1.0}, {"step": 4, "loss": 1.0})
    assert not is_told({"step": 5, "loss": math.nan})
    assert is_told({"step": 5, "loss": 1.0})
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 3.0}\n')
    assert is_told()
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "trainer_state.json").write_text('[{"step": 9, "loss": 3.0}]')
    assert is_told()
