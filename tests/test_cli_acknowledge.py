"""`acknowledge`: of a run and of a study, withdrawn, and with input that is wrong; `show` and `report` state it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bcecore.evaluation.study.creating import create
from bcecore.findings.tally import tally_of
from bcecore.store.acknowledged import read
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from tests.evaluation.study.studied import draft, put_to_sleep
from tests.examples import example_config, example_run

Command = Callable[..., str]
REASON = "It repeats the report."


def faulty(store: RunStore) -> str:
    return example_run(store, config=example_config("report-10-epoch-offline"), leaks=True, steps=300)


def test_a_run(command: Command, store: RunStore) -> None:
    run_id = faulty(store)
    before = json.loads(command("show", run_id, "--json"))["findings"]
    assert [(each["id"], each["accepted"]) for each in before][:2] == [("future-leak", None), ("no-gradient", None)]
    assert "future-leak (serious finding): The model sees" in command("show", run_id)

    assert command("acknowledge", run_id, "future-leak", REASON).startswith("Accepted: The model sees the words")
    tally = tally_of(store.record(run_id))
    assert tally is not None and (tally.serious, tally.accepted) == (0, 1)
    after = json.loads(command("show", run_id, "--json"))["findings"][0]
    assert after["accepted"]["reason"] == REASON
    command("report", run_id)
    report = (store.directory(run_id) / "report.md").read_text()
    assert report.count("The model sees the words that it has to predict") == 1
    assert "because: It repeats the report" in report and "can see the words" not in report
    assert f"clone {run_id} --set 'bce.profile=\"active\"'" in report

    assert "is not accepted any more" in command("acknowledge", run_id, "future-leak", "--withdraw")
    assert read(store.directory(run_id)) == ()
    tally = tally_of(store.record(run_id))
    assert tally is not None and tally.serious == 1


def test_a_study_before_its_first_look(command: Command, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put_to_sleep(monkeypatch)
    plan = create(store, draft(store))
    assert "Accepted: " in command("acknowledge", plan.id, "too-small", "A trial.")
    (kept,) = read(StudyStore(store).directory(plan.id))
    assert (kept.id, kept.reason, kept.of_plan) == ("too-small", "A trial.", True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("RUN", "plateau", REASON), "There is no finding plateau. Noticed: future-leak, lr-zero, no-gradient."),
        (("RUN", "future-leak"), "reason: Say why this can be accepted"),
        (("RUN", "future-leak", REASON, "--withdraw"), "--withdraw takes no reason"),
        (("RUN", "future-leak", "--withdraw"), "No finding future-leak was accepted. Accepted: nothing."),
        (("nobody", "future-leak", REASON), "There is no run 'nobody'"),
    ],
)
def test_wrong_input(command: Command, store: RunStore, arguments: tuple[str, ...], problem: str) -> None:
    run_id = faulty(store)
    assert problem in command("acknowledge", *[run_id if each == "RUN" else each for each in arguments])
    assert read(store.directory(run_id)) == ()


def test_a_study_that_is_launched_despite_a_finding(
    command: Command, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_to_sleep(monkeypatch)
    asked = (
        "study",
        "create",
        "--recipe",
        "quick-look",
        "--set",
        "model.causal=false",
        "--no-estimate",
        "--seeds",
        "2",
    )
    assert "(future-leak) The model sees" in command(*asked)
    assert "--accept takes FINDING=REASON" in command(*asked, "--accept", "future-leak")
    assert StudyStore(store).ids() == []
    made = json.loads(command(*asked, "--accept", f"future-leak={REASON}", "--json"))
    (kept,) = read(StudyStore(store).directory(made["id"]))
    assert kept.reason == REASON
