"""The report of a study, and its words and pictures, from results that are laid down here."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bcecore.config import RunConfig
from bcecore.evaluation.outcome import (
    Comparison,
    Cost,
    Curve,
    Difference,
    Foretold,
    Gradient,
    Outcome,
    Secondary,
    SeedDifference,
    StudyMaterial,
)
from bcecore.evaluation.statistics import StudyEstimate
from bcecore.evaluation.verdict import Evidence, verdict
from bcecore.findings.finding import Finding
from bcecore.report.markdown import as_markdown
from bcecore.report.study_charts import curves_chart, difference_alt, difference_chart
from bcecore.report.study_report import study_report
from bcecore.report.study_words import (
    cost_words,
    foretold_words,
    nats,
    proof_words,
    sight_words,
    time_words,
    with_interval,
)
from bcecore.report.study_writing import study_report_of
from bcecore.settings import with_values
from bcecore.store.record import now
from bcecore.store.studies import Look, StudyState
from tests.store.test_studies import plan

NOTE = Finding(id="too-small", severity="W", subject="s", numbers={}, sentence="It is small.", what_to_do="Add text.")
LOOK = Look(seeds=2, taken=now(), plan_sha256="ab" * 32, outcome={})


def comparison(**changes: Any) -> Comparison:
    """Two seeds at −0.03 and −0.01."""
    estimate = StudyEstimate(-0.02, 0.005, 0.005, 0.001, 0.005, 5, 200, 4000)
    values: dict[str, Any] = {
        "arm": "active",
        "reference": "off",
        "planted": False,
        "verdict_values": verdict(Evidence(estimate)).as_json(),
        "findings": (NOTE,),
        "clean_documents": 200,
        "left_out": 3,
        "identical_weights": False,
        "gradient": Gradient(measured=4, largest=0.5),
        "difference": Difference(value=-0.02, low=-0.034, high=-0.006, level=0.95, p=0.01, p_holm=0.02, documents=200),
        "error": 0.005,
        "ce_reference": 3.02,
        "ce_arm": 3.0,
        "seeds": (
            SeedDifference(seed=1, value=-0.03, low=-0.04, high=-0.02, ce_reference=3.03, ce_arm=3.0),
            SeedDifference(seed=2, value=-0.01, low=None, high=None, ce_reference=3.01, ce_arm=3.0),
        ),
        "secondary": (
            Secondary(
                metric="bits per byte",
                split="val",
                difference=Difference(value=-0.01, low=-0.02, high=0.0, level=0.95, p=0.05, p_holm=0.1),
            ),
        ),
    }
    return Comparison(**values | changes)


def material(*comparisons: Comparison, **changes: Any) -> StudyMaterial:
    looked = bool(comparisons)
    values: dict[str, Any] = {
        "plan": plan(),
        "state": StudyState(plan_sha256="ab" * 32, launched=2, looks=(LOOK,) if looked else ()),
        "progress": "3 of 4 runs are trained and measured.",
        "troubles": (("Run x has failed.", "Resume it."),),
        "alteration": None,
        "outcome": Outcome(seeds=(1, 2), comparisons=comparisons, looks_planned=1, arms_compared=1) if looked else None,
        "curves": (
            Curve("off", (5, 10), (4.0, 3.0), (0.1, 0.2), 2),
            Curve("active", (5, 10), (4.1, 2.9), (0.1, 0.1), 2),
        )
        if looked
        else (),
        "costs": (Cost("active", "off", ((1, 10.0, 9.0), (2, 10.0, 8.0), (3, 10.0, 9.5))),) if looked else (),
        "foretold": None,
        "machines": ("cpu, torch 2.13.0",),
        "now": now(),
    }
    return StudyMaterial(**values | changes)


def markdown(of: StudyMaterial) -> str:
    return as_markdown(study_report(of, {}))


def test_earlier_looks_are_not_kept_quiet() -> None:
    before = comparison(verdict_values=verdict(Evidence(StudyEstimate(-0.2, 0.005, 0, 0, 0, 5, 200, 4000))).as_json())
    earlier = Outcome(seeds=(1, 2, 3), comparisons=(before,), looks_planned=2, arms_compared=1)
    text = markdown(material(comparison(), earlier=(earlier,)))
    assert "What the looks before this one found:" in text and "- **At 3 seeds.** Better with BCE: −0.200" in text
    assert "looks before" not in markdown(material(comparison()))


def test_every_part_of_it_is_there() -> None:
    document = study_report(material(comparison()), {})
    assert [section.title for section in document.sections] == [
        "Verdict",
        "How it was reached",
        "Results",
        "Where and when they differ",
        "What was noticed",
        "Design and frozen plan",
        "What these figures cannot show",
        "How to repeat it",
    ]
    text = as_markdown(document)
    found = comparison()
    assert f"## Verdict\n\n{found.verdict.headline.replace('~', '')}" in text
    assert "| seed 1 | 3.0300 | 3.0000 | −0.0300 |" in text and "| all | 3.0200 | 3.0000 | −0.0200 |" in text
    assert "−0.0200 (95 %: −0.0340 to −0.00600)" in text
    assert "| bits per byte on val | −0.0100 (95 %: −0.0200 to 0) | 0.1000 |" in text
    assert "| 1. No finding forbids the comparison. | no |" in text
    assert "**Little text to check on.** It is small. Add text." in text
    assert "| off (reference) | Use BCE: off |" in text and "| Planned looks | at 2 seeds |" in text
    assert "3 documents of “val” are also in the training text and do not count" in text
    assert "python -m bcecore study create --like 20261122-120000-a-study-0a1b --wait" in text
    assert f"Of each document the first {plan().primary.block_size} tokens were measured" in text
    assert "not binary cross-entropy" in text and "ab" * 32 in text
    assert json.loads(text.rpartition("```json\n")[2].partition("```")[0]) == RunConfig().model_dump(mode="json")


@pytest.mark.parametrize("path", ["/home/me/texts/mine.txt", r"C:\Users\me\texts\mine.txt", "mine.txt"])
def test_the_settings_name_files_without_where_they_were(path: str) -> None:
    given = material()
    base = with_values(given.plan.base, {"data.train_file": path})
    text = markdown(replace(given, plan=given.plan.model_copy(update={"base": base})))
    assert '"train_file": "mine.txt"' in text


def test_before_a_look_it_shows_no_result() -> None:
    text = markdown(material())
    assert "There is none yet. 3 of 4 runs are trained and measured." in text and "not before" in text
    assert "Run x has failed. Resume it." in text
    assert "## Results" not in text and "## Where" not in text


def test_of_a_changed_plan_it_shows_no_result() -> None:
    text = markdown(material(comparison(), alteration="It was changed."))
    assert "## Verdict\n\nIt was changed." in text and "Better" not in text and "## Results" not in text


def test_what_is_blocked_has_no_numbers() -> None:
    stop = Finding(id="off-not-off", severity="B", subject="s", numbers={}, sentence="It was on.", what_to_do="Off.")
    values = verdict(Evidence(None, blocking=[stop])).as_json()
    blocked = comparison(
        verdict_values=values, findings=(stop,), difference=None, seeds=(), secondary=(), ce_arm=None, ce_reference=None
    )
    text = markdown(material(blocked))
    assert "No valid comparison: it was on." in text and "**What to do.** Off." in text and "## Results" not in text


def test_a_positive_control_is_called_one() -> None:
    assert "This arm is a positive control: it says nothing about BCE." in markdown(material(comparison(planted=True)))


def test_the_proof_that_nothing_changed() -> None:
    found = comparison(identical_weights=True, gradient=Gradient(measured=8, largest=0.0))
    weights, gradient = proof_words(found)
    assert "the same in every bit at every seed" in weights
    assert gradient == "What BCE adds to the gradient was measured at 8 steps and was exactly 0 at each of them."
    (unlike,) = proof_words(comparison())
    assert unlike.endswith("at 4 steps; its largest norm was 0.5.")
    assert proof_words(comparison(gradient=None)) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5645, "+0.5645"),
        (-0.02, "−0.0200"),
        (0.00112, "+0.00112"),
        (-0.0000042, "−0.0000042"),
        (0.0, "0"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_differences_in_words(value: float | None, words: str) -> None:
    assert nats(value) == words


def test_a_difference_without_interval_says_so() -> None:
    assert with_interval(Difference(value=0.5, low=None, high=None, level=0.95)) == "+0.5000 (no interval)"


def test_costs_in_words() -> None:
    cost = Cost("active", "off", ((1, 10.0, 9.0), (2, 10.0, 8.0), (3, 10.0, 9.5)))
    assert cost_words(cost).startswith(
        "“active” trained at 0.90 times the pace of “off”: the median of 3 seeds (from 0.80"
    )
    assert cost_words(replace(cost, pairs=())).endswith("is not known: its runs were interrupted.")


FORETOLD = Foretold(5, 300, 6000, 10, None, 0.004, None, None, None, 1)


def test_beforehand_in_words() -> None:
    said = " ".join(foretold_words(FORETOLD, 0.01))
    assert "5 seeds and 300 documents will likely (80 %) see differences above 0.004 nats per token; smaller" in said
    assert "How much results vary is assumed here" in said
    assert "How long its 10 runs take is known after the first one." in said and "first look" not in said
    known = replace(FORETOLD, seeds=3, pilot="p", mde=0.0234, mde_low=0.01, mde_high=0.05, seconds=600.0, places=2)
    said = " ".join(foretold_words(known, 0.01))
    assert "3 seeds and 300 documents will likely (80 %) see differences above 0.023 nats per token" in said
    assert "somewhere from 0.01 to 0.05" in said and "study p tells" in said
    assert "With fewer than 5 seeds it is a first look" in said
    assert "take about 5 min of training, 2 at once" in said
    assert foretold_words(known, 0.01) == [*sight_words(known, 0.01), time_words(known)]
    assert "## What was foretold" in markdown(material(foretold=known))


def test_the_picture_holds_every_seed_all_of_them_and_the_band() -> None:
    found = comparison()
    spec = difference_chart(found, 0.01)
    tables = list(spec["datasets"].values())
    points = next(rows for rows in tables if len(rows) == 3)
    assert [row["name"] for row in points] == ["seed 1", "seed 2", "all seeds"]
    assert points[1]["low"] == points[1]["high"] == -0.01  # a seed without an interval is a point
    assert [{"from": -0.01, "to": 0.01}] in tables
    assert spec["layer"][-1]["encoding"]["x"]["scale"]["domain"] == [-0.04, 0.0125]
    assert "At 2 of 2 seeds “active” has the lower loss" in difference_alt(found, 0.01)


def test_the_curves_have_bands() -> None:
    spec = curves_chart(material(comparison()).curves)
    (rows,) = spec["datasets"].values()
    assert len(rows) == 4
    assert (rows[1]["low"], rows[1]["mean"], rows[1]["high"]) == pytest.approx((2.8, 3.0, 3.2))


def test_drawn_in_both_forms() -> None:
    report = study_report_of(material(comparison()))
    assert report.html.count("<svg") == 2 and "a study" in report.markdown
    assert study_report_of(material()).html.count("<svg") == 0
