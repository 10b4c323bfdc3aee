"""Samples: read as they were written, whatever happened to the process that wrote them."""

from __future__ import annotations

from pathlib import Path

from bcecore.store.samples import SAMPLES_FILE, Sample, append_samples, read_samples, resume_samples


def sample(step: int, text: str = " uyur.") -> Sample:
    return Sample(step=step, prompt="Kediler", text=text, time=1_700_000_000.5)


def test_they_come_back_as_they_were_written(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
    append_samples(tmp_path, [sample(1), sample(1, "\n\u2028 two lines")])
    append_samples(tmp_path, [sample(2)])
    assert read_samples(tmp_path) == [sample(1), sample(1, "\n\u2028 two lines"), sample(2)]


def test_half_a_line_hides_no_other(tmp_path: Path) -> None:
    append_samples(tmp_path, [sample(1)])
    with (tmp_path / SAMPLES_FILE).open("a", encoding="utf-8") as file:
        file.write('{"step": 2, "prompt": "Ked')
    assert read_samples(tmp_path) == [sample(1)]
    append_samples(tmp_path, [sample(3)])
    assert read_samples(tmp_path) == [sample(1), sample(3)]


def test_those_beyond_a_resume_are_dropped(tmp_path: Path) -> None:
    resume_samples(tmp_path, 0)
    assert not (tmp_path / SAMPLES_FILE).exists()
    append_samples(tmp_path, [sample(1), sample(5), sample(9)])
    resume_samples(tmp_path, 5)
    assert read_samples(tmp_path) == [sample(1), sample(5)]
    append_samples(tmp_path, [sample(7)])
    assert [found.step for found in read_samples(tmp_path)] == [1, 5, 7]
    resume_samples(tmp_path, 0)
    assert read_samples(tmp_path) == []
