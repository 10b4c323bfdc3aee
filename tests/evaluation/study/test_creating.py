"""Creating a study: refused with the reason or frozen whole, all runs alike but for what may differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bcecore.errors import BceError, ConfigError, RunError
from bcecore.evaluation.study import creating, drafting
from bcecore.evaluation.study.controlling import resume
from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.drafting import HeldOut, arm_of, draft_like, known_arm, prepared
from bcecore.evaluation.study.preflight import RefusedError
from bcecore.evaluation.study.progress import progress
from bcecore.jobs import queue
from bcecore.settings import differences
from bcecore.store.acknowledged import read
from bcecore.store.evaluations import EvaluationStore
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore, cell
from tests.evaluation.study.studied import draft, texts


def test_all_is_queued_twins_together(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, name="does  it help"))
    state = StudyStore(asleep).state(plan.id)
    runs = [state.runs[cell(arm, seed)] for seed in (1, 2) for arm in ("off", "active")]
    keys = [state.evaluations[cell(arm, seed)] for seed in (1, 2) for arm in ("off", "active")]
    order = [job.key for job in queue.waiting_jobs(asleep)]
    assert order == [*runs[:2], *keys[:2], *runs[2:], *keys[2:]]
    assert [job.key for job in queue.startable_jobs(asleep)] == runs
    records = [asleep.record(run_id) for run_id in runs]
    assert {record.study for record in records} == {plan.id} and plan.name == "does it help"
    assert records[1].name == "does it help: active, seed 1"
    evaluated = [EvaluationStore(asleep).record(key) for key in keys]
    assert all(record.after_run and record.request is not None for record in evaluated)
    assert {record.request.splits[0].sha256 for record in evaluated if record.request} == {plan.primary.sha256}


def test_only_arm_and_seed_differ_between_runs(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    runs = StudyStore(asleep).state(plan.id).runs
    first = asleep.config(runs["off/1"])
    assert set(differences(first, asleep.config(runs["active/1"]))) == {"bce.enabled"}
    assert differences(first, asleep.config(runs["off/2"])) == {"training.seed": (1, 2)}
    files = [
        {path.name: path.read_bytes() for path in (asleep.directory(run_id) / "data").rglob("*") if path.is_file()}
        for run_id in runs.values()
    ]
    assert len(files[0]) == 4 and all(each == files[0] for each in files)
    assert {json.dumps(asleep.record(run_id).dataset) for run_id in runs.values()} == {json.dumps(plan.dataset)}


def test_what_set_lines_aside_is_measured_on_by_default(asleep: RunStore) -> None:
    settings = {"data.validation": "fraction", "data.validation_file": None, "data.validation_fraction": 0.5}
    plan = create(asleep, draft(asleep, **settings, held_out=(HeldOut(),)))
    assert (plan.primary.kind, plan.primary.rows) == ("own", 20)
    run_id = StudyStore(asleep).state(plan.id).runs["off/1"]
    frozen = (asleep.directory(run_id) / "data" / "validation.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in frozen] == StudyStore(asleep).texts(plan.id, plan.primary)


def nothing_is_left(store: RunStore) -> bool:
    made = [path for path in store.root.rglob("*") if path.is_dir() and path.name not in (".supervisor", "studies")]
    return store.ids() == [] and StudyStore(store).ids() == [] and made == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"arms": (arm_of("off:enabled=true,base_weight=0"), known_arm("active"))}, "off-not-off"),
        ({"model.causal": False}, "future-leak"),
        (
            {
                "data.validation": "first_rows_of_training",
                "data.validation_file": None,
                "data.validation_rows": 5,
                "held_out": (HeldOut(),),
            },
            "split-reuse",
        ),
    ],
)
def test_what_would_make_it_worthless_forbids_the_launch(asleep: RunStore, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(RefusedError) as caught:
        create(asleep, draft(asleep, **changes))
    assert rule in [finding.id for finding in caught.value.findings]
    for finding in caught.value.findings:
        assert finding.sentence in str(caught.value) and finding.what_to_do in str(caught.value)
    assert nothing_is_left(asleep)


def test_texts_that_the_runs_learn_forbid_the_launch(asleep: RunStore, tmp_path: Path) -> None:
    train, _ = texts(tmp_path / "own")
    with pytest.raises(RefusedError, match="in its training text"):
        create(asleep, draft(asleep, **{"data.train_file": str(train)}, held_out=(HeldOut("all", train),)))
    assert nothing_is_left(asleep)


@pytest.mark.parametrize(
    ("changes", "message", "field"),
    [
        ({"arms": (known_arm("off"),)}, "two arms at least", "arms"),
        ({"looks": (2, 2), "seeds": (1, 2)}, "from 2 on", "looks"),
        ({"seeds": (1, 2, 3)}, "last planned look is at 2 seeds, but 3 are given", "seeds"),
        ({"seeds": (1, 1)}, "two seeds are the same", "seeds"),
        ({"arms": (known_arm("off"), known_arm("off"))}, "two arms are the same", "arms"),
        ({"held_out": ()}, "texts to measure on", "held_out"),
        ({"margin": 0.0}, "margin", "margin"),
        ({"name": " "}, "needs a name", "name"),
        (
            {"data.validation": "none", "data.validation_file": None, "held_out": (HeldOut(),)},
            "set no lines",
            "held_out",
        ),
    ],
)
def test_what_cannot_be_is_told(asleep: RunStore, changes: dict[str, Any], message: str, field: str | None) -> None:
    with pytest.raises(RunError, match=message) as caught:
        create(asleep, draft(asleep, **changes))
    assert field is None or caught.value.field == field
    assert nothing_is_left(asleep)


def test_what_cannot_be_is_told_before_anything_is_read_or_measured(asleep: RunStore) -> None:
    def foretold(*_: object) -> dict[str, object]:
        raise AssertionError("somebody waits for an estimate of what cannot be")

    for changes in ({"seeds": (1, 1)}, {"margin": float("nan")}, {"seeds": (), "looks": (0,)}):
        with pytest.raises(RunError):
            create(asleep, draft(asleep, **changes), foretold)


def test_an_arm_that_cannot_be_trained_names_its_setting(asleep: RunStore) -> None:
    with pytest.raises(ConfigError) as caught:
        create(asleep, draft(asleep, arms=(known_arm("off"), arm_of("long:enabled=true,warmup_steps=99"))))
    assert caught.value.field == "bce.warmup_steps" and nothing_is_left(asleep)


@pytest.mark.parametrize("words", ["on", "active:training.learning_rate=1", "Off!:enabled=false", "x:training.seed=4"])
def test_arms_differ_in_bce_only(words: str) -> None:
    with pytest.raises(RunError) as caught:
        arm_of(words)
    assert caught.value.field == "arms"


def test_arms_in_words() -> None:
    assert arm_of("off").changes == {"bce.enabled": False}
    assert arm_of("active:base_weight=0.1").changes == {
        "bce.enabled": True,
        "bce.profile": "active",
        "bce.base_weight": 0.1,
    }
    planted = arm_of("fast:learning_rate=0.1", planted=True)
    assert (planted.changes, planted.planted) == ({"training.learning_rate": 0.1}, True)
    with pytest.raises(RunError, match="settings of training"):
        arm_of("fast:bce.enabled=true", planted=True)


def test_when_a_run_cannot_be_made_nothing_is_left(asleep: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = creating._make_run

    def fails_at_the_third(*arguments: Any) -> str:
        if len(made) == 2:
            raise BceError("The disk is full.")
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(creating, "_make_run", fails_at_the_third)
    with pytest.raises(BceError, match="full"):
        create(asleep, draft(asleep))
    assert len(made) == 2 and nothing_is_left(asleep)


def test_killed_while_it_was_made_it_starts_nothing_and_can_be_made_whole(
    asleep: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the worst moment: a run is made, and not yet written down."""
    made: list[str] = []
    make = creating._make_run

    class Killed(BaseException):
        pass

    def dies(*arguments: Any) -> str:
        made.append(make(*arguments))
        if len(made) == 2:
            raise Killed
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(creating, "_make_run", dies)
        patch.setattr(creating, "_undo", lambda *_: None)
        with pytest.raises(Killed):
            create(asleep, draft(asleep))
    (study_id,) = StudyStore(asleep).ids()
    assert queue.startable_jobs(asleep) == [] and progress(asleep, study_id).counts["missing"] == 3
    resume(asleep, study_id)
    runs = StudyStore(asleep).state(study_id).runs
    assert runs["active/1"] == made[1] and len(asleep.ids()) == 4
    assert [job.key for job in queue.startable_jobs(asleep)] == list(runs.values())


def test_the_same_again_from_what_was_frozen(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep))
    for path in (asleep.root.parent / "texts-32").iterdir():
        path.unlink()
    again = create(asleep, draft_like(StudyStore(asleep), plan.id))
    assert again.name == "does it help, again" and again.files == plan.files
    assert [split.sha256 for split in again.splits] == [split.sha256 for split in plan.splits]
    apart = {"id", "created", "name", "base", "dataset", "splits"}
    assert again.model_dump(exclude=apart) == plan.model_dump(exclude=apart)
    assert set(differences(plan.base, again.base)) == {"data.train_file", "data.validation_file"}
    (StudyStore(asleep).directory(plan.id) / "data" / "train.jsonl").write_text('{"text": "other words"}\n')
    with pytest.raises(RunError, match=r"data/train\.jsonl"):
        draft_like(StudyStore(asleep), plan.id)


def test_a_draft_with_texts_that_are_known_reads_nothing(
    asleep: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepared(draft(asleep), tmp_path)
    monkeypatch.setattr(drafting, "check", lambda *_: pytest.fail("read once more"))
    monkeypatch.setattr(drafting, "_read", lambda *_: pytest.fail("read once more"))
    longer = draft(asleep, steps=9, arms=(known_arm("off"), known_arm("seed")), seeds=(4, 5, 6), looks=(3,))
    found = prepared(longer, tmp_path, first)
    assert (found.checked.total_steps, list(found.arms), found.splits) == (9, ["off", "seed"], first.splits)
    with pytest.raises(ConfigError):  # an arm is still checked
        prepared(draft(asleep, arms=(known_arm("off"), arm_of("long:enabled=true,warmup_steps=99"))), tmp_path, first)


def test_a_draft_with_other_texts_is_read(asleep: RunStore, tmp_path: Path) -> None:
    first = prepared(draft(asleep), tmp_path)
    _, other = texts(tmp_path / "others", held_out=9)
    found = prepared(draft(asleep, held_out=(HeldOut("others", other),)), tmp_path, first)
    assert len(found.splits[0].texts) == 9 and found.checked.text is first.checked.text
    shorter = prepared(draft(asleep, **{"data.block_size": 8}), tmp_path, first)
    assert shorter.checked.config.data.block_size == 8 and shorter.splits[0].block_size == 8


def test_a_finding_that_was_accepted_forbids_no_launch_and_the_study_keeps_the_reason(asleep: RunStore) -> None:
    wrong = {"model.causal": False}
    with pytest.raises(RefusedError, match=r"\(future-leak\)"):
        create(asleep, draft(asleep, **wrong), accepted={"overlap": "another rule"})
    with pytest.raises(RunError, match="Say why"):
        create(asleep, draft(asleep, **wrong), accepted={"future-leak": " "})
    with pytest.raises(RunError, match="Nothing was noticed that is called overlap"):
        create(asleep, draft(asleep, **wrong), accepted={"future-leak": "it repeats the report", "overlap": "why not"})
    assert StudyStore(asleep).ids() == []
    plan = create(asleep, draft(asleep, **wrong), accepted={"future-leak": "it repeats the report"})
    assert "future-leak" in [finding["id"] for finding in plan.findings]
    (kept,) = read(StudyStore(asleep).directory(plan.id))
    assert (kept.id, kept.reason, kept.of_plan) == ("future-leak", "it repeats the report", True)
    assert StudyStore(asleep).alteration(plan.id) is None
