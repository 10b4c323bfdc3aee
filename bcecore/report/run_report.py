"""The report of one run: its sections, each left out where there is nothing for it. Pure.

A section is a function from the material to itself or nothing; another one joins by its line in `_SECTIONS`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

from bcecore.findings.of_run import rules_of
from bcecore.report.document import Block, Code, Document, Item, Items, Paragraph, Section, Table
from bcecore.report.finding_words import SEVERITY_WORDS, accepted_words, counts_words, looked_words, name_of
from bcecore.report.material import Material
from bcecore.report.tables import (
    best_table,
    check_tables,
    facts_table,
    highlights_table,
    scoring_table,
    snapshot_table,
    throughput_table,
)
from bcecore.report.words import count

BCE_IS = (
    "BCE is the Behavioral Consciousness Engine, an auxiliary regulariser, and not binary cross-entropy. The idea is "
    "the Sollana Framework’s (Prometech); this implementation is independent."
)


def run_report(material: Material) -> Document:
    """The whole report of a run."""
    record = material.record
    status = {"imported": "trained elsewhere and imported"}.get(record.status, record.status)
    lead = f"Run {record.id}, {status}. Written on {material.now.astimezone():%Y-%m-%d, %H:%M}."
    sections = (build(material) for build in _SECTIONS)
    return Document(record.name, lead, tuple(section for section in sections if section is not None))


def _section(title: str, *blocks: Block | None) -> Section | None:
    there = tuple(block for block in blocks if block is not None)
    return Section(title, there) if there else None


def _facts(material: Material) -> Section | None:
    notes = Paragraph(material.record.notes) if material.record.notes else None
    mended = Items(tuple(Item(note) for note in material.notes)) if material.notes else None
    about = Paragraph(BCE_IS) if _has_bce(material) else None
    return _section("Run facts", notes, about, facts_table(material), mended)


def _has_bce(material: Material) -> bool:
    if material.config is not None:
        return material.config.bce.enabled
    return any(key.startswith("bce_") for key in material.logged.keys)


def _snapshot(material: Material) -> Section | None:
    return _section("Final checkpoint snapshot", snapshot_table(material))


def _highlights(material: Material) -> Section | None:
    return _section("Schedule highlights", highlights_table(material))


def _findings(material: Material) -> Section | None:
    """What is noticed, what to do about it, and what was accepted for which reason."""
    if material.findings is None:
        return None
    if not material.findings:
        return _section("Findings", Paragraph(looked_words(len(rules_of(material.config)))))
    items = []
    for each in material.findings:
        finding = each.finding
        kind = SEVERITY_WORDS[finding.severity].one
        text = f"{finding.sentence} {finding.what_to_do}"
        command = ""
        if each.accepted is not None:
            text = f"{finding.sentence} {accepted_words(each.accepted)}"
        elif finding.fix is not None and material.config is not None:
            settings = (shlex.quote(f"{key}={json.dumps(value)}") for key, value in finding.fix.changes.items())
            command = f"python -m bcecore clone {material.record.id} {' '.join(f'--set {each}' for each in settings)}"
        items.append(Item(text, f"{name_of(finding.id)} ({kind})", command))
    standing = counts_words(each.finding.severity for each in material.findings if each.accepted is None)
    lead = Paragraph(f"{standing}." if standing else "All that was noticed was accepted.")
    return _section("Findings", lead, Items(tuple(items)))


def _observations(material: Material) -> Section | None:
    items = tuple(Item(observation.text) for observation in material.observations)
    return _section("Observations", Items(items) if items else None)


def _charts(material: Material) -> Section | None:
    return _section("Charts", *material.pictures)


def _values(material: Material) -> Section | None:
    return _section("Best and last values", best_table(material))


def _throughput(material: Material) -> Section | None:
    return _section("Throughput", throughput_table(material) if material.pace.steps else None)


def _next_steps(material: Material) -> Section | None:
    items = tuple(Item(step.text, command=step.command) for step in material.next_steps)
    return _section("Next steps", Items(items))


def _evaluation(material: Material) -> Section | None:
    tables: list[Table] = check_tables(material)
    if not tables:
        return _section("Evaluation", Paragraph("No check was logged."))
    return _section("Evaluation", *tables)


def _bce(material: Material) -> Section | None:
    if not _has_bce(material):
        return None
    answer = Paragraph(
        "Not measured. Whether training with BCE helped can only be told by twin runs that differ in nothing else, "
        "with several seeds, compared on held-out text; this is a single run."
    )
    return _section("BCE against no BCE", answer, scoring_table(material))


def _limits(material: Material) -> Section | None:
    items = tuple(Item(limit.text, title=limit.title) for limit in material.limits)
    return _section("What these figures cannot show", Items(items) if items else None)


def _repeat(material: Material) -> Section | None:
    record = material.record
    if material.imported is not None:
        facts = " ".join(
            f"--fact {shlex.quote(f'{name}={_plain(value)}')}" for name, value in material.imported.facts.items()
        )
        sources = " ".join(shlex.quote(source.name) for source in material.imported.sources) or "trainer_state.json"
        return _section(
            "How to repeat it",
            Paragraph("The run was trained elsewhere and cannot be repeated from its log. To import the log again:"),
            Code(f"python -m bcecore import {sources} {facts}".rstrip(), "bash"),
        )
    assert material.config is not None
    where = f" on {record.device}" if record.device else ""
    same = Paragraph(
        f"The settings and the text are kept with the run. The same versions{where} and the same seed "
        f"({material.config.training.seed}) give the same values again, on a CPU to the last bit; a graphics card may "
        "round differently. The second command makes this report."
    )
    commands = [f"python -m bcecore clone {record.id}", f"python -m bcecore report {record.id}"]
    settings = json.dumps(material.config.model_dump(mode="json"), indent=2, ensure_ascii=False)
    return _section("How to repeat it", same, Code("\n".join(commands), "bash"), Code(settings, "json"))


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else repr(value)


def _files(material: Material) -> Section | None:
    if not material.files:
        return None
    rows = tuple((file.name, file.about) for file in material.files)
    kept = count(len(material.checkpoints), "checkpoint")
    note = f"{kept} kept, at step{'s' * (len(material.checkpoints) > 1)} " + ", ".join(
        f"{step:,}" for step in material.checkpoints
    )
    table = Table(
        f"In the folder {material.record.id}", ("File", "What it is"), rows, f"{note}." if material.checkpoints else ""
    )
    return _section("Files of interest", table)


_SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    _facts,
    _snapshot,
    _highlights,
    _findings,
    _observations,
    _charts,
    _values,
    _throughput,
    _next_steps,
    _evaluation,
    _bce,
    _limits,
    _repeat,
    _files,
)
