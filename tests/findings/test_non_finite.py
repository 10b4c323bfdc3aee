"""non-finite: on a real run that diverges, on healthy ones, and on the log of a loss scaler."""

from __future__ import annotations

import json
import math
from pathlib import Path

from bcecore.findings import collect
from bcecore.findings.non_finite import KEYS, non_finite
from bcecore.findings.of_study import Member
from bcecore.store.history import History
from bcecore.store.metrics import MetricsWriter
from bcecore.store.runs import RunStore
from tests.training.processes import run_worker, submit_small


def test_a_run_that_diverges(store: RunStore) -> None:
    run = submit_small(
        store, training__optimizer="sgd", training__learning_rate=10.0, training__max_grad_norm=0.0,
        training__warmup_steps=25,
        bce__scale=1000.0, bce__base_weight=1000.0, bce__target_weight=1000.0, bce__max_weight=0.0,
    )  # fmt: skip
    assert run_worker(store, run).returncode == 1
    failure = store.record(run).failure
    assert failure is not None and failure.kind == "non-finite"
    (finding,) = non_finite(run, collect.logged(store, run))
    assert finding.blocks and finding.numbers["first_step"] == failure.step
    assert f"From step {failure.step:,} on" in finding.sentence
    json.dumps(finding.model_dump(), allow_nan=False)


def test_healthy_runs_are_silent(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store = RunStore(trained[0])
    for member in trained[1]:
        logged = collect.logged(store, member.run)
        assert {"loss", "ce", "grad_norm", "eval_loss"} <= set(logged)
        assert non_finite(member.run, logged) == []


def test_a_loss_scaler_may_skip_steps_but_the_loss_may_not_be_infinite(tmp_path: Path) -> None:
    def found(rows: list[dict[str, float]], scales: bool) -> list[int]:
        path = tmp_path / "metrics.jsonl"
        path.unlink(missing_ok=True)
        with MetricsWriter(path) as writer:
            for step, row in enumerate(rows, 1):
                writer.write({"step": step, **row})
        history = History(tmp_path)
        history.refresh()
        series = {key: history.series(key) for key in KEYS if len(history.series(key))}
        return [finding.numbers["first_step"] for finding in non_finite("run", series, scales_loss=scales)]

    fine, skipped = {"loss": 2.0, "grad_norm": 1.0}, {"loss": 2.0, "grad_norm": math.inf}
    assert found([fine, skipped, fine], scales=True) == []
    assert found([fine, skipped, fine], scales=False) == [2]
    assert found([fine, fine, skipped], scales=True) == [3]
    assert found([fine, {"loss": math.nan, "grad_norm": 1.0}, fine], scales=True) == [2]
