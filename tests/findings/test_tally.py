"""How many findings a run has: counted once, for the rules that counted, and again when the run is another."""

from __future__ import annotations

import math

import pytest

from bcecore.errors import RunError
from bcecore.findings import tally
from bcecore.findings.tally import keep_tally, look_over, rules_version, tally_of
from bcecore.report.run_table import column, findings_cell
from bcecore.store import acknowledged
from bcecore.store.record import Tally, now
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run

BROKEN = {"step": 121, "ce": math.nan, "loss": math.nan, "grad_norm": math.nan}


def faulty(store: RunStore, **changes: object) -> str:
    config = example_config("report-10-epoch-offline")
    return example_run(store, config=config, leaks=True, last_line=BROKEN, **changes)  # type: ignore[arg-type]


def test_counted_once_and_without_what_was_accepted(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = faulty(store)
    assert tally_of(store.record(run_id)) is None
    look_over(store, store.record(run_id))
    record = store.record(run_id)
    found = tally_of(record)
    assert found is not None and (found.serious, found.warnings, found.notes, found.accepted) == (2, 1, 1, 0)

    writes = []
    monkeypatch.setattr(RunStore, "update", lambda *_, **changes: writes.append(changes))
    look_over(store, record)
    assert writes == []  # nothing new to keep
    (leak,) = [each for each in tally.Watch(store, run_id).look(history(store, run_id)) if each.id == "future-leak"]
    acknowledged.acknowledge(store.directory(run_id), leak, "it repeats the report")
    look_over(store, record)
    assert [(each["tally"].serious, each["tally"].accepted) for each in writes] == [(1, 1)]


def history(store: RunStore, run_id: str) -> tally.History:
    found = tally.History(store.directory(run_id))
    found.refresh()
    return found


def test_it_holds_for_these_rules_and_this_end_of_the_run(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = faulty(store, status="stopped", checkpoints=(100,))
    look_over(store, store.record(run_id))
    assert tally_of(store.record(run_id)) is not None
    store.transition(run_id, "queued")
    assert tally_of(store.record(run_id)) is None
    for status in ("starting", "running", "finished"):
        store.transition(run_id, status)  # type: ignore[arg-type]
        assert tally_of(store.record(run_id)) is None
    look_over(store, store.record(run_id))
    assert tally_of(store.record(run_id)) is not None
    monkeypatch.setattr(tally, "rules_version", lambda: "other rules")
    assert tally_of(store.record(run_id)) is None


def test_a_run_at_work_is_not_counted(store: RunStore) -> None:
    run_id = faulty(store, status="running")
    keep_tally(store, store.record(run_id), [])
    assert store.record(run_id).tally is None


def test_a_run_that_cannot_be_looked_over(store: RunStore) -> None:
    run_id = faulty(store)
    record = store.record(run_id)
    (store.directory(run_id) / "config.json").write_text("{")
    with pytest.raises(RunError):
        look_over(store, record)
    assert store.record(run_id).tally is None


def test_the_version_of_the_rules_is_that_of_their_source() -> None:
    assert rules_version() == rules_version() and len(rules_version()) == 12


@pytest.mark.parametrize(
    ("counts", "cell"),
    [
        ((0, 0, 0, 0), "✓ none"),
        ((0, 0, 0, 2), "✓ none but accepted"),
        ((1, 2, 1, 0), "✕ 1 serious, ▲ 2 warnings"),
        ((2, 1, 3, 0), "✕ 2 serious, ▲ 1 warning"),
        ((0, 0, 3, 1), "· 3 notes"),
    ],
)
def test_the_cell_says_it_in_words(counts: tuple[int, int, int, int], cell: str) -> None:
    serious, warnings, notes, accepted = counts
    found = Tally(rules="r", since=now(), serious=serious, warnings=warnings, notes=notes, accepted=accepted)
    assert findings_cell(found) == cell


def test_nobody_has_looked() -> None:
    assert findings_cell(None) is None and column("findings").label == "Findings"
