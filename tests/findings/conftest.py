"""Real tiny twin runs: three arms, two seeds, trained once by a process of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bcecore.findings.of_study import Member
from bcecore.jobs.submit import submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.runs import RunStore
from tests.training.processes import run_patched, run_worker, submit_small

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
    for member in members:
        assert run_worker(store, member.run).returncode == 0
    return store.root, tuple(members)


@pytest.fixture
def twins(trained: tuple[Path, tuple[Member, ...]], store: RunStore) -> tuple[RunStore, tuple[Member, ...]]:
    """A copy of the runs that a test may do something to."""
    shutil.copytree(trained[0], store.root)
    return store, trained[1]


def edit_json(path: Path, **changes: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


_WEIGHT = {"bce__base_weight": 20.0, "bce__target_weight": 20.0, "bce__max_weight": 20.0}
_STEADY = {"training__lr_scheduler": "constant_with_warmup"}
FAULTS: dict[str, dict[str, Any]] = {
    "explodes": {
        "training__max_steps": 140, "training__warmup_steps": 130, "training__learning_rate": 10.0,
        "training__optimizer": "sgd", "training__max_grad_norm": 0.0, **_STEADY,
    },
    "unlearns": {"training__max_steps": 60, "training__learning_rate": 1.0, **_STEADY},
    "stands still": {"training__max_steps": 90, "training__learning_rate": 1e-8},
    "learns by heart": {
        "training__max_steps": 100, "training__learning_rate": 1e-2, "data__max_train_examples": 8,
        "logging__eval_steps": 10,
    },
    "is drawn together": {"training__max_steps": 105, "training__learning_rate": 1e-2, **_WEIGHT, **_STEADY},
    "is held at a limit": {"training__max_steps": 25, "bce__clamp_max": 0.1},
    "has no weight": {"training__max_steps": 25, "bce__base_weight": 0.0, "bce__max_weight": 0.0},
    "outlives its schedule": {"training__max_steps": 20},
    "is checked on what it saw": {"training__max_steps": 60, "training__learning_rate": 3e-2,
        "data__max_train_examples": 2, "data__validation": "first_rows_of_training", "logging__eval_steps": 20,
        "model__dropout": 0.0,
    },
}  # fmt: skip
"""Real mistakes, each in a tiny run of its own."""

# The schedule was made for 12 steps, as when a run is made longer and its schedule is not.
_ENDS_EARLY = """
from torch.optim.lr_scheduler import LambdaLR

def ends_early(self, num_training_steps, optimizer=None):
    self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda done: max(0.0, 1 - done / 12))
    return self.lr_scheduler

trainer.BCETrainer.create_scheduler = ends_early
"""


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, dict[str, str]]:
    """A store with a run for each of FAULTS, and their ids."""
    store = RunStore(tmp_path_factory.mktemp("faulty") / "runs")
    ids = {}
    for name, changes in FAULTS.items():
        seldom = {"logging__eval_steps": 1000, "logging__save_steps": 1000}
        ids[name] = submit_small(store, **(seldom | changes))
        ended = run_patched(store, ids[name], _ENDS_EARLY if name == "outlives its schedule" else "")
        assert ended.returncode == (1 if name == "explodes" else 0), ended.stderr
    return store, ids


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, str]:
    """The quick look as it is, but for its length and what goes with it."""
    store = RunStore(tmp_path_factory.mktemp("healthy") / "runs")
    shorter = {"training.max_steps": 150, "bce.boost_span": 60, "logging.save_steps": 150, "training.device": "cpu"}
    run_id = submit(store, with_values(load_recipe("quick-look").config, shorter), name="quick look")
    assert run_worker(store, run_id).returncode == 0
    return store, run_id
