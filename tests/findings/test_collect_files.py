"""What files are is told by their content; what is nothing known is an error, or passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bcecore.errors import BceError
from bcecore.findings.collect_files import FilesError, collect_files, files_with_run, run_log
from bcecore.store.runs import RunStore
from tests.examples import example_run

LOG = {
    "global_step": 2,
    "max_steps": 2,
    "num_train_epochs": 1,
    "log_history": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}],
}


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_trainers_output_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    written(folder / "checkpoint-2" / "trainer_state.json", LOG)
    written(folder / "checkpoint-2" / "config.json", {"model_type": "gpt2"})
    written(folder / "checkpoint-1" / "config.json", {"model_type": "old"})
    written(folder / "README.md", "# A report\n")
    written(folder / "vocab.txt", "a\nb\n")
    written(folder / "generation_config.json", {"max_length": 5})
    written(folder / "train.txt", "one line\nanother line\n")
    written(folder / "my_val.txt", "a third line\n")
    (folder / "training_args.bin").write_bytes(b"\x80\x04")
    files = collect_files([folder])
    assert files.subject == "out" and files.log is not None and files.log.last_step == 2
    assert [(text.name, text.role, len(text.lines)) for text in files.texts] == [
        ("my_val.txt", "held out", 1),
        ("train.txt", "training", 2),
    ]
    assert [one.content["model_type"] for one in files.architectures] == ["gpt2"]
    assert [report.name for report in files.reports] == ["README.md"]
    assert files.log.facts["steps"] == (2.0, 2.0, 2.0) and files.log.facts["epochs"] == (1.0,)
    assert sorted(files.read) == [
        "README.md", "checkpoint-2/trainer_state.json", "config.json", "my_val.txt", "train.txt",
    ]  # fmt: skip


def test_where_no_name_tells_the_largest_text_is_the_training_text(tmp_path: Path) -> None:
    small, large = written(tmp_path / "a.txt", "x y\n"), written(tmp_path / "b.txt", "x y\nz w\n")
    files = collect_files([small, large])
    assert [text.role for text in files.texts] == ["held out", "training"]
    assert "b.txt, the largest, was taken for the training text" in files.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("odd.json", {"a": 1}, "odd.json is not a Trainer's log"),
        ("cut.json", "{", "cut.json is not a Trainer's log"),
        ("run.bin", "\x80abc", "run.bin is not a Trainer's log"),
        ("empty.txt", "\n\n", "empty.txt has no text in it"),
        ("bad_stats.json", {"a": {"bce_on": {}, "bce_off": {}}}, "has neither “mean_ce” nor “eval_loss”"),
    ],
)
def test_a_named_file_that_is_nothing_known_is_an_error(tmp_path: Path, name: str, content: object, words: str) -> None:
    with pytest.raises(BceError) as raised:
        collect_files([written(tmp_path / name, content)])
    assert words in str(raised.value)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="There is no file or folder"):
        collect_files([tmp_path / "nowhere"])
    with pytest.raises(FilesError, match="There is nothing in"):
        collect_files([tmp_path])
    report = tmp_path / "latin.md"
    report.write_bytes("é".encode("latin-1"))
    with pytest.raises(FilesError, match="not written in UTF-8"):
        collect_files([report])


def test_a_run_has_its_own_log(store: RunStore, tmp_path: Path) -> None:
    run_id = example_run(store, steps=20)
    report = written(tmp_path / "r.md", "# Report\n")
    files = files_with_run(store, run_id, [report])
    assert files.log is not None and files.log.source == "the log of an example" and files.columns is None
    with pytest.raises(FilesError, match="is a log, and the run has its own"):
        files_with_run(store, run_id, [written(tmp_path / "trainer_state.json", LOG)])
    facts = run_log(store, run_id).facts
    assert (facts["batch_size"], facts["seed"], facts["parameters"]) == ((8.0,), (42.0,), (743_552.0,))
