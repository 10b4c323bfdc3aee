"""Everything that the rules have to say about one run, whether it is going on or over, trained here or imported.

Each kind of evidence has its function, so that `watch` can look again at what has changed and at nothing else. What is
missing is passed over: a run that has not begun has no log, an imported one no settings and no text.
"""

from __future__ import annotations

from typing import Any

from bcecore.config import RunConfig
from bcecore.findings import collect
from bcecore.findings.accumulation import accumulation
from bcecore.findings.averaging import averaging
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.future_leak import architecture_of, future_leak
from bcecore.findings.live import LiveRules
from bcecore.findings.metric_contains_regulariser import metric_contains_regulariser
from bcecore.findings.of_repeat import of_repeat
from bcecore.findings.off_not_off import off_not_off
from bcecore.findings.padding import padding
from bcecore.findings.remedy import with_remedy
from bcecore.store.history import History
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore

_BY_LOG = (
    "metric-contains-regulariser",
    "non-finite",
    "divergence",
    "loss-spike",
    "exploding-grad",
    "plateau",
    "overfit",
    "collapse",
    "clamp-saturated",
    "no-gradient",
    "too-good",
    "lr-zero",
)
_BY_PROBES = ("future-leak", "averaging", "padding", "accumulation", "off-not-off")
_BY_TEXT = ("overlap", "split-reuse", "too-small")


def rules_of(config: RunConfig | None) -> tuple[str, ...]:
    """The rules that look at a run with these settings, by their names; None for those of an imported one."""
    if config is None:
        return _BY_LOG
    return (*_BY_LOG, *_BY_PROBES, *(() if config.data.validation == "none" else _BY_TEXT))


def of_run(store: RunStore, run_id: str) -> list[Finding]:
    """What is noticed about a run, the most serious first. Raises RunError for a run that cannot be read.

    Its texts are read, which takes seconds for large ones the first time; a page asks `watch` instead.
    """
    record = store.record(run_id)
    config = collect.settings(store, record)
    history = History(store.directory(run_id))
    history.refresh()
    return by_severity(
        [
            *by_facts(record, config),
            *LiveRules(run_id, config).look(history),
            *by_log(run_id, config, history),
            *collect.text_findings(store, run_id, config),
            *of_repeat(store, record),
        ]
    )


def by_facts(record: RunRecord, config: RunConfig | None) -> list[Finding]:
    """By what the training process has found out about its model and its loss, and by the settings."""
    leak, random, loss = (_fact(record, key) for key in ("leak_probe", "random_tokens", "loss_probe"))
    architecture = None if config is None else architecture_of(config)
    found = [
        *future_leak(record.id, leak, architecture, random),
        *averaging(record.id, loss),
        *padding(record.id, loss),
        *accumulation(record.id, loss),
    ]
    return found if config is None else [with_remedy(finding, config) for finding in found]


def _fact(record: RunRecord, key: str) -> dict[str, Any] | None:
    fact = record.facts.get(key)
    return fact if isinstance(fact, dict) else None


def by_log(run_id: str, config: RunConfig | None, history: History) -> list[Finding]:
    """By what the log says as it stands now, where the newest values are enough."""
    found = metric_contains_regulariser(run_id, collect.figures_in(history, config))
    if config is not None and not config.bce.enabled:
        # By its settings the weight is 0 at every step; what was logged could still say otherwise.
        found += off_not_off(run_id, None, 0, history.series("bce_weight"))
    return found
