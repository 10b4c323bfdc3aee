"""Planned looks: taken once, when all is there, from what may be compared; the verdict follows the results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bcecore.errors import RunError
from bcecore.evaluation.comparable import NotComparable
from bcecore.evaluation.outcome import Outcome
from bcecore.evaluation.study.controlling import extend
from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.drafting import HeldOut, arm_of, known_arm
from bcecore.evaluation.study.material import study_material
from bcecore.evaluation.study.progress import progress
from bcecore.evaluation.study.verdicts import can_be_accepted, look_again, outcome_of, take_due_looks
from bcecore.evaluation.verdict import Verdict
from bcecore.report.markdown import as_markdown
from bcecore.report.study_report import study_report
from bcecore.store.acknowledged import acknowledge, withdraw
from bcecore.store.evaluations import EvaluationStore
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyPlan, StudyStore, cell
from tests.evaluation.study import studied
from tests.evaluation.study.studied import draft, fail, finish, finish_all, loss_of, texts

FIVE = {"seeds": (1, 2, 3, 4, 5), "looks": (5,)}


def looked_at(store: RunStore, plan: StudyPlan) -> Outcome:
    return outcome_of(take_due_looks(store, plan.id).looks[-1])


@pytest.mark.parametrize(("effect", "kind"), [(-0.2, "better"), (0.2, "worse"), (0.001, "no-meaningful-difference")])
def test_the_verdict_follows_the_results(asleep: RunStore, effect: float, kind: str) -> None:
    plan = create(asleep, draft(asleep, **FIVE))
    finish_all(asleep, plan, {"active": effect})
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.kind == kind and not found.identical_weights
    documents = range(32)
    expected = np.mean([loss_of(d, seed, effect) - loss_of(d, seed, 0.0) for seed in plan.seeds for d in documents])
    assert found.difference is not None and found.difference.value == pytest.approx(expected, abs=1e-9)
    assert (found.difference.seeds, found.difference.documents, found.difference.tokens) == (5, 32, 640)
    assert [seed.seed for seed in found.seeds] == [1, 2, 3, 4, 5]
    assert found.ce_arm is not None and found.ce_reference is not None
    assert found.ce_arm - found.ce_reference == pytest.approx(expected, abs=1e-9)
    (bits,) = found.secondary
    total = sum(20 * (loss_of(d, s, effect) - loss_of(d, s, 0.0)) for s in plan.seeds for d in documents)
    assert bits.metric == "bits per byte"
    assert bits.difference.value == pytest.approx(total / np.log(2) / (5 * sum(60 + d for d in documents)), abs=1e-9)
    assert {finding.id for finding in found.findings} == {"too-small"}


def test_before_all_seeds_are_there_nothing_is_looked_at(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {"active": -0.5}, seeds=(1,))
    finish(asleep, plan, "off", 2)
    assert take_due_looks(asleep, plan.id).looks == ()
    finish(asleep, plan, "active", 2, -0.5)
    assert progress(asleep, plan.id).due == (2,)
    state = take_due_looks(asleep, plan.id)
    assert [look.seeds for look in state.looks] == [2] and progress(asleep, plan.id).due == ()
    assert outcome_of(state.looks[0]).comparisons[0].verdict.kind == "exploratory"


def test_a_look_that_was_taken_stays_as_it_was(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, seeds=(1, 2, 3), looks=(2, 3)))
    finish_all(asleep, plan, {"active": -0.5})
    first = take_due_looks(asleep, plan.id)
    key = first.evaluations[cell("active", 1)]
    (EvaluationStore(asleep).directory(key) / "examples.parquet").write_bytes(b"gone")
    assert take_due_looks(asleep, plan.id) == first
    extend(asleep, plan.id)
    for arm in ("off", "active"):
        finish(asleep, plan, arm, 3)
    with pytest.raises(RunError, match="damaged"):
        take_due_looks(asleep, plan.id)
    assert StudyStore(asleep).state(plan.id).looks == first.looks


def test_the_seed_profile_changed_nothing_and_the_weights_prove_it(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, arms=(known_arm("off"), known_arm("seed"))))
    for seed in plan.seeds:
        finish(asleep, plan, "off", seed, gradient=None)
        finish(asleep, plan, "seed", seed, gradient=0.0)
    (found,) = looked_at(asleep, plan).comparisons
    assert (found.verdict.kind, found.identical_weights) == ("nothing-changed", True)
    assert found.verdict.headline.startswith("BCE changed nothing")
    assert found.gradient is not None and (found.gradient.measured, found.gradient.largest) == (4, 0.0)
    (same,) = (finding for finding in found.findings if finding.id == "twins-identical")
    assert same.severity == "N" and same.numbers == {
        "arm": "seed", "seeds": 2, "weights": True, "losses": True, "gradient": 0.0,
    }  # fmt: skip
    assert "BCE added nothing to the gradient" in same.sentence


@pytest.mark.parametrize(("drivers", "fires"), [(12, True), (120, False)])
def test_a_few_documents_that_make_the_difference_are_told(
    asleep: RunStore, monkeypatch: pytest.MonkeyPatch, drivers: int, fires: bool
) -> None:
    """Of 240 documents, 12 are 5 %; the same difference from half of them is as broad as it should be."""

    def driven(document: int, seed: int, effect: float) -> float:
        own = effect * 12 / drivers if document < drivers else effect / 200
        return float(4 + 0.3 * np.sin(document) + 0.05 * np.cos(seed) + own * (1 + 0.02 * np.sin(seed * document)))

    monkeypatch.setattr(studied, "loss_of", driven)
    plan = create(asleep, draft(asleep, documents=240, **FIVE))
    finish_all(asleep, plan, {"active": -2.0})
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.winner == "second"
    told = [finding for finding in found.findings if finding.id == "few-drivers"]
    assert len(told) == fires
    if fires:
        assert told[0].numbers["few"] == 12 and sorted(told[0].numbers["places"]) == list(range(12))
        assert "12 documents of 240 make 91 % of the difference on “held out”" in told[0].sentence
        assert "Few documents decide" in as_markdown(study_report(study_material(asleep, plan.id), {}))


def test_a_loss_that_is_too_good_is_told(asleep: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studied, "loss_of", lambda document, seed, effect: loss_of(document, seed, effect) / 64 + 0.02)
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {"active": 2.0})
    (found,) = looked_at(asleep, plan).comparisons
    (told,) = (finding for finding in found.findings if finding.id == "too-good")
    assert "on “held out” (arm “off”)" in told.sentence  # that of the other arm is above 0.1


def test_one_weight_of_one_twin_changed_and_it_is_no_longer_that(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, arms=(known_arm("off"), known_arm("seed"))))
    finish_all(asleep, plan, {})
    run_id = StudyStore(asleep).state(plan.id).runs[cell("seed", 2)]
    changed = np.array([2, 1e-6], dtype=np.float32)
    save_file({"w": changed}, asleep.directory(run_id) / "model" / "model.safetensors")
    (found,) = looked_at(asleep, plan).comparisons
    assert (found.verdict.kind, found.identical_weights) == ("blocked", False)
    assert found.verdict.blocked_by == ("twin-mismatch",) and found.difference is None

    # Nobody has seen a result, so what is mended may be looked at again; what was seen may not.
    shutil.copy(
        asleep.directory(StudyStore(asleep).state(plan.id).runs[cell("off", 2)]) / "model" / "model.safetensors",
        asleep.directory(run_id) / "model" / "model.safetensors",
    )
    assert take_due_looks(asleep, plan.id).looks[0].outcome["comparisons"][0]["verdict_values"]["kind"] == "blocked"
    (look,) = look_again(asleep, plan.id).looks
    assert outcome_of(look).comparisons[0].verdict.kind == "nothing-changed"
    with pytest.raises(RunError, match="a look that has found something is taken once"):
        look_again(asleep, plan.id)

    # Nor does the proof outlive the weights that it rests on.
    assert study_material(asleep, plan.id).alteration is None
    save_file({"w": changed}, asleep.directory(run_id) / "model" / "model.safetensors")
    with pytest.raises(RunError, match=rf"those of run {run_id} \(seed, seed 2\) were changed since the look"):
        take_due_looks(asleep, plan.id)
    assert "changed since" in (study_material(asleep, plan.id).alteration or "")


def test_an_arm_whose_runs_were_all_set_otherwise_is_not_the_one_that_was_planned(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    for seed in plan.seeds:
        path = asleep.directory(StudyStore(asleep).state(plan.id).runs[cell("active", seed)]) / "config.json"
        path.write_text(path.read_text().replace('"base_weight": 0.2', '"base_weight": 0.1'))
    finish_all(asleep, plan, {"active": -0.1})
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.blocked_by == ("twin-mismatch", "twin-mismatch")
    assert "does not have the settings that the study planned" in found.verdict.headline


def test_what_was_measured_has_to_be_what_was_trained(asleep: RunStore) -> None:
    """The last checkpoint is what is measured, and the final model beside it can be as it should."""
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {"active": -0.1})
    key = StudyStore(asleep).state(plan.id).evaluations[cell("active", 2)]
    path = EvaluationStore(asleep).directory(key) / "result.json"
    result = json.loads(path.read_text())
    result["splits"]["held out"]["checkpoints"]["6"]["weights_sha256"] = "0" * 64
    path.write_text(json.dumps(result))
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.blocked_by == ("twin-mismatch",)
    assert "active-seed-2" in found.verdict.headline and "that were measured" in found.verdict.headline


def test_a_positive_control_is_excused_for_what_it_declares_and_nothing_else(asleep: RunStore) -> None:
    control = arm_of("faster:learning_rate=0.01", planted=True)
    plan = create(asleep, draft(asleep, arms=(known_arm("off"), known_arm("active"), control), **FIVE))
    finish_all(asleep, plan, {"active": 0.001, "faster": -0.3})
    outcome = looked_at(asleep, plan)
    active, faster = outcome.comparisons
    assert outcome.arms_compared == 1 and (active.planted, faster.planted) == (False, True)
    assert faster.verdict.kind == "better" and "“faster”" in faster.verdict.headline
    assert active.verdict.level == faster.verdict.level == 0.95
    assert not any(finding.blocks for finding in faster.findings)
    # The same in an arm that declares nothing would be no twin.
    run_id = StudyStore(asleep).state(plan.id).runs[cell("faster", 1)]
    path = asleep.directory(run_id) / "config.json"
    path.write_text(path.read_text().replace('"weight_decay": 0.0', '"weight_decay": 0.1'))
    StudyStore(asleep).update(plan.id, lambda _: {"looks": ()})
    faster = looked_at(asleep, plan).comparisons[1]
    assert faster.verdict.blocked_by[:1] == ("twin-mismatch",)


def test_several_arms_share_the_error_and_holm_raises_their_p(asleep: RunStore) -> None:
    other = arm_of("weak:enabled=true,base_weight=0.01")
    plan = create(asleep, draft(asleep, arms=(known_arm("off"), known_arm("active"), other), **FIVE))
    finish_all(asleep, plan, {"active": 0.3, "weak": 0.2})
    outcome = looked_at(asleep, plan)
    assert [each.verdict.level for each in outcome.comparisons] == [0.975, 0.975]
    found = [each.difference for each in outcome.comparisons]
    p = sorted(each.p for each in found if each is not None and each.p is not None)
    raised = sorted(each.p_holm for each in found if each is not None and each.p_holm is not None)
    assert raised == pytest.approx([2 * p[0], max(2 * p[0], p[1])], abs=1e-12)


def test_documents_that_are_in_the_training_text_do_not_count(asleep: RunStore, tmp_path: Path) -> None:
    train, held_out = texts(tmp_path / "own", held_out=40)
    lines = train.read_text().splitlines()
    with held_out.open("a") as file:
        file.write(f"{lines[3].upper()}\n")
    plan = create(
        asleep, draft(asleep, **{"data.train_file": str(train)}, held_out=(HeldOut("held out", held_out),), **FIVE)
    )
    assert plan.overlapping == {"held out": (40,)} and plan.primary.rows == 41
    assert "overlap" in [finding["id"] for finding in plan.findings]
    finish_all(asleep, plan, {"active": -0.2})
    (found,) = looked_at(asleep, plan).comparisons
    assert (found.clean_documents, found.left_out) == (40, 1)
    assert found.difference is not None and found.difference.documents == 40


def test_a_run_that_broke_is_told_and_names_no_winner(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {}, seeds=(1,))
    finish(asleep, plan, "off", 2)
    run_id = StudyStore(asleep).state(plan.id).runs[cell("active", 2)]
    fail(asleep, run_id, "The loss is not a number.", kind="non-finite", step=3)
    assert progress(asleep, plan.id).due == (2,)
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.kind == "blocked" and "non-finite" in found.verdict.blocked_by
    assert found.difference is None and found.seeds == ()


def test_a_loss_that_is_not_ce_blocks(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {"active": -0.1})
    key = StudyStore(asleep).state(plan.id).evaluations[cell("active", 1)]
    path = EvaluationStore(asleep).directory(key) / "result.json"
    result = json.loads(path.read_text())
    result["splits"]["held out"]["checkpoints"]["6"]["ce"] -= 0.2
    path.write_text(json.dumps(result))
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.blocked_by == ("metric-contains-regulariser",)


def test_results_on_other_texts_are_not_taken(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {"active": -0.1})
    key = StudyStore(asleep).state(plan.id).evaluations[cell("active", 2)]
    jobs = EvaluationStore(asleep)
    request = jobs.record(key).request
    assert request is not None
    other = request.splits[0].model_copy(update={"sha256": "0" * 64})
    jobs.update(key, request=request.model_copy(update={"splits": (other,)}))
    with pytest.raises(NotComparable, match="the texts"):
        take_due_looks(asleep, plan.id)
    assert StudyStore(asleep).state(plan.id).looks == ()


def test_a_changed_plan_gets_no_verdict(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {"active": -0.1})
    path = StudyStore(asleep).directory(plan.id) / "study.json"
    path.write_text(path.read_text().replace('"margin": 0.01', '"margin": 0.001'))
    with pytest.raises(RunError, match=r"has been changed since: study\.json"):
        take_due_looks(asleep, plan.id)
    assert progress(asleep, plan.id).alteration is not None


def test_nor_does_a_plan_that_was_changed_behind_its_verdict(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    finish_all(asleep, plan, {"active": -0.1})
    taken = take_due_looks(asleep, plan.id)
    path = StudyStore(asleep).directory(plan.id) / "study.json"
    original = path.read_text()
    path.write_text(original.replace('"margin": 0.01', '"margin": 0.5'))
    with pytest.raises(RunError, match="A verdict would be about another study"):
        take_due_looks(asleep, plan.id)
    path.write_text(original)
    assert take_due_looks(asleep, plan.id) == taken


def test_what_was_accepted_of_the_plan_forbids_no_verdict_and_the_verdict_states_it(asleep: RunStore) -> None:
    reason = "it repeats the report"
    plan = create(asleep, draft(asleep, **FIVE, **{"model.causal": False}), accepted={"future-leak": reason})
    finish_all(asleep, plan, {"active": -0.2})
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.kind == "better" and found.verdict.blocked_by == ()
    assert found.verdict.headline.startswith("Better with BCE: ")
    assert "Despite this: the model sees the words" in found.verdict.headline and reason in found.verdict.headline
    assert reason in found.verdict.reasons[0].sentence and not found.verdict.reasons[0].applies
    report = as_markdown(study_report(study_material(asleep, plan.id), {}))
    assert f"because: {reason}" in report and "Despite this" in report

    # It stands as long as it is accepted.
    directory = StudyStore(asleep).directory(plan.id)
    withdraw(directory, "future-leak")
    assert "not accepted any more" in (study_material(asleep, plan.id).alteration or "")
    with pytest.raises(RunError, match="not accepted any more"):
        take_due_looks(asleep, plan.id)
    for finding in found.findings:
        acknowledge(directory, finding, reason)
    assert study_material(asleep, plan.id).alteration is None


def test_even_tampering_can_be_accepted_and_the_verdict_says_so(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, **FIVE))
    finish_all(asleep, plan, {"active": -0.2})
    run_id = StudyStore(asleep).state(plan.id).runs[cell("active", 2)]
    save_file({"w": np.array([2, 1], dtype=np.float32)}, asleep.directory(run_id) / "model" / "model.safetensors")
    (found,) = looked_at(asleep, plan).comparisons
    assert found.verdict.kind == "blocked"
    (tampered,) = [finding for finding in found.findings if finding.blocks]
    directory = StudyStore(asleep).directory(plan.id)
    acknowledge(directory, tampered, "the disk was restored from a copy")
    assert looked_at(asleep, plan).comparisons[0].verdict.kind == "blocked"  # a look is taken once
    (look,) = look_again(asleep, plan.id).looks
    (found,) = outcome_of(look).comparisons
    assert found.verdict.kind == "better"
    assert "accepted because “the disk was restored from a copy”" in found.verdict.headline
    # Weights that were changed once more are another matter.
    save_file({"w": np.array([3, 1], dtype=np.float32)}, asleep.directory(run_id) / "model" / "model.safetensors")
    assert found.verdict.despite == Verdict.from_json(found.verdict_values).despite


def test_where_there_is_nothing_to_compare_nothing_can_be_accepted(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    run_id = StudyStore(asleep).state(plan.id).runs[cell("active", 2)]
    fail(asleep, run_id, "The loss is no number.", kind="non-finite", step=3)
    finish_all(asleep, plan, {}, seeds=(1,))
    finish(asleep, plan, "off", 2)
    (found,) = looked_at(asleep, plan).comparisons
    broken = [finding for finding in found.findings if finding.blocks]
    assert broken and not any(map(can_be_accepted, broken))
    for finding in broken:
        acknowledge(StudyStore(asleep).directory(plan.id), finding, "never mind")
    (look,) = look_again(asleep, plan.id).looks
    assert outcome_of(look).comparisons[0].verdict.kind == "blocked"


def test_a_verdict_from_before_anything_could_be_accepted_is_read(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, **FIVE))
    finish_all(asleep, plan, {"active": -0.2})
    (found,) = looked_at(asleep, plan).comparisons
    values = {key: value for key, value in found.verdict_values.items() if key != "despite"}
    assert Verdict.from_json(values) == found.verdict
