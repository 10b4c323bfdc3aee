"""Watching a run: what is looked at again and what is not, and texts that are read in the background."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bcecore.errors import RunError
from bcecore.findings import collect, watch
from bcecore.findings.of_run import of_run
from bcecore.findings.of_study import Member
from bcecore.findings.watch import Watch
from bcecore.store.history import History
from bcecore.store.metrics import MetricsWriter
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from tests.findings.conftest import edit_json
from tests.training.processes import wait_for


def test_it_says_what_looking_at_everything_says(faulty: tuple[RunStore, dict[str, str]]) -> None:
    store, ids = faulty
    for run_id in ids.values():
        history = History(store.directory(run_id))
        history.refresh()
        assert Watch(store, run_id).look(history) == of_run(store, run_id)


def test_news_of_each_kind_are_seen(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, run_id = twins[0], twins[1][2].run
    directory = store.directory(run_id)
    history, watching = History(directory), Watch(store, run_id)

    def seen() -> dict[str, str]:
        history.refresh()
        return {finding.id: finding.severity for finding in watching.look(history)}

    assert seen() == {"lr-zero": "N", "too-small": "N"}
    facts = store.record(run_id).facts
    edit_json(directory / "run.json", facts=facts | {"leak_probe": facts["leak_probe"] | {"largest_change": 3.27}})
    assert seen() == {"future-leak": "B", "lr-zero": "N", "too-small": "N"}
    with MetricsWriter(directory / "metrics.jsonl") as writer:
        writer.write({"step": 9, "loss": 4.0, "ce": 4.0, "grad_norm": float("inf")})
        writer.write({"step": 9, "eval_loss": 4.0, "eval_perplexity": 4.0})
    assert seen() == {
        "future-leak": "B", "non-finite": "B", "metric-contains-regulariser": "B", "lr-zero": "N", "too-small": "N",
    }  # fmt: skip


def test_the_weight_of_a_run_without_bce_is_looked_at(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, off = twins[0], twins[1][0].run
    with MetricsWriter(store.directory(off) / "metrics.jsonl") as writer:
        writer.write({"step": 9, "loss": 4.0, "ce": 4.0, "bce_weight": 0.4})
    assert [finding.id for finding in of_run(store, off) if finding.blocks] == ["off-not-off"]


def test_the_record_and_the_texts_are_read_once(
    twins: tuple[RunStore, tuple[Member, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run_id = twins[0], twins[1][2].run
    read: list[str] = []
    record, lines = RunStore.record, collect.lines

    def read_record(self: RunStore, key: str) -> RunRecord:
        read.append("record")
        return record(self, key)

    def read_lines(path: Path) -> list[str]:
        read.append(path.name)
        return lines(path)

    monkeypatch.setattr(RunStore, "record", read_record)
    monkeypatch.setattr(collect, "lines", read_lines)
    history = History(store.directory(run_id))
    history.refresh()
    for watching in (Watch(store, run_id), Watch(store, run_id)):  # as two tabs have it
        for _ in range(3):
            watching.look(history)
    assert read == ["record", "train.jsonl", "validation.jsonl", "record"]


def test_a_large_text_is_read_in_the_background(
    twins: tuple[RunStore, tuple[Member, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run_id = twins[0], twins[1][2].run
    history = History(store.directory(run_id))
    history.refresh()
    monkeypatch.setattr(watch, "AT_ONCE_BYTES", 1000)
    with watch._one_at_a_time:  # another one is being read
        watching = Watch(store, run_id)
        assert [finding.id for finding in watching.look(history)] == ["lr-zero"] and watching.is_reading
    wait_for(lambda: not watching.is_reading)
    assert watching.look(history) == of_run(store, run_id)
    monkeypatch.setattr(watch, "MOST_BYTES", 2000)
    beyond = Watch(store, run_id)
    assert [finding.id for finding in beyond.look(history)] == ["lr-zero"] and not beyond.is_reading


def test_a_run_that_is_gone(twins: tuple[RunStore, tuple[Member, ...]], tmp_path: Path) -> None:
    store, run_id = twins[0], twins[1][0].run
    watching, history = Watch(store, run_id), History(store.directory(run_id))
    watching.look(history)
    shutil.rmtree(store.directory(run_id))
    with pytest.raises(RunError):
        watching.look(history)
