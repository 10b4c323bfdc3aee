"""A real study in real processes, its supervisor killed on the way: the seed profile changes nothing, provably."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bcecore import cli
from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.drafting import known_arm
from bcecore.evaluation.study.progress import progress
from bcecore.evaluation.study.verdicts import outcome_of
from bcecore.findings import collect
from bcecore.store.preferences import save_preferences
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from tests.evaluation.study.studied import draft
from tests.examples import devices_known
from tests.jobs.test_supervisor import supervisors, wait


@pytest.mark.skipif(sys.platform == "win32", reason="kills the supervisor")
def test_the_seed_profile_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BCE_SUPERVISOR_IDLE_SECONDS", "10")
    store = RunStore(tmp_path / "runs")
    save_preferences(store, slots={"cpu": 2}, keep_free_gb=0, notify_command="")
    devices_known(store)
    arms = (known_arm("off"), known_arm("seed"))
    plan = create(store, draft(store, arms=arms, **{"logging.eval_steps": 3}))
    wait(lambda: progress(store, plan.id).steps[0] >= 6, "the first run")
    for process in supervisors(store):
        process.kill()
        process.wait(timeout=30)
    assert cli.main(["study", "resume", plan.id, "--wait", "--json", "--runs-dir", str(store.root)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["status"] == "complete" and {run["status"] for run in shown["runs"]} == {"done"}

    state = StudyStore(store).state(plan.id)
    (found,) = outcome_of(state.looks[0]).comparisons
    assert found.verdict.headline.startswith("BCE changed nothing: after training, the twins’ weights are the same")
    assert found.identical_weights and not any(finding.blocks for finding in found.findings)
    assert found.gradient is not None and found.gradient.measured > 0 and found.gradient.largest == 0
    assert found.difference is not None and (found.difference.value, found.difference.high) == (0.0, 0.0)
    # Twins within a seed, and not between seeds.
    now = {name: collect.weights_now(store, run_id) for name, run_id in state.runs.items()}
    assert now["off/1"] == now["seed/1"] != now["off/2"] == now["seed/2"]
    material = progress(store, plan.id)
    assert material.seconds_left == 0.0 and material.due == ()
    for process in supervisors(store):
        process.terminate()
        process.wait(timeout=30)
