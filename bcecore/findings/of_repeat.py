"""Whether a run that repeats another ended as that one did."""

from __future__ import annotations

from bcecore.errors import RunError
from bcecore.findings import collect
from bcecore.findings.finding import Finding
from bcecore.findings.nondeterminism import comparable, nondeterminism
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore

_GONE = "It repeats a run that is not there any more, so that nothing can be compared."


def of_repeat(store: RunStore, again: RunRecord) -> list[Finding]:
    """The finding about a run, if there is one: it repeats another and did not end the same."""
    first = _repeated(store, again)
    if first is None or again.status != "finished":
        return []
    records = first.facts.get("twin") or {}, again.facts.get("twin") or {}
    return nondeterminism(again.id, first.id, records, (collect.machine(first), collect.machine(again)))


def repeat_words(store: RunStore, run_id: str) -> str:
    """What came of a repeat, in a sentence; empty for a run that repeats none or is not finished. Raises RunError."""
    again = store.record(run_id)
    if again.repeat_of is None or again.status != "finished":
        return ""
    first = _repeated(store, again)
    if first is None:
        return _GONE
    found = of_repeat(store, again)
    if found:
        return f"{found[0].sentence} {found[0].what_to_do}"
    records = first.facts.get("twin") or {}, again.facts.get("twin") or {}
    if not comparable(records, (collect.machine(first), collect.machine(again))):
        return (
            f"It repeats run {first.id}, but not both ran on a processor (CPU): on a graphics card the last digits "
            "may differ from one time to the next."
        )
    return f"It repeats run {first.id} and ended the same: both have the same weights, in every bit."


def _repeated(store: RunStore, again: RunRecord) -> RunRecord | None:
    if again.repeat_of is None:
        return None
    try:
        return store.record(again.repeat_of)
    except RunError:
        return None
