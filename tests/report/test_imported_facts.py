import json
from pathlib import Path

import pytest

from bcecore.report.imported_facts import NOT_IN_LOG
from tests.report.logs import imported_material


def facts_of(path: Path, **given: str | float) -> dict[str, str]:
    return dict(imported_material(path, **given).facts)


def test_the_reports_facts_come_out_of_its_log(shared_data: Path) -> None:
    facts = facts_of(shared_data / "report" / "trainer_state.json", wall_clock=106.96, model="prajjwal1/bert-tiny")
    assert facts["Model"] == "prajjwal1/bert-tiny (as given)"
    assert facts["Epochs"] == "10"
    assert facts["Batch size"] == "1 on each device"
    assert facts["Learning rate"].startswith("5.0e-5 (linear decay, warm-up over 400 steps")
    assert facts["Steps"] == "2,000"
    assert facts["Wall clock"] == "1 m 47 s (106.96 s, as given)"
    assert facts["Pace"] == "18.7 steps/s"
    assert facts["Final training loss"] == "2.3136 (mean of 2,000 logged values), 0.4224 at step 2,000"
    assert facts["Last CE"] == "0.6261 (worked out: the loss less BCE’s term)"
    assert facts["Read from"] == "trainer_state.json"


def test_what_is_missing_says_so(shared_data: Path) -> None:
    facts = facts_of(shared_data / "report" / "trainer_state.json")
    missing = ("Model", "Text", "Longest example (block size)", "Wall clock", "Pace", "Seed", "Device")
    assert {facts[title] for title in missing} == {NOT_IN_LOG}


def test_what_is_given_stands_beside_what_the_log_shows(shared_data: Path) -> None:
    facts = facts_of(shared_data / "report" / "trainer_state.json", epochs=10, bce_weight="0.2 to 0.5", block_size=128)
    assert facts["Epochs"] == "10 (as given); the log: 10"
    assert facts["BCE weight"].startswith("0.2 to 0.5 (as given); the log: 0 to 0.2 over 400 steps")
    assert facts["Longest example (block size)"] == "128 (as given)"


@pytest.mark.parametrize(
    ("file", "title", "value"),
    [
        (
            "t5-summarization",
            "Final training loss",
            "1.8040 (mean over the run, by the Trainer), 1.7423 at step 215,000",
        ),
        ("t5-summarization", "Wall clock", "15 h 11 m (54713.2 s)"),
        ("rl-two-cadences", "Steps", "1,000 of 14,973"),
        ("rl-two-cadences", "Epochs", "0.0668 of 1"),
        ("multi-eval-groups", "Loss of the checks", "2.7487 at step 12,030 (eval_g0_loss; and 5 others)"),
        ("cpt-generation", "Last CE", NOT_IN_LOG),
    ],
)
def test_other_peoples_logs(shared_data: Path, file: str, title: str, value: str) -> None:
    assert facts_of(shared_data / "trainer_states" / f"{file}.json")[title] == value


@pytest.mark.parametrize(
    ("state", "steps", "pace"),
    [
        ({"global_step": 500, "max_steps": 1000}, "500 of 1,000", "10 steps/s, if the wall clock that was given is"),
        ({"global_step": 2000}, "2,000; the log ends at step 500", "20 steps/s, if the wall clock that was given is"),
        ({"global_step": 500, "max_steps": 500}, "500", "5 steps/s"),
    ],
)
def test_a_part_of_a_log_is_told_as_one(state: dict[str, int], steps: str, pace: str, tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(state | {"log_history": [{"step": step, "loss": 1.0} for step in range(1, 501)]}))
    facts = facts_of(path, wall_clock=100.0)
    assert facts["Steps"] == steps
    assert facts["Pace"].startswith(pace)
    assert ("Final training loss" in facts) == (steps == "500")
