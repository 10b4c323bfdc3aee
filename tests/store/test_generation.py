from __future__ import annotations

from pathlib import Path

from bcecore.store import generation
from bcecore.store.generation import Asked, Progress
from bcecore.store.identity import own_identity
from bcecore.store.record import now


def test_what_was_asked_for_and_how_far_it_is(tmp_path: Path) -> None:
    assert generation.read_asked(tmp_path) is None and generation.read_progress(tmp_path) is None
    asked = Asked(steps=(100, 200), prompts=3, at=now(), process=own_identity())
    generation.write_asked(tmp_path, asked)
    generation.write_progress(tmp_path, Progress(done=2, total=6))
    assert generation.read_asked(tmp_path) == asked
    assert generation.read_progress(tmp_path) == Progress(done=2, total=6)
    generation.forget_progress(tmp_path)
    generation.forget_progress(tmp_path)
    assert generation.read_progress(tmp_path) is None


def test_damaged_files_say_nothing(tmp_path: Path) -> None:
    for name in ("generation.json", "generation-progress.json"):
        (tmp_path / name).write_text('{"done"')
    assert generation.read_asked(tmp_path) is None and generation.read_progress(tmp_path) is None
