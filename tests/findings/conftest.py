"""Real tiny twin runs: three arms, two seeds, trained once by a process of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bcecore.findings.of_study import Member
from bcecore.store.runs import RunStore
from tests.training.processes import run_workers, submit_small

ARMS: dict[str, dict[str, Any]] = {
    "off": {"bce__enabled": False},
    "seed profile": {"bce__profile": "seed"},
    "active": {"bce__profile": "active"},
}
SHORT = {"training__max_steps": 8, "bce__warmup_steps": 2, "logging__save_steps": 8, "logging__eval_steps": 8}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Member, ...]]:
    """The directory of a store with the runs, and which is which."""
    store = RunStore(tmp_path_factory.mktemp("twins") / "runs")
    members = [
        Member(submit_small(store, **SHORT, **changes, training__seed=seed), arm, seed, is_off=arm == "off")
        for seed in (1, 2)
        for arm, changes in ARMS.items()
    ]
    run_workers(store, [member.run for member in members])
    return store.root, tuple(members)


@pytest.fixture
def twins(trained: tuple[Path, tuple[Member, ...]], store: RunStore) -> tuple[RunStore, tuple[Member, ...]]:
    """A copy of the runs that a test may do something to."""
    shutil.copytree(trained[0], store.root)
    return store, trained[1]


def edit_json(path: Path, **changes: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
