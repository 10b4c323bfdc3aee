"""duplicates: on real files, on planted copies, and at the limits of its trigger."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.findings import collect
from bcecore.findings.duplicates import Copy, Duplicates, duplicates, find_duplicates
from bcecore.findings.of_study import Member
from bcecore.store.runs import RunStore
from bcecore.text.reading import SAMPLE_TRAIN_FILE, read_texts


def copied(lines: int, exact: int, near: int = 0, most: tuple[int, int] | None = None) -> Duplicates:
    copies = [Copy(place, 0, 1.0 if place <= exact else 0.9, place <= exact) for place in range(1, exact + near + 1)]
    return Duplicates(lines, tuple(copies), most)


@pytest.mark.parametrize(
    ("lines", "exact", "near", "severity"),
    [
        (100, 1, 0, None),
        (201, 2, 0, None),
        (200, 2, 0, "N"),
        (200, 1, 1, "N"),
        (200, 10, 9, "N"),
        (200, 10, 10, "W"),
        (2, 1, 0, None),
        (0, 0, 0, None),
    ],
)
def test_the_trigger(lines: int, exact: int, near: int, severity: str | None) -> None:
    found = duplicates("file", copied(lines, exact, near))
    assert [finding.severity for finding in found] == ([] if severity is None else [severity])


def test_its_words() -> None:
    (finding,) = duplicates("my run", copied(1200, 240, 3, (6, 200)))
    assert finding.sentence == (
        "Of 1,200 training lines, 243 repeat an earlier line (240 word for word and 3 nearly), 20 %. "
        "Line 7 is there 200 times."
    )
    assert (finding.subject, finding.field, finding.numbers["most_frequent"]) == ("my run", "data.train_file", [6, 200])


def test_real_files_are_silent_and_with_copies_planted_they_are_not(shared_data: Path) -> None:
    for path in (SAMPLE_TRAIN_FILE, shared_data / "wikitext-2" / "valid.txt"):
        texts = read_texts(path)
        assert [f for f in duplicates("file", find_duplicates(texts)) if f.severity != "N"] == []
        planted = texts + [f"{text.upper()}!" for text in texts[: len(texts) // 8 + 1]]
        (finding,) = duplicates("file", find_duplicates(planted))
        assert finding.severity == "W" and finding.numbers["exact"] >= len(texts) // 8 + 1


def test_a_real_run_on_lines_without_copies_is_silent(trained: tuple[Path, tuple[Member, ...]]) -> None:
    train, _ = collect.texts(RunStore(trained[0]), trained[1][0].run)
    assert duplicates("run", find_duplicates(train)) == []
