"""Everything that the rules have to say about files from elsewhere: a Trainer's output, and what was written about it.

Which rules could look, and what the others lacked, is told as well: silence of a rule that saw nothing means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from bcecore.findings import collect
from bcecore.findings.claim_mismatch import claim_mismatch
from bcecore.findings.collect_files import Files, Say, TextFile
from bcecore.findings.finding import Finding, by_severity, listed
from bcecore.findings.future_leak import future_leak
from bcecore.findings.live import LiveRules
from bcecore.findings.metric_contains_regulariser import Figure, OnOff, metric_contains_regulariser
from bcecore.findings.of_run import of_run, rules_of
from bcecore.findings.off_not_off import off_had_weight
from bcecore.findings.overlap import find_overlap, overlap
from bcecore.findings.sample_size import single_run, too_small
from bcecore.findings.scored_twice import scored_twice
from bcecore.findings.split_reuse import split_reuse
from bcecore.findings.too_good import too_good
from bcecore.findings.written.against_measured import entries, samples_of
from bcecore.findings.written.check import check_report
from bcecore.findings.written.document import parse
from bcecore.findings.written.evidence import Evidence
from bcecore.findings.written.ledger import Check
from bcecore.store.columns import Series
from bcecore.store.runs import RunStore

ROW_RULES = (
    "non-finite", "divergence", "loss-spike", "exploding-grad", "plateau", "overfit", "collapse", "clamp-saturated",
    "no-gradient", "lr-zero",
)  # fmt: skip
"""The rules over logged rows."""


_MANY_LINES = 200_000
_STATS = "no stats file with BCE on and off was given"
_NO_LOG = "no log (trainer_state.json) was given"


@dataclass(frozen=True)
class Looked:
    """What came of looking over some files."""

    findings: tuple[Finding, ...]
    """The most serious first."""
    rules: tuple[str, ...]
    """Those that had what they look at."""
    could_not: dict[str, str]
    """The others, and what they lacked."""
    checks: dict[str, Check] = field(default_factory=dict)
    """For each written report, by its name, what came of its figures."""


def of_files(files: Files, say: Say = lambda _: None) -> Looked:
    """All rules over some files that belong to one run. `say` is told of what takes long."""
    evidence = files.evidence()
    checks = {report.name: check_report(report.markdown, evidence) for report in files.reports}
    findings: list[Finding] = []
    looked: list[str] = []
    could_not: dict[str, str] = {}
    rules: tuple[tuple[str, str, Callable[[], list[Finding]]], ...] = (
        ("claim-mismatch", _lacks_for_claims(files, evidence), lambda: list(_claims(files, checks))),
        ("metric-contains-regulariser", _lacks_pairs(files, evidence), lambda: list(_contains(files, evidence))),
        ("scored-twice", "" if any(s.has_means for s in files.stats) else _STATS, lambda: _twice(files)),
        ("off-not-off", "" if any(s.off.weight is not None for s in files.stats) else _STATS, lambda: _off(files)),
        ("future-leak", "" if files.architectures else "no config.json of a model was given", lambda: _leaks(files)),
        ("split-reuse", _lacks_texts(files, shown=True), lambda: list(_reused(files))),
        ("overlap", _lacks_texts(files, shown=False), lambda: list(_overlaps(files, say))),
        ("too-small", "" if _sizes(files, evidence) else "nothing says how many texts it was checked on",
         lambda: [f for name, n in _sizes(files, evidence).items() for f in _about(name, too_small(files.subject, n))]),
        ("single-run", "" if _compares(files, evidence) else "nothing given compares BCE on with off",
         lambda: single_run(files.subject, 1)),
        ("too-good", "" if _checked_ce(files, evidence) else "no loss on text for checking was given",
         lambda: list(_good(files, evidence))),
    )  # fmt: skip
    for name, lacks, look in rules:
        if lacks:
            could_not[name] = lacks
        else:
            looked.append(name)
            findings += look()
    if files.columns is not None:
        findings += LiveRules(files.subject, None).look(files.columns)
        looked += ROW_RULES
        if "too-good" in could_not and any(key.endswith("_loss") for key in files.columns.keys):
            looked.append("too-good")
            del could_not["too-good"]
    elif files.log is None:
        could_not |= dict.fromkeys(ROW_RULES, _NO_LOG)
    return Looked(tuple(by_severity(findings)), tuple(looked), could_not, checks)


def of_files_with_run(store: RunStore, run_id: str, files: Files, say: Say = lambda _: None) -> Looked:
    """The rules over one of our runs, and over the files that were given with it. Raises RunError."""
    looked = of_files(files, say)
    own = of_run(store, run_id)
    told = {(one.id, one.sentence) for one in own}
    findings = [*own, *(one for one in looked.findings if (one.id, one.sentence) not in told)]
    by_run = rules_of(collect.settings(store, store.record(run_id)))
    rules = tuple(dict.fromkeys((*looked.rules, *by_run, *(one.id for one in own))))
    could_not = {name: why for name, why in looked.could_not.items() if name not in rules}
    return Looked(tuple(by_severity(findings)), rules, could_not, looked.checks)


# -- a written report


def _lacks_for_claims(files: Files, evidence: Evidence) -> str:
    if not files.reports:
        return "no written report (.md) was given"
    return (
        "" if evidence.log is not None or evidence.measured else "neither a log nor stats were given to hold it against"
    )


def _claims(files: Files, checks: dict[str, Check]) -> Iterator[Finding]:
    for name, check in checks.items():
        yield from claim_mismatch(files.subject, name, check)


# -- what was measured


def _lacks_pairs(files: Files, evidence: Evidence) -> str:
    if not evidence.measured:
        return "no stats or results of a check were given"
    if files.results or any(split.has_means for split in files.stats):
        return ""
    return "" if evidence.log is not None and evidence.log.first_weight() else "no log with the BCE weight was given"


def _contains(files: Files, evidence: Evidence) -> Iterator[Finding]:
    """Losses of files and reports that have BCE's term in them; for each text the one that shows it best."""
    figures: list[Figure] = []
    for one in evidence.measured:
        own = one.values.get("ce", one.values.get("eval_loss") if not one.split else None)
        if own is not None and "perplexity" in one.values:
            figures.append(Figure("perplexity", one.values["perplexity"], own))
    yield from metric_contains_regulariser(files.subject, figures)
    weight = evidence.log.first_weight() if evidence.log is not None else None
    bounds = evidence.log.bce_range() if evidence.log is not None else None
    for split, (on, off, half, where) in _pairs(files, evidence).items():
        r = next((m.values["bce_loss"] for m in evidence.of(split, "on") if "bce_loss" in m.values), None)
        known = (r, r) if r is not None else bounds
        found: list[Finding] = []
        if weight and known is not None:
            found = metric_contains_regulariser(
                files.subject, on_off=[OnOff("eval_loss", on, off, weight, 0.0, known, half)]
            )
        if not found and (ce := evidence.ce(split)) is not None:
            found = metric_contains_regulariser(files.subject, [Figure("eval_loss", on, ce[0], half)])
        yield from _about(f"{where}, {split}", found)


def _pairs(files: Files, evidence: Evidence) -> dict[str, tuple[float, float, float, str]]:
    """For each text the loss with BCE on and off, half a unit of the coarser one's last digit, and where they stand."""
    found: dict[str, tuple[float, float, float, str]] = {}
    for split in files.stats:
        if not split.has_means:
            on, off = (float(side.values["eval_loss"]) for side in (split.on, split.off))
            found[split.name] = on, off, 0.0, split.file
    for report in files.reports:
        told: dict[tuple[str, str], tuple[float, float]] = {}
        for entry in entries(parse(report.markdown), evidence):
            if entry.split and entry.mode and "eval_loss" in entry.figures:
                _, figure = entry.figures["eval_loss"]
                told.setdefault((entry.split, entry.mode), (figure.value, figure.last_digit / 2))
        for split_name in dict.fromkeys(name for name, _ in told):
            if {(split_name, "on"), (split_name, "off")} <= set(told):
                (a, half_a), (b, half_b) = told[split_name, "on"], told[split_name, "off"]
                found.setdefault(split_name, (a, b, max(half_a, half_b), report.name))
    return found


def _twice(files: Files) -> list[Finding]:
    same = [s for s in files.stats if s.has_means and s.on.values["mean_ce"] == s.off.values["mean_ce"]]
    on = [row["ce_loss"] for split in same for row in split.on.shown]
    off = [row["ce_loss"] for split in same for row in split.off.shown]
    return scored_twice(files.subject, on, off, listed([f"“{split.name}”" for split in same]) if same else "")


def _off(files: Files) -> list[Finding]:
    return off_had_weight(files.subject, {s.name: s.off.weight for s in files.stats if s.off.weight is not None})


def _leaks(files: Files) -> list[Finding]:
    return [one for each in files.architectures for one in future_leak(files.subject, None, each.content)]


def _checked_ce(files: Files, evidence: Evidence) -> dict[str, float]:
    """CE by the text that it was measured on."""
    found = {split: known[0] for split in evidence.splits if (known := evidence.ce(split)) is not None}
    for one in files.results:
        if "eval_loss" in one.values:
            found.setdefault(one.source, one.values["eval_loss"])
    return found


def _good(files: Files, evidence: Evidence) -> Iterator[Finding]:
    step = evidence.log.last_step if evidence.log is not None else 0
    none = np.empty(0)
    for split, ce in _checked_ce(files, evidence).items():
        key = "eval_" + "".join(c if c.isalnum() else "_" for c in split) + "_loss"
        series = Series(np.array([step]), np.array([ce]), none, none)
        is_language = Series(np.empty(0, np.int64), none, none, none)  # scored with BCE: that is a language model's
        yield from too_good(files.subject, {key: series, "bce_weight": is_language})


def _compares(files: Files, evidence: Evidence) -> bool:
    """Whether BCE on and off are compared."""
    return bool(files.stats) or any(
        entry.mode == "off" for report in files.reports for entry in entries(parse(report.markdown), evidence)
    )


# -- texts


def _training(files: Files) -> TextFile | None:
    return next((text for text in files.texts if text.role == "training"), None)


def _held_out(files: Files) -> Iterator[TextFile]:
    return (text for text in files.texts if text.role == "held out")


def _shown(files: Files) -> Iterator[tuple[str, list[str]]]:
    """The texts of splits of which a stats file shows every one."""
    for split in files.stats:
        if split.shows_all:
            yield split.name, [row["text"] for row in split.on.shown]


def _lacks_texts(files: Files, *, shown: bool) -> str:
    if _training(files) is None:
        return "no training text was given"
    if next(_held_out(files), None) is None and not (shown and next(_shown(files), None)):
        return "no text for checking was given"
    return ""


def _reused(files: Files) -> Iterator[Finding]:
    train = _training(files)
    assert train is not None
    for name, texts in (*_shown(files), *((text.name, list(text.lines)) for text in _held_out(files))):
        yield from _about(name, split_reuse(files.subject, train.lines, texts))


def _overlaps(files: Files, say: Say) -> Iterator[Finding]:
    train = _training(files)
    assert train is not None
    for text in _held_out(files):
        if len(train.lines) + len(text.lines) > _MANY_LINES:
            say(f"Looking for the {len(text.lines):,} lines of {text.name} in {train.name} …")
        yield from _about(text.name, overlap(files.subject, find_overlap(train.lines, text.lines)))


def _sizes(files: Files, evidence: Evidence) -> dict[str, int]:
    """How many texts the model was checked on, by the name of each set."""
    train = _training(files)
    found: dict[str, int] = {}
    for split in evidence.splits:
        samples = samples_of(split, evidence)
        if samples is not None and (train is None or split != train.stem):
            found[split] = samples
    return found | {one.source: one.samples for one in files.results if one.samples is not None}


def _about(name: str, findings: list[Finding]) -> list[Finding]:
    """Findings that say which text they are about."""
    return [
        one.model_copy(update={"sentence": f"{name}: {one.sentence}", "numbers": {"text": name, **one.numbers}})
        for one in findings
    ]
