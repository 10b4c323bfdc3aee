"""All rules over one real run, as it is and with pieces of evidence missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bcecore.errors import RunError
from bcecore.findings.of_run import of_run
from bcecore.findings.of_study import Member
from bcecore.jobs.submit import submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.imports import find_logs, import_run
from bcecore.store.runs import RunStore
from tests.findings.conftest import edit_json
from tests.findings.logs import serious
from tests.training.processes import SMALL, run_worker, submit_small


def test_a_healthy_run_has_notes_at_most(healthy: tuple[RunStore, str]) -> None:
    assert {finding.id: finding.severity for finding in of_run(*healthy)} == {"lr-zero": "N", "too-small": "N"}


def test_a_healthy_run_on_other_text_has_notes_at_most(shared_data: Path, store: RunStore) -> None:
    changes = SMALL | {
        "data.train_file": str(shared_data / "wikitext-2" / "valid.txt"), "data.max_train_examples": 800,
        "model.vocab_size": 1000, "training.max_steps": 120, "bce.boost_span": 60, "logging.save_steps": 120,
        "logging.eval_steps": 40, "bce.max_weight": 0.2,
    }  # fmt: skip
    run_id = submit(store, with_values(load_recipe("quick-look").config, changes), name="WikiText-2")
    assert run_worker(store, run_id).returncode == 0
    assert {finding.id: finding.severity for finding in of_run(store, run_id)} == {"lr-zero": "N"}


def test_one_that_leaks(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, run_id = twins[0], twins[1][0].run
    assert serious(of_run(store, run_id)) == set()
    record = store.directory(run_id) / "run.json"
    facts = store.record(run_id).facts
    edit_json(record, facts=facts | {"leak_probe": facts["leak_probe"] | {"largest_change": 3.27, "leaks": True}})
    assert [finding.id for finding in of_run(store, run_id) if finding.blocks] == ["future-leak"]


def test_the_seed_profile_has_no_gradient(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, members = twins
    found = {member.arm: serious(of_run(store, member.run)) for member in members}
    assert found == {"off": set(), "seed profile": {"no-gradient"}, "active": set()}


def test_a_run_that_has_not_started_is_told_what_its_settings_and_texts_say(store: RunStore) -> None:
    run_id = submit_small(
        store, data__validation="first_rows_of_training", data__validation_rows=3, bce__profile="seed"
    )
    assert serious(of_run(store, run_id)) == {"split-reuse", "overlap", "too-small"}
    shutil.rmtree(store.directory(run_id) / "data")
    assert of_run(store, run_id) == []
    none = submit_small(store, data__validation="none")
    assert of_run(store, none) == []


def test_imported_logs(store: RunStore, shared_data: Path) -> None:
    def found(name: str) -> dict[str, str]:
        run_id = import_run(store, find_logs([shared_data / name]), name="elsewhere")
        return {finding.id: finding.severity for finding in of_run(store, run_id)}

    assert found("report/trainer_state.json") == {"lr-zero": "N"}
    assert found("trainer_states/cpt-generation.json") == {}


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        of_run(RunStore(tmp_path), "20260101-000000-nothing-0000")
