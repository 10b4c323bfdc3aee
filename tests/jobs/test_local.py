"""Telling how a run ended whose process is gone. How processes are started is in test_supervisor."""

from __future__ import annotations

from typing import Any

import pytest

from bcecore.jobs.local import reconciled
from bcecore.store.identity import ProcessIdentity
from bcecore.store.requests import StopRequest, write_stop
from bcecore.store.runs import RunStore
from tests.examples import example_run

GONE = ProcessIdentity(pid=1, started=5.0, boot="an earlier one")


def test_two_who_judge_at_once_agree_that_it_was_stopped(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page and the supervisor look at the same moment; neither may take away what the other judges by."""
    run_id = example_run(store, "running")
    store.update(run_id, process=GONE)
    write_stop(store.directory(run_id), StopRequest(kind="now"))
    seen, other = store.record(run_id), RunStore(store.root)
    mark_dead = store.mark_dead

    def overtaken(*arguments: Any, **changes: Any) -> Any:
        assert reconciled(other, seen).status == "stopped"
        return mark_dead(*arguments, **changes)

    monkeypatch.setattr(store, "mark_dead", overtaken)
    assert reconciled(store, seen).status == "stopped"
    assert store.record(run_id).status == "stopped"
