from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from bcecore.errors import RunError
from bcecore.jobs import generation
from bcecore.jobs.generation import Generation
from bcecore.store import generation as files
from bcecore.store.identity import own_identity
from bcecore.store.runs import RunStore
from bcecore.store.samples import Sample, append_samples
from tests.examples import example_run


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been started; this process poses as it."""
    started: list[list[str]] = []

    def spawn(arguments: list[str], log: Path) -> SimpleNamespace:
        started.append(arguments)
        return SimpleNamespace(pid=own_identity().pid)

    monkeypatch.setattr(generation, "spawn", spawn)
    return started


@pytest.fixture
def run_id(store: RunStore) -> str:
    return example_run(store, checkpoints=(100, 200))


def test_it_starts_a_process_of_its_own(store: RunStore, run_id: str, spawned: list[list[str]]) -> None:
    assert generation.current(store, run_id) is None
    generation.start(store, run_id, [100, 200], ["  The door\tis ", "", "Kapı", "Kapı"])
    directory = store.directory(run_id)
    prompts = directory / "generation-prompts.txt"
    assert prompts.read_text(encoding="utf-8") == "The door is\nKapı\n"
    assert spawned == [
        ["-m", "bcecore.training.generate", str(directory), "--prompts-file", str(prompts), "--steps", "100", "200"]
    ]
    assert generation.current(store, run_id) == Generation("running", (100, 200))
    files.write_progress(directory, files.Progress(done=1, total=4))
    assert generation.current(store, run_id) == Generation("running", (100, 200), 1, 4)
    with pytest.raises(RunError, match="are writing already"):
        generation.start(store, run_id, [100], ["again"])
    files.write_progress(directory, files.Progress(done=4, total=4, ended=True))
    assert generation.current(store, run_id) == Generation("done", (100, 200), 4, 4)
    generation.start(store, run_id, [100], ["again"])
    assert generation.current(store, run_id) == Generation("running", (100,))


def test_how_it_can_fail(
    store: RunStore, run_id: str, spawned: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    generation.start(store, run_id, [100], ["x"])
    directory = store.directory(run_id)
    files.write_progress(directory, files.Progress(done=0, total=1, ended=True, error="It is too long."))
    assert generation.current(store, run_id) == Generation("failed", (100,), 0, 1, "It is too long.")
    # A process that is gone without a word.
    files.forget_progress(directory)
    monkeypatch.setattr(generation, "is_alive", lambda _: False)
    assert generation.current(store, run_id) == Generation("failed", (100,), error="Its process ended without a word.")
    (directory / "generation.log").write_text("Traceback\nMemoryError: no more\n\n")
    assert generation.current(store, run_id) == Generation("failed", (100,), error="MemoryError: no more")


@pytest.mark.parametrize(
    ("steps", "prompts", "words"),
    [
        ([150], ["x"], "no whole checkpoint at step 150. Whole ones: 100, 200."),
        ([], ["x"], "none was named"),
        ([100], [" ", ""], "at least one beginning"),
        ([100], [str(n) for n in range(9)], "at most 8 beginnings; these are 9"),
        ([100], ["y" * 401], "at most 400 characters"),
    ],
)
def test_what_it_refuses(
    store: RunStore, run_id: str, spawned: list[list[str]], steps: list[int], prompts: list[str], words: str
) -> None:
    with pytest.raises(RunError, match=words):
        generation.start(store, run_id, steps, prompts)
    assert not spawned and generation.current(store, run_id) is None


def test_suggested_beginnings(store: RunStore, run_id: str) -> None:
    assert generation.suggested_prompts(store, run_id) == []
    data = store.directory(run_id) / "data"
    (data / "train.jsonl").write_text(json.dumps({"text": "Only this."}) + "\n", encoding="utf-8")
    assert generation.suggested_prompts(store, run_id) == ["Only"]
    texts = ["Güneş doğudan doğar, batıdan batar; bunu herkes bilir.", "No.", " ".join(map(str, range(99))), "fourth"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (data / "validation.jsonl").write_text(lines, encoding="utf-8")
    assert generation.suggested_prompts(store, run_id) == ["Güneş doğudan doğar,", "No.", "0 1 2 3 4 5 6 7"]
    for prompt in ("first", "second", "third", "fourth", "second"):
        append_samples(store.directory(run_id), [Sample(step=1, prompt=prompt, text="", time=0.0)])
    assert generation.suggested_prompts(store, run_id) == ["third", "fourth", "second"]
