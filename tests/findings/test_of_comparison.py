"""What limits a comparison of runs: real twins, sound and with a planted leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.findings.finding import Finding
from bcecore.findings.of_comparison import limits, of_comparison
from bcecore.findings.of_study import Member
from bcecore.store.runs import RunStore
from tests.findings.conftest import edit_json


def test_sound_runs(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store, members = RunStore(trained[0]), trained[1]
    off, seed, active, other_off = (members[place].run for place in (0, 1, 2, 3))
    assert of_comparison(store, {off: "off"}) == []
    assert of_comparison(store, {off: "off, seed 1", other_off: "off, seed 2"}) == []
    (single,) = of_comparison(store, {off: "off", active: "active"})
    assert (single.id, single.numbers["seeds"]) == ("single-run", 1)
    assert single.sentence.startswith("These runs differ in BCE and share only 1 seed. ")
    (none,) = of_comparison(store, {other_off: "off", active: "active"})
    assert "share no seed" in none.sentence
    both = {member.run: member.run for member in members if member.run != seed}
    assert of_comparison(store, both)[0].numbers["seeds"] == 1  # of the seed profile only seed 2 is there


def test_a_leak_in_one_is_told_with_its_name(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, members = twins
    leaky, sound = members[0].run, members[3].run
    facts = store.record(leaky).facts
    edit_json(store.directory(leaky) / "run.json", facts=facts | {"leak_probe": {"leaks": True, "largest_change": 3.0}})
    (found,) = of_comparison(store, {leaky: "my run", sound: "the other"})
    assert found.blocks and found.sentence.startswith("my run: The model sees the words")
    (alone,) = of_comparison(store, {leaky: "my run", "20260101-000000-gone-0000": "gone"})
    assert alone.sentence == found.sentence
    assert of_comparison(store, {leaky: "my run"})[0].sentence.startswith("The model sees")


@pytest.mark.parametrize(
    ("severity", "rule", "limiting"), [("B", "x", True), ("W", "padding", True), ("W", "plateau", False)]
)
def test_what_limits(severity: str, rule: str, limiting: bool) -> None:
    finding = Finding(id=rule, severity=severity, subject="", numbers={}, sentence="", what_to_do="")  # type: ignore[arg-type]
    assert limits(finding) is limiting
