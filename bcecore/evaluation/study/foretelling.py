"""Before a study is launched: what it will likely see, and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bcecore.errors import BceError
from bcecore.evaluation.outcome import Foretold, finite
from bcecore.evaluation.planning import components, plan
from bcecore.evaluation.statistics import levels
from bcecore.evaluation.study.collecting import Collected
from bcecore.evaluation.study.drafting import Prepared
from bcecore.evaluation.study.preflight import Preflight
from bcecore.evaluation.study.progress import places
from bcecore.jobs import estimate
from bcecore.jobs.submit import Checked, with_other_settings
from bcecore.settings import flatten
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from bcecore.text.tokenizing import encode


def foretell(store: RunStore, ready: Prepared, found: Preflight) -> Foretold:
    """What is known now; on time only if `start_probes` has measured it."""
    draft, first = ready.draft, ready.splits[0]
    dirty = set(found.overlapping.get(first.name, ()))
    clean = [text for row, text in enumerate(first.texts) if row not in dirty]
    encoded = encode(ready.checked.tokenizer, clean, first.block_size)
    tokens = [len(ids) - 1 for ids in encoded.ids]  # the first token is only read
    seeds = draft.looks[0]
    compared = max(1, sum(not arm.planted for arm in draft.arms[1:]))
    pilot = _pilot(store, ready)
    seen = None
    if pilot is not None:
        seen = plan(pilot[1], seeds, tokens, levels(len(draft.looks), compared).difference)
    return Foretold(
        seeds=seeds,
        documents=len(clean),
        tokens=sum(tokens),
        runs=seeds * len(draft.arms),
        pilot=None if pilot is None else pilot[0],
        mde=None if seen is None else finite(seen.mde),
        mde_low=None if seen is None else finite(seen.mde_low),
        mde_high=None if seen is None else finite(seen.mde_high),
        seconds=_seconds(store, ready),
        places=places(store, ready.base),
    )


def as_expectations(foretold: Foretold) -> Mapping[str, Any]:
    """As it is kept in the plan."""
    return asdict(foretold)


def foretold_of(expectations: Mapping[str, Any]) -> Foretold | None:
    """What a plan has kept; None where nothing was foretold."""
    return Foretold(**expectations) if expectations else None


def _pilot(store: RunStore, ready: Prepared) -> tuple[str, Any] | None:
    """The newest study of the same model whose results tell how much seeds and documents vary, and its components.

    Twins that are the same in every bit vary by nothing and tell nothing.
    """
    model = _model(ready.base)
    for listed in StudyStore(store).listed():
        if listed.plan is None or listed.state is None or not listed.state.looks or _model(listed.plan.base) != model:
            continue
        seeds = listed.plan.seeds[: listed.state.looks[-1].seeds]
        for arm in listed.plan.arms[1:]:
            if arm.planted:
                continue
            try:
                cells = Collected(store, listed.plan, listed.state, arm.name, seeds, listed.plan.primary).cells
                if not cells.identical:
                    return listed.id, components(cells)
            except BceError:  # deleted runs, results that cannot be compared: no pilot
                continue
    return None


def _model(config: Any) -> dict[str, Any]:
    return {key: value for key, value in flatten(config).items() if key.startswith("model.")}


# -- time


def _seconds(store: RunStore, ready: Prepared) -> float | None:
    """Of training: each arm's estimate times the seeds; None while one of them is not measured."""
    found = [estimate.estimate(store, checked) for checked in _of_arms(ready)]
    known = [each.seconds for each in found if each is not None]
    return sum(known) * ready.draft.looks[0] if len(known) == len(found) else None


def start_probes(store: RunStore, ready: Prepared) -> bool:
    """See to it that every arm's pace is measured, one after the other; True while one is still to be."""
    for checked in _of_arms(ready):
        if estimate.estimate(store, checked) is None and estimate.probe_failure(store, checked) is None:
            estimate.start_probe(store, checked)
            return True
    return False


def _of_arms(ready: Prepared) -> list[Checked]:
    return [with_other_settings(ready.checked, config) for config in ready.arms.values()]
