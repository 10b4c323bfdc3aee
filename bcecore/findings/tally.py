"""How many findings a run has, kept in its record, so that a table of ten thousand runs need not look them all over.

A count is kept of runs that are over, by whoever looks one over, and holds for the rules that counted and until the
run's status changes. Who accepts a finding counts again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from bcecore.errors import BceError
from bcecore.findings.finding import Finding
from bcecore.findings.watch import Watch
from bcecore.store import acknowledged
from bcecore.store.history import History
from bcecore.store.record import RunRecord, Tally
from bcecore.store.runs import RunStore


@cache
def rules_version() -> str:
    """Tells these rules from those of another version of the product: a hash of their source."""
    source = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source.update(path.read_bytes())
    return source.hexdigest()[:12]


def tally_of(record: RunRecord) -> Tally | None:
    """What is known of how many findings a run has; None for one that is at work, or that nobody has looked over."""
    tally = record.tally
    if tally is None or not record.is_over or (tally.rules, tally.since) != (rules_version(), record.status_since):
        return None
    return tally


def keep_tally(store: RunStore, record: RunRecord, findings: Iterable[Finding]) -> None:
    """Keep how many findings a run has, if it is over and that is not known yet."""
    if not record.is_over:
        return
    accepted = acknowledged.read(store.directory(record.id))
    found = list(findings)
    standing = [each.severity for each in found if acknowledged.acknowledgement_of(each, accepted) is None]
    tally = Tally(
        rules=rules_version(),
        since=record.status_since,
        serious=standing.count("B"),
        warnings=standing.count("W"),
        notes=standing.count("N"),
        accepted=len(found) - len(standing),
    )
    # It only saves looking again: a folder that may not be written to is no reason to fail.
    if tally != record.tally:
        with suppress(OSError, BceError):
            store.update(record.id, durable=False, tally=tally)


def look_over(store: RunStore, record: RunRecord) -> None:
    """Look over a run that is over, and keep how many findings it has. Raises RunError where that cannot be done.

    Of a run with large texts nothing is kept: only who waits for it, on its page, gets to know all.
    """
    history = History(store.directory(record.id))
    history.refresh()
    watch = Watch(store, record.id)
    found = watch.look(history)
    if not watch.is_reading:
        keep_tally(store, record, found)
