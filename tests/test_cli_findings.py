"""What commands say before they launch a run, and the check that launches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bcecore.cli import main
from bcecore.jobs import control
from bcecore.store.runs import RunStore

# A short run on a small model.
SMALL = [
    *("--set", "model.hidden_size=32", "--set", "model.intermediate_size=64", "--set", "model.vocab_size=300"),
    *("--set", "training.max_steps=8", "--set", "training.warmup_steps=2", "--set", "bce.warmup_steps=2"),
]


def test_what_is_noticed_is_said_before_the_run_is_queued(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_dir = tmp_path / "runs"
    reuse = ["--train-file", str(text_file), "--set", "data.validation=first_rows_of_training", *SMALL]
    train = ["train", "--runs-dir", str(runs_dir), *reuse]
    fix = "--set data.validation=fraction --set data.validation_file=null"

    assert main([*train, "--check"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "" and not runs_dir.exists()
    assert "No result will count (split-reuse): Both lines that the model is checked on" in printed.err
    assert f"  Set lines aside instead: {fix}" in printed.err

    assert main([*train, "--check", "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert (checked["run"], checked["total_steps"]) == (None, 8) and not runs_dir.exists()
    assert [finding["id"] for finding in checked["findings"]] == ["split-reuse", "boost-unfinished"]

    assert main([*train, *fix.split(), "--check", "--json"]) == 0
    assert [finding["id"] for finding in json.loads(capsys.readouterr().out)["findings"]] == [
        "too-small",
        "boost-unfinished",
    ]

    queued: list[bool] = []
    monkeypatch.setattr(control, "wake", lambda store: queued.append("split-reuse" in capsys.readouterr().err))
    assert main([*train, "--detach"]) == 0
    assert queued == [True] and len(RunStore(runs_dir).ids()) == 1
    (run_id,) = RunStore(runs_dir).ids()
    assert capsys.readouterr().out.strip() == run_id

    assert main(["clone", run_id, "--runs-dir", str(runs_dir), "--detach"]) == 0
    assert queued == [True, True]
