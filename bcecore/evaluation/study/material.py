"""Everything that a study's report is made of, gathered from the disk."""

from __future__ import annotations

from bcecore.evaluation.outcome import StudyMaterial
from bcecore.evaluation.study.differences import costs, curves
from bcecore.evaluation.study.foretelling import foretold_of
from bcecore.evaluation.study.progress import StudyProgress, progress
from bcecore.evaluation.study.verdicts import lost_ground, outcome_of
from bcecore.store import acknowledged
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore


def study_material(store: RunStore, study_id: str) -> StudyMaterial:
    """What is known of a study now; takes no look. Raises RunError where it cannot be read."""
    found = progress(store, study_id)
    plan, state = found.plan, found.state
    return StudyMaterial(
        plan=plan,
        state=state,
        progress=found.sentence,
        troubles=tuple((each.trouble, each.what_to_do) for each in found.troubles),
        alteration=found.alteration or lost_ground(store, plan, state),
        outcome=outcome_of(state.looks[-1]) if state.looks else None,
        earlier=tuple(map(outcome_of, state.looks[:-1])),
        curves=curves(store, plan, state),
        costs=costs(store, plan, state),
        foretold=foretold_of(plan.expectations),
        machines=_machines(found),
        accepted=acknowledged.read(StudyStore(store).directory(study_id)),
        now=now(),
    )


def _machines(found: StudyProgress) -> tuple[str, ...]:
    """Device and versions of the finished runs, each combination once: `cpu, torch 2.13.0, …`."""
    words = []
    for each in found.cells:
        if each.run is not None and each.run.status == "finished":
            versions = [f"{name} {version}" for name, version in sorted(each.run.versions.items())]
            words.append(", ".join(filter(None, [each.run.device, *versions])))
    return tuple(dict.fromkeys(words))
