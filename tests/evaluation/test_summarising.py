"""From examples to figures: exact, whatever the pieces they come in."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.evaluation.summarising import Totals, summary

COMPONENTS = ("rl", "fuzzy")
TIMING: dict[str, Any] = {"runtime": 2.0, "steps": 3}


def columns(nll: list[float], tokens: list[int], r: list[float] | None = None) -> dict[str, list[Any]]:
    r = r or [-0.5] * len(nll)
    return {
        "tokens": tokens,
        "length": [count + 1 for count in tokens],
        "bytes": [2 * count for count in tokens],
        "cut": [False] * len(nll),
        "nll": nll,
        "ce": [value / count for value, count in zip(nll, tokens, strict=True)],
        "bce_loss": r,
        "bce_rl": [0.5] * len(nll),
        "bce_fuzzy": [value * 2 for value in r],
    }


def test_every_figure() -> None:
    totals = Totals(COMPONENTS)
    totals.add(columns([10.0, 60.0, 2.0], [10, 20, 1], [-0.4, -0.5, -0.6]))
    found = summary(totals, weight=0.44, first_weight=0.0005, **TIMING)
    ce, mean = 72 / 31, (1 + 3 + 2) / 3
    assert found.pop("buckets") == [
        {"up_to": 16, "examples": 2, "tokens": 11, "ce": pytest.approx(12 / 11)},
        {"up_to": 32, "examples": 1, "tokens": 20, "ce": pytest.approx(3)},
    ]
    assert found.pop("components") == {"rl": pytest.approx(0.5), "fuzzy": pytest.approx(-1.0)}
    assert found == pytest.approx(
        {
            "examples": 3,
            "tokens": 31,
            "bytes": 62,
            "cut": 0,
            "ce": ce,
            "perplexity": math.exp(ce),
            "bits_per_byte": 72 / math.log(2) / 62,
            "ce_mean": mean,
            "ce_median": 2,
            "ce_p90": 2.8,
            "bce_loss": -0.5,
            "weight": 0.44,
            "objective_on": ce - 0.22,
            "objective_off": ce,
            "objective_on_mean": mean - 0.22,
            "objective_off_mean": mean,
            "report_eval_loss_on": mean - 0.00025,
            "report_eval_loss_off": mean,
            "runtime": 2.0,
            "samples_per_second": 1.5,
            "steps_per_second": 1.5,
            "steps": 3,
        }
    )


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.integers(1, 3000)), min_size=1, max_size=60), st.lists(st.integers(0, 60))
)
def test_the_pieces_do_not_matter(examples: list[tuple[float, int]], cuts: list[int]) -> None:
    nll, tokens = [value for value, _ in examples], [count for _, count in examples]
    once, pieces = Totals(COMPONENTS), Totals(COMPONENTS)
    once.add(columns(nll, tokens))
    ends = [0, *sorted(min(cut, len(examples)) for cut in cuts), len(examples)]
    for begin, end in itertools.pairwise(ends):
        pieces.add(columns(nll[begin:end], tokens[begin:end]))
    first, second = (summary(totals, weight=0.4, first_weight=0.1, **TIMING) for totals in (once, pieces))
    assert [b["examples"] for b in first.pop("buckets")] == [b["examples"] for b in second.pop("buckets")]
    assert second.pop("components") == pytest.approx(first.pop("components"))
    assert second == pytest.approx(first, rel=1e-12)
    per_example = [value / count for value, count in examples]
    assert second["ce_p90"] == pytest.approx(np.percentile(per_example, 90))
    assert second["ce_median"] == pytest.approx(np.median(per_example))  # which adds up in another order


def test_without_bce_the_objective_is_ce_itself() -> None:
    totals = Totals(COMPONENTS)
    totals.add(columns([3.0], [2], [math.nan]))
    found = summary(totals, weight=0.0, first_weight=0.0, **TIMING)
    assert found["objective_on"] == found["objective_off"] == found["report_eval_loss_on"] == 1.5


def test_what_does_not_exist_is_nan() -> None:
    empty = summary(Totals(COMPONENTS), weight=0.4, first_weight=0.1, runtime=0.0, steps=0)
    assert math.isnan(empty["ce"]) and math.isnan(empty["perplexity"]) and math.isnan(empty["ce_median"])
    assert empty["examples"] == 0 and empty["buckets"] == []
    totals = Totals(COMPONENTS)
    totals.add(columns([math.inf, 1.0], [1, 1]))
    diverged = summary(totals, weight=0.4, first_weight=0.1, **TIMING)
    assert not math.isfinite(diverged["ce"]) and not math.isfinite(diverged["ce_mean"])
    totals = Totals(COMPONENTS)
    totals.add(columns([800.0], [1]))
    assert summary(totals, weight=0.4, first_weight=0.1, **TIMING)["perplexity"] == math.inf


def test_the_reports_own_figures(shared_data: Path) -> None:
    """Its mean, p50, p90 and mean total from its own two examples."""
    stats = json.loads((shared_data / "report" / "bce_eval_stats.json").read_text())["auto_val"]["bce_on"]
    examples = stats["best3"]
    totals = Totals(COMPONENTS)
    counts = [example["len"] - 1 for example in examples]
    nll = [example["ce_loss"] * count for example, count in zip(examples, counts, strict=True)]
    totals.add(columns(nll, counts, [example["bce_loss"] for example in examples]))
    found = summary(totals, weight=examples[0]["bce_eff_w"], first_weight=0.0005, **TIMING)
    assert found["ce_mean"] == pytest.approx(stats["mean_ce"], abs=1e-12)
    assert found["ce_median"] == pytest.approx(stats["p50_ce"], abs=1e-12)
    assert found["ce_p90"] == pytest.approx(stats["p90_ce"], abs=1e-12)
    assert found["objective_on_mean"] == pytest.approx(stats["mean_total"], abs=1e-7)
    assert found["report_eval_loss_on"] == pytest.approx(0.0580, abs=5e-5)
    assert found["report_eval_loss_off"] == pytest.approx(0.05827, abs=5e-6)
