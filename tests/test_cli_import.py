"""The commands `import` and `export`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bcecore.cli import main
from bcecore.store.runs import RunStore
from tests.examples import example_run

LOG = {"global_step": 2, "log_history": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}, {"step": 2, "loss": 1.0}]}
Command = Callable[..., tuple[str, str]]


@pytest.fixture
def command(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run a command on the store in a folder of its own; returns what it prints and what it says. 2 is an error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[str, str]:
        status = main([*arguments, "--runs-dir", str(store.root)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert status == (2 if printed.err.startswith("error:") else 0)
        return printed.out.strip(), printed.err.strip()

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "my-run" / "trainer_state.json"
    path.parent.mkdir()
    path.write_text(json.dumps(LOG))
    return path


def test_import_and_export(store: RunStore, command: Command, log: Path) -> None:
    run_id, said = command("import", str(log), "--fact", "wall_clock=106.96", "--fact", "model=a = b")
    assert said == ""
    assert store.record(run_id).name == "my-run"
    assert store.imported(run_id).facts == {"wall_clock": 106.96, "model": "a = b"}
    assert command("export", "my-run") == ("my-run.csv", "")
    assert Path("my-run.csv").read_text() == '"step","loss"\n1,2\n2,1\n'
    assert "my-run.csv is there already. Say with --output" in command("export", "my-run")[1]
    command("export", "my-run", "--output", "my-run.csv", "--records")
    with Path("my-run.csv").open() as file:
        assert [row["value"] for row in csv.DictReader(file) if row["key"] == "loss"] == ["2", "1.5", "1"]
    assert command("export", run_id, "--format", "parquet")[0] == "my-run.parquet"


def test_the_same_again(store: RunStore, command: Command, log: Path) -> None:
    run_id, _ = command("import", str(log.parent), "--name", "first")
    _, said = command("import", str(log))
    assert f"imported before, as “first” ({run_id}). Look at that run, or import it again with --again." in said
    assert len(command("import", str(log), "--again")[0].splitlines()) == 1
    assert len(store.ids()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fact", "wall_clock"], "A fact is written KEY=VALUE, as in wall_clock=106.96, not 'wall_clock'."),
        (["--fact", "clock=3"], "'clock' is no fact that can be given. These can be: model, text,"),
        (["--fact", "seed=many"], "Seed takes a whole number of at least 0, not 'many'."),
        (["--name", " "], "A run needs a name."),
    ],
)
def test_wrong_input(store: RunStore, command: Command, log: Path, arguments: list[str], words: str) -> None:
    printed, said = command("import", str(log), *arguments)
    assert printed == ""
    assert words in said
    assert store.ids() == []


def test_what_was_mended_is_said(command: Command, log: Path) -> None:
    log.write_text(log.read_text()[:-20])
    run_id, said = command("import", str(log))
    assert run_id
    assert said == "The file ends in the middle; 2 whole records were read from it."


def test_no_log_at_all(command: Command, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert (
        "config.json is not a Trainer's log: it holds the settings of a model." in command("import", "config.json")[1]
    )
    assert "There is no file or folder nowhere" in command("import", "nowhere")[1]


def test_a_run_of_our_own_is_exported(store: RunStore, command: Command) -> None:
    run_id = example_run(store, name="ours", steps=5)
    assert command("export", run_id, "--output", "here.csv") == ("here.csv", "")
    with Path("here.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4", "5"]


def test_for_tensorboard(store: RunStore, command: Command) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is an optional extra")
    run_id = example_run(store, name="ours", steps=5)
    path, _ = command("export", run_id, "--format", "tensorboard")
    assert path == "events.out.tfevents.0.ours"
    assert command("import", path)[1] == ""
