"""The command `diagnose`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bcecore.cli import main
from bcecore.store.runs import RunStore
from tests.examples import example_run

HEALTHY = {
    "global_step": 40,
    "max_steps": 40,
    "log_history": [{"step": t, "loss": 5 - t / 20, "learning_rate": 1e-4, "grad_norm": 1.0} for t in range(1, 41)],
}
REPORT = "# R\n\n| Step | Loss |\n| --- | --- |\n| 20 | {} |\n\nThe seed was 3.\n"


@pytest.fixture
def answer(store: RunStore, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `diagnose` and returns its status, what it prints, and what it says besides."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main(["diagnose", *map(str, arguments), "--runs-dir", str(store.root)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return status, printed.out, printed.err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps(HEALTHY))
    return folder


def test_a_healthy_output_folder(answer: Any, folder: Path) -> None:
    status, printed, said = answer(folder)
    assert (status, said) == (0, "")
    assert printed.startswith("output: nothing was noticed\n")
    assert "Rules that looked (10): non-finite, " in printed
    assert "  future-leak: no config.json of a model was given\n" in printed
    assert "Read: trainer_state.json." in printed
    assert answer(folder / "trainer_state.json")[1].startswith("trainer_state.json: nothing was noticed")


def test_a_report_with_a_wrong_figure_and_a_model_that_leaks(answer: Any, folder: Path, tmp_path: Path) -> None:
    report, settings = tmp_path / "report.md", tmp_path / "config.json"
    report.write_text(REPORT.format("4.0"))
    assert answer(report, "--against", folder)[0] == 0
    report.write_text(REPORT.format("3.9"))
    settings.write_text(json.dumps({"model_type": "bert"}))
    status, printed, _ = answer(report, "--against", folder, settings)
    assert status == 1
    assert printed.startswith("report.md: 1 blocks a verdict, 1 warning\n")
    first, second = printed.index("[blocks a verdict] future-leak"), printed.index("[warning] claim-mismatch")
    assert first < second
    assert "Loss is given as 3.9 (it was 4.0)" in printed and "  What to do: Put the true figure in" in printed
    assert "report.md: 2 of 3 figures checked, 1 of them wrong; 1 could not be checked." in printed


def test_for_scripts(answer: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "report.md").write_text(REPORT.format("3.9"))
    status, printed, _ = answer(folder, "--json")
    told = json.loads(printed)
    assert status == 1 and told["subject"] == "output" and told["read"] == ["report.md", "trainer_state.json"]
    assert [finding["id"] for finding in told["findings"]] == ["claim-mismatch"]
    (wrong,) = told["reports"]["report.md"]["wrong"]
    assert {name: wrong[name] for name in ("line", "row", "column", "claimed", "true", "source")} == {
        "line": 5,
        "row": "20",
        "column": "Loss",
        "claimed": "3.9",
        "true": "4.0",
        "source": "trainer_state.json, step 20",
    }
    assert told["reports"]["report.md"]["unchecked"] == [{"line": 7, "section": "R", "figure": "3"}]
    assert "overlap" in told["could_not"] and "lr-zero" in told["looked"]


def test_a_run_and_its_report(answer: Any, store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = example_run(store, name="ours", steps=120)
    assert main(["report", "ours", "--runs-dir", str(store.root)]) == 0
    report = Path(capsys.readouterr().out.split()[0])
    status, printed, _ = answer("ours", "--against", report)
    assert status == 0 and printed.startswith(f"{run_id}: ")
    assert ", 0 of them wrong" in printed
    could_not = printed.partition("Rules that could not look:")[2]
    assert "scored-twice" in could_not and "overlap" not in could_not and "future-leak" not in could_not
    report.write_text(report.read_text().replace("| Seed | 42 |", "| Seed | 43 |"))
    status, printed, _ = answer("ours", "--against", report)
    assert status == 1 and "it says 43. It is 42." in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "There is no run 'nobody'"),
        (["some/where"], "There is no file or folder some/where. Check how it is spelled."),
        (["{folder}", "--against", "missing.txt"], "There is no file or folder missing.txt."),
        (["{folder}", "--against", "{odd}"], "odd.json is not a Trainer's log"),
    ],
)
def test_wrong_input(answer: Any, folder: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    odd = tmp_path / "odd.json"
    odd.write_text('{"a": 1}')
    status, printed, said = answer(*(one.format(folder=folder, odd=odd) for one in arguments))
    assert (status, printed) == (2, "") and words in said
