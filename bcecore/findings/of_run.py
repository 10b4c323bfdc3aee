"""Everything that the rules have to say about one run, whether it is going on or over."""

from __future__ import annotations

from bcecore.findings import collect
from bcecore.findings.accumulation import accumulation
from bcecore.findings.averaging import averaging
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.future_leak import architecture_of, future_leak
from bcecore.findings.metric_contains_regulariser import metric_contains_regulariser
from bcecore.findings.non_finite import non_finite
from bcecore.findings.of_repeat import of_repeat
from bcecore.findings.padding import padding
from bcecore.store.runs import RunStore


def of_run(store: RunStore, run_id: str) -> list[Finding]:
    """What is noticed about a run, the most serious first. Raises RunError for a run that cannot be read."""
    config, logged = store.config(run_id), collect.logged(store, run_id)
    probe, random = collect.leak_probe(store, run_id), collect.random_tokens(store, run_id)
    loss_probe = collect.loss_probe(store, run_id)
    return by_severity(
        [
            *future_leak(run_id, probe, architecture_of(config), random),
            *non_finite(run_id, logged, scales_loss=config.training.precision == "fp16"),
            *metric_contains_regulariser(run_id, collect.figures(store, run_id)),
            *averaging(run_id, loss_probe),
            *padding(run_id, loss_probe),
            *accumulation(run_id, loss_probe),
            *of_repeat(store, run_id),
        ]
    )
