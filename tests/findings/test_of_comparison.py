"""What limits a comparison of runs: real twins, sound and with a planted leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.findings.finding import Finding
from bcecore.findings.of_comparison import forbids_judging, limits, of_comparison
from bcecore.findings.of_study import Member
from bcecore.store.acknowledged import acknowledge
from bcecore.store.runs import RunStore
from tests.findings.conftest import edit_json


def test_sound_runs(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store, members = RunStore(trained[0]), trained[1]
    off, seed, active, other_off = (members[place].run for place in (0, 1, 2, 3))
    (few,) = of_comparison(store, {off: "off"})
    assert (few.id, few.severity, few.numbers["documents"]) == ("too-small", "N", 46)
    two = of_comparison(store, {off: "off, seed 1", other_off: "off, seed 2"})
    assert [(each.id, each.sentence.partition(":")[0]) for each in two] == [
        ("too-small", "off, seed 1"),
        ("too-small", "off, seed 2"),
    ]
    single, *fewer = of_comparison(store, {off: "off", active: "active"})
    assert {each.id for each in fewer} == {"too-small"}
    assert (single.id, single.numbers["seeds"]) == ("single-run", 1)
    assert single.sentence.startswith("These runs differ in BCE and share only 1 seed. ")
    none, *_ = of_comparison(store, {other_off: "off", active: "active"})
    assert "share no seed" in none.sentence
    both = {member.run: member.run for member in members if member.run != seed}
    (single,) = [each for each in of_comparison(store, both) if each.id == "single-run"]
    assert single.numbers["seeds"] == 1  # of the seed profile only seed 2 is there


def test_a_leak_in_one_is_told_with_its_name(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, members = twins
    leaky, sound = members[0].run, members[3].run
    facts = store.record(leaky).facts
    edit_json(store.directory(leaky) / "run.json", facts=facts | {"leak_probe": {"leaks": True, "largest_change": 3.0}})
    found, *_ = of_comparison(store, {leaky: "my run", sound: "the other"})
    assert found.blocks and found.sentence.startswith("my run: The model sees the words")
    alone, *_ = of_comparison(store, {leaky: "my run", "20260101-000000-gone-0000": "gone"})
    assert alone.sentence == found.sentence
    (own, *_) = of_comparison(store, {leaky: "my run"})
    assert own.sentence.startswith("The model sees")
    assert forbids_judging([found])
    # Accepted on the run's own page, it is told and forbids nothing.
    acknowledge(store.directory(leaky), own, "Both sides leak alike.")
    after = of_comparison(store, {leaky: "my run", sound: "the other"})
    (told,) = [each for each in after if each.id == "future-leak"]
    assert told.severity == "N" and told.sentence.endswith("Accepted, because “Both sides leak alike”.")
    assert not forbids_judging(after)


@pytest.mark.parametrize(
    ("severity", "rule", "limiting"), [("B", "x", True), ("W", "padding", True), ("W", "plateau", False)]
)
def test_what_limits(severity: str, rule: str, limiting: bool) -> None:
    finding = Finding(id=rule, severity=severity, subject="", numbers={}, sentence="", what_to_do="")  # type: ignore[arg-type]
    assert limits(finding) is limiting
