"""Before a launch: the report's two texts, healthy recipes, and every fix applied to the settings that need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bcecore.config import RunConfig
from bcecore.errors import ConfigError
from bcecore.findings import before_launch
from bcecore.findings.finding import Finding
from bcecore.findings.remedy import shorter_warm_ups, with_remedy
from bcecore.jobs.submit import check, submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.runs import RunStore


def noticed(config: RunConfig) -> list[Finding]:
    checked = check(config)
    of_text = before_launch.of_text(checked, before_launch.compare(checked.text))
    return before_launch.together(of_text + before_launch.of_settings(checked.config, checked.total_steps))


def ids(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.id) for finding in findings]


def quick(**changes: Any) -> RunConfig:
    values = {key.replace("__", "."): value for key, value in changes.items()}
    return with_values(load_recipe("quick-look").config, values)


def mended(config: RunConfig, findings: list[Finding], rule: str) -> RunConfig:
    """The settings after a click on the button of a finding."""
    (finding,) = [finding for finding in findings if finding.id == rule]
    assert finding.fix is not None
    return with_values(config, finding.fix.changes)


@pytest.fixture
def report(shared_data: Path) -> RunConfig:
    """A quick look at the report's text, checked on the report's small one."""
    folder = shared_data / "report"
    return quick(
        data__train_file=str(folder / "huggingface_turkish_english_sample.txt"),
        data__validation="file",
        data__validation_file=str(folder / "val_small.txt"),
        data__block_size=128,
    )


def test_the_report_s_two_texts_and_a_clean_split_of_them(report: RunConfig) -> None:
    found = noticed(report)
    assert ids(found) == [("B", "split-reuse"), ("W", "boost-unfinished")]
    assert found[0].sentence.startswith("All 29 lines that the model is checked on are lines that it learns from")
    assert found[0].what_to_do.startswith("As it stands, no result of this run will count.")
    assert found[0].field == "data.validation"
    clean = mended(report, found, "split-reuse")
    assert (clean.data.validation, clean.data.validation_file) == ("fraction", None)
    assert ids(noticed(clean)) == [("W", "too-small"), ("W", "boost-unfinished"), ("N", "unknown-tokens")]


def test_recipes_that_are_healthy_have_notes_at_most() -> None:
    for name in ("quick-look", "active-10-epoch"):
        assert ids(noticed(load_recipe(name).config)) == [("N", "too-small")], name


def test_the_report_s_recipe_is_what_it_is() -> None:
    found = noticed(load_recipe("report-10-epoch-offline").config)
    assert ids(found) == [
        ("B", "split-reuse"),
        ("B", "future-leak"),
        ("N", "no-gradient"),
        ("N", "boost-unfinished"),
    ]
    config = load_recipe("report-10-epoch-offline").config
    for finding in found:
        assert finding.field is not None and finding.fix is not None
        config = with_values(config, finding.fix.changes)
    assert ids(noticed(config)) == [("N", "too-small")]


def test_too_little_checking_text_is_mended_where_there_is_enough_of_it() -> None:
    for changes in ({}, {"data__max_validation_examples": 20}, {"data__validation_fraction": 0.2}):
        config = quick(**changes)
        found = noticed(config)
        assert [finding.id for finding in found] == ["too-small"]
        assert noticed(mended(config, found, "too-small")) == []
    few = noticed(quick(data__max_train_examples=100, data__validation_fraction=0.22))
    assert "too-small" not in [finding.id for finding in few]
    capped = quick(data__validation_fraction=0.3, data__max_validation_examples=60)
    assert mended(capped, noticed(capped), "too-small").data.validation_fraction == 0.3


def test_no_fix_takes_most_of_a_small_text_away(text_file: Path) -> None:
    found = noticed(quick(data__train_file=str(text_file), training__warmup_steps=0, bce__enabled=False))
    assert ids(found) == [("W", "too-small")] and found[0].fix is None


def test_a_run_that_nothing_checks() -> None:
    config = quick(data__validation="none")
    found = noticed(config)
    assert ids(found) == [("N", "too-small")] and "Nothing checks the model" in found[0].sentence
    assert mended(config, found, "too-small").data.validation == "fraction"


def test_some_shared_lines_among_many(tmp_path: Path) -> None:
    lines = [f"{n} apples and {n * 7 % 101} pears in the orchard behind the {n % 13} houses" for n in range(300)]
    train, held_out = tmp_path / "train.txt", tmp_path / "held_out.txt"
    train.write_text("\n".join(lines[:200]), encoding="utf-8")
    # Every other line, so that it is no block of the training text.
    held_out.write_text("\n".join([*lines[0:20:2], *lines[200:]]), encoding="utf-8")
    config = quick(data__train_file=str(train), data__validation="file", data__validation_file=str(held_out))
    found = [finding for finding in noticed(config) if finding.field == "data.validation"]
    assert ids(found) == [("W", "overlap")]  # 100 clean ones remain
    assert not found[0].what_to_do.startswith("As it stands")
    clean = mended(config, found, "overlap")
    assert "overlap" not in [finding.id for finding in noticed(clean)]


def test_duplicates_are_told_at_the_training_text(tmp_path: Path) -> None:
    path = tmp_path / "twice.txt"
    lines = [f"{n} apples and {n * 7 % 101} pears in the orchard behind the {n % 13} houses" for n in range(150)]
    path.write_text("\n".join(lines + lines), encoding="utf-8")
    found = [finding for finding in noticed(quick(data__train_file=str(path))) if finding.id == "duplicates"]
    assert [(finding.severity, finding.field) for finding in found] == [("W", "data.train_file")]


def test_lines_set_aside_are_no_matter_of_a_setting() -> None:
    overlap = Finding(id="overlap", severity="W", subject="run", numbers={}, sentence="", what_to_do="")
    assert with_remedy(overlap, quick()).fix is None
    leak = overlap.model_copy(update={"id": "future-leak"})
    assert with_remedy(leak, quick()) == leak  # it leaks in spite of the setting
    changed = with_remedy(leak, quick(model__causal=False))
    assert changed.fix is not None and changed.fix.changes == {"model.causal": True}


def test_a_warm_up_that_is_not_over_can_be_shortened(store: RunStore, text_file: Path) -> None:
    config = quick(data__train_file=str(text_file), training__epochs=2)  # 10 steps
    with pytest.raises(ConfigError):
        submit(store, config, name="impossible")
    fixes = shorter_warm_ups(config, 10)
    assert {key: fix.changes for key, fix in fixes.items()} == {
        "training.warmup_steps": {"training.warmup_steps": 1},
        "bce.warmup_steps": {"bce.warmup_steps": 1},
    }
    for fix in fixes.values():
        config = with_values(config, fix.changes)
    assert shorter_warm_ups(config, 10) == {}
    check(config)
    assert shorter_warm_ups(with_values(quick(), {"bce.enabled": False, "training.lr_scheduler": "constant"}), 1) == {}
    assert shorter_warm_ups(quick(), 5)["bce.warmup_steps"].label == "Leave the warm-up out"
