"""The command that compares runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bcecore.cli import main
from bcecore.report.comparison import CHANCE
from bcecore.store.runs import RunStore
from tests.examples import example_config, example_run

Command = Callable[..., str]


@pytest.fixture
def command(store: RunStore, capsys: pytest.CaptureFixture[str]) -> Command:
    """Compare runs of the store; returns what it prints, errors included."""

    def run(*arguments: str) -> str:
        status = main(["compare", *arguments, "--runs-dir", str(store.root)])
        printed = capsys.readouterr()
        assert status == (2 if printed.err else 0)
        return printed.err or printed.out

    return run


@pytest.fixture
def runs(store: RunStore) -> list[str]:
    off = example_config(bce__enabled=False)
    return [example_run(store, name="off", config=off), example_run(store, name="on", steps=100)]


def test_two_runs_in_words(command: Command, runs: list[str]) -> None:
    said = command("off", "on")
    assert f"baseline  off  ({runs[0]}, finished)" in said
    assert "  Use BCE                         off  |  on\n" in said
    assert "settings are equal" in said
    assert "held-out CE (nats per token, lower is better)" in said
    assert "3.9104 at step 100 (0); best 3.9104 at step 100 (0); with care: text not known" in said
    assert "not comparable: BCE’s own term is in it" in said
    assert "Last values are of different steps; --same-step" in said
    assert said.endswith(
        "Whether BCE helped can only be told by twin runs that differ in nothing else, each with several seeds.\n"
    )


def test_the_same_step(command: Command, runs: list[str]) -> None:
    assert "Last values are of different steps" not in command("off", "on", "--same-step")
    found = json.loads(command("off", "on", "--same-step", "--json"))
    assert [entry["value"]["step"] for entry in found["metrics"]["ce"]["values"]] == [100, 100]
    assert "not both" in command("off@50", "on", "--same-step")


def test_steps_of_one_run_have_the_same_settings(command: Command, runs: list[str]) -> None:
    said = command("off@50", "off@100")
    assert "what differs" not in said and CHANCE not in said
    assert "to keep in mind\n  A loss while training is of the lines" in said


def test_steps_of_runs_as_json(command: Command, runs: list[str]) -> None:
    found = json.loads(command("off@50", "off@100", f"{runs[1]}@100", "--json"))
    assert found["sides"] == [
        {"name": "off, step 50", "run": runs[0], "step": 50, "status": "finished"},
        {"name": "off, step 100", "run": runs[0], "step": 100, "status": "finished"},
        {"name": "on, step 100", "run": runs[1], "step": 100, "status": "finished"},
    ]
    assert [row["key"] for row in found["differences"]] == ["bce.enabled"]
    assert found["differences"][0]["values"] == [False, False, True]
    held_out = found["metrics"]["eval_loss"]
    assert held_out["better"] == "lower"
    first, second, third = held_out["values"]
    assert first["against_baseline"] is None and first["best"] is None
    assert second["value"]["step"] == 100
    assert second["against_baseline"] == {
        "difference": second["value"]["value"] - first["value"]["value"],
        "better": True,
    }
    # The example's runs do not say what their texts were.
    assert third["against_baseline"]["better"] is None and third["not_comparable"] == "text not known"
    assert found["not_comparable"]


def test_a_value_that_is_not_finite_is_null(command: Command, store: RunStore, runs: list[str]) -> None:
    broken = example_run(store, "failed", name="broken", last_line={"step": 121, "ce": float("nan")})
    found = json.loads(command("off", broken, "--json"))
    assert found["metrics"]["ce"]["values"][1]["value"] == {"value": None, "step": 121}
    assert found["metrics"]["ce"]["values"][1]["against_baseline"]["difference"] is None


def test_what_cannot_be_compared(command: Command, store: RunStore, runs: list[str]) -> None:
    assert "no values at step 7000. The nearest step that was logged is 120." in command("off@7000", "on")
    assert "There is no run 'nobody'" in command("off", "nobody")
    assert "There is no run 'nobody'" in command("off", "nobody@5")
    assert "nothing to compare 'off' with" in command("off")
    assert "named twice" in command("off", runs[0])
    waiting = example_run(store, "queued", name="waiting")
    assert f"Run {waiting} has logged nothing yet" in command("off", "waiting")


def test_a_run_whose_name_has_an_at_sign(command: Command, store: RunStore, runs: list[str]) -> None:
    example_run(store, name="rate@3")
    assert "rate@3  (" in command("off", "rate@3")
    assert "rate@3, step 50  (" in command("off", "rate@3@50")
