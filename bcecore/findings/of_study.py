"""The rules that a study needs, together: before anything is trained, and again when there is something to judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bcecore.config import RunConfig
from bcecore.findings import collect
from bcecore.findings.accumulation import accumulation
from bcecore.findings.averaging import averaging
from bcecore.findings.finding import Finding, by_severity
from bcecore.findings.future_leak import architecture_of, future_leak
from bcecore.findings.metric_contains_regulariser import metric_contains_regulariser
from bcecore.findings.non_finite import non_finite
from bcecore.findings.off_not_off import off_not_off
from bcecore.findings.overlap import Overlap, find_overlap, overlap
from bcecore.findings.padding import padding
from bcecore.findings.sample_size import single_run, too_small
from bcecore.findings.split_reuse import split_reuse
from bcecore.findings.twin_mismatch import Twin, twin_mismatch
from bcecore.store.runs import RunStore


@dataclass(frozen=True)
class Member:
    """One run of a study."""

    run: str
    arm: str
    seed: int
    is_off: bool
    """Whether its arm is called off."""


@dataclass(frozen=True)
class Checked:
    """What the rules say, and on which documents a result may rest."""

    findings: tuple[Finding, ...]
    overlaps: Mapping[str, Overlap]
    """For each held-out split, by its name and in the order given; `overlaps[name].clean` are the documents to measure
    on."""

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Those that forbid a verdict."""
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def clean_documents(self) -> int:
        """Documents of the first split, which the verdict is about, that are not in the training text."""
        return next((len(found.clean) for found in self.overlaps.values()), 0)


def before_launch(
    subject: str,
    runs: Sequence[tuple[str, int, RunConfig]],
    off_arms: frozenset[str],
    train: Sequence[str],
    held_out: Mapping[str, Sequence[str]],
) -> Checked:
    """What can be known of a study before its first run: `runs` are (arm, seed, settings), one for each.

    `train` are the lines that all of them learn from, `held_out` the documents of each split. Pure.
    """
    twins = [Twin(f"{arm}, seed {seed}", arm, seed, config) for arm, seed, config in runs]
    firsts = {arm: config for arm, _, config in reversed(runs)}  # all seeds of an arm have the same, or no twins
    found: list[Finding] = []
    for arm, config in firsts.items():
        if arm in off_arms:
            found += off_not_off(subject, config.bce, config.total_steps(max(len(train), 1)))
    for architecture in {str(a): a for a in map(architecture_of, firsts.values())}.values():
        found += future_leak(subject, None, architecture)
    found += twin_mismatch(subject, twins)
    seeds = _seeds([(arm, seed) for arm, seed, _ in runs])
    return _with_texts(subject, found, train, held_out, seeds)


def after_training(
    store: RunStore, subject: str, members: Sequence[Member], held_out: Mapping[str, Sequence[str]]
) -> Checked:
    """What stands against a verdict, now that the runs are over. Raises RunError for a run that cannot be read."""
    twins = [collect.twin(store, member.run, member.arm, member.seed) for member in members]
    found = [finding for member in members for finding in _of_run(store, member)]
    for member, off in _on_and_off(members):
        found += metric_contains_regulariser(member.run, on_off=collect.on_off(store, member.run, off.run))
    found += twin_mismatch(subject, twins)
    train, own = collect.texts(store, members[0].run)  # all have the same, or twin-mismatch says so
    re_used = twins[0].config.data.validation == "first_rows_of_training"
    again = frozenset(name for name, documents in held_out.items() if re_used and list(documents) == own)
    seeds = _seeds([(member.arm, member.seed) for member in members])
    return _with_texts(subject, found, train, held_out, seeds, again)


def _of_run(store: RunStore, member: Member) -> Iterator[Finding]:
    config, logged = store.config(member.run), collect.logged(store, member.run)
    if member.is_off:
        steps = collect.total_steps(store, member.run)
        yield from off_not_off(member.run, config.bce, steps, logged.get("bce_weight"))
    probe, random = collect.leak_probe(store, member.run), collect.random_tokens(store, member.run)
    yield from future_leak(member.run, probe, architecture_of(config), random)
    yield from non_finite(member.run, logged, scales_loss=config.training.precision == "fp16")
    yield from metric_contains_regulariser(member.run, collect.figures(store, member.run))
    loss_probe = collect.loss_probe(store, member.run)
    for rule in (averaging, padding, accumulation):
        yield from rule(member.run, loss_probe)


def _on_and_off(members: Sequence[Member]) -> Iterator[tuple[Member, Member]]:
    """Every run of an arm with BCE beside the one of the same seed that is off, where there is one."""
    offs = {member.seed: member for member in members if member.is_off}
    return ((member, offs[member.seed]) for member in members if not member.is_off and member.seed in offs)


def _with_texts(
    subject: str,
    found: list[Finding],
    train: Sequence[str],
    held_out: Mapping[str, Sequence[str]],
    seeds: int,
    re_used: frozenset[str] = frozenset(),
) -> Checked:
    overlaps = {name: find_overlap(train, texts) for name, texts in held_out.items()}
    for name, texts in held_out.items():
        found += split_reuse(subject, train, texts, re_used_by_setting=name in re_used)
        found += overlap(subject, overlaps[name])
    checked = Checked((), overlaps)
    found += [*too_small(subject, checked.clean_documents), *single_run(subject, seeds)]
    return Checked(tuple(by_severity(found)), overlaps)


def _seeds(runs: Sequence[tuple[str, int]]) -> int:
    """Seeds that every arm has."""
    of_arm: dict[str, set[int]] = {}
    for arm, seed in runs:
        of_arm.setdefault(arm, set()).add(seed)
    return len(set.intersection(*of_arm.values())) if of_arm else 0
