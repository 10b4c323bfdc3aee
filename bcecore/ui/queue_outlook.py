"""Where each waiting run stands in the queue, and when it is likely to start and end, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bcecore.config import RunConfig
from bcecore.jobs import devices, estimate, queue
from bcecore.jobs.forecast import forecast
from bcecore.report.pace import seconds_expected
from bcecore.report.progress import expected_words, place_words, seconds_left
from bcecore.store.preferences import load_preferences
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.live import configs_of

# Settings of so many past runs are looked through for one like a waiting run.
_PAST_RUNS = 500


def outlook(store: RunStore, records: Sequence[RunRecord]) -> dict[str, str]:
    """`2nd in the queue · starts in about 25 s, done in about 2 min`, by the id of the run and in queue order.

    `records` are those of all runs, newest first.
    """
    waiting = queue.waiting(store, records)
    if not waiting:
        return {}
    active = [record for record in records if record.is_active]
    configs = configs_of(store, records)
    found, preferences = devices.found(store), load_preferences(store)
    kinds: dict[str, str] = {
        record.id: devices.kind_for(configs[record.id], found) if record.id in configs else "cpu"
        for record in [*active, *waiting]
    }
    seconds = {record.id: seconds_left(record) for record in active}
    for record in waiting:
        config = configs.get(record.id)
        seconds[record.id] = None if config is None else _seconds(store, record, config, records, configs)
    slots = {kind: preferences.slots_for(kind) for kind in kinds.values()}
    expected = forecast(active, waiting, kinds=kinds, slots=slots, seconds=seconds)
    words = {}
    places = {record.id: place for place, record in enumerate((r for r in waiting if r.status == "queued"), start=1)}
    for record in waiting:
        words[record.id] = place_words(places.get(record.id))
        if record.id in expected:
            words[record.id] += f" · {expected_words(expected[record.id].start, expected[record.id].finish)}"
    return words


def _seconds(
    store: RunStore,
    record: RunRecord,
    config: RunConfig,
    records: Sequence[RunRecord],
    configs: Mapping[str, RunConfig],
) -> float | None:
    """How long a waiting run will take: from a trial of its settings, else from the pace of an earlier run like it."""
    if record.started is None:
        tried = estimate.estimate_of_run(store, record, config)
        if tried is not None:
            return tried.seconds
    return seconds_expected(record, config, records[:_PAST_RUNS], configs)
