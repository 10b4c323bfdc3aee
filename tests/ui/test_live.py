"""Reading for pages: logs are shared, bounded in memory, and read once."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from bcecore.jobs.local import current_records
from bcecore.store.metrics import MetricsWriter
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.ui import live
from bcecore.ui.live import configs_of, open_history, table_rows
from tests.examples import example_run


def history_id(store: RunStore, run_id: str) -> int:
    with open_history(store, run_id) as history:
        return id(history)


def size(store: RunStore, run_id: str) -> int:
    with open_history(store, run_id) as history:
        return 8 * len(history.steps) * (len(history.keys) + 1)


def test_everybody_shares_a_history_that_grows(store: RunStore) -> None:
    run_id = example_run(store, steps=3)
    with open_history(store, run_id) as history:
        assert len(history.steps) == 3
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        writer.write({"step": 4, "ce": 1.0})
    with open_history(RunStore(store.root), run_id) as again:
        assert again is history
        assert len(again.steps) == 4


def test_what_was_not_read_for_the_longest_time_is_closed(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_histories", live._Histories())
    a, b, c = (example_run(store, name=name, steps=60) for name in "abc")
    monkeypatch.setattr(live, "HISTORY_BYTES", int(2.5 * size(store, a)))
    ids = {run_id: history_id(store, run_id) for run_id in (a, b)}
    kept = []
    with open_history(store, b) as history:
        kept.append(history)  # so that its id is not given to another one
    history_id(store, a)
    history_id(store, c)
    assert history_id(store, a) == ids[a]
    assert history_id(store, b) != ids[b]


def test_one_that_is_larger_than_allowed_stays_open(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_histories", live._Histories())
    monkeypatch.setattr(live, "HISTORY_BYTES", 1)
    run_id = example_run(store, steps=60)
    assert history_id(store, run_id) == history_id(store, run_id)


def test_whoever_reads_one_is_not_disturbed_by_its_closing(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_histories", live._Histories())
    monkeypatch.setattr(live, "HISTORY_BYTES", 1)
    runs = [example_run(store, name=f"run {number}", steps=30 + number) for number in range(4)]

    def read(number: int) -> bool:
        place = number % len(runs)
        with open_history(store, runs[place]) as history:
            return len(history.steps) == 30 + place == len(history.series("ce"))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))


def test_a_row_is_made_once_for_a_run_that_is_over(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    example_run(store, "finished")
    (first,) = table_rows(store, current_records(store), seconds=60).rows
    monkeypatch.setattr(live, "read_summary", None)
    (again,) = table_rows(RunStore(store.root), current_records(RunStore(store.root)), seconds=60).rows
    assert again is first


def test_a_run_that_changed_gets_a_new_row(store: RunStore) -> None:
    run_id = example_run(store, "stopped", steps=3)
    table_rows(store, current_records(store), seconds=60)
    store.transition(run_id, "queued")
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        writer.write({"step": 4, "ce": 0.25})
    (row,) = table_rows(store, current_records(store), seconds=60).rows
    found = row.log.figures("ce")
    assert found is not None and found.last == 0.25 and row.record.status == "queued"


def test_a_run_at_work_shows_its_newest_values(store: RunStore) -> None:
    run_id = example_run(store, "running", steps=3)
    rows = table_rows(store, current_records(store), seconds=60).rows
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        writer.write({"step": 4, "ce": math.nan})
    live._histories.get(store, run_id).summarise_after = 0
    (row,) = table_rows(store, current_records(store), seconds=60).rows
    found = row.log.figures("ce")
    assert found is not None and math.isnan(found.last) and found.lowest_step == 3
    assert row.basics.bce == rows[0].basics.bce == "active"
    assert not (store.directory(run_id) / "summary.json").exists()


def test_a_growing_log_is_not_summarised_all_the_time(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = example_run(store, "running", steps=3)
    made = count()
    real = live.summarise_log
    monkeypatch.setattr(live, "summarise_log", lambda *given: (next(made), real(*given))[1])
    shared = live._histories.get(store, run_id)
    for step in (4, 5):
        with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
            writer.write({"step": step, "ce": 1.0})
        table_rows(store, current_records(store), seconds=60)
        shared.summarise_after = math.inf
    assert next(made) == 1


def test_what_there_is_no_time_for_waits_for_the_next_look(store: RunStore) -> None:
    for name in "ab":
        example_run(store, name=name)
    rows, unread = table_rows(store, current_records(store), seconds=-1)
    assert unread == 2 and [row.log.keys for row in rows] == [(), ()]
    rows, unread = table_rows(store, current_records(store), seconds=60)
    assert unread == 0 and all(row.log.figures("ce") for row in rows)


def test_settings_that_cannot_be_read_are_not_there(store: RunStore) -> None:
    good, bad = example_run(store, name="good"), example_run(store, name="bad")
    (store.directory(bad) / "config.json").write_text("{")
    configs = configs_of(store, [store.record(good), store.record(bad)])
    assert list(configs) == [good] and len(configs) == 1
    assert configs[good] == store.config(good)
    assert bad not in configs and "20260102-030405-a-run-0a1b" not in configs
    (store.directory(bad) / "config.json").write_text((store.directory(good) / "config.json").read_text())
    assert bad in configs


def test_a_run_that_ended_is_read_from_its_log(store: RunStore) -> None:
    run_id = example_run(store, "running", steps=3)
    table_rows(store, current_records(store), seconds=60)
    store.transition(run_id, "finished", ended=now(), process=None)
    (row,) = table_rows(store, current_records(store), seconds=60).rows
    assert row.record.status == "finished" and row.log.figures("ce") is not None
    assert (store.directory(run_id) / "summary.json").exists()
