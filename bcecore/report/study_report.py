"""The report of a study: its design, its frozen plan, its results and verdict, its limits, and how to repeat it. Pure.

A section is a function from the material to itself or nothing; another one joins by its line in `_SECTIONS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import PureWindowsPath
from typing import Any

from bcecore.evaluation.outcome import Comparison, StudyMaterial
from bcecore.findings.finding import Finding
from bcecore.report.document import Block, Code, Document, Item, Items, Paragraph, Picture, Section, Table
from bcecore.report.finding_words import accepted_words, name_of, noted
from bcecore.report.run_report import BCE_IS
from bcecore.report.study_words import (
    arm_words,
    cost_words,
    foretold_words,
    limits,
    nats,
    proof_words,
    with_interval,
)
from bcecore.report.words import count

VERDICT, REACHED, RESULTS, WHERE = "Verdict", "How it was reached", "Results", "Where and when they differ"
NOTICED, DESIGN, FORETOLD = "What was noticed", "Design and frozen plan", "What was foretold"
LIMITS, REPEAT = "What these figures cannot show", "How to repeat it"
"""Titles of the sections."""

Pictures = Mapping[str, Picture]
"""By the name of an arm its differences, and under "" the curves; see `study_writing`."""


def study_report(material: StudyMaterial, pictures: Pictures) -> Document:
    """The whole report."""
    plan = material.plan
    lead = (
        f"Study {plan.id}, created on {plan.created.astimezone():%Y-%m-%d}. {material.progress} Written on "
        f"{material.now.astimezone():%Y-%m-%d, %H:%M}."
    )
    sections = (build(material, pictures) for build in _SECTIONS)
    return Document(plan.name, lead, tuple(section for section in sections if section is not None))


def _section(title: str, *blocks: Block | None) -> Section | None:
    there = tuple(block for block in blocks if block is not None)
    return Section(title, there) if there else None


# -- what came out


def _verdict(material: StudyMaterial, pictures: Pictures) -> Section | None:
    if material.alteration is not None:
        return _section(VERDICT, Paragraph(material.alteration))
    if material.outcome is None:
        troubles = Items(tuple(Item(f"{what} {to_do}") for what, to_do in material.troubles))
        waits = Paragraph(
            f"There is none yet. {material.progress} Results are looked at when {material.plan.looks[0]} seeds of "
            "every arm are trained and measured, as planned, and not before."
        )
        return _section(VERDICT, waits, troubles if material.troubles else None)
    blocks: list[Block] = []
    for found in material.outcome.comparisons:
        blocks += _one_verdict(found, pictures)
    before = [
        Item(found.verdict.headline, f"At {len(outcome.seeds)} seeds")
        for outcome in material.earlier
        for found in outcome.comparisons
    ]
    if before:
        blocks += [Paragraph("What the looks before this one found:"), Items(tuple(before))]
    return _section(VERDICT, *blocks)


def _one_verdict(found: Comparison, pictures: Pictures) -> Iterator[Block]:
    control = " This arm is a positive control: it says nothing about BCE." if found.planted else ""
    yield Paragraph(f"{found.verdict.headline}{control}")
    picture = pictures.get(found.arm)
    if picture is not None:
        yield picture
    proof = proof_words(found)
    if proof and found.verdict.kind == "nothing-changed":
        yield Items(tuple(Item(each) for each in proof))
    if found.verdict.what_to_do:
        yield Items(tuple(Item(each, "What to do") for each in found.verdict.what_to_do))


def _reached(material: StudyMaterial, _: Pictures) -> Section | None:
    """How it was reached: the rules in their order, up to the one that applies."""
    if material.outcome is None or material.alteration is not None:
        return None
    blocks: list[Block] = [
        Paragraph(
            "The rules are tried in a fixed order that was laid down before any result was seen; the first that "
            "applies is the verdict."
        )
    ]
    for found in material.outcome.comparisons:
        steps = [
            ("yes, and it ends here" if reason.applies else "no", reason.sentence) for reason in found.verdict.reasons
        ]
        rows = tuple((f"{place}. {sentence}", how) for place, (how, sentence) in enumerate(steps, 1))
        blocks.append(
            Table(f"“{found.arm}” against “{found.reference}”", ("What the rule found", "Does it decide?"), rows)
        )
    return _section(REACHED, *blocks)


def _results(material: StudyMaterial, _: Pictures) -> Section | None:
    outcome = material.outcome
    if outcome is None or material.alteration is not None:
        return None
    blocks: list[Block] = []
    for found in outcome.comparisons:
        if found.difference is None:
            continue
        which = f"“{found.arm}” against “{found.reference}”"
        rows = [
            (f"seed {seed.seed}", f"{seed.ce_reference:.4f}", f"{seed.ce_arm:.4f}", nats(seed.value))
            for seed in found.seeds
        ]
        rows.append(("all", _number(found.ce_reference), _number(found.ce_arm), nats(found.difference.value)))
        blocks.append(
            Table(
                f"{which}, by seed",
                ("Seed", f"CE {found.reference}", f"CE {found.arm}", "Difference"),
                tuple(rows),
                "CE in nats per predicted token, without the regulariser; a negative difference favours "
                f"“{found.arm}”.",
            )
        )
        blocks.append(_numbers(found, which))
        secondary = [
            (f"{item.metric} on {item.split}", with_interval(item.difference), _p(item.difference.p_holm))
            for item in found.secondary
        ]
        if secondary:
            blocks.append(
                Table(
                    f"{which}, secondary results",
                    ("Result", "Difference", "p (Holm)"),
                    tuple(secondary),
                    "They decide nothing. p is raised by Holm: all of them together are wrong as seldom as one.",
                )
            )
    return _section(RESULTS, *blocks)


def _numbers(found: Comparison, which: str) -> Table:
    assert found.difference is not None
    verdict = found.verdict
    rows = [
        ("Difference of CE, nats per token", with_interval(found.difference)),
        ("Standard error", _number(found.error, 5)),
        ("… clustered by seed alone", _number(found.error_seeds, 5)),
        ("… clustered by document alone", _number(found.error_documents, 5)),
        ("Smallest difference this test would likely have seen", _number(verdict.mde, 5)),
        ("Margin below which a difference does not matter", f"{verdict.margin:g}"),
        (f"Perplexity of {found.reference}, exp(CE)", _number(found.perplexity_reference, 3)),
        (f"Perplexity of {found.arm}, exp(CE)", _number(found.perplexity_arm, 3)),
        ("Seeds", f"{found.difference.seeds}"),
        ("Documents that count", f"{found.difference.documents:,} ({found.left_out:,} left out)"),
        ("Predicted tokens of these documents", f"{found.difference.tokens:,}"),
    ]
    if found.difference.p_holm is not None:
        rows.insert(1, ("p, raised by Holm for the number of arms", _p(found.difference.p_holm)))
    return Table(f"{which}, the primary result", ("", "Value"), tuple(rows))


def _where(material: StudyMaterial, pictures: Pictures) -> Section | None:
    """Where it differs: by length, over training, in time."""
    outcome = material.outcome
    if outcome is None or material.alteration is not None:
        return None
    blocks: list[Block] = []
    for found in outcome.comparisons:
        if not found.lengths:
            continue
        rows = tuple(
            (
                group.label,
                f"{group.difference.documents:,}",
                with_interval(group.difference),
                _p(group.difference.p_holm),
            )
            for group in found.lengths
        )
        blocks.append(
            Table(
                f"“{found.arm}” against “{found.reference}”, by length of the document",
                ("Predicted tokens", "Documents", "Difference", "p (Holm)"),
                rows,
            )
        )
    if material.curves:
        ends = [(curve.arm, f"{curve.mean[-1]:.4f}", f"{curve.deviation[-1]:.4f}") for curve in material.curves]
        blocks.append(
            Table(
                f"Held-out CE at the last check, step {material.curves[0].steps[-1]:,}",
                ("Arm", "Mean over seeds", "Standard deviation"),
                tuple(ends),
                "As the runs logged it on the text that they are checked on while they train.",
            )
        )
    if "" in pictures:
        blocks.append(pictures[""])
    if material.costs:
        blocks.append(Items(tuple(Item(cost_words(cost)) for cost in material.costs)))
    return _section(WHERE, *blocks)


def _findings(material: StudyMaterial, _: Pictures) -> Section | None:
    if material.outcome is None:
        found = [Finding.model_validate(each) for each in material.plan.findings]
    else:
        found = [finding for each in material.outcome.comparisons for finding in each.findings]
    unique = {(finding.id, finding.sentence): finding for finding in found}
    items = []
    for each in noted(unique.values(), material.accepted):
        accepted = "" if each.accepted is None else f" {accepted_words(each.accepted)}"
        items.append(Item(f"{each.finding.sentence} {each.finding.what_to_do}{accepted}", name_of(each.finding.id)))
    return _section(NOTICED, Items(tuple(items)) if items else Paragraph("Nothing."))


# -- what was done


def _design(material: StudyMaterial, _: Pictures) -> Section | None:
    plan = material.plan
    arms = Table(
        "Arms",
        ("Arm", "How it is set"),
        tuple(
            (arm.name + (" (reference)" if arm == plan.reference else ""), arm_words(plan, arm)) for arm in plan.arms
        ),
    )
    facts = Table(
        "Plan",
        ("", "Value"),
        (
            ("Seeds", ", ".join(map(str, plan.seeds))),
            ("Planned looks", ", ".join(f"at {look} seeds" for look in plan.looks)),
            ("Primary metric", f"CE on “{plan.primary.name}”, nats per predicted token"),
            ("Margin", f"{plan.margin:g} nats per token"),
            ("Steps of every run", f"{plan.total_steps:,}"),
            ("Training lines", f"{plan.dataset.get('train_examples', 0):,}"),
            *(
                (
                    f"Held-out text “{split.name}”",
                    f"{count(split.rows, 'document')} of {split.source}; SHA-256 {split.sha256[:16]}…",
                )
                for split in plan.splits
            ),
            ("SHA-256 of the frozen plan", material.state.plan_sha256),
        ),
    )
    how = Paragraph(
        "Within a seed the arms start from the same weights, read the same text in the same order and draw the same "
        "dropout; only what the arms name differs. The seeds vary all three; the texts are the same for all runs. All "
        "of this was frozen before the first run was started."
    )
    looks = [f"at {look.seeds} seeds, on {look.taken.astimezone():%Y-%m-%d, %H:%M}" for look in material.state.looks]
    taken = Paragraph(f"Looks taken: {'; '.join(looks)}.") if looks else None
    return _section(DESIGN, Paragraph(BCE_IS), how, arms, facts, taken)


def _foretold(material: StudyMaterial, _: Pictures) -> Section | None:
    if material.foretold is None:
        return None
    said = foretold_words(material.foretold, material.plan.margin)
    return _section(FORETOLD, Items(tuple(Item(each) for each in said)))


def _limits(material: StudyMaterial, _: Pictures) -> Section | None:
    comparisons = material.outcome.comparisons if material.outcome is not None else ()
    return _section(LIMITS, Items(tuple(limits(material.plan, comparisons))))


def _repeat(material: StudyMaterial, _: Pictures) -> Section | None:
    plan = material.plan
    where = f" ({'; '.join(material.machines)})" if material.machines else ""
    same = Paragraph(
        "Plan, texts and settings are kept with the study. This command makes the same study again, from any copy of "
        f"its folder. The same versions{where} give the same values, on a CPU to the last bit; a graphics card may "
        "round differently."
    )
    command = Code(f"python -m bcecore study create --like {plan.id} --wait", "bash")
    settings = json.dumps(_without_places(plan.base.model_dump(mode="json")), indent=2, ensure_ascii=False)
    return _section(REPEAT, same, command, Paragraph("The base settings:"), Code(settings, "json"))


def _without_places(settings: dict[str, Any]) -> dict[str, Any]:
    """Where a file was on the author's machine helps nobody, and tells more than the author may wish."""
    files = ("train_file", "validation_file")
    # A Windows path may have either separator, so this reads a path of any system.
    named = {key: value and PureWindowsPath(value).name for key, value in settings["data"].items() if key in files}
    return settings | {"data": settings["data"] | named}


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None or value != value else f"{value:,.{digits}f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "under 0.0001" if value < 1e-4 else f"{value:.4f}"


_SECTIONS: tuple[Callable[[StudyMaterial, Pictures], Section | None], ...] = (
    _verdict,
    _reached,
    _results,
    _where,
    _findings,
    _design,
    _foretold,
    _limits,
    _repeat,
)
