"""Accepting findings: kept, withdrawn, shown again when they become materially more; damage does no harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.errors import RunError
from bcecore.findings.finding import Finding
from bcecore.store.acknowledged import (
    ACKNOWLEDGED_FILE,
    Acknowledgement,
    acknowledge,
    acknowledgement_of,
    read,
    withdraw,
)
from bcecore.store.record import now


def finding(rule: str = "loss-spike", severity: Any = "W", subject: str = "a run", **numbers: Any) -> Finding:
    return Finding(
        id=rule, severity=severity, subject=subject, numbers=numbers, sentence="It jumped.", what_to_do="Look."
    )


def accepted(found: Finding, *, of_plan: bool = False) -> Acknowledgement:
    values = found.model_dump() | {"reason": "it is a test", "when": now(), "of_plan": of_plan}
    return Acknowledgement.model_validate(values)


def test_a_round_trip(tmp_path: Path) -> None:
    found, other = finding(times=3, largest=2.5), finding("plateau")
    assert read(tmp_path) == ()
    kept = acknowledge(tmp_path, found, "  The text has\n a strange line. ")
    assert (kept.reason, kept.sentence, kept.severity) == ("The text has a strange line.", "It jumped.", "W")
    acknowledge(tmp_path, other, "a short run")
    assert [each.id for each in read(tmp_path)] == ["loss-spike", "plateau"]
    assert acknowledgement_of(found, read(tmp_path)) == kept
    assert withdraw(tmp_path, "plateau") == 1 and withdraw(tmp_path, "plateau") == 0
    assert acknowledgement_of(other, read(tmp_path)) is None and acknowledgement_of(found, read(tmp_path)) == kept


def test_accepted_again_the_later_reason_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    acknowledge(tmp_path, finding(times=3), "first")
    acknowledge(tmp_path, finding(times=4), "second")
    worse = finding(times=40)
    assert acknowledgement_of(worse, read(tmp_path)) is None
    acknowledge(tmp_path, worse, "third")
    (kept,) = read(tmp_path)
    assert kept.reason == "third" and kept.covers(worse)


def test_one_finding_of_a_rule_is_not_another(tmp_path: Path) -> None:
    first, second = (finding("twin-mismatch", "B", "a study", seed=seed, differ={"a": [1, 2]}) for seed in (2, 3))
    acknowledge(tmp_path, first, "the same to the last digit")
    assert acknowledgement_of(second, read(tmp_path)) is None
    acknowledge(tmp_path, second, "that one too")
    assert len(read(tmp_path)) == 2
    assert withdraw(tmp_path, read(tmp_path)[0]) == 1
    assert [acknowledgement_of(found, read(tmp_path)) is None for found in (first, second)] == [True, False]


@pytest.mark.parametrize("reason", ["", "  \n ", "…", "x" * 1001])
def test_a_reason_that_is_none(tmp_path: Path, reason: str) -> None:
    with pytest.raises(RunError) as raised:
        acknowledge(tmp_path, finding(), reason)
    assert raised.value.field == "reason"
    assert read(tmp_path) == ()


BEFORE: dict[str, Any] = {
    "times": 4,
    "change": -0.5,
    "first_step": 120,
    "keys": {"loss": 3},
    "names": ["a", "b"],
    "steps": [10, 20],
    "weights": "1f",
    "on": True,
}


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({}, True),
        ({"times": 8}, True),
        ({"times": 9}, False),
        ({"times": 1}, False),
        ({"times": None}, False),
        ({"times": float("nan")}, False),
        ({"change": 0.5}, False),
        ({"change": -0.9}, True),
        ({"first_step": 10_000}, True),
        ({"keys": {"loss": 5}}, True),
        ({"keys": {"loss": 3, "ce": 3}}, False),
        ({"names": ["a"]}, True),
        ({"names": ["a", "c"]}, False),
        ({"steps": [900, 1000, 1100]}, True),
        ({"steps": list(range(9))}, False),
        ({"weights": "2f"}, False),
        ({"on": False}, False),
        ({"more": 1}, False),
    ],
)
def test_what_is_materially_more(change: dict[str, Any], covered: bool) -> None:
    assert accepted(finding(**BEFORE)).covers(finding(**BEFORE | change)) == covered


def test_a_graver_finding_shows_again_and_a_lighter_one_does_not() -> None:
    kept = accepted(finding(severity="W"))
    assert [kept.covers(finding(severity=severity)) for severity in "BWN"] == [False, True, True]
    assert not kept.covers(finding(subject="another run")) and not kept.covers(finding("plateau"))


def test_what_was_accepted_of_a_plan_holds_for_its_runs() -> None:
    plan = accepted(finding("off-not-off", "B", "the study", weight=0.4, logged=False), of_plan=True)
    assert plan.covers(finding("off-not-off", "B", "run 1", weight=0.4, logged=True, more=1))
    assert not plan.covers(finding("off-not-off", "B", "run 1", weight=4.0))
    twins = accepted(
        finding("twin-mismatch", "B", "the study", seed=1, differ={"training.epochs": [1, 2]}), of_plan=True
    )
    assert twins.covers(finding("twin-mismatch", "B", "a run", seed=2, differ={"training.epochs": [1, 2]}))
    assert not twins.covers(finding("twin-mismatch", "B", "a run", seed=2, differ={"training.batch_size": [1, 2]}))
    assert not twins.covers(finding("twin-mismatch", "B", "a run", trained="1f", now="2f"))


def test_damage_only_makes_findings_show_again(tmp_path: Path) -> None:
    found = finding()
    acknowledge(tmp_path, found, "a reason")
    path = tmp_path / ACKNOWLEDGED_FILE
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "accepted": [{"id": 3}, "nonsense", *content["accepted"]]}))
    assert [each.reason for each in read(tmp_path)] == ["a reason"]
    for damaged in ("", "[]", "{", '{"accepted": 3}', "\0\0", "null"):
        path.write_text(damaged)
        assert read(tmp_path) == ()
    path.write_bytes(b"\xff\xfe\x00")
    assert read(tmp_path) == ()
    acknowledge(tmp_path, found, "once more")
    assert [each.reason for each in read(tmp_path)] == ["once more"]


numbers = st.dictionaries(
    st.sampled_from(["times", "seed", "first_step", "steps", "share", "keys", "run"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@given(found=st.builds(finding, severity=st.sampled_from("BWN")), values=numbers, reason=st.text("abc \n", min_size=1))
def test_whatever_a_finding_holds_it_is_covered_once_accepted(
    tmp_path_factory: pytest.TempPathFactory, found: Finding, values: dict[str, Any], reason: str
) -> None:
    found = found.model_copy(update={"numbers": values})
    directory = tmp_path_factory.mktemp("subject")
    if not reason.strip():
        with pytest.raises(RunError):
            acknowledge(directory, found, reason)
        return
    kept = acknowledge(directory, found, reason)
    assert acknowledgement_of(found, read(directory)) == kept
    assert withdraw(directory, kept) == 1
    assert read(directory) == ()
