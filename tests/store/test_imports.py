"""Importing runs from elsewhere: what is found, what is kept, and that nothing half-made stays."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bcecore.errors import DiskFullError, RunError
from bcecore.store import tensorboard
from bcecore.store.history import History
from bcecore.store.imported import FACTS, checked_facts
from bcecore.store.imports import AlreadyImportedError, Upload, find_logs, import_run
from bcecore.store.runs import RunStore
from bcecore.store.tensorboard import TensorBoardMissingError
from bcecore.store.trainer_log import LogError


def records(last: int) -> list[dict[str, Any]]:
    return [{"step": step, "epoch": step / 10, "loss": 10.0 / step} for step in range(1, last + 1)]


def state(last: int, **others: Any) -> str:
    return json.dumps(
        {"epoch": last / 10, "global_step": last, "log_history": records(last), "max_steps": 40, **others}
    )


def trainer_folder(folder: Path, *steps: int) -> Path:
    """What a Trainer leaves: checkpoints with weights and a pickle that must not be opened."""
    for step in steps:
        checkpoint = folder / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "trainer_state.json").write_text(state(step))
        (checkpoint / "model.safetensors").write_bytes(b"\0" * 2_000_000)
        (checkpoint / "training_args.bin").write_bytes(pickle.dumps(Bomb()))
        (checkpoint / "config.json").write_text("{}")
    return folder


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise AssertionError('a pickle was opened')",))


def history(store: RunStore, run_id: str) -> History:
    history = History(store.directory(run_id))
    history.refresh()
    return history


def left_over(store: RunStore) -> list[Path]:
    return list(store.root.iterdir()) if store.root.is_dir() else []


# -- what it becomes


def test_a_file_becomes_a_run_that_is_over(store: RunStore, tmp_path: Path) -> None:
    path = tmp_path / "my experiment.json"
    path.write_text(state(20, best_metric=float("nan"), train_batch_size=4))
    run_id = import_run(store, [path], facts={"wall_clock": "106.96", "model": " bert \n tiny ", "seed": ""})
    record = store.record(run_id)
    assert (record.name, record.status, record.is_over, record.tags) == ("my experiment", "imported", True, ())
    assert record.progress is not None
    assert (record.progress.step, record.progress.total_steps, record.progress.epoch) == (20, 40, 2.0)
    imported = store.imported(run_id)
    assert imported.facts == {"wall_clock": 106.96, "model": "bert tiny"}
    assert imported.state == {
        "epoch": 2.0, "global_step": 20, "max_steps": 40, "best_metric": "nan", "train_batch_size": 4,
    }  # fmt: skip
    (source,) = imported.sources
    assert (source.name, source.bytes) == ("my experiment.json", path.stat().st_size)
    # Unchanged, beside the record and nothing else.
    assert (store.directory(run_id) / "imported" / source.kept_as).read_bytes() == path.read_bytes()
    assert sorted(file.name for file in store.directory(run_id).iterdir()) == [
        "import.json", "imported", "run.copy.json", "run.json",
    ]  # fmt: skip
    assert history(store, run_id).column("loss").tolist() == [10.0 / step for step in range(1, 21)]


def test_it_has_no_settings_and_cannot_go_on(store: RunStore) -> None:
    run_id = import_run(store, [Upload("a.json", state(2).encode())])
    with pytest.raises(RunError, match="was imported: its log does not say with which settings"):
        store.config(run_id)
    with pytest.raises(RunError, match="is imported and cannot become queued"):
        store.transition(run_id, "queued")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trainer_state.json", "imported log"),
        ("t5 small.json", "t5 small"),
        ("outputs/my-run/checkpoint-20/trainer_state.json", "my-run"),
        ("../../trainer_state.json", "imported log"),
        ("trainer_log.jsonl", "imported log"),
    ],
)
def test_its_name_is_that_of_the_innermost_folder_that_says_something(name: str, expected: str) -> None:
    assert find_logs([Upload(name, state(20).encode())]).name == expected


def test_a_checkpoint_and_a_whole_folder(store: RunStore, tmp_path: Path) -> None:
    folder = trainer_folder(tmp_path / "my-run", 10, 20, 30)
    one = import_run(store, [folder / "checkpoint-20"])
    assert store.record(one).name == "my-run"
    assert len(history(store, one).steps) == 20
    run_id = import_run(store, [folder])
    assert store.record(run_id).name == "my-run"
    assert len(history(store, run_id).steps) == 30
    imported = store.imported(run_id)
    assert [source.name for source in imported.sources] == [
        f"checkpoint-{step}/trainer_state.json" for step in (30, 20, 10)
    ]
    assert [bool(source.kept_as) for source in imported.sources] == [True, False, False]
    assert "checkpoint-20/trainer_state.json was left out: all it says is in the log of a later step." in imported.notes
    kept = [path.name for path in (store.directory(run_id) / "imported").iterdir()]
    assert kept == ["01-checkpoint-30_trainer_state.json"]


def test_checkpoints_that_went_different_ways_are_both_kept(store: RunStore, tmp_path: Path) -> None:
    folder = trainer_folder(tmp_path / "run", 20)
    other = [*records(10), *({"step": step, "loss": 99.0} for step in range(11, 16))]
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 15, "log_history": other}))
    values = history(store, import_run(store, [folder])).column("loss")
    assert values.tolist() == [10.0 / step for step in range(1, 21)]
    assert len(find_logs([folder]).logs) == 2


def test_a_broken_checkpoint_in_a_folder_is_told_and_passed_over(store: RunStore, tmp_path: Path) -> None:
    folder = trainer_folder(tmp_path / "run", 10, 20)
    (folder / "checkpoint-20" / "trainer_state.json").write_text("")
    found = find_logs([folder])
    assert found.notes == ("Not read: checkpoint-20/trainer_state.json is empty.",)
    assert found.newest.last_step == 10
    with pytest.raises(LogError, match="is empty"):
        find_logs([folder / "checkpoint-20" / "trainer_state.json"])


def test_an_uploaded_folder(store: RunStore) -> None:
    uploads = [
        Upload("my-run/checkpoint-10/trainer_state.json", state(10).encode()),
        Upload("my-run/checkpoint-20/trainer_state.json", state(20).encode()),
        Upload("my-run/config.json", b'{"model_type": "bert"}'),
        Upload("my-run/tokenizer.json", b"{}"),
    ]
    run_id = import_run(store, uploads)
    assert store.record(run_id).name == "my-run"
    assert len(history(store, run_id).steps) == 20


def test_names_are_used_as_paths_nowhere(store: RunStore, tmp_path: Path) -> None:
    names = [
        "../../../trainer_state.json",
        "/etc/trainer_state.json",
        "..\\con.json",
        "nul",
        "a\x00\n.json",
        "…",
        "x" * 300,
    ]
    for number, name in enumerate(names):
        run_id = import_run(store, [Upload(name, state(5 + number).encode())])
        (kept,) = (store.directory(run_id) / "imported").iterdir()
        assert kept.parent.parent == store.root / run_id
        assert kept.name.startswith("01-") and kept.suffix == ".json" and len(kept.name) < 80
        assert len(history(store, run_id).steps) == 5 + number
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_a_longer_log_of_another_kind_is_joined(store: RunStore, tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(state(4))
    lines = [{"current_steps": step, "total_steps": 40, "loss": round(10 / step, 4)} for step in range(1, 7)]
    (tmp_path / "trainer_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    values = history(store, import_run(store, [tmp_path])).column("loss")
    assert len(values) == 6


# -- what is refused


def test_logs_of_different_runs_are_not_mixed(tmp_path: Path) -> None:
    other = {"global_step": 9, "log_history": [{"step": 1, "epoch": 0.1, "loss": 3.0}]}
    uploads = [Upload("a.json", state(5).encode()), Upload("b.json", json.dumps(other).encode())]
    with pytest.raises(RunError, match=r"are the logs of different runs.*one by one"):
        find_logs(uploads)
    trainer_folder(tmp_path / "first", 10)
    trainer_folder(tmp_path / "second", 10)
    with pytest.raises(RunError, match=r"holds the logs of 2 runs: first, second. Import them one by one"):
        find_logs([tmp_path])


def test_a_run_s_own_logs_go_before_those_in_other_folders(tmp_path: Path) -> None:
    trainer_folder(tmp_path, 10)
    trainer_folder(tmp_path / "another", 20)
    assert find_logs([tmp_path]).newest.last_step == 10


def test_a_place_without_a_log(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"There is no file or folder .*nowhere. Check how it is spelled"):
        find_logs([tmp_path / "nowhere"])
    with pytest.raises(RunError, match=r"No log of a Trainer was found in .* Choose the folder into which"):
        find_logs([tmp_path])
    with pytest.raises(RunError, match="No log of a Trainer was found in my-run"):
        find_logs([Upload("my-run/config.json", b"{}")])


def test_the_same_log_again_is_noticed(store: RunStore, tmp_path: Path) -> None:
    folder = trainer_folder(tmp_path / "run", 10, 20)
    first = import_run(store, [folder], name="the first")
    for given in (folder, folder / "checkpoint-20", folder / "checkpoint-20" / "trainer_state.json"):
        with pytest.raises(AlreadyImportedError, match=f"imported before, as “the first” \\({first}\\)") as caught:
            import_run(store, [given])
        assert caught.value.run_id == first
    assert import_run(store, [folder], again=True) != first
    trainer_folder(folder, 30)  # it has gone on since
    import_run(store, [folder])


@pytest.mark.parametrize(
    ("facts", "name"),
    [({"clock": "3"}, "clock"), ({"seed": "4.5"}, "seed"), ({"model": "a\x00b"}, "model"), ({"epochs": "0"}, "epochs")],
)
def test_a_fact_that_cannot_be_leaves_nothing_behind(store: RunStore, facts: dict[str, Any], name: str) -> None:
    with pytest.raises(RunError) as caught:
        import_run(store, [Upload("a.json", state(2).encode())], facts=facts)
    assert caught.value.field == name
    assert left_over(store) == []


def test_an_unusable_name_leaves_nothing_behind(store: RunStore) -> None:
    with pytest.raises(RunError, match="control characters"):
        import_run(store, [Upload("a.json", state(2).encode())], name="a\x00b")
    assert left_over(store) == []


def test_a_full_disk_leaves_nothing_behind(tiny_disk: Callable[[int], Path]) -> None:
    store = RunStore(tiny_disk(64) / "runs")
    with pytest.raises(DiskFullError, match="The disk is full"):
        import_run(store, [Upload("a.json", state(5000).encode())])
    assert left_over(store) == []


# -- facts


def test_facts_are_checked() -> None:
    assert checked_facts({"wall_clock": "1:46:40", "epochs": 3, "learning_rate": "5e-5", "warmup_steps": "1,000"}) == {
        "wall_clock": 6400.0,
        "epochs": 3.0,
        "learning_rate": 5e-5,
        "warmup_steps": 1000,
    }
    assert checked_facts({"wall_clock": "2:30.5"}) == {"wall_clock": 150.5}
    assert type(checked_facts({"seed": "42"})["seed"]) is int
    with pytest.raises(RunError, match=f"'x' is no fact that can be given. These can be: {', '.join(FACTS)}"):
        checked_facts({"x": 1})
    with pytest.raises(RunError, match="Seconds from the first step to the last takes a number above 0, not 'soon'"):
        checked_facts({"wall_clock": "soon"})
    for wrong in ("nan", "inf", "-1", "0"):
        with pytest.raises(RunError):
            checked_facts({"wall_clock": wrong})


def test_facts_can_be_changed_later(store: RunStore) -> None:
    run_id = import_run(store, [Upload("a.json", state(2).encode())], facts={"model": "one", "seed": 1})
    assert store.set_facts(run_id, {"model": "two", "seed": ""}).facts == {"model": "two"}
    assert store.imported(run_id).facts == {"model": "two"}
    with pytest.raises(RunError):
        store.set_facts(run_id, {"seed": "many"})
    assert store.imported(run_id).facts == {"model": "two"}
    assert len(store.imported(run_id).sources) == 1


# -- TensorBoard's files


def test_without_tensorboard_its_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path) -> None:
        raise TensorBoardMissingError

    monkeypatch.setattr("bcecore.store.imports.read_events", missing)
    folder = trainer_folder(tmp_path / "run", 10)
    events = folder / "runs" / "Nov01_host" / "events.out.tfevents.1.host.1.0"
    events.parent.mkdir(parents=True)
    events.write_bytes(b"")
    assert "the optional package tensorboard is not installed" in find_logs([folder]).notes[0]
    with pytest.raises(TensorBoardMissingError, match=f"pip install -r .*{tensorboard.REQUIREMENTS}"):
        find_logs([events])


# -- the real logs


@pytest.mark.parametrize(
    ("path", "step", "total", "rows"),
    [
        ("trainer_states/cpt-generation.json", 5490, 5490, 20),
        ("trainer_states/multi-eval-groups.json", 12030, 12030, 31),
        ("trainer_states/rl-two-cadences.json", 1000, 14973, 1000),
        ("trainer_states/t5-summarization.json", 215337, 215337, 431),
        ("report/trainer_state.json", 2000, 2000, 2000),
    ],
)
def test_real_logs(store: RunStore, shared_data: Path, path: str, step: int, total: int, rows: int) -> None:
    run_id = import_run(store, [shared_data / path])
    progress = store.record(run_id).progress
    assert progress is not None
    assert (progress.step, progress.total_steps) == (step, total)
    assert len(history(store, run_id).steps) == rows
    assert store.imported(run_id).notes == ()
