from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from bcecore.evaluation.decomposition import Difference
from bcecore.evaluation.report_stats import FIRST_WEIGHT, ReportStats, StatsFileError, read_report_stats


@pytest.fixture(scope="module")
def files(shared_data: Path) -> list[Path]:
    return [shared_data / "report" / name for name in ("bce_eval_stats.json", "wikitext_eval_stats.json")]


@pytest.fixture(scope="module")
def stats(files: list[Path]) -> ReportStats:
    return read_report_stats(files)


def measured(stats: ReportStats, measure: str) -> dict[str, Difference]:
    return {split.name: item for split in stats.splits for item in split.differences if item.measure == measure}


def test_the_reports_table_comes_out_to_the_printed_digit(stats: ReportStats) -> None:
    printed = {
        name: (
            f"{item.on.objective:.4f}",
            f"{item.off.objective:.5f}",
            f"{100 * (item.off_against_on or 0):+.2f}%",
            f"{item.on.reported_perplexity:.4f}",
            f"{item.off.reported_perplexity:.4f}",
            f"{100 * (item.perplexity_off_against_on or 0):+.2f}%",
        )
        for name, item in measured(stats, "report").items()
    }
    assert printed == {
        # The report has +0.47% here, from rounded figures.
        "auto_val": ("0.0580", "0.05827", "+0.40%", "1.0598", "1.0600", "+0.02%"),
        "val_small": ("0.2039", "0.20411", "+0.11%", "1.2262", "1.2264", "+0.02%"),
        "wikitext2": ("1.6691", "1.66934", "+0.01%", "5.3074", "5.3087", "+0.02%"),
    }


def test_the_second_set_has_the_weights_that_it_was_measured_with(stats: ReportStats) -> None:
    found = measured(stats, "objective")
    assert set(found) == {"auto_val", "val_small"}
    assert {(item.on.weight, item.off.weight) for item in found.values()} == {(0.44, 0.4)}
    totals = {name: (f"{item.on.objective:.4f}", f"{item.off.objective:.4f}") for name, item in found.items()}
    assert totals == {"auto_val": ("-0.1453", "-0.1268"), "val_small": ("0.0013", "0.0197")}


def test_the_model_predicts_the_same_in_all_of_them(stats: ReportStats) -> None:
    for split in stats.splits:
        assert [item.change_in_ce for item in split.differences] == [0.0] * len(split.differences)
        for item in split.differences:
            assert item.change == pytest.approx(item.change_in_term, abs=1e-12)


def test_off_is_off_in_the_result_whatever_the_report_called_off(stats: ReportStats) -> None:
    for split in stats.result()["splits"].values():
        (summary,) = split["checkpoints"].values()
        assert summary["report_eval_loss_off"] == summary["ce_mean"]
        if "objective_off_mean" in summary:
            assert summary["objective_off_mean"] == summary["ce_mean"]
    assert any("weight of 0.40" in note for note in stats.splits[0].notes)


def test_r_agrees_between_the_sides_and_with_the_seed_profile(stats: ReportStats) -> None:
    for split in stats.splits:
        for item in split.differences:
            assert -0.465570 <= item.on.bce_loss <= -0.421126
            assert item.on.bce_loss == pytest.approx(item.off.bce_loss, abs=1e-6)


def test_what_is_known_of_the_examples(stats: ReportStats) -> None:
    counted = {split.name: split.summary["examples"] for split in stats.splits}
    assert counted == {"auto_val": 2, "val_small": 29, "wikitext2": 3760}
    examples = stats.examples()
    assert examples.groupby("split").size().to_dict() == {"auto_val": 2, "val_small": 6}
    hardest = examples.loc[examples["ce"].idxmax()]
    assert (hardest["example"], hardest["length"], hardest["tokens"]) == (17, 128, 127)
    assert hardest["text"].startswith("[Advanced Math] Shelby had $60")
    assert hardest["nll"] == 127 * 0.9256188869476318
    assert set(examples["checkpoint"]) == {2000}


def test_averages_over_tokens_only_where_all_examples_are_shown(stats: ReportStats) -> None:
    auto, small, wikitext = (split.summary for split in stats.splits)
    assert auto["tokens"] == 10 + 12
    assert auto["ce"] == pytest.approx((10 * 0.030293744057416916 + 12 * 0.08625002950429916) / 22, rel=1e-12)
    assert auto["perplexity"] == math.exp(auto["ce"])
    assert "ce" not in small
    assert "ce" not in wikitext


def test_length_buckets_are_the_reports(stats: ReportStats) -> None:
    auto, small, wikitext = (split.buckets for split in stats.splits)
    assert [(b.title, b.examples, b.ce_mean) for b in small] == [
        ("up to 64", 28, 0.17834525936216647),
        ("over 64", 1, 0.9256188869476318),
    ]
    assert [(b.examples, b.ce_mean is None) for b in auto] == [(2, False), (0, True)]
    assert wikitext == ()


def test_the_result_has_the_shape_of_our_own(stats: ReportStats) -> None:
    result = stats.result()
    assert (result["version"], result["complete"]) == (1, True)
    assert result["settings"]["first_weight"] == FIRST_WEIGHT == 0.0005
    assert list(result["splits"]) == ["auto_val", "val_small", "wikitext2"]
    wikitext = result["splits"]["wikitext2"]["checkpoints"]["2000"]
    assert (wikitext["runtime"], wikitext["samples_per_second"]) == (66.773, 56.31)
    json.dumps(result, allow_nan=False)


def test_each_file_alone(files: list[Path]) -> None:
    assert [split.name for split in read_report_stats(files[:1]).splits] == ["auto_val", "val_small"]
    alone = read_report_stats(files[1:])
    assert [split.name for split in alone.splits] == ["wikitext2"]
    assert len(alone.examples()) == 0


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "stats.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def small(files: list[Path]) -> dict[str, Any]:
    return copy.deepcopy({"val_small": json.loads(files[0].read_text(encoding="utf-8"))["val_small"]})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "holds a list"),
        ("{}", "holds no splits"),
        ({"log_history": []}, "has no “bce_on” and “bce_off”, but"),
        ({"a": {"bce_on": {}}}, "but bce_on"),
        ({"a": {"bce_on": {"loss": 1}, "bce_off": {}}}, "neither “mean_ce” nor “eval_loss”, but loss"),
        ({"a": {"bce_on": {"eval_loss": "x"}, "bce_off": {}}}, "“eval_loss” has to be a number, got 'x'"),
        ('{"a": {"bce_on": {"eval_loss": NaN}, "bce_off": {}}}', "“eval_loss” has to be a number, got nan"),
    ],
)
def test_other_files_are_refused_with_what_was_found(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(StatsFileError, match=r"stats\.json") as caught:
        read_report_stats([written(tmp_path, content)])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("best3", None, "“best3” has to be a list"),
        ("best3", [{"idx": 1}], "has no text, len"),
        ("mean_total", None, "“mean_total” has to be a number"),
    ],
)
def test_a_damaged_split_is_refused(tmp_path: Path, small: dict[str, Any], key: str, value: Any, words: str) -> None:
    small["val_small"]["bce_on"][key] = value
    with pytest.raises(StatsFileError) as caught:
        read_report_stats([written(tmp_path, small)])
    assert words in str(caught.value)


def test_several_weights_on_one_side_are_refused(tmp_path: Path, small: dict[str, Any]) -> None:
    small["val_small"]["bce_on"]["best3"][0]["bce_eff_w"] = 0.1
    with pytest.raises(StatsFileError, match=r"several weights \(0.1, 0.44\)"):
        read_report_stats([written(tmp_path, small)])


def test_a_split_that_comes_twice_and_no_file_at_all(files: list[Path]) -> None:
    with pytest.raises(StatsFileError, match=r"“auto_val” is in bce_eval_stats\.json and in another file"):
        read_report_stats([files[0], files[0]])
    with pytest.raises(StatsFileError, match="No stats file was given"):
        read_report_stats([])
    with pytest.raises(StatsFileError, match=r"nowhere\.json could not be read"):
        read_report_stats([Path("nowhere.json")])


def test_a_difference_that_cannot_be_the_term_alone_is_said(tmp_path: Path) -> None:
    sides = {"bce_on": {"eval_loss": 1.6}, "bce_off": {"eval_loss": 1.7}}
    (split,) = read_report_stats([written(tmp_path, {"other": sides})]).splits
    assert "something else differs" in split.notes[0]
    assert split.summary["examples"] is None


def test_an_off_that_was_off_needs_no_note(tmp_path: Path, small: dict[str, Any]) -> None:
    off = small["val_small"]["bce_off"]
    off["mean_total"] = off["mean_ce"]
    for row in [*off["best3"], *off["worst3"]]:
        row["bce_eff_w"] = 0.0
    (split,) = read_report_stats([written(tmp_path, small)]).splits
    assert not any("was not off" in note for note in split.notes)
    objective = next(item for item in split.differences if item.measure == "objective")
    assert objective.off.objective == off["mean_ce"]
