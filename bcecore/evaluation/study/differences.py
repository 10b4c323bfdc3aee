"""Where and when the arms of a study differ, besides the result itself: over training, and in time.

Only about the seeds of a look that was taken: the curves of runs that are under way would be an interim result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bcecore.errors import RunError
from bcecore.evaluation.outcome import Cost, Curve
from bcecore.store.history import History
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyPlan, StudyState, cell

EVAL_LOSS = "eval_loss"


def curves(store: RunStore, plan: StudyPlan, state: StudyState) -> list[Curve]:
    """The held-out CE over training of every arm, at the seeds of the last look; arms without checks are left out.

    Empty before the first look. Which texts were checked on, the settings say (`plan.base.data`).
    """
    found = []
    for arm in plan.arms:
        series = [_checks(store, run_id) for run_id in _runs(plan, state, arm.name)]
        shared = sorted(set.intersection(*(set(each) for each in series))) if series else []
        if not shared:
            continue
        values = np.array([[each[step] for step in shared] for each in series])  # (seeds, steps)
        spread = values.std(axis=0, ddof=1) if len(series) > 1 else np.zeros(len(shared))
        found.append(
            Curve(arm.name, tuple(shared), tuple(values.mean(axis=0).tolist()), tuple(spread.tolist()), len(series))
        )
    return found


def costs(store: RunStore, plan: StudyPlan, state: StudyState) -> list[Cost]:
    """What each arm took in time beside the reference, at the seeds of the last look. Empty before the first look."""
    if not state.looks:
        return []
    paces = {arm.name: [_pace(store, run_id) for run_id in _runs(plan, state, arm.name)] for arm in plan.arms}
    seeds = plan.seeds[: state.looks[-1].seeds]
    return [
        Cost(
            arm.name,
            plan.reference.name,
            tuple(
                (seed, reference, own)
                for seed, reference, own in zip(seeds, paces[plan.reference.name], paces[arm.name], strict=True)
                if reference and own
            ),
        )
        for arm in plan.arms[1:]
    ]


def _runs(plan: StudyPlan, state: StudyState, arm: str) -> Sequence[str]:
    """The runs of an arm at the seeds of the last look."""
    if not state.looks:
        return []
    return [state.runs[cell(arm, seed)] for seed in plan.seeds[: state.looks[-1].seeds]]


def _checks(store: RunStore, run_id: str) -> dict[int, float]:
    """The finite held-out CE of a run by step; empty where the run is gone."""
    try:
        history = History(store.directory(run_id))
    except RunError:
        return {}
    history.refresh()
    series = history.series(EVAL_LOSS)
    return {
        int(step): float(value) for step, value in zip(series.steps, series.values, strict=True) if np.isfinite(value)
    }


def _pace(store: RunStore, run_id: str) -> float | None:
    """Steps per second of a run that was trained in one piece."""
    try:
        record = store.record(run_id)
    except RunError:
        return None
    whole = record.progress is not None and record.progress.session_start_step == 0
    pace = record.facts.get("train_steps_per_second")
    return float(pace) if whole and isinstance(pace, (int, float)) and pace > 0 else None
