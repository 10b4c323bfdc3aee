"""The commands about studies, from creating one to its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bcecore import cli
from bcecore.evaluation.study.progress import progress
from bcecore.jobs import election
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyPlan, StudyStore
from tests.evaluation.study.studied import finish, finish_all, put_to_sleep, texts

Ask = Callable[..., tuple[int, str, str]]

# Training is so short that nothing has to be measured beforehand.
SMALL = (
    *("--set", "model.hidden_size=32", "--set", "model.vocab_size=300", "--set", "training.max_steps=6"),
    *("--set", "training.warmup_steps=2", "--set", "bce.warmup_steps=2", "--no-estimate"),
)


@pytest.fixture
def ask(store: RunStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command of `study` without any supervisor: its exit status, output and errors."""
    put_to_sleep(monkeypatch)

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        status = cli.main(["study", command, *arguments, "--runs-dir", str(store.root)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    train, held_out = texts(tmp_path / "texts")
    return "--train-file", str(train), "--held-out", f"val={held_out}"


def only(store: RunStore) -> StudyPlan:
    (study_id,) = StudyStore(store).ids()
    return StudyStore(store).plan(study_id)


def test_a_study_from_a_recipe(store: RunStore, ask: Ask, files: tuple[str, ...]) -> None:
    status, out, _ = ask("create", *files, *SMALL, "--name", "first")
    plan = only(store)
    assert status == 0 and plan.id in out.splitlines()
    assert "5 seeds and 32 documents will likely (80 %) see differences above" in out and "is assumed here" in out
    assert "Note (too-small): There are only 32 documents" in out
    assert [arm.name for arm in plan.arms] == ["off", "active"] and plan.recipe == "quick-look"
    assert (plan.seeds, plan.looks, plan.margin) == ((1, 2, 3, 4, 5), (5,), 0.01)
    assert (plan.primary.name, plan.primary.kind) == ("val", "file")
    # The curves are about the same documents as the verdict.
    assert plan.base.data.validation == "file" and plan.base.data.validation_file == files[3].removeprefix("val=")
    assert plan.expectations["documents"] == 32 and plan.expectations["mde"] > 0


def test_everything_can_be_chosen(store: RunStore, ask: Ask, files: tuple[str, ...]) -> None:
    arms = ("--arm", "off", "--arm", "weak:enabled=true,base_weight=0.05", "--planted", "fast:learning_rate=0.01")
    status, out, _ = ask(
        "create", *files, *SMALL, *arms, "--seeds", "7,8,9", "--looks", "2,3", "--margin", "0.05", "--json"
    )
    plan = only(store)
    shown = json.loads(out)
    assert status == 0 and shown["id"] == plan.id and len(shown["runs"]) == 6 and shown["next_look"] == 3
    assert [(arm.name, arm.planted) for arm in plan.arms] == [("off", False), ("weak", False), ("fast", True)]
    assert (plan.seeds, plan.looks, plan.margin) == ((7, 8, 9), (2, 3), 0.05)


def test_only_looked_at(store: RunStore, ask: Ask, files: tuple[str, ...]) -> None:
    status, out, _ = ask("create", *files, *SMALL, "--dry-run", "--seeds", "3")
    assert status == 0 and "With fewer than 5 seeds it is a first look" in out
    status, out, _ = ask("create", *files, *SMALL, "--dry-run", "--json")
    shown = json.loads(out)
    assert shown["foretold"]["runs"] == 10 and [each["id"] for each in shown["findings"]] == ["too-small"]
    assert StudyStore(store).ids() == store.ids() == []


def test_the_same_study_again_is_the_same(ask: Ask) -> None:
    assert "There is no study 'nothing'" in ask("create", "--like", "nothing")[2]
    status, _, error = ask("create", "--like", "nothing", "--arm", "off", "--seeds", "8", "--set", "bce.scale=2")
    assert status == cli.BAD_INPUT and "so --set, --arm, --seeds cannot be given with it" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--arm", "off", "--arm", "nonsense"), "'nonsense' is no arm"),
        (("--seeds", "three"), "--seeds takes whole numbers"),
        (("--seeds", "0"), "from 2 on"),
        (("--seeds", "4000000000"), "at most 64 seeds"),
        (("--seeds", "9" * 30), "numbers up to 4294967295"),
        (("--looks", "5,3"), "larger than the one before"),
        (("--held-out", "nowhere.txt"), "nowhere.txt"),
        (("--run", "nobody"), "There is no run 'nobody'"),
        (("--arm", "off:enabled=true", "--arm", "active"), "BCE is called off here, but it was not"),
    ],
)
def test_what_cannot_be_is_told(
    store: RunStore, ask: Ask, files: tuple[str, ...], arguments: tuple[str, ...], said: str
) -> None:
    status, _, error = ask("create", *files[:2], *SMALL, *arguments)
    assert status == cli.BAD_INPUT and said in error
    assert StudyStore(store).ids() == store.ids() == []


def test_from_nothing_to_the_report(store: RunStore, ask: Ask, files: tuple[str, ...], tmp_path: Path) -> None:
    assert "There are no studies yet" in ask("list")[1]
    ask("create", *files, *SMALL, "--name", "whole")
    plan = only(store)
    status, out, _ = ask("status", "whole")
    assert status == 0 and "0 of 10 runs are trained and measured." in out and "seed 1      off" in out
    finish_all(store, plan, {"active": -0.2}, seeds=(1, 2, 3, 4))
    finish(store, plan, "off", 5)
    status, _, error = ask("verdict", "whole")
    assert status == 1 and "There is no verdict yet" in error and "−" not in out
    status, out, _ = ask("report", "whole")
    assert status == 0 and "There is none yet." in Path(out.splitlines()[0]).read_text()
    finish(store, plan, "active", 5, -0.2)
    assert f"study verdict {plan.id}" in ask("status", "whole")[1]
    status, out, _ = ask("verdict", "whole")
    assert status == 0 and "Better with BCE: −0." in out and out.count("  seed ") == 5
    shown = json.loads(ask("verdict", "whole", "--json")[1])
    assert shown["status"] == "complete" and shown["looks"][0]["seeds"] == 5
    (comparison,) = shown["looks"][0]["outcome"]["comparisons"]
    assert comparison["verdict_values"]["kind"] == "better"
    status, out, _ = ask("report", "whole", "--output", str(tmp_path / "report"), "--json")
    written: dict[str, Any] = json.loads(out)
    markdown, html = Path(written["markdown"]).read_text(), Path(written["html"]).read_text()
    assert Path(written["markdown"]).parent == tmp_path / "report"
    for text in (markdown, html):
        assert "Better with BCE" in text and f"study create --like {plan.id} --wait" in text
    assert html.count("<svg") == 2 and "±0.01" in html
    assert json.loads(ask("list", "--json")[1])[0]["status"] == "complete"


def test_stopped_resumed_extended_deleted_restored(store: RunStore, ask: Ask, files: tuple[str, ...]) -> None:
    ask("create", *files, *SMALL, "--looks", "2,3", "--name", "mine")
    plan = only(store)
    assert "study resume" in ask("stop", "mine")[1]
    assert progress(store, plan.id).status == "stopped"
    assert ask("extend", "mine")[0] == cli.BAD_INPUT
    assert json.loads(ask("resume", "mine", "--json")[1])["status"] == "at work"
    finish_all(store, plan, {})
    assert "The next planned look takes 3 seeds" not in ask("status", "mine")[1]  # not before this one is taken
    ask("verdict", "mine")
    assert "The next planned look takes 3 seeds" in ask("status", "mine")[1]
    assert len(json.loads(ask("extend", "mine", "--json")[1])["runs"]) == 6
    ask("stop", "mine")
    assert "with its runs" in ask("delete", "mine")[1] and store.ids() == []
    assert "is back" in ask("restore", "mine")[1] and len(store.ids()) == 6


def test_from_a_run_and_again_from_a_folder(store: RunStore, ask: Ask, files: tuple[str, ...], tmp_path: Path) -> None:
    ask("create", *files, *SMALL, "--seeds", "2")
    first = only(store)
    run_id = StudyStore(store).state(first.id).runs["off/2"]
    status, _, error = ask(
        "create", "--run", run_id, "--held-out", files[3], *SMALL, "--seeds", "2", "--name", "second"
    )
    assert status == 0, error
    second = StudyStore(store).plan(StudyStore(store).resolve("second"))
    assert second.base.training.max_steps == 6 and second.recipe == "quick-look"
    copied = tmp_path / "elsewhere" / "studies" / first.id
    copied.parent.mkdir(parents=True)
    StudyStore(store).directory(first.id).rename(copied)
    assert ask("create", "--like", str(copied), "--no-estimate", "--name", "third")[0] == 0
    third = StudyStore(store).plan(StudyStore(store).resolve("third"))
    assert third.files == first.files and third.arms == first.arms


def test_every_look_is_told(store: RunStore, ask: Ask, files: tuple[str, ...]) -> None:
    ask("create", *files, *SMALL, "--name", "looks", "--looks", "2,3")
    plan = only(store)
    finish_all(store, plan, {"active": -0.2})
    assert "At 2 seeds" in ask("verdict", "looks")[1]
    assert ask("extend", "looks")[0] == 0
    finish_all(store, plan, {"active": 0.2}, seeds=(3,))
    _, out, _ = ask("verdict", "looks")
    assert out.index("At 2 seeds") < out.index("At 3 seeds") and out.count("Exploratory") == 2
    report = Path(ask("report", "looks")[1].splitlines()[0]).read_text()
    assert "What the looks before this one found" in report


def test_who_asks_for_a_study_sees_to_it_that_somebody_is_at_work(
    store: RunStore, ask: Ask, files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("create", *files, *SMALL, "--name", "left")
    started: list[RunStore] = []
    monkeypatch.setattr(election, "see_to_supervisor", started.append)
    assert ask("status", "left")[0] == 0 and started
