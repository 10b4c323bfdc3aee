"""The process of an evaluation: real processes to their end, whatever the end."""

from __future__ import annotations

import json

import filelock
import pytest

from bcecore.jobs import local
from bcecore.store.evaluations import EvaluationRecord, EvaluationStore
from bcecore.store.examples import parts
from bcecore.store.requests import STOP_REQUEST, StopRequest, write_stop
from bcecore.store.runs import RunStore
from tests.evaluation.scored import make_evaluation, rows_of, run_worker
from tests.evaluation.test_job import TEXTS
from tests.evaluation.test_job import finished as finished_with_steps

PAGES = "from bcecore.evaluation import pages; pages.PAGE_ROWS = 8"
KILL_AFTER_PART = """
real = job.write_part
def write_part(directory, number, rows):
    real(directory, number, rows)
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
job.write_part = write_part
"""
KILL_WITHIN_A_PAGE = """
real = worker._Session.at
def at(self, done):
    real(self, done)
    if done > 20:
        os.kill(os.getpid(), signal.SIGKILL)
worker._Session.at = at
"""
KILL_AFTER_MERGING = """
real = worker.merge_parts
def merge_parts(directory):
    real(directory)
    os.kill(os.getpid(), signal.SIGKILL)
worker.merge_parts = merge_parts
"""


def finished(store: RunStore, record: EvaluationRecord) -> tuple[object, object]:
    """As in the tests of the job; forward passes are counted in the result, which a kill may come before."""
    rows, result = finished_with_steps(store, record)
    for figures in result["splits"]["split 0"]["checkpoints"].values():
        assert figures.pop("steps") > 0
    return rows, result


@pytest.fixture
def record(trained: tuple[RunStore, str]) -> EvaluationRecord:
    return make_evaluation(*trained, TEXTS, checkpoints=(10, 20), batch_tokens=100)


@pytest.fixture(scope="module")
def expected(trained: tuple[RunStore, str]) -> tuple[object, object]:
    record = make_evaluation(*trained, TEXTS, checkpoints=(10, 20), batch_tokens=100)
    done = run_worker(trained[0], record, PAGES)
    after = EvaluationStore(trained[0]).record(record.key)
    assert (done.returncode, after.status) == (0, "finished"), done.stderr
    assert after.process is None and after.failure is None and after.started is not None and after.ended is not None
    assert after.progress is not None and (after.progress.done, after.progress.total) == (80, 80)
    directory = EvaluationStore(trained[0]).directory(record.key)
    assert not (directory / "parts").exists() and (directory / "examples.parquet").is_file()
    return finished(trained[0], record)


@pytest.mark.parametrize(
    ("patch", "kept"),
    [
        (KILL_AFTER_PART, 32),
        (KILL_WITHIN_A_PAGE, 16),
        (KILL_AFTER_MERGING, 80),
    ],
    ids=["after a part", "within a page", "after merging"],
)
def test_killed_and_resumed_it_is_the_same(
    trained: tuple[RunStore, str], record: EvaluationRecord, expected: tuple[object, object], patch: str, kept: int
) -> None:
    store = EvaluationStore(trained[0])
    assert run_worker(trained[0], record, PAGES + patch).returncode == -9
    assert local.reconciled(store, store.record(record.key)).status == "crashed"
    before = rows_of(trained[0], record)
    assert len(before) == kept
    counting = "\nreal_score = job.score_page\ndef score(forward, tokenizer, split, step, page, *rest):\n"
    counting += (
        "    print('page', step, page[0].example)\n    return real_score(forward, tokenizer, split, step, page, *rest)"
    )
    counting += "\njob.score_page = score"
    resumed = run_worker(trained[0], record, PAGES + counting)
    assert (resumed.returncode, store.record(record.key).status) == (0, "finished"), resumed.stderr
    scored = [tuple(map(int, line.split()[1:])) for line in resumed.stdout.splitlines() if line.startswith("page")]
    assert scored == [(step, first) for step in (10, 20) for first in range(0, 40, 8)][kept // 8 :]
    assert finished(trained[0], record) == expected
    progress = store.record(record.key).progress
    assert progress is not None and progress.done == 80


@pytest.mark.parametrize(
    "how",
    [
        "write_stop(self._directory, StopRequest())",
        "os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGTERM)",
    ],
)
def test_stopped_it_keeps_what_it_has_and_goes_on(
    trained: tuple[RunStore, str], record: EvaluationRecord, expected: tuple[object, object], how: str
) -> None:
    store = EvaluationStore(trained[0])
    directory = store.directory(record.key)
    patch = f"""
from bcecore.store.requests import StopRequest, write_stop
real = worker._Session.at
def at(self, done):
    if 20 < done < 80:
        {how}
    real(self, done)
worker._Session.at = at
"""
    stopped = run_worker(trained[0], record, PAGES + patch)
    after = store.record(record.key)
    assert (stopped.returncode, after.status) == (0, "stopped"), stopped.stderr
    assert after.process is None and after.failure is None and not (directory / STOP_REQUEST).exists()
    assert len(parts(directory)) == 2 and len(rows_of(trained[0], record)) == 16
    assert after.progress is not None and 20 < after.progress.done < 80
    assert after.counts == (16, 80)  # the page that was being scored is not kept
    result = store.result(record.key)
    assert result is not None and result["splits"]["split 0"]["checkpoints"]["10"]["examples"] == 16
    assert run_worker(trained[0], record, PAGES).returncode == 0
    assert finished(trained[0], record) == expected


def test_asked_to_stop_before_it_begins_it_stops(trained: tuple[RunStore, str], record: EvaluationRecord) -> None:
    store = EvaluationStore(trained[0])
    write_stop(store.directory(record.key), StopRequest())
    assert run_worker(trained[0], record).returncode == 0
    assert store.record(record.key).status == "stopped" and not parts(store.directory(record.key))


def test_an_error_is_in_the_record(trained: tuple[RunStore, str]) -> None:
    record = make_evaluation(*trained, TEXTS, checkpoints=(15,))
    store = EvaluationStore(trained[0])
    failed = run_worker(trained[0], record)
    after = store.record(record.key)
    assert (failed.returncode, after.status) == (1, "failed") and "Traceback" in failed.stderr
    assert after.failure is not None and "no whole checkpoint at step 15" in after.failure.message
    assert "Traceback" in after.failure.detail


def test_two_processes_do_not_work_on_one_evaluation(trained: tuple[RunStore, str], record: EvaluationRecord) -> None:
    directory = EvaluationStore(trained[0]).directory(record.key)
    with filelock.FileLock(directory / "worker.lock"):
        assert run_worker(trained[0], record).returncode == 3
    assert EvaluationStore(trained[0]).record(record.key).status == "starting"


def test_progress_is_fresh_while_it_works(trained: tuple[RunStore, str], record: EvaluationRecord) -> None:
    patch = """
worker._PROGRESS_SECONDS = worker._LOG_LINE_SECONDS = 0.0
real = worker._Session.at
def at(self, done):
    real(self, done)
    progress = self._store.record(self._key).progress
    print("progress", progress.model_dump_json())
worker._Session.at = at
"""
    lines = run_worker(trained[0], record, PAGES + patch).stdout.splitlines()
    seen = [json.loads(line.removeprefix("progress ")) for line in lines if line.startswith("progress")]
    done = [progress["done"] for progress in seen]
    assert len(done) > 10 and done == sorted(done) and done[-1] == 80 and seen[0]["session_start_done"] == 0
    assert all(progress["total"] == 80 for progress in seen)
    assert all(progress["examples_per_second"] > 0 for progress in seen[5:])
    assert any("of 80 examples, about" in line and line.endswith("s left") for line in lines)
