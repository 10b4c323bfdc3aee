"""metric-contains-regulariser: on the figures of the report's files, and on figures that are what they are called."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from bcecore.findings import collect
from bcecore.findings.metric_contains_regulariser import Figure, OnOff, metric_contains_regulariser
from bcecore.findings.of_study import Member
from bcecore.store.runs import RunStore

# All values that R can have in the seed profile.
R = (-0.465570, -0.421126)
FIRST_WEIGHT = 0.0005


@pytest.fixture
def wikitext(shared_data: Path) -> OnOff:
    both = json.loads((shared_data / "report" / "wikitext_eval_stats.json").read_text())["wikitext2"]
    return OnOff("eval_loss", both["bce_on"]["eval_loss"], both["bce_off"]["eval_loss"], FIRST_WEIGHT, 0.0, R)


def test_the_report_s_wikitext_figures_differ_by_the_term_alone(wikitext: OnOff) -> None:
    (finding,) = metric_contains_regulariser("report", on_off=[wikitext])
    assert finding.blocks
    assert finding.numbers["r"] == pytest.approx(-0.464, abs=5e-4)
    assert finding.numbers["weight_difference"] == FIRST_WEIGHT
    assert "1.66911 with BCE on and 1.66934 with it off" in finding.sentence


def test_the_report_s_table_with_its_rounded_figures(shared_data: Path) -> None:
    stats = json.loads((shared_data / "report" / "bce_eval_stats.json").read_text())["auto_val"]
    ce = stats["bce_on"]["mean_ce"]
    r = (stats["bce_on"]["mean_total"] - ce) / 0.44
    printed = OnOff("eval_loss", 0.0580, 0.05827, FIRST_WEIGHT, 0.0, (r, r), half_unit=5e-5)
    (difference,) = metric_contains_regulariser("report", on_off=[printed])
    assert difference.numbers["difference"] == pytest.approx(-0.00027)
    # The same figure beside CE, and its perplexity, which was taken from the objective.
    figures = [Figure("eval_loss", 0.0580, ce, 5e-5), Figure("perplexity", 1.0598, ce, 5e-5)]
    both = metric_contains_regulariser("report", figures)
    assert [finding.numbers["label"] for finding in both] == ["eval_loss", "perplexity"]
    assert "perplexity is 1.05980, but exp(CE) is 1.06000 here" in both[1].sentence
    assert both[1].numbers["should_be"] == pytest.approx(1.0600, abs=5e-5)
    # What the report printed for off is CE, as it says.
    assert metric_contains_regulariser("report", [Figure("eval_loss", 0.05827, ce, 5e-6)]) == []
    assert metric_contains_regulariser("report", [Figure("perplexity", 1.0600, ce, 5e-5)]) == []


def test_other_differences_are_none_of_its_business(wikitext: OnOff) -> None:
    other = [
        replace(wikitext, on=wikitext.off),  # no difference
        replace(wikitext, on=wikitext.off - 0.01),  # far more than the term
        replace(wikitext, on=wikitext.off + 0.00023),  # of the wrong sign
        replace(wikitext, weight_on=0.0),  # the same weight on both sides
        replace(wikitext, half_unit=5e-4),  # rounding hides the term
        replace(wikitext, on=math.nan),
    ]
    assert metric_contains_regulariser("report", on_off=other) == []


def test_figures_that_are_ce_are_silent() -> None:
    honest = [
        Figure("eval_loss", 2.5, 2.5),
        Figure("eval_loss", 2.500004, 2.5),
        Figure("eval_perplexity", math.exp(2.5), 2.5),
        Figure("ppl", 12.18, 2.5, 5e-3),
        Figure("eval_loss", math.nan, 2.5),
        Figure("perplexity", 1e300, 800.0),
    ]
    assert metric_contains_regulariser("run", honest) == []
    assert len(metric_contains_regulariser("run", [Figure("eval_loss", 2.5 - 0.44 * 0.46, 2.5)])) == 1
    assert len(metric_contains_regulariser("run", [Figure("ppl", math.exp(2.5 - 0.44 * 0.46), 2.5)])) == 1


def test_real_runs_log_ce_under_that_name(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store = RunStore(trained[0])
    off = {member.seed: member.run for member in trained[1] if member.is_off}
    for member in trained[1]:
        figures = collect.figures(store, member.run)
        labels = ["eval_perplexity"] if member.is_off else ["eval_loss", "eval_perplexity"]
        assert [figure.label for figure in figures] == labels
        pairs = [] if member.is_off else collect.on_off(store, member.run, off[member.seed])
        assert len(pairs) == (not member.is_off)
        assert metric_contains_regulariser(member.run, figures, pairs) == []


def test_a_run_that_logs_the_objective_as_its_loss(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    """What the report's trainer did, done to the log of a real run whose profile changes nothing else."""
    store, members = twins
    off, seed_profile = members[0].run, members[1].run
    path = store.directory(seed_profile) / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if "eval_loss" in line:
            line["eval_loss"] = line["eval_objective"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    by_label = metric_contains_regulariser(seed_profile, collect.figures(store, seed_profile))
    assert [finding.numbers["label"] for finding in by_label] == ["eval_loss", "eval_perplexity"]
    (by_twin,) = metric_contains_regulariser(seed_profile, on_off=collect.on_off(store, seed_profile, off))
    assert by_twin.numbers["r"] == pytest.approx(-0.45, abs=0.02)
