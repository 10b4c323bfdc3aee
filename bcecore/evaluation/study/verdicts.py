"""Planned looks: the findings, the statistics and the verdict at a number of seeds that was decided beforehand.

A look is taken when all of its seeds are trained and measured, once: what it found is kept in the study's state and
shown from there ever after. Only one at which nothing could be compared may be repeated. Before a look there is nothing
to see but progress.

A finding that forbids a verdict does so until somebody accepts it with a reason (`store.acknowledged`); the look can
then be taken again, and its verdict states what it was reached despite. Where there is nothing to compare, because a
run broke or a loss is no number, nothing can be accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bcecore.errors import RunError
from bcecore.evaluation.outcome import (
    Comparison,
    Difference,
    Gradient,
    LengthGroup,
    Outcome,
    Secondary,
    SeedDifference,
    difference_of,
    finite,
)
from bcecore.evaluation.paired import LEVEL
from bcecore.evaluation.statistics import by_length, estimate, holm, levels, per_seed
from bcecore.evaluation.study.collecting import Collected, documents_of, has_only_finite_losses
from bcecore.evaluation.study.preflight import is_off, without_declared
from bcecore.evaluation.study.progress import CellProgress, StudyProgress, progress
from bcecore.evaluation.verdict import Arms, Despite, Evidence, verdict
from bcecore.findings import collect
from bcecore.findings.few_drivers import few_drivers
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.metric_contains_regulariser import Figure, metric_contains_regulariser
from bcecore.findings.of_study import Member, after_training
from bcecore.findings.too_good import too_good_measured
from bcecore.findings.twin_mismatch import Twin, measured_other, not_as_planned, twin_mismatch
from bcecore.findings.twins_identical import twins_identical
from bcecore.store import acknowledged
from bcecore.store.acknowledged import Acknowledgement, acknowledgement_of
from bcecore.store.evaluations import EvaluationStore
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.store.studies import Arm, Look, StudyPlan, StudyState, StudyStore, cell

# Says of a finding that without numbers there is nothing that could be accepted.
_NOTHING_TO_COMPARE = "nothing_to_compare"


def take_due_looks(store: RunStore, study_id: str) -> StudyState:
    """Take every planned look whose seeds are all there, the smallest first, and return the state with them.

    Harmless where none is due. Raises RunError for a study whose frozen files were changed, or the weights that an
    earlier verdict rests on, whether or not a look is due; NotComparable or RunError where results cannot be read:
    nothing is kept of that look then, and it can be taken once that is mended.
    """
    studies = StudyStore(store)
    found = progress(store, study_id)
    if found.alteration is not None:
        raise RunError(found.alteration)
    state = found.state
    lost = lost_ground(store, found.plan, state)
    if lost is not None:
        raise RunError(lost)
    for seeds in found.due:
        look = _look(store, found, state, seeds)
        state = studies.update(study_id, lambda present, look=look: _with_look(present, look))  # type: ignore[misc]
    return state


def look_again(store: RunStore, study_id: str) -> StudyState:
    """Take the last look once more, if something forbade every comparison of it: nobody has seen a result.

    For when what was in the way is mended. Raises RunError for any other look, which is taken once, and else as
    `take_due_looks`.
    """
    studies = StudyStore(store)
    found = progress(store, study_id)
    if found.alteration is not None:
        raise RunError(found.alteration)
    before = found.last_look
    if before is None or not outcome_of(before).is_blocked:
        raise RunError(
            f"Study {study_id} has no look that could be taken again: a look that has found something is taken once. "
            "Only one at which nothing could be compared can be repeated, when what was in the way is mended."
        )
    look = _look(store, found, found.state, before.seeds)
    return studies.update(
        study_id, lambda present: {"looks": tuple(look if each == before else each for each in present.looks)}
    )


def lost_ground(store: RunStore, plan: StudyPlan, state: StudyState) -> str | None:
    """Why what a look found cannot be shown any more, in a sentence; None if it can: the weights that it rests on were
    changed, or what it was reached despite is not accepted any more."""
    return _lost_proof(store, state) or _withdrawn(store, plan, state)


def _withdrawn(store: RunStore, plan: StudyPlan, state: StudyState) -> str | None:
    accepted = acknowledged.read(StudyStore(store).directory(plan.id))
    for look in state.looks:
        for found in outcome_of(look).comparisons:
            if not found.verdict.despite:
                continue
            for finding in found.findings:
                if finding.blocks and acknowledgement_of(finding, accepted) is None:
                    return (
                        f"The verdict at {look.seeds} seeds was reached despite a finding that had been accepted, and "
                        f"is not accepted any more: {finding.sentence} Accept it again with a reason, or create a new "
                        "study."
                    )
    return None


def _lost_proof(store: RunStore, state: StudyState) -> str | None:
    """Why a "changed nothing" that was decided by the weights cannot be shown any more.

    It rests on weights that anybody can hash again; so whenever it is shown, they are. Those of a run that was deleted
    cannot be, and stay as they were found.
    """
    for look in state.looks:
        outcome = outcome_of(look)
        for found in outcome.comparisons:
            if not found.identical_weights:
                continue
            for seed in outcome.seeds:
                for arm in (found.reference, found.arm):
                    run_id = state.runs[cell(arm, seed)]
                    if _has_other_weights(store, run_id):
                        return (
                            f"That BCE changed nothing rests on weights that are the same in every bit, and those of "
                            f"run {run_id} ({arm}, seed {seed}) were changed since the look at {look.seeds} seeds. Put "
                            f"the original model back, or create a new study."
                        )
    return None


def _has_other_weights(store: RunStore, run_id: str) -> bool:
    try:
        trained = (store.record(run_id).facts.get("twin") or {}).get("final_weights")
    except RunError:
        return False
    now_there = collect.weights_now(store, run_id)
    return trained is not None and now_there is not None and now_there != trained


def _look(store: RunStore, found: StudyProgress, state: StudyState, seeds: int) -> Look:
    outcome = _outcome(store, found.plan, state, found.cells, found.plan.seeds[:seeds])
    return Look(seeds=seeds, taken=now(), plan_sha256=state.plan_sha256, outcome=outcome.model_dump(mode="json"))


def _with_look(state: StudyState, look: Look) -> Mapping[str, Any]:
    """The first to take a look has taken it."""
    if any(taken.seeds == look.seeds for taken in state.looks):
        return {}
    return {"looks": tuple(sorted((*state.looks, look), key=lambda taken: taken.seeds))}


def outcome_of(look: Look) -> Outcome:
    """What a look found. Raises RunError where it cannot be read."""
    try:
        return Outcome.model_validate(look.outcome)
    except ValueError as error:
        raise RunError(f"What the look at {look.seeds} seeds found is damaged and cannot be read: {error}") from error


def _outcome(
    store: RunStore, plan: StudyPlan, state: StudyState, cells: Sequence[CellProgress], seeds: Sequence[int]
) -> Outcome:
    compared = sum(not arm.planted for arm in plan.arms[1:])
    broken = {(each.arm, each.seed): each for each in cells if each.status == "broken"}
    comparisons = [
        _comparison(store, plan, state, arm, seeds, broken, 1 if arm.planted else compared) for arm in plan.arms[1:]
    ]
    return Outcome(
        seeds=tuple(seeds),
        comparisons=tuple(_raised(comparisons)),
        looks_planned=len(plan.looks),
        arms_compared=compared,
    )


def _comparison(
    store: RunStore,
    plan: StudyPlan,
    state: StudyState,
    arm: Arm,
    seeds: Sequence[int],
    broken: Mapping[tuple[str, int], CellProgress],
    comparisons: int,
) -> Comparison:
    twins = _twins(store, plan, state, arm, seeds)
    findings = _findings(store, plan, state, arm, seeds, twins)
    told = {finding.subject for finding in findings if finding.id == "non-finite"}
    findings += [
        _broken(each)
        for (name, seed), each in broken.items()
        if name in (plan.reference.name, arm.name)
        and seed in seeds
        and each.run is not None
        and each.run.id not in told
    ]
    accepted = acknowledged.read(StudyStore(store).directory(plan.id))
    if not _blocking(findings, accepted):
        frames = [
            documents_of(store, plan, state, name, seed, split)
            for name in (plan.reference.name, arm.name)
            for seed in seeds
            for split in plan.splits
        ]
        if not has_only_finite_losses(frames):
            findings.append(_not_finite(plan))
    clean = plan.primary.rows - len(plan.overlapping.get(plan.primary.name, ()))
    identical, gradient = _identical_weights(twins, seeds), _gradient(twins, arm)
    values: dict[str, Any] = {}
    evidence = Evidence(
        estimate=None,
        blocking=_blocking(findings, accepted),
        accepted=_despite(findings, accepted),
        identical_weights=identical,
        clean_documents=clean,
        margin=plan.margin,
        looks=len(plan.looks),
        comparisons=comparisons,
        arms=_arms(plan, arm),
    )
    if not evidence.blocking:
        primary = Collected(store, plan, state, arm.name, seeds, plan.primary)
        found = estimate(primary.cells)
        evidence = Evidence(
            **{**vars(evidence), "estimate": found, "identical_losses": primary.cells.identical},
        )
        level = levels(len(plan.looks), comparisons).difference
        difference = difference_of(found, level)
        findings += _of_numbers(plan, arm, primary, difference)
        findings += twins_identical(
            plan.id,
            arm.name,
            len(seeds),
            weights=identical,
            losses=primary.cells.identical,
            gradient=gradient.largest if gradient else None,
        )
        values = {
            "difference": difference,
            "error": finite(found.error),
            "error_seeds": finite(found.error_seeds),
            "error_documents": finite(found.error_documents),
            "ce_reference": finite(primary.ce(0)),
            "ce_arm": finite(primary.ce(1)),
            "seeds": _seeds(primary),
            "secondary": _secondary(store, plan, state, arm, seeds, primary),
            "lengths": tuple(
                LengthGroup(label=group.label, difference=difference_of(group.estimate, LEVEL, p_holm=group.p_holm))
                for group in by_length(primary.cells)
            ),
        }
    return Comparison(
        arm=arm.name,
        reference=plan.reference.name,
        planted=arm.planted,
        verdict_values=verdict(evidence).as_json(),
        findings=tuple(by_severity(findings)),
        clean_documents=clean,
        left_out=plan.primary.rows - clean,
        identical_weights=identical,
        gradient=gradient,
        **values,
    )


def _arms(plan: StudyPlan, arm: Arm) -> Arms:
    """Simply "BCE" where there is nothing else that could be meant."""
    one = len(plan.arms) == 2 and not arm.planted
    if one and is_off(plan.reference) and plan.config(arm.name, plan.seeds[0]).bce.enabled:
        return Arms()
    return Arms(plan.reference.name, arm.name)


# -- findings


def can_be_accepted(finding: Finding) -> bool:
    """Whether a verdict is possible despite a finding: there is something to compare."""
    return not finding.numbers.get(_NOTHING_TO_COMPARE, False)


def _blocking(findings: Sequence[Finding], accepted: Sequence[Acknowledgement]) -> list[Finding]:
    """The findings that forbid a verdict, and were not accepted or cannot be."""
    return [
        finding
        for finding in findings
        if finding.blocks and not (can_be_accepted(finding) and acknowledgement_of(finding, accepted))
    ]


def _despite(findings: Sequence[Finding], accepted: Sequence[Acknowledgement]) -> list[Despite]:
    found = [
        (finding, acknowledgement_of(finding, accepted))
        for finding in findings
        if finding.blocks and can_be_accepted(finding)
    ]
    return [Despite(finding.sentence, each.reason) for finding, each in found if each is not None]


def _twins(
    store: RunStore, plan: StudyPlan, state: StudyState, arm: Arm, seeds: Sequence[int]
) -> dict[tuple[str, int], Twin]:
    """What is known of the runs of both arms; the weights that they have saved are read."""
    return {
        (each.name, seed): collect.twin(store, state.runs[cell(each.name, seed)], each.name, seed)
        for seed in seeds
        for each in (plan.reference, arm)
    }


def _findings(
    store: RunStore,
    plan: StudyPlan,
    state: StudyState,
    arm: Arm,
    seeds: Sequence[int],
    twins: Mapping[tuple[str, int], Twin],
) -> list[Finding]:
    """What the rules say of the runs of an arm and of the reference, and of the texts."""
    studies = StudyStore(store)
    held_out = {split.name: studies.texts(plan.id, split) for split in plan.splits}
    members = [
        Member(state.runs[cell(each.name, seed)], each.name, seed, is_off(each))
        for seed in seeds
        for each in (plan.reference, arm)
    ]
    found = list(after_training(store, plan.id, members, held_out).findings)
    if arm.planted:
        # Its settings differ on purpose: twins but for what it declares.
        found = [finding for finding in found if finding.id != "twin-mismatch"]
        excused = [
            Twin(**{**vars(twin), "config": without_declared(plan.arm(name), twin.config, plan.base)})
            for (name, _), twin in twins.items()
        ]
        found += twin_mismatch(plan.id, excused)
    for (name, seed), twin in twins.items():
        found += not_as_planned(twin, plan.config(name, seed))
    return found + _of_evaluations(store, plan, state, arm, seeds, twins)


def _of_evaluations(
    store: RunStore,
    plan: StudyPlan,
    state: StudyState,
    arm: Arm,
    seeds: Sequence[int],
    twins: Mapping[tuple[str, int], Twin],
) -> list[Finding]:
    """What the rules say of the evaluations: their figures against the losses of their documents
    (metric-contains-regulariser), and the weights that they measured against those of the runs (twin-mismatch)."""
    found: list[Finding] = []
    for seed in seeds:
        for name in (plan.reference.name, arm.name):
            key = state.evaluations.get(cell(name, seed))
            result = None if key is None else EvaluationStore(store).result(key)
            if key is None or result is None or not result.get("complete"):
                continue
            for split in plan.splits:
                filters = [("split", "=", split.name)]
                rows = EvaluationStore(store).examples(key, columns=["tokens", "nll"], filters=filters).to_pandas()
                ce = float(rows["nll"].sum() / rows["tokens"].sum())
                figures = result["splits"][split.name]["checkpoints"][str(plan.total_steps)]
                labelled = [("eval_loss", figures["ce"]), ("perplexity", figures["perplexity"])]
                told = [Figure(label, value, ce) for label, value in labelled if value is not None]
                found += metric_contains_regulariser(key, told)
            # The texts are measured one after the other with the same weights, so the first speaks for all.
            first = result["splits"][plan.primary.name]["checkpoints"][str(plan.total_steps)]
            found += measured_other(twins[name, seed], first.get("weights_sha256"))
    return found


def _of_numbers(plan: StudyPlan, arm: Arm, primary: Collected, difference: Difference) -> list[Finding]:
    """What the rules say of the documents' losses: one that is too good (too-good), and a difference that a few
    documents make (few-drivers)."""
    where = f"“{plan.primary.name}”"
    found = []
    for name, side in ((plan.reference.name, 0), (arm.name, 1)):
        found += too_good_measured(plan.id, primary.ce(side), f"{where} (arm “{name}”)")
    if difference.low is not None and difference.high is not None:
        found += few_drivers(plan.id, primary.cells.sums.mean(axis=0), difference.low, difference.high, where)
    return found


def _broken(each: CellProgress) -> Finding:
    return Finding(
        id="non-finite",
        severity="B",
        subject=each.run.id if each.run is not None else "",
        numbers={"arm": each.arm, "seed": each.seed, "step": each.done, _NOTHING_TO_COMPARE: True},
        sentence=each.trouble,
        what_to_do="Create a new study with settings under which every run trains to its end: a lower learning rate, "
        "a longer warm-up, or a smaller BCE weight.",
    )


def _not_finite(plan: StudyPlan) -> Finding:
    return Finding(
        id="non-finite",
        severity="B",
        subject=plan.id,
        numbers={_NOTHING_TO_COMPARE: True},
        sentence="Some held-out documents have a loss that is no finite number, so there is no difference to speak of.",
        what_to_do="See which run broke, and create a new study with settings under which every run trains to its end.",
    )


# -- what the weights say


def _identical_weights(twins: Mapping[tuple[str, int], Twin], seeds: Sequence[int]) -> bool:
    """Whether each seed's twins hold the same weights in every bit, now and when they were trained."""
    pairs = [[twin for (_, of), twin in twins.items() if of == seed] for seed in seeds]
    return all(
        first.weights_now is not None
        and first.weights_now == other.weights_now
        and (first.record or {}).get("final_weights") == (other.record or {}).get("final_weights")
        for first, other in pairs
    )


def _gradient(twins: Mapping[tuple[str, int], Twin], arm: Arm) -> Gradient | None:
    records = [(twin.record or {}).get("bce_gradient") for (name, _), twin in twins.items() if name == arm.name]
    known = [record for record in records if record]
    measured = sum(record["measured"] for record in known)
    if not measured:
        return None
    largest = [record["largest"] for record in known if record["largest"] is not None]
    return Gradient(measured=measured, largest=max(largest) if largest else None)


# -- numbers


def _seeds(collected: Collected) -> tuple[SeedDifference, ...]:
    found = []
    for seed, each in zip(collected.cells.seeds.tolist(), per_seed(collected.cells), strict=True):
        low, high = each.interval()
        found.append(
            SeedDifference(
                seed=seed,
                value=each.value,
                low=finite(low),
                high=finite(high),
                ce_reference=collected.ce_of_seed(seed, 0),
                ce_arm=collected.ce_of_seed(seed, 1),
            )
        )
    return tuple(found)


def _secondary(
    store: RunStore, plan: StudyPlan, state: StudyState, arm: Arm, seeds: Sequence[int], primary: Collected
) -> tuple[Secondary, ...]:
    """Bits per byte, and the other splits; p-values are raised when all arms are there (`_raised`)."""
    found = [("bits per byte", plan.primary.name, primary.bits_per_byte)]
    for split in plan.splits[1:]:
        found.append(("CE", split.name, Collected(store, plan, state, arm.name, seeds, split).cells))
    return tuple(
        Secondary(metric=metric, split=name, difference=difference_of(estimate(cells), LEVEL))
        for metric, name, cells in found
    )


def _raised(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm's p-values: the primary ones together, and all the secondary ones together."""
    real = [each for each in comparisons if not each.planted and each.difference is not None]
    primary = _holm([each.difference for each in real if each.difference is not None])
    secondary = iter(_holm([item.difference for each in real for item in each.secondary]))
    raised = {}
    for each, difference in zip(real, primary, strict=True):
        items = tuple(item.model_copy(update={"difference": next(secondary)}) for item in each.secondary)
        raised[each.arm] = each.model_copy(update={"difference": difference, "secondary": items})
    return [raised.get(each.arm, each) for each in comparisons]


def _holm(differences: Sequence[Difference]) -> list[Difference]:
    p_values = holm([float("nan") if each.p is None else each.p for each in differences])
    return [each.model_copy(update={"p_holm": finite(p)}) for each, p in zip(differences, p_values, strict=True)]
