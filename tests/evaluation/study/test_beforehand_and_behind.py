"""What a study will see and how long it takes, before its launch; where its arms differ, after a look."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

from bcecore.evaluation.outcome import Foretold
from bcecore.evaluation.planning import components
from bcecore.evaluation.planning import plan as planned
from bcecore.evaluation.study.collecting import Collected
from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.differences import costs, curves
from bcecore.evaluation.study.drafting import prepared
from bcecore.evaluation.study.foretelling import as_expectations, foretell, foretold_of
from bcecore.evaluation.study.material import study_material
from bcecore.evaluation.study.preflight import preflight
from bcecore.evaluation.study.verdicts import take_due_looks
from bcecore.jobs import estimate
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from tests.evaluation.study.studied import draft, finish, finish_all


def foretold(store: RunStore, folder: Path, **changes: object) -> Foretold:
    ready = prepared(draft(store, **changes), folder)
    return foretell(store, ready, preflight(ready))


def test_without_a_pilot_nothing_is_promised(asleep: RunStore, tmp_path: Path) -> None:
    found = foretold(asleep, tmp_path / "tokenizer")
    assert (found.seeds, found.documents, found.runs, found.places) == (2, 32, 4, 1)
    assert (found.pilot, found.mde, found.mde_low, found.mde_high, found.seconds) == (None,) * 5
    assert foretold_of(json.loads(json.dumps(as_expectations(found)))) == found
    assert foretold_of({}) is None


def test_an_earlier_study_of_the_model_is_the_pilot(asleep: RunStore, tmp_path: Path) -> None:
    pilot = create(asleep, draft(asleep))
    finish_all(asleep, pilot, {"active": -0.2})
    assert foretold(asleep, tmp_path / "a").pilot is None  # results are not looked at before their time
    state = take_due_looks(asleep, pilot.id)
    found = foretold(asleep, tmp_path / "b", seeds=(1, 2, 3, 4, 5), looks=(5,))
    assert found.pilot == pilot.id
    cells = Collected(asleep, pilot, state, "active", (1, 2), pilot.primary).cells
    tokens = [found.tokens // 32] * 32
    expected = planned(components(cells), 5, tokens)
    assert found.mde == pytest.approx(expected.mde, rel=1e-9)
    assert found.mde_low is not None and found.mde_high is not None and found.mde_low < found.mde < found.mde_high
    # Several looks make each less sure.
    more = foretold(asleep, tmp_path / "c", seeds=(1, 2, 3, 4, 5, 6), looks=(5, 6))
    assert more.mde is not None and more.mde > found.mde
    other = foretold(asleep, tmp_path / "d", **{"model.hidden_size": 64})
    assert other.pilot is None


def test_the_time_is_that_of_every_arm_and_seed(asleep: RunStore, tmp_path: Path) -> None:
    ready = prepared(draft(asleep), tmp_path / "tokenizer")
    for name, per_step in (("off", 0.5), ("active", 1.0)):
        path = estimate._result_file(asleep, ready.arms[name], ready.checked.text.fingerprints)
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = estimate.Probe(
            startup_seconds=2,
            seconds_per_step=per_step,
            seconds_per_evaluation=0,
            seconds_per_checkpoint=0,
            checkpoint_bytes=1,
            model_bytes=1,
            weights=1,
        )
        assert foretell(asleep, ready, preflight(ready)).seconds is None
        path.write_text(probe.model_dump_json())
    assert foretell(asleep, ready, preflight(ready)).seconds == pytest.approx(2 * (2 + 6 * 0.5 + 2 + 6 * 1.0))


def test_curves_and_costs_are_those_of_the_look(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, seeds=(1, 2, 3), looks=(2, 3)))
    finish_all(asleep, plan, {"active": -0.2})
    state = StudyStore(asleep).state(plan.id)
    assert curves(asleep, plan, state) == [] and costs(asleep, plan, state) == []
    take_due_looks(asleep, plan.id)
    finish_late = StudyStore(asleep).state(plan.id)
    off, active = curves(asleep, plan, finish_late)
    assert (off.arm, off.steps, off.seeds) == ("off", (3, 6), 2)
    assert off.mean == pytest.approx((4.5 + 0.015, 4.0 + 0.015))
    assert off.deviation == pytest.approx((float(np.std([0.01, 0.02], ddof=1)),) * 2)
    assert active.mean == pytest.approx((4.315, 3.815))
    (cost,) = costs(asleep, plan, finish_late)
    assert cost.pairs == ((1, 10.0, 9.0), (2, 10.0, 9.0)) and cost.ratio == pytest.approx(0.9)


def test_an_interrupted_run_has_no_pace(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    for arm in ("off", "active"):
        finish(asleep, plan, arm, 1)
        finish(asleep, plan, arm, 2)
    run_id = StudyStore(asleep).state(plan.id).runs["active/2"]
    progress = asleep.record(run_id).progress
    assert progress is not None
    asleep.update(run_id, progress=progress.model_copy(update={"session_start_step": 4}))
    state = take_due_looks(asleep, plan.id)
    (cost,) = costs(asleep, plan, state)
    assert [seed for seed, _, _ in cost.pairs] == [1]


def test_the_material_of_the_report(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    material = study_material(asleep, plan.id)
    assert (material.outcome, material.curves, material.costs, material.foretold) == (None, [], [], None)
    finish_all(asleep, plan, {"active": -0.2})
    before = StudyStore(asleep).state(plan.id)
    assert study_material(asleep, plan.id).outcome is None and StudyStore(asleep).state(plan.id) == before
    take_due_looks(asleep, plan.id)
    material = study_material(asleep, plan.id)
    assert material.outcome is not None and material.machines == ("cpu, torch 2.13.0",)
    digest = hashlib.sha256((StudyStore(asleep).directory(plan.id) / "study.json").read_bytes()).hexdigest()
    assert material.state.plan_sha256 == digest == material.state.looks[0].plan_sha256
    (found,) = material.outcome.comparisons
    assert found.perplexity_arm is not None and found.ce_arm is not None
    assert found.perplexity_arm == pytest.approx(math.exp(found.ce_arm), rel=1e-12)
