"""The rules of a study together, before launch and on real runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.findings import collect
from bcecore.findings.of_run import of_run
from bcecore.findings.of_study import Member, after_training, before_launch
from bcecore.settings import with_values
from bcecore.store.runs import RunStore
from tests.findings.conftest import edit_json

TRAIN = [f"training line {n} says that {n} and one are {n + 1}" for n in range(50)]
HELD_OUT = {"held-out": [f"the checking text {n} tells of {n} birds over hill {n}" for n in range(120)]}


def plan(**changes: object) -> list[tuple[str, int, RunConfig]]:
    return [
        (arm, seed, with_values(RunConfig(), {"training.seed": seed, "bce.enabled": arm == "on", **changes}))
        for arm in ("off", "on")
        for seed in range(5)
    ]


OFF = frozenset({"off"})


def test_a_sound_plan_is_silent() -> None:
    checked = before_launch("study", plan(), OFF, TRAIN, HELD_OUT)
    assert checked.findings == () and checked.clean_documents == 120


def test_what_is_wrong_with_a_plan_is_said_before_launch() -> None:
    def ids(*arguments: object) -> set[str]:
        return {finding.id for finding in before_launch("study", *arguments).findings}  # type: ignore[arg-type]

    assert ids(plan(), frozenset({"on"}), TRAIN, HELD_OUT) == {"off-not-off"}
    assert ids(plan(**{"model.causal": False}), OFF, TRAIN, HELD_OUT) == {"future-leak"}
    assert ids(plan(), OFF, TRAIN, {"again": TRAIN[3:20]}) == {"split-reuse", "overlap", "too-small"}
    assert ids(plan(), OFF, TRAIN, {"few": HELD_OUT["held-out"][:20], "many": HELD_OUT["held-out"]}) == {"too-small"}
    assert ids(plan(), OFF, TRAIN, {"many": HELD_OUT["held-out"], "few": HELD_OUT["held-out"][:20]}) == set()
    assert ids(plan()[:9], OFF, TRAIN, HELD_OUT) == {"single-run"}
    different = [*plan()[:9], ("on", 4, with_values(plan()[9][2], {"training.epochs": 7.0}))]
    assert ids(different, OFF, TRAIN, HELD_OUT) == {"twin-mismatch"}
    mixed = before_launch("study", plan(), OFF, TRAIN, {"mixed": [*HELD_OUT["held-out"], TRAIN[0].upper()]})
    assert [(finding.id, finding.severity) for finding in mixed.findings] == [("overlap", "W")]
    assert not mixed.blocking and mixed.overlaps["mixed"].clean == tuple(range(120))


def test_real_twins_have_nothing_against_them_but_their_number(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store, members = RunStore(trained[0]), trained[1]
    _, own = collect.texts(store, members[0].run)
    checked = after_training(store, "study", members, {"held-out": own})
    assert [finding.id for finding in checked.findings] == ["too-small", "single-run"]
    assert not checked.blocking and checked.clean_documents == len(own)


def test_what_befell_real_runs_blocks_the_verdict(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, members = twins
    train, _ = collect.texts(store, members[0].run)
    # The active arm of seed 1 is filed as off, and its probe found a leak.
    swapped = (Member(members[2].run, "off", 1, True), Member(members[3].run, "off", 2, True))
    probe = {"leak_probe": {"leaks": True, "largest_change": 3.27, "positions": 8}}
    path = store.directory(members[2].run) / "run.json"
    edit_json(path, facts=store.record(members[2].run).facts | probe)
    checked = after_training(store, "study", swapped, {"again": train[10:14]})
    assert {finding.id for finding in checked.blocking} == {
        "off-not-off", "future-leak", "twin-mismatch", "split-reuse", "overlap",
    }  # fmt: skip
    assert {f.subject for f in checked.blocking if f.id in ("off-not-off", "future-leak")} == {members[2].run}


def test_what_the_probe_of_the_loss_found_is_told(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, members = twins
    facts = store.record(members[1].run).facts
    assert facts["loss_probe"]["scored_pads"] == 0 < facts["loss_probe"]["pads"]
    edit_json(
        store.directory(members[1].run) / "run.json",
        facts=facts | {"loss_probe": facts["loss_probe"] | {"scored_pads": 7}},
    )
    _, own = collect.texts(store, members[0].run)
    found = after_training(store, "study", members, {"held-out": own}).findings
    assert [(finding.id, finding.subject) for finding in found if finding.id == "padding"] == [
        ("padding", members[1].run)
    ]
    assert "padding" in {finding.id for finding in of_run(store, members[1].run)}


def test_lines_that_cannot_be_read_are_an_error(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, members = twins
    (store.directory(members[0].run) / "data" / "train.jsonl").write_text("not JSON\n")
    with pytest.raises(RunError, match=r"train\.jsonl cannot be read"):
        after_training(store, "study", members, {})
