"""What limits a conclusion from several runs side by side: the rules over each, and over all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.findings.finding import Finding, by_severity, counted
from bcecore.findings.of_run import of_run
from bcecore.findings.sample_size import FEWEST_SEEDS, single_run
from bcecore.store.acknowledged import Acknowledgement, acknowledgement_of, read
from bcecore.store.runs import RunStore

LIMITING = frozenset(
    {
        "split-reuse",
        "overlap",
        "too-small",
        "too-good",
        "averaging",
        "padding",
        "accumulation",
        "no-gradient",
        "nondeterminism",
    }
)
"""Rules that say what a run's figures are worth beside those of another, besides all that block. How it trained (a
spike, a plateau) is on its own page."""


def of_comparison(store: RunStore, runs: Mapping[str, str]) -> list[Finding]:
    """What is noticed about runs that are compared, by id and name, the most serious first.

    The same about several runs is said once for each, with its name; what was accepted of one is a note. Runs that were
    trained elsewhere have no settings to look at; a run that cannot be read is left out, which whoever compares says.
    """
    found: list[Finding] = []
    configs: list[RunConfig] = []
    for run_id, name in runs.items():
        try:
            configs.append(store.config(run_id))
            accepted = read(store.directory(run_id))
            about = [_softened(finding, accepted) for finding in of_run(store, run_id) if limits(finding)]
        except RunError:
            continue
        found += [_named(finding, name) for finding in about] if len(runs) > 1 else about
    return by_severity([*found, *_seeds(configs)])


def _softened(finding: Finding, accepted: Sequence[Acknowledgement]) -> Finding:
    """A note with the reason, where somebody has accepted it on the run's own page: it forbids nothing any more."""
    found = acknowledgement_of(finding, accepted)
    if found is None:
        return finding
    sentence = f"{finding.sentence} Accepted, because “{found.reason.rstrip('.')}”."
    return finding.model_copy(update={"severity": "N", "sentence": sentence})


def limits(finding: Finding) -> bool:
    """Whether a finding about a run limits what a comparison with another can say."""
    return finding.blocks or finding.id in LIMITING


def forbids_judging(findings: Iterable[Finding]) -> bool:
    """Whether nothing may be called better or worse: something blocks that is about all of a run's figures.

    A value that is no number is not compared in any case, and those before it are as good as they were.
    """
    return any(finding.blocks and finding.id != "non-finite" for finding in findings)


def _named(finding: Finding, name: str) -> Finding:
    return finding.model_copy(update={"sentence": f"{name}: {finding.sentence}"})


def _seeds(configs: list[RunConfig]) -> list[Finding]:
    """single-run, where runs are compared that differ in BCE: at how many seeds there is each kind of them."""
    arms: dict[str, set[int]] = {}
    for config in configs:
        arm = config.bce.model_dump_json() if config.bce.enabled else "off"
        arms.setdefault(arm, set()).add(config.training.seed)
    if len(arms) < 2:
        return []
    seeds = len(set.intersection(*arms.values()))
    shared = "no seed" if not seeds else f"only {counted(seeds, 'seed')}"
    return [
        finding.model_copy(
            update={
                "sentence": (
                    f"These runs differ in BCE and share {shared}. A difference between them can be chance: it takes "
                    f"at least {FEWEST_SEEDS} seeds with each setting to say whether BCE helped."
                ),
                "what_to_do": "Let a study train them as twins with several seeds.",
            }
        )
        for finding in single_run("comparison", seeds)
    ]
