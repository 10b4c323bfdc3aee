from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bcecore.evaluation.decomposition import Difference, differences
from bcecore.evaluation.explorer import length_buckets
from bcecore.evaluation.labelled import label_metrics
from bcecore.evaluation.paired import which_to_keep
from bcecore.evaluation.report_stats import ReportStats, read_report_stats
from bcecore.report.evaluation_tables import (
    as_markdown,
    bucket_table,
    choice_table,
    class_table,
    confusion_table,
    on_off_table,
    reliability_table,
    report_table,
    statistics_table,
    timing_table,
    token_table,
    totals_table,
)
from bcecore.report.token_html import spans


@pytest.fixture(scope="module")
def stats(shared_data: Path) -> ReportStats:
    folder = shared_data / "report"
    return read_report_stats([folder / "bce_eval_stats.json", folder / "wikitext_eval_stats.json"])


@pytest.fixture(scope="module")
def splits(stats: ReportStats) -> dict[str, tuple[Difference, ...]]:
    return {split.name: split.differences for split in stats.splits}


def test_the_reports_table(splits: dict[str, tuple[Difference, ...]], shared_data: Path) -> None:
    table = report_table(splits)
    printed = [tuple(row) for row in table.drop(columns="note").itertuples(index=False)]
    assert printed == [
        ("auto_val", "BCE on", "0.0580", "—", "1.0598", "—"),
        ("auto_val", "BCE off", "0.05827", "+0.40 %", "1.0600", "+0.02 %"),
        ("val_small", "BCE on", "0.2039", "—", "1.2262", "—"),
        ("val_small", "BCE off", "0.20411", "+0.11 %", "1.2264", "+0.02 %"),
        ("wikitext2", "BCE on", "1.6691", "—", "5.3074", "—"),
        ("wikitext2", "BCE off", "1.66934", "+0.01 %", "5.3087", "+0.02 %"),
    ]
    assert "would give +0.47 %" in table["note"][1]
    # The very rows of the report, but for the one percentage that it took from rounded figures.
    report = (shared_data / "report" / "10-epoch-run.md").read_text(encoding="utf-8")
    rows = [line for line in report.splitlines() if "| BCE on |" in line or "| BCE off |" in line]
    theirs = [tuple(cell.strip() for cell in line.split("|")[2:-1]) for line in rows]
    ours = [tuple(cell.replace(" %", "%") for cell in row[1:]) for row in printed]
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == [
        (
            ("BCE off", "0.05827", "+0.40%", "1.0600", "+0.02%"),
            ("BCE off", "0.05827", "+0.47%", "1.0600", "+0.02%"),
        )
    ]


def test_the_reports_second_set(splits: dict[str, tuple[Difference, ...]]) -> None:
    table = totals_table(splits)
    assert [tuple(row) for row in table.drop(columns="note").itertuples(index=False)] == [
        ("auto_val", "BCE on", "0.44", "0.0583", "−0.1453"),
        ("auto_val", "BCE off", "0.40", "0.0583", "−0.1268"),
        ("val_small", "BCE on", "0.44", "0.2041", "0.0013"),
        ("val_small", "BCE off", "0.40", "0.2041", "0.0197"),
    ]
    assert all("was not off" in note for note in table["note"])


def test_on_and_off_with_the_parts_of_each_difference(splits: dict[str, tuple[Difference, ...]]) -> None:
    table = on_off_table(splits)
    assert len(table) == 3 + 3 + 2
    assert (table["change"] - table["change_in_ce"] - table["change_in_term"]).abs().max() < 1e-12
    assert (table["on"] - table["off"] - table["change"]).abs().max() == 0
    assert (table["change_in_ce"] == 0).all()
    model = table[table["measure"] == "what the model predicts"]
    assert (model["on"] == model["off"]).all()
    assert table["average"].unique().tolist() == ["every text counts once (the report’s way)"]
    assert table["why"][0] == "BCE adds its own term; the model predicts the same."


def test_an_evaluation_of_our_own_names_both_averages() -> None:
    summary = {"ce": 2.0, "ce_mean": 2.5, "bce_loss": -0.46, "weight": 0.44}
    table = on_off_table({"val": differences(summary, 0.0005)})
    assert table["average"].value_counts().to_dict() == {
        "every text counts once (the report’s way)": 3,
        "every token counts once (ours)": 2,
    }
    assert (table["weight_off"] == 0).all()
    assert report_table({"val": differences(summary, 0.0005)})["eval_loss"].tolist() == ["2.4998", "2.50000"]
    assert len(on_off_table({})) == len(report_table({})) == len(totals_table({})) == 0


def test_statistics_and_timing(stats: ReportStats) -> None:
    result = stats.result()
    table = statistics_table(result).set_index("split")
    assert table.loc["auto_val", "tokens"] == 22
    assert table.loc["val_small", "ce_p90"] == 0.42744388580322257
    assert math.isnan(table.loc["val_small", "perplexity"])
    timing = timing_table(result).set_index("split")
    assert timing.loc["wikitext2"].tolist() == [2000, 66.773, 56.31, 56.31]
    steps = {"10": {"ce": None}, "9": {"ce": 1.0}}
    assert statistics_table({"splits": {"a": {"checkpoints": steps}}})["checkpoint"].tolist() == [9, 10]


def test_buckets_of_the_report_and_of_ours(stats: ReportStats) -> None:
    small = bucket_table(stats.splits[1].buckets)
    assert small["length"].tolist() == ["up to 64", "over 64"]
    assert small["examples"].tolist() == [28, 1]
    assert [f"{ce:.4f}" for ce in small["ce_mean"]] == ["0.1783", "0.9256"]
    assert small["tokens"].isna().all()
    ours = pd.DataFrame({"length": [3], "tokens": [2], "nll": [4.0], "ce": [2.0]})
    assert bucket_table(length_buckets(ours))["ce"].tolist()[0] == 2.0


def side(ce: float, n: int = 40, seed: int = 0) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(0, 0.1, n)
    return pd.DataFrame({"example": range(n), "tokens": 10, "nll": 10 * (ce + noise - noise.mean())})


def test_the_choice_among_checkpoints() -> None:
    choice = which_to_keep([side(2.5, seed=1), side(2.0, seed=2), side(2.001, seed=3)])
    table = choice_table(choice, ["1,000", "2,000", "3,000"])
    assert table["ce"].tolist() == pytest.approx([2.5, 2.0, 2.001])
    assert table["perplexity"][1] == pytest.approx(math.exp(2.5))
    assert table["behind"].tolist() == pytest.approx([0.5, 0.0, 0.001])
    assert table["keep"].tolist() == [False, True, False]
    assert table["low"][1] < table["behind"][1] < table["high"][1]
    assert table["low"][1] > 0 > table["low"][3]
    assert table.loc[2, ["low", "high", "better_on"]].isna().all()


def test_labelled_tables() -> None:
    rows = pd.DataFrame({"label": ["a", "a", "b"], "predicted": ["a", "b", "b"]})
    rows["label_scores"] = [np.log([0.8, 0.1, 0.1]), np.log([0.3, 0.6, 0.1]), np.log([0.3, 0.6, 0.1])]
    metrics = label_metrics(rows, ["a", "b", "c"])
    classes = class_table(metrics).set_index("label")
    assert classes.loc["a", ["texts", "predicted", "precision", "recall"]].tolist() == [2, 1, 1.0, 0.5]
    assert classes.loc["c", ["precision", "recall", "f1"]].isna().all()
    confusion = confusion_table(metrics)
    assert confusion.loc["a", "b"] == 1
    assert confusion.to_numpy().sum() == 3
    assert reliability_table(metrics)["texts"].tolist() == [2, 1]


def test_the_tokens_of_an_example_as_a_table() -> None:
    table = token_table(spans("God help", [4, 0], [8, 0], [math.log(4), 1.0]))
    assert table["token"].tolist() == ["help", "(mark)"]
    assert table["chance"].tolist() == pytest.approx([0.25, math.exp(-1)])
    assert len(token_table([])) == 0


def test_markdown_survives_what_people_write() -> None:
    table = pd.DataFrame({"a": ["x | y", "two\nlines"], "b": [1.5, None], "c": [0, 0]})
    assert as_markdown(table, {"b": "Number", "a": "Text"}) == (
        "| Number | Text |\n| --- | --- |\n| 1.5 | x \\| y |\n|  | two lines |\n"
    )
