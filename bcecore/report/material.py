"""All that the tables, sentences and reports of one run are made from, in one piece. Pure.

`report.gathering` reads it from the run's files; what is worked out from it is worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from bcecore.config import RunConfig
from bcecore.report.best_and_last import BestAndLast, best_and_last
from bcecore.report.document import Picture
from bcecore.report.facts import Fact, run_facts
from bcecore.report.finding_words import Noted
from bcecore.report.highlights import Highlight, Milestones, Snapshot, highlights, milestones, snapshot
from bcecore.report.imported_facts import imported_facts
from bcecore.report.limits import Limit, limits
from bcecore.report.log_facts import Extent, extent_of
from bcecore.report.logged import Logged
from bcecore.report.next_steps import NextStep, next_steps
from bcecore.report.observations import Observation, observations
from bcecore.report.summary import summarise
from bcecore.report.throughput import Throughput, throughput
from bcecore.store.imported import Imported
from bcecore.store.record import RunRecord

# Observations that say the same as a finding, and its rule.
_TOLD_BY = {"non_finite": "non-finite", "bce_gradient": "no-gradient"}


class RunFile(NamedTuple):
    """A file or folder of a run."""

    name: str
    """Relative to the run's folder."""
    about: str


@dataclass(frozen=True)
class Material:
    """One run as it is known at one moment. Exactly one of `config` and `imported` is there."""

    record: RunRecord
    config: RunConfig | None
    imported: Imported | None
    logged: Logged
    now: datetime
    extra_steps: tuple[int, ...] = ()
    """Steps that somebody wants to see among the highlights."""
    checkpoints: tuple[int, ...] = ()
    """The steps of the whole checkpoints, in order."""
    files: tuple[RunFile, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What had to be mended in the files."""
    findings: tuple[Noted, ...] | None = None
    """What is noticed about the run; None where nobody has looked it over."""

    @cached_property
    def told(self) -> frozenset[str]:
        """The rules whose findings are told, so that nothing else need say the same."""
        return frozenset(each.finding.id for each in self.findings or ())

    @cached_property
    def extent(self) -> Extent | None:
        """How much of its run an imported log holds; None for a run of ours."""
        return extent_of(self.logged, self.imported.state) if self.imported is not None else None

    @cached_property
    def pace(self) -> Throughput:
        """How fast the run was."""
        return throughput(self.logged, self.record, self.imported, self.now)

    @cached_property
    def facts(self) -> list[Fact]:
        """The rows of "Run facts"."""
        if self.config is not None:
            return run_facts(self.record, self.config, summarise(self.logged.series), self.now)
        assert self.imported is not None
        return imported_facts(self.record, self.imported, self.logged, self.pace)

    @cached_property
    def milestones(self) -> Milestones | None:
        """Where the schedules turn; None for an empty log."""
        planned = self.record.progress.total_steps if self.record.progress is not None else None
        return milestones(self.logged, self.config, planned, over=self.record.is_over, extent=self.extent)

    @cached_property
    def highlights(self) -> list[Highlight]:
        """The rows of "Schedule highlights"."""
        return highlights(self.logged, self.milestones, self.extra_steps) if self.milestones is not None else []

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """The values at the last step."""
        return snapshot(self.logged)

    @cached_property
    def best(self) -> list[BestAndLast]:
        """The best and last values of everything."""
        return best_and_last(self.logged, ours=self.imported is None)

    @cached_property
    def observations(self) -> list[Observation]:
        """What there is to say."""
        part = self.extent is not None and not self.extent.ended
        found = observations(self.logged, self.config, self.pace, over=self.record.is_over, part=part)
        return [each for each in found if _TOLD_BY.get(each.key) not in self.told]

    @cached_property
    def limits(self) -> list[Limit]:
        """What the figures cannot show."""
        return limits(self.record, self.config, self.imported, self.logged, self.pace, self.told)

    @cached_property
    def next_steps(self) -> list[NextStep]:
        """What to do next."""
        return next_steps(self.record, self.config, self.logged, self.checkpoints, self.told)
