"""Studies on disk: frozen, noticed when changed, changed by several at once, never lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bcecore.config import RunConfig
from bcecore.errors import ConfigError, RunError
from bcecore.store.evaluations import SplitSpec, SplitTexts
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.store.studies import Arm, Look, StudyPlan, StudyStore, file_hashes

OFF = Arm(name="off", changes={"bce.enabled": False})
ACTIVE = Arm(name="active", changes={"bce.enabled": True})
SPLIT = SplitSpec(name="val", kind="file", file="data/0.jsonl", source="val.txt", sha256="0", rows=2, block_size=8)


def plan(**changes: Any) -> StudyPlan:
    values: dict[str, Any] = {
        "id": "20261122-120000-a-study-0a1b",
        "name": "a study",
        "created": now(),
        "base": RunConfig(),
        "arms": (OFF, ACTIVE),
        "seeds": (1, 2),
        "looks": (2,),
        "splits": (SPLIT,),
        "total_steps": 10,
        "dataset": {},
        "files": {},
    }
    return StudyPlan(**values | changes)


def make(store: RunStore, name: str = "a study") -> str:
    def fill(directory: Path, study_id: str, created: datetime) -> StudyPlan:
        (directory / "data" / "train.jsonl").write_text('{"text": "a line"}\n')
        files = file_hashes(directory)
        split = SplitTexts("val", "file", "val.txt", ["one text", "ğ other\ntext"], 8).freeze(
            directory, 0, file="data/held-out-0.jsonl"
        )
        return plan(id=study_id, name=name, created=created, files=files, splits=(split,))

    return StudyStore(store).create(name, fill, launched=2).id


def test_what_is_frozen_is_read_again(store: RunStore) -> None:
    study_id = make(store)
    studies = StudyStore(store)
    found = studies.plan(study_id)
    assert found == StudyPlan.model_validate_json(found.model_dump_json())
    assert (found.id, found.name, found.margin) == (study_id, "a study", 0.01)
    assert studies.texts(study_id, found.primary) == ["one text", "ğ other\ntext"]
    assert list(found.files) == ["data/train.jsonl"]
    state = studies.state(study_id)
    assert (state.launched, state.stopped, state.runs, state.looks) == (2, False, {}, ())
    assert studies.alteration(study_id) is None
    assert store.ids() == []  # a study is no run


def test_an_id_is_no_runs(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from bcecore.store import studies

    ids = iter(["20261122-120000-a-study-0a1b", "20261122-120000-a-study-0a1b", "20261122-120000-a-study-ffff"])
    monkeypatch.setattr(studies, "new_id", lambda *_: next(ids))
    assert make(store) == "20261122-120000-a-study-0a1b"
    (store.root / "20261122-120000-a-study-0a1b").mkdir()
    assert make(store) == "20261122-120000-a-study-ffff"


def test_a_failure_leaves_nothing(store: RunStore) -> None:
    def fill(directory: Path, *_: object) -> StudyPlan:
        (directory / "data" / "half.jsonl").touch()
        raise RunError("Something is wrong.")

    with pytest.raises(RunError, match="wrong"):
        StudyStore(store).create("a study", fill, launched=2)
    with pytest.raises(RunError, match="A study needs a name"):
        StudyStore(store).create(" ", fill, launched=2)
    assert list(StudyStore(store).root.iterdir()) == [] and StudyStore(store).ids() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": (OFF,)}, "at least 2"),
        ({"arms": (OFF, OFF)}, "two arms are the same"),
        ({"arms": tuple(Arm(name=f"a{n}", changes={}) for n in range(5))}, "at most 4 arms"),
        ({"arms": (Arm(name="p", changes={}, planted=True), OFF)}, "reference"),
        ({"seeds": (1, 1)}, "two seeds are the same"),
        ({"seeds": (1, -2)}, "greater than or equal to 0"),
        ({"looks": (2, 2)}, "larger than the one before"),
        ({"looks": (1, 2)}, "from 2 on"),
        ({"looks": (3,)}, "takes 3 seeds, but 2 are given"),
        ({"splits": (SPLIT, SPLIT)}, "two held-out texts are the same"),
        ({"splits": ()}, "at least 1"),
        ({"margin": 0}, "greater than 0"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_what_no_plan_can_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        plan(**changes)


def test_arms_keep_to_their_group() -> None:
    with pytest.raises(ValidationError, match="BCE only"):
        Arm(name="a", changes={"training.learning_rate": 1.0})
    with pytest.raises(ValidationError, match="not the seed"):
        Arm(name="a", changes={"training.seed": 1}, planted=True)
    with pytest.raises(ValidationError):
        Arm(name="Off/..", changes={})
    with pytest.raises(ConfigError, match="no such setting"):
        plan(arms=(OFF, Arm(name="b", changes={"bce.nonsense": 1})))
    four = tuple(Arm(name=f"a{n}", changes={}) for n in range(4))
    assert len(plan(arms=(*four, Arm(name="p", changes={"training.weight_decay": 0.1}, planted=True))).arms) == 5


def test_the_settings_of_a_run() -> None:
    control = Arm(name="fast", changes={"training.learning_rate": 0.1}, planted=True)
    found = plan(arms=(OFF, ACTIVE, control))
    assert found.reference == OFF and found.primary == SPLIT
    config = found.config("fast", 2)
    assert (config.training.learning_rate, config.training.seed, config.bce) == (0.1, 2, RunConfig().bce)
    assert found.config("off", 1).bce.enabled is False
    with pytest.raises(RunError, match=r"no arm 'on'\. Its arms: off, active, fast"):
        found.config("on", 1)


def test_every_change_of_what_was_frozen_is_noticed(store: RunStore) -> None:
    studies = StudyStore(store)
    for name in ("study.json", "data/train.jsonl", "data/held-out-0.jsonl"):
        study_id = make(store)
        path = studies.directory(study_id) / name
        path.write_bytes(path.read_bytes() + b" ")
        said = studies.alteration(study_id)
        assert said is not None and f"since: {name}." in said and "create a new study" in said
        if name != "study.json":
            path.unlink()
            assert studies.alteration(study_id) == said


def test_a_damaged_study_is_listed_with_the_reason(store: RunStore) -> None:
    studies = StudyStore(store)
    good, bad = make(store, "good"), make(store, "bad")
    (studies.directory(bad) / "study.json").write_text("{")
    found = {study.id: study for study in studies.listed()}
    assert found[good].problem is None and found[good].plan is not None
    problem = found[bad].problem
    assert problem is not None and "damaged" in problem and str(studies.directory(bad)) in problem
    assert (found[bad].name, found[bad].plan) == ("bad", None)
    (studies.directory(bad) / "study.json").unlink()
    assert bad in studies.ids()
    with pytest.raises(RunError, match=r"The plan of study .* is damaged"):
        studies.plan(bad)


def test_of_a_damaged_state_there_is_a_copy(store: RunStore) -> None:
    studies = StudyStore(store)
    study_id = make(store)
    studies.update(study_id, lambda _: {"stopped": True})
    (studies.directory(study_id) / "state.json").write_text("")
    assert studies.state(study_id).stopped
    studies.update(study_id, lambda state: {"runs": {**state.runs, "off/1": "x"}})
    assert (studies.state(study_id).stopped, studies.state(study_id).runs) == (True, {"off/1": "x"})
    for name in ("state.json", "state.copy.json"):
        (studies.directory(study_id) / name).write_text("[]")
    with pytest.raises(RunError, match=r"The state of study .* is damaged"):
        studies.state(study_id)
    assert studies.listed()[0].problem is not None


def test_changes_of_several_at_once_are_all_kept(store: RunStore) -> None:
    study_id = make(store)

    def add(number: int) -> None:
        own = StudyStore(store)
        for step in range(10):
            name = f"{number}/{step}"
            own.update(study_id, lambda state, name=name: {"runs": {**state.runs, name: "x"}})

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(StudyStore(store).state(study_id).runs) == 40


def test_a_look_is_kept_as_it_is(store: RunStore) -> None:
    study_id = make(store)
    look = Look(seeds=2, taken=datetime(2026, 1, 2, tzinfo=UTC), plan_sha256="ab", outcome={"a": [1.5, None]})
    StudyStore(store).update(study_id, lambda _: {"looks": (look,)})
    assert StudyStore(store).state(study_id).looks == (look,)


def test_what_a_person_calls_it(store: RunStore) -> None:
    studies = StudyStore(store)
    first, second = make(store, "first one"), make(store, "second")
    assert studies.resolve("first one") == first == studies.resolve(first) == studies.resolve(first[-4:])
    assert studies.resolve("second") == second
    with pytest.raises(RunError, match="could be any of 2"):
        studies.resolve(first[:4])
    for reference in ("", "third", "../x"):
        with pytest.raises(RunError, match="no study"):
            studies.resolve(reference)
    with pytest.raises(RunError, match="not the id of a study"):
        studies.directory("../x")
    with pytest.raises(RunError, match="There is no study"):
        studies.directory("20261122-120000-a-study-0a1b")


def test_thrown_away_and_taken_back(store: RunStore) -> None:
    studies = StudyStore(store)
    study_id = make(store)
    studies.move_to_trash(study_id)
    assert studies.ids() == []
    studies.take_back(study_id)
    assert studies.ids() == [study_id] and studies.alteration(study_id) is None
    studies.discard(study_id)
    assert list(studies.root.iterdir()) == []
