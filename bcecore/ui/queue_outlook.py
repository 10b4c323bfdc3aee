"""Where each waiting run and evaluation stands in the queue, and when it is likely to start and end, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bcecore.config import RunConfig
from bcecore.jobs import devices, estimate, queue
from bcecore.jobs.forecast import forecast
from bcecore.jobs.queue import Job
from bcecore.report.pace import seconds_expected
from bcecore.report.progress import expected_words, place_words, seconds_left
from bcecore.store.evaluations import EvaluationRecord
from bcecore.store.preferences import load_preferences
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui import evaluate_words
from bcecore.ui.live import configs_of

# Settings of so many past runs are looked through for one like a waiting run.
_PAST_RUNS = 500


def outlook(store: RunStore, records: Sequence[RunRecord], evaluations: Sequence[EvaluationRecord]) -> dict[str, str]:
    """`2nd in the queue · starts in about 25 s, done in about 2 min`, by the key of the job and in queue order.

    `records` are those of all runs, newest first, and `evaluations` those of all evaluations.
    """
    jobs: list[Job] = [*records, *evaluations]
    waiting = queue.waiting_jobs(store, jobs)
    if not waiting:
        return {}
    # What waits for its run takes no place before that, and how long it will take nobody knows.
    reasons = {job.key: queue.reason_to_wait(store, job) for job in waiting if job.status == "queued"}
    ready = [job for job in waiting if reasons.get(job.key) is None]
    active = [job for job in jobs if job.is_active]
    configs = configs_of(store, records)
    found, preferences = devices.found(store), load_preferences(store)
    # An evaluation takes the place of a run on the device of its own one.
    kinds: dict[str, str] = {
        job.key: devices.kind_for(configs[job.run_id], found) if job.run_id in configs else "cpu"
        for job in [*active, *waiting]
    }
    seconds = {job.key: _seconds_left(job) for job in active}
    seconds |= {job.key: _seconds(store, job, records, configs) for job in waiting}
    slots = {kind: preferences.slots_for(kind) for kind in kinds.values()}
    expected = forecast(active, ready, kinds=kinds, slots=slots, seconds=seconds)
    words = {}
    places = {job.key: place for place, job in enumerate((job for job in ready if job.status == "queued"), start=1)}
    for job in waiting:
        reason = reasons.get(job.key)
        words[job.key] = place_words(places.get(job.key)) if reason is None else f"{reason[0].upper()}{reason[1:]}"
        if job.key in expected:
            words[job.key] += f" · {expected_words(expected[job.key].start, expected[job.key].finish)}"
    return words


def _seconds_left(job: Job) -> float | None:
    return seconds_left(job) if isinstance(job, RunRecord) else evaluate_words.seconds_left(job)


def _seconds(store: RunStore, job: Job, records: Sequence[RunRecord], configs: Mapping[str, RunConfig]) -> float | None:
    """How long a waiting job will take: a run from a trial of its settings, else from the pace of an earlier one.

    An evaluation goes on at its own pace if it was begun before; texts differ too much to take another's.
    """
    if isinstance(job, EvaluationRecord):
        return evaluate_words.seconds_left(job)
    config = configs.get(job.id)
    if config is None:
        return None
    if job.started is None:
        tried = estimate.estimate_of_run(store, job, config)
        if tried is not None:
            return tried.seconds
    return seconds_expected(job, config, records[:_PAST_RUNS], configs)
