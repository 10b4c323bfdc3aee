"""When the waiting runs and evaluations will start and end, as far as that can be foreseen."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bcecore.store.record import JobRecord


@dataclass(frozen=True)
class Expected:
    """Seconds from now; None where it cannot be said."""

    start: float | None
    finish: float | None


def forecast(
    active: Sequence[JobRecord],
    waiting: Sequence[JobRecord],
    *,
    kinds: Mapping[str, str],
    slots: Mapping[str, int],
    seconds: Mapping[str, float | None],
) -> dict[str, Expected]:
    """What to expect of each waiting job that is not held, by its key.

    `kinds` is the kind of device of every job, `slots` how many jobs fit on each kind, `seconds` how long every job
    will take from its start, and one at work from now on; None where that is not known.
    """
    free: dict[str, list[float | None]] = {}
    for record in active:
        free.setdefault(kinds[record.key], []).append(seconds[record.key])
    expected: dict[str, Expected] = {}
    places: dict[str, _Places] = {}
    for record in waiting:
        if record.status != "queued":
            continue
        kind = kinds[record.key]
        if kind not in places:
            places[kind] = _Places(free.get(kind, []), slots.get(kind, 1))
        start = places[kind].next_free()
        takes = seconds[record.key]
        finish = None if start is None or takes is None else start + takes
        places[kind].take(finish)
        expected[record.key] = Expected(start, finish)
    return expected


class _Places:
    """The moments at which the places of one kind of device become free; an unknown one counts as the last."""

    def __init__(self, ends: Sequence[float | None], slots: int) -> None:
        known = [(0, end) if end is not None else (1, 0.0) for end in ends]
        known += [(0, 0.0)] * (slots - len(known))
        # More may be at work than there are places now: the first to end then frees none.
        self._free = sorted(known)[max(len(known) - slots, 0) :]
        heapq.heapify(self._free)

    def next_free(self) -> float | None:
        unknown, moment = self._free[0]
        return None if unknown else moment

    def take(self, until: float | None) -> None:
        heapq.heapreplace(self._free, (1, 0.0) if until is None else (0, until))
