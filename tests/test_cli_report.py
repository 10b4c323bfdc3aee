"""The report at the command line, and the tables that `show` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bcecore.cli import main
from bcecore.store.runs import RunStore
from tests.examples import example_run


def answer(capsys: pytest.CaptureFixture[str], store: RunStore, *arguments: str, status: int = 0) -> str:
    assert main([*arguments, "--runs-dir", str(store.root)]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


@pytest.fixture
def real_log(store: RunStore, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path = str(shared_data / "report" / "trainer_state.json")
    return answer(capsys, store, "import", path, "--fact", "wall_clock=106.96").strip()


def test_the_report_of_the_real_log(
    store: RunStore, real_log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = answer(capsys, store, "report", real_log).split()
    assert paths == [str(store.directory(real_log) / name) for name in ("report.md", "report.html")]
    text = Path(paths[0]).read_text(encoding="utf-8")
    assert "2.3136" in text and "18.7 steps/s" in text
    elsewhere = tmp_path / "a" / "b"
    shown: dict[str, Any] = json.loads(
        answer(capsys, store, "report", real_log, "--output", str(elsewhere), "--json", "--step", "700")
    )
    assert Path(shown["html"]).parent == elsewhere and Path(shown["html"]).is_file()
    rows = {row["step"]: row for row in shown["highlights"]}
    assert rows[700]["stage"] == ["Asked for"]
    assert {step: rows[step]["loss"] for step in (1, 400, 1000, 1500, 2000)} == {
        1: 10.7678,
        400: 2.8085,
        1000: 2.2964,
        1500: 0.9295,
        2000: 0.4224,
    }
    assert rows[400]["learning_rate"] == pytest.approx(4.9875e-05)
    assert [rows[step]["bce_weight"] for step in (400, 1000, 1500)] == pytest.approx([0.2, 0.29, 0.365])
    assert f"{shown['throughput']['steps_per_second']:.1f}" == "18.7"
    assert f"{shown['observations'][0]['figures']['mean']:.4f}" == "2.3136"


def test_show_for_scripts(store: RunStore, real_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    theirs: dict[str, Any] = json.loads(answer(capsys, store, "show", real_log, "--json"))
    assert theirs["config"] is None
    assert theirs["imported"]["facts"] == {"wall_clock": 106.96}
    assert theirs["run_facts"]["Pace"] == "18.7 steps/s"
    assert theirs["best"]["loss"]["best"] == {"value": -0.1832, "step": 1939}
    assert theirs["best"]["ce"]["worked_out"] is True
    ours: dict[str, Any] = json.loads(answer(capsys, store, "show", example_run(store, steps=300), "--json"))
    assert ours["snapshot"]["step"] == 300
    assert ours["facts"]["weights"] == 743_552  # the record's own
    assert ours["config"]["training"]["seed"] == 42


def test_a_value_that_is_not_finite_is_null(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    broken = {"step": 121, "ce": float("nan"), "loss": float("nan"), "grad_norm": float("inf")}
    run_id = example_run(store, "crashed", last_line=broken)
    shown = json.loads(answer(capsys, store, "show", run_id, "--json"))
    assert shown["snapshot"]["loss"] is None
    assert shown["best"]["loss"]["last"] == {"value": None, "step": 121}


def test_show_for_people(store: RunStore, real_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = answer(capsys, store, "show", real_log, "--step", "1234567")
    lines = text.splitlines()
    assert "  Final training loss          2.3136 (mean of 2,000 logged values), 0.4224 at step 2,000" in lines
    half = next(line for line in lines if line.startswith("  Half"))
    assert half.split() == ["Half", "1,000", "5.00", "2.2964", "2.4296", "19.55", "3.128125e-5", "0.29", "-0.4594"]
    assert "Not in this log, which has steps 1 to 2,000: 1,234,567." in text
    assert "learning_rate" in text  # the values by the names that they have in the log
    assert "  - The gradient norm cooled" in text


def test_a_run_that_is_not_there(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no run 'nobody'" in answer(capsys, store, "report", "nobody", status=2)


def test_what_scripts_read_is_strict_json(store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = {"global_step": 2, "log_history": []}
    log["log_history"] = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": float("inf"), "grad_norm": float("nan")}]
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(log))
    runs = [answer(capsys, store, "import", str(path), "--again").strip() for _ in range(2)]

    def strict(name: str) -> None:
        raise AssertionError(name)

    for command in (("show", runs[0]), ("report", runs[0]), ("compare", *runs), ("runs",)):
        json.loads(answer(capsys, store, *command, "--json"), parse_constant=strict)
    shown = json.loads(answer(capsys, store, "show", runs[0], "--json"))
    assert (shown["last"]["loss"], shown["last"]["grad_norm"]) == (None, None)
