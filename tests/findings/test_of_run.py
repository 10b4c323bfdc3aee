"""All rules over one real run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.errors import RunError
from bcecore.findings.of_run import of_run
from bcecore.findings.of_study import Member
from bcecore.store.runs import RunStore
from tests.findings.conftest import edit_json


def test_a_sound_run_is_silent_and_one_that_leaks_is_not(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, run_id = twins[0], twins[1][0].run
    assert of_run(store, run_id) == []
    record = store.directory(run_id) / "run.json"
    facts = store.record(run_id).facts
    edit_json(record, facts=facts | {"leak_probe": facts["leak_probe"] | {"largest_change": 3.27, "leaks": True}})
    assert [finding.id for finding in of_run(store, run_id)] == ["future-leak"]


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        of_run(RunStore(tmp_path), "20260101-000000-nothing-0000")
