"""The command line: what it prints, what it returns, and that bad input leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bcecore.cli import main
from bcecore.jobs import local
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.runs import RunStore
from tests.examples import devices_known
from tests.jobs.test_supervisor import supervisors

REPOSITORY = Path(__file__).parent.parent
SMALL = [
    *("--set", "model.hidden_size=32", "--set", "model.intermediate_size=64", "--set", "model.vocab_size=300"),
    *("--set", "training.max_steps=8", "--set", "training.warmup_steps=2", "--set", "bce.warmup_steps=2"),
]


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder for the runs that are really trained: a supervisor that is warm already starts one much sooner."""
    root = tmp_path_factory.mktemp("supervised") / "runs"
    devices_known(RunStore(root))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BCE_SUPERVISOR_IDLE_SECONDS", "20")
        yield root
    for process in supervisors(RunStore(root)):
        process.terminate()
        process.wait(timeout=30)


def fails(capsys: pytest.CaptureFixture[str], runs_dir: Path, *arguments: str) -> str:
    """Run `train` with bad input; returns what it says. Nothing may be printed as a result or left on disk."""
    status = main(["train", "--runs-dir", str(runs_dir), *arguments])
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ") and "Traceback" not in printed.err
    assert not runs_dir.exists() or not list(runs_dir.iterdir())
    return printed.err


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


class TestBadInput:
    def test_text_files(self, capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path) -> None:
        cases = {
            str(tmp_path / "nowhere.txt"): "There is no file",
            write(tmp_path / "empty.txt", b""): "empty.txt is empty",
            write(tmp_path / "binary.txt", b"PK\x03\x04\x00\x00\x00"): "binary data",
            write(tmp_path / "latin5.txt", "Kapı açık.\nİyi günler.\n".encode("iso-8859-9")): "not in UTF-8",
            write(tmp_path / "one.txt", b"Only one line here.\n"): "1 usable line",
            write(tmp_path / "no_column.csv", b"title,body\na,b\n"): "no column 'text'",
            write(tmp_path / "no_column.jsonl", b'{"body": "x"}\n'): "no column 'text'",
            write(tmp_path / "huge.txt", b"word " * 300_000): "longer than 1,000,000 characters",
            write(tmp_path / "picture.png", b"\x89PNG"): "not a kind of file",
        }
        for path, expected in cases.items():
            said = fails(capsys, runs_dir, "--train-file", path)
            assert expected in said, said
            assert said.startswith("error: data."), said

    def test_settings(self, capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
        cases = {
            "training.epoch=3": "Did you mean training.epochs",
            "training.epochs=many": "training.epochs: has to be a number",
            "training.epochs=-1": "above 0",
            "bce.max_weight=0.1": "bce.max_weight: is below the weight after the warm-up",
            "bce.warmup_steps=99999": "bce.warmup_steps: is not shorter than the run",
            "data.block_size=4096": "data.block_size: is longer than the model can read",
            "training.epochs": "write it as key=value",
            "model.source=/nowhere/model": "model.source: There is no folder /nowhere/model",
            "logging.report_to=carrier-pigeon": "'carrier-pigeon' is not a tracker",
        }
        for assignment, expected in cases.items():
            assert expected in fails(capsys, runs_dir, "--set", assignment)

    def test_a_hub_model_without_the_hub(self, capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
        said = fails(capsys, runs_dir, "--recipe", "report-10-epoch")
        assert "the Hub cannot be reached from this machine" in said
        assert "report-10-epoch-offline" in said

    def test_recipe_name_and_config_file(
        self, capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path
    ) -> None:
        assert "Did you mean quick-look?" in fails(capsys, runs_dir, "--recipe", "quick-lok")
        assert "no configuration file" in fails(capsys, runs_dir, "--config", str(tmp_path / "none.json"))
        broken = write(tmp_path / "broken.json", b'{"training": ')
        assert "not a readable JSON file" in fails(capsys, runs_dir, "--config", broken)
        unknown = write(tmp_path / "unknown.json", b'{"training": {"epoch": 3}}')
        assert "training.epoch" in fails(capsys, runs_dir, "--config", unknown)
        assert "A run needs a name" in fails(capsys, runs_dir, "--name", "  ")

    @pytest.mark.parametrize("reference", ["../../etc", "/etc/passwd", "no-such-run", "..", ""])
    def test_a_run_that_is_not_there_or_outside(
        self, capsys: pytest.CaptureFixture[str], runs_dir: Path, reference: str
    ) -> None:
        assert main(["show", reference, "--runs-dir", str(runs_dir)]) == 2
        assert "There is no run" in capsys.readouterr().err


def test_a_run_in_the_foreground(capsys: pytest.CaptureFixture[str], supervised: Path) -> None:
    runs_dir = supervised
    assert main(["train", "--recipe", "quick-look", "--runs-dir", str(runs_dir), "--name", "first", *SMALL]) == 0
    printed = capsys.readouterr()
    run_id = printed.out.strip()
    assert "8/8" in printed.err  # the progress bar
    assert RunStore(runs_dir).record(run_id).status == "finished"

    assert main(["runs", "--runs-dir", str(runs_dir), "--json"]) == 0
    (listed,) = [run for run in json.loads(capsys.readouterr().out) if run["name"] == "first"]
    assert (listed["id"], listed["name"], listed["status"], listed["recipe"]) == (
        run_id,
        "first",
        "finished",
        "quick-look",
    )
    assert main(["runs", "--runs-dir", str(runs_dir)]) == 0
    assert "finished" in capsys.readouterr().out

    assert main(["show", "first", "--runs-dir", str(runs_dir), "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown["last"]["step"] == 8 and shown["last"]["eval_loss"] > 0
    assert shown["config"]["training"]["max_steps"] == 8
    assert main(["show", run_id[-4:], "--runs-dir", str(runs_dir)]) == 0
    text = capsys.readouterr().out
    assert "finished" in text and "eval_perplexity" in text

    # The frozen configuration of a run starts the same run again.
    config = str(runs_dir / run_id / "config.json")
    assert main(["train", "--config", config, "--runs-dir", str(runs_dir), "--name", "again", "--json"]) == 0
    again: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert again["status"] == "finished" and again["recipe"] is None
    assert again["config"] == shown["config"]
    assert again["last"]["ce"] == shown["last"]["ce"]


def test_detached(capsys: pytest.CaptureFixture[str], supervised: Path) -> None:
    assert main(["train", "--runs-dir", str(supervised), "--detach", *SMALL]) == 0
    run_id = capsys.readouterr().out.strip()
    store = RunStore(supervised)
    assert not store.record(run_id).is_over
    end = time.monotonic() + 120
    while not local.reconciled(store, store.record(run_id)).is_over:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert store.record(run_id).status == "finished"


def test_a_failed_run_returns_1_and_says_why(capsys: pytest.CaptureFixture[str], supervised: Path) -> None:
    assert main(["train", "--runs-dir", str(supervised), *SMALL, "--set", "training.precision=fp16"]) == 1
    printed = capsys.readouterr()
    assert "fp16 is not available on 'cpu'" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.skipif(os.name == "nt", reason="ctrl-C reaches a console group differently on Windows")
def test_ctrl_c_saves_and_stops(supervised: Path) -> None:
    arguments = ["train", "--runs-dir", str(supervised), *SMALL, "--set", "training.max_steps=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bcecore", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    store = RunStore(supervised)
    end = time.monotonic() + 120
    while (progress := store.record(run_id).progress) is None or progress.step < 3:
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Saving a checkpoint and stopping" in said
    record = store.record(run_id)
    assert record.status == "stopped"
    assert record.progress is not None and checkpoint_steps(store.directory(run_id))[-1:] == [record.progress.step]


def test_arguments_after_test_go_to_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[list[str]] = []
    monkeypatch.setattr("bcecore.bootstrap.run_tests", lambda arguments: passed.append(list(arguments)) or 3)
    assert main(["test", "-q", "-k", "schedule", "--", "tests"]) == 3
    assert passed == [["-q", "-k", "schedule", "--", "tests"]]


def test_settings_and_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    listed = capsys.readouterr().out
    assert "bce.boost_span" in listed and "adamw_torch_fused" in listed
    assert main(["recipes"]) == 0
    assert "report-10-epoch-offline" in capsys.readouterr().out
