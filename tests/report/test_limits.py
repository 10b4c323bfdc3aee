from __future__ import annotations

from pathlib import Path
from typing import Any

from bcecore.config import RunConfig
from bcecore.report.logged import Logged
from bcecore.report.material import Material
from bcecore.report.tables import highlights_table
from bcecore.store.imported import Imported
from bcecore.store.record import now
from tests.examples import example_config
from tests.report.logs import a_record, course, imported_material, own_material

CHECKED = course(loss=[2.0, 1.0], ce=[2.1, 1.2], eval_loss=[2.0, 1.5], bce_weight=[0.1, 0.2], bce_loss=[-0.3, -0.3])
SAFE = {"leak_probe": {"leaks": False, "largest_change": 0.0}}
DATASET = {"validation_examples": 300, "validation_also_in_training": 0}


def titles(config: RunConfig, log: Logged = CHECKED, **fields: Any) -> list[str]:
    return [limit.title for limit in own_material(config, log, **{"facts": SAFE, "dataset": DATASET} | fields).limits]


def test_the_reports_log(shared_data: Path) -> None:
    material = imported_material(shared_data / "report" / "trainer_state.json", wall_clock=106.96, model="bert-tiny")
    found = {limit.title: limit.text for limit in material.limits}
    assert list(found) == [
        "Whether the model sees ahead",
        "No held-out text",
        "The loss is not CE alone",
        "CE is worked out",
        "Whether BCE adds any gradient",
        "Whether BCE helped",
        "What the log does not know",
        "Whether the pace was steady",
    ]
    assert found["What the log does not know"].startswith("The text, the longest example, the seed and the device are")


def test_a_log_without_a_clock_says_so(shared_data: Path) -> None:
    material = imported_material(shared_data / "report" / "trainer_state.json")
    assert "The pace" in [limit.title for limit in material.limits]


def test_a_sound_run_of_ours_has_the_fewest() -> None:
    assert titles(example_config(model__source="owner/name")) == [
        "The best checkpoint",
        "The loss is not CE alone",
        "Whether BCE helped",
        "The pace",
    ]


def test_a_model_that_sees_ahead_comes_first() -> None:
    probe = {"leak_probe": {"leaks": True, "largest_change": 3.27}}
    material = own_material(example_config(), CHECKED, facts=probe)
    assert material.limits[0].title == "The model sees ahead"
    assert "3.27" in material.limits[0].text
    assert "Whether the model sees ahead" in titles(example_config(), facts={})


def test_what_the_checking_text_is_worth() -> None:
    config = example_config()
    assert "A small checking text" in titles(config, dataset={"validation_examples": 46})
    shared = own_material(config, CHECKED, dataset={"validation_examples": 46, "validation_also_in_training": 1})
    text = next(limit.text for limit in shared.limits if limit.title == "Checking lines that are training lines")
    assert text.startswith("1 checking line of 46 is also in the training text")
    memory = own_material(example_config("report-10-epoch-offline"), CHECKED)
    assert "they show memory, not learning" in next(
        limit.text for limit in memory.limits if limit.title == "No held-out text"
    )
    unchecked = own_material(example_config(), course(loss=[1.0]))
    assert "never checked" in next(limit.text for limit in unchecked.limits if limit.title == "No held-out text")


def test_what_bce_does() -> None:
    assert "BCE adds no gradient" in titles(example_config("report-10-epoch-offline"))
    assert "BCE adds no gradient" not in titles(example_config())
    off = titles(example_config(bce__enabled=False), course(loss=[2.0], ce=[2.0], eval_loss=[2.0], bce_weight=[0.0]))
    assert "A single run" in off
    assert not {"Whether BCE helped", "The loss is not CE alone"} & set(off)


def test_random_first_weights() -> None:
    assert "Random first weights" in titles(example_config())


def test_a_coarse_or_unfinished_log() -> None:
    log = course(loss=[1.0])
    coarse = own_material(example_config(), log)
    assert "Between the logged steps" not in [limit.title for limit in coarse.limits]
    assert "The end" in titles(example_config(), status="crashed")


def test_the_beginning_of_a_log_that_begins_late(shared_data: Path) -> None:
    material = imported_material(shared_data / "trainer_states" / "t5-summarization.json")
    found = {limit.title: limit.text for limit in material.limits}
    assert "every 500 steps" in found["Between the logged steps"]
    assert "The beginning" not in found


def test_binary_cross_entropy_has_no_limits_of_bce() -> None:
    log = course(loss=[1.0, 0.5], bce_loss=[0.4, 0.2], dice_loss=[0.6, 0.3])
    material = Material(a_record("imported"), None, Imported(), log, now())
    found = {limit.title for limit in material.limits}
    assert "A single run" in found and "Whether BCE helped" not in found
    with_bce = Material(a_record("imported"), None, Imported(), CHECKED, now())
    assert "Whether BCE helped" in {limit.title for limit in with_bce.limits}


def test_binary_cross_entropy_keeps_its_name_in_the_tables() -> None:
    log = course(loss=[1.0, 0.5], bce_loss=[0.4, 0.2])
    table = highlights_table(Material(a_record("imported"), None, Imported(), log, now()))
    assert table is not None and "Bce loss" in table.columns and "BCE loss" not in table.columns
