"""cut-lines: on real files cut at several lengths, and at its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.findings.cut_lines import cut_lines
from bcecore.jobs.submit import Checked, check
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.text.tokenizing import Encoded

NOTHING = Encoded([], 0, 0)


def checked(**changes: Any) -> Checked:
    values = {key.replace("__", "."): value for key, value in changes.items()}
    return check(with_values(load_recipe("quick-look").config, values))


def found(text: Checked) -> list[Any]:
    return cut_lines("run", text.train, text.validation, text.config.data.block_size, text.longest_possible)


def side(cut_off: int, kept: int = 1000, longest: int = 200) -> Encoded:
    """A text of which so many tokens were kept, and so many cut off."""
    return Encoded([[0] * kept], int(cut_off > 0), 0, cut_off, longest)


def test_the_sample_loses_little_at_the_length_of_a_quick_look_and_much_at_a_short_one() -> None:
    assert found(checked()) == []
    (note,) = found(checked(data__block_size=20))
    assert note.severity == "N" and 0.3 < note.numbers["share"] < 0.5
    (warning,) = found(checked(data__block_size=10))
    assert warning.severity == "W" and warning.numbers["cut"] > 400
    fix = warning.fix
    assert fix is not None and fix.changes == {"data.block_size": 184} and "longest line has 180 tokens" in str(warning)
    assert found(checked(data__block_size=fix.changes["data.block_size"])) == []


def test_what_a_model_cannot_hold_is_not_offered(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"{'word ' * 90}{number}\n" for number in range(30)), encoding="utf-8")
    settings = {"data__train_file": str(path), "data__block_size": 16, "bce__enabled": False}
    settings |= {"training__warmup_steps": 0}
    (some,) = found(checked(**settings, model__max_position_embeddings=64))
    assert some.severity == "W" and some.fix is not None and some.fix.changes == {"data.block_size": 64}
    assert "the model holds 64" in some.what_to_do
    (none,) = found(checked(**settings, model__max_position_embeddings=16))
    assert none.fix is None and "more than the model can hold" in none.what_to_do


@pytest.mark.parametrize(
    ("train", "held_out", "severity"),
    [
        (side(0), side(0), None),
        (side(50), NOTHING, None),
        (side(53), NOTHING, "N"),
        (side(1000), NOTHING, "N"),
        (side(1001), NOTHING, "W"),
        (side(0), side(200), "N"),
    ],
)
def test_a_twentieth_is_noted_and_half_is_warned_of(train: Encoded, held_out: Encoded, severity: str | None) -> None:
    assert [finding.severity for finding in cut_lines("run", train, held_out, 100, 512)] == (
        [severity] if severity else []
    )


@given(st.integers(101, 9000), st.integers(100, 8192) | st.none())
def test_the_fix_reads_every_line_or_as_much_as_the_model_holds(longest: int, possible: int | None) -> None:
    (finding,) = cut_lines("run", side(5000, longest=longest), NOTHING, 100, possible)
    if finding.fix is None:
        assert possible == 100
        return
    length = finding.fix.changes["data.block_size"]
    assert length > 100 and (length >= longest or length == possible) and length < longest + 8
