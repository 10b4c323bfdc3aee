"""The run store: made whole or not at all, changed by several processes without loss, and closed to foreign paths."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import filelock
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import RunConfig
from bcecore.errors import DiskFullError, RunError
from bcecore.settings import with_values
from bcecore.store import records, runs
from bcecore.store.identity import ProcessIdentity, own_identity
from bcecore.store.record import now
from bcecore.store.runs import RunStore, check_name, default_runs_directory, slug

ROOT = Path(__file__).parent.parent.parent
CONFIG = with_values(RunConfig(), {"training.epochs": 7})
SOMEBODY = ProcessIdentity(pid=4, started=5.0, boot="elsewhere")
BAD_IDS = [
    "",
    ".",
    "..",
    "../x",
    "../20260102-030405-a-run-0a1b",
    "20260102-030405-a-run-0a1b/../../x",
    "20260102-030405-../x-0a1b",
    "/etc/passwd",
    "20260102-030405-a-run-0a1b\n",
    "20260102-030405-a-run-0a1b\0",
    "20260102-030405-A-RUN-0a1b",
    "20260102-030405-ışık-0a1b",
    "２０２６0102-030405-a-run-0a1b",
    "20260102-030405-a-run-0a1z",
    "20260102-030405--0a1b",
    f"20260102-030405-{'a' * 41}-0a1b",
    ".supervisor",
    "studies",
    "C:\\runs",
]


def nothing(_directory: Path) -> None:
    pass


def make(store: RunStore, name: str = "a run") -> str:
    return store.create(CONFIG, name, nothing)


# Making runs


def test_a_new_run_is_queued_and_whole(store: RunStore) -> None:
    def fill(directory: Path) -> None:
        (directory / "data").mkdir()
        (directory / "data" / "train.jsonl").write_text("{}\n")

    before = now()
    run_id = store.create(CONFIG, "  Işık   koşusu ", fill, recipe="quick-look", dataset={"lines_read": 3})
    assert re.fullmatch(r"\d{8}-\d{6}-isik-kosusu-[0-9a-f]{4}", run_id)
    record = store.record(run_id)
    assert (record.id, record.name, record.status) == (run_id, "Işık koşusu", "queued")
    assert (record.recipe, record.dataset, record.process) == ("quick-look", {"lines_read": 3}, None)
    assert before <= record.created == record.status_since <= now()
    assert store.config(run_id) == CONFIG
    files = {str(path.relative_to(store.root / run_id)) for path in (store.root / run_id).rglob("*")}
    assert files == {"config.json", "run.json", "run.copy.json", "data", "data/train.jsonl"}
    assert store.ids() == [run_id]
    assert [path.name for path in store.root.iterdir()] == [run_id]


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), KeyboardInterrupt(), OSError(5, "Input/output error")])
def test_a_run_that_cannot_be_filled_leaves_nothing_behind(store: RunStore, error: BaseException) -> None:
    def fill(directory: Path) -> None:
        (directory / "half").write_text("written")
        raise error

    with pytest.raises(type(error)):
        store.create(CONFIG, "a run", fill)
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("file", ["config.json", "run.json"])
def test_a_run_whose_records_cannot_be_written_leaves_nothing_behind(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    real = runs.write_json

    def fail(path: Path, value: Any, **options: Any) -> None:
        if path.name == file:
            raise DiskFullError("The disk is full.")
        real(path, value, **options)

    for module in (runs, records):
        monkeypatch.setattr(module, "write_json", fail)
    with pytest.raises(DiskFullError):
        make(store)
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("in_fill", [True, False])
def test_a_full_disk_leaves_nothing_behind(tiny_disk: Callable[[int], Path], in_fill: bool) -> None:
    store = RunStore(tiny_disk(128) / "runs")

    def fill(directory: Path) -> None:
        size = 200_000 if in_fill else 31 * 4096  # what is left is too little for the records
        (directory / "train.jsonl").write_bytes(b"x" * size)

    with pytest.raises(DiskFullError, match="The disk is full"):
        store.create(CONFIG, "a run", fill)
    assert list(store.root.iterdir()) == []
    assert store.record(make(store)).status == "queued"


def test_nobody_sees_a_run_before_it_is_whole(store: RunStore) -> None:
    seen: list[Any] = []
    store.create(CONFIG, "a run", lambda _directory: seen.append((store.ids(), store.records())))
    assert seen == [([], [])]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "A run needs a name"),
        (" \t\n", "A run needs a name"),
        ("x" * 101, "has at most 100 characters, this one 101"),
        ("bell \a", "cannot hold control characters"),
        ("null \0", "cannot hold control characters"),
        ("half \ud800", "cannot hold control characters"),
    ],
)
def test_unusable_names_are_refused(store: RunStore, name: str, words: str) -> None:
    with pytest.raises(RunError, match=words) as caught:
        make(store, name)
    assert caught.value.field == "name"
    assert not store.root.exists()


@given(st.text())
def test_any_name_makes_an_id_that_is_one_folder_and_can_be_used(name: str) -> None:
    try:
        name = check_name(name)
    except RunError:
        return
    run_id = f"20260102-030405-{slug(name)}-0a1b"
    store = RunStore(Path("/nowhere"))
    with pytest.raises(RunError, match="There is no run"):  # rather than "is not the id of a run"
        store.directory(run_id)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My run", "my-run"),
        ("../../etc/passwd", "etc-passwd"),
        ("Şişe, ılık baskı!", "sise-ilik-baski"),
        ("日本語", "run"),
        ("--", "run"),
        ("x" * 39 + " y", "x" * 39),
        ("a" * 100, "a" * 40),
    ],
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


# Finding runs


@pytest.mark.parametrize("bad", BAD_IDS)
def test_what_is_no_id_is_refused_and_touches_nothing(store: RunStore, tmp_path: Path, bad: str) -> None:
    make(store)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "run.json").write_text("{}")
    for ask in (
        store.directory,
        store.record,
        store.config,
        lambda run_id: store.update(run_id, notes="x"),
        lambda run_id: store.transition(run_id, "starting"),
        lambda run_id: store.adopt(run_id, SOMEBODY),
    ):
        with pytest.raises(RunError, match="is not the id of a run"):
            ask(bad)
    with pytest.raises(RunError, match="There is no run"):
        store.resolve(bad)
    assert (tmp_path / "x" / "run.json").read_text() == "{}"


def test_an_id_of_no_run_is_refused(store: RunStore) -> None:
    with pytest.raises(RunError, match=r"There is no run 20260102-030405-a-run-0a1b in .*`python -m bcecore runs`"):
        store.directory("20260102-030405-a-run-0a1b")
    assert not store.root.exists()


def test_a_run_is_found_by_id_beginning_end_or_name(store: RunStore) -> None:
    one, other = make(store, "first"), make(store, "second")
    assert store.resolve(one) == one
    assert store.resolve(one[:-2]) == one
    assert store.resolve(other.rpartition("-")[2]) == other
    assert store.resolve("second") == other
    assert store.resolve(f"second-{other.rpartition('-')[2]}") == other
    for reference in (one[:8], "202"):
        with pytest.raises(RunError, match=r"could be any of 2 runs: .*Give more of the id"):
            store.resolve(reference)
    for reference in ("third", "", " ", "irst"):
        with pytest.raises(RunError, match=f"There is no run '{reference}'"):
            store.resolve(reference)


def test_two_runs_of_one_name_are_told_apart_by_id_alone(store: RunStore) -> None:
    one, other = make(store, "same"), make(store, "same")
    assert one != other
    with pytest.raises(RunError, match="could be any of 2 runs"):
        store.resolve("same")
    assert store.resolve(other) == other


def test_runs_are_listed_newest_first_and_nothing_else_is(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.ids() == store.records() == []
    start = now()
    ids = []
    for minutes in (1, 0, 2):
        monkeypatch.setattr(runs, "now", lambda minutes=minutes: start + timedelta(minutes=minutes))
        ids.append(make(store))
    for name in (
        ".supervisor",
        "studies",
        ".new-20260102-030405-a-run-0a1b",
        "notes",
        "20260102-030405-no-record-0a1b",
    ):
        (store.root / name).mkdir()
    (store.root / "20260102-030405-a-file-0a1b").touch()
    (store.root / "notes" / "run.json").write_text((store.root / ids[0] / "run.json").read_text())
    expected = [ids[2], ids[0], ids[1]]
    assert store.ids() == expected
    assert [record.id for record in store.records()] == expected


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"{}", b'{"id": 3}'])
def test_a_damaged_record_is_named_and_hides_no_other(store: RunStore, content: bytes) -> None:
    good, bad = make(store, "good"), make(store, "bad")
    (store.root / bad / "run.json").write_bytes(content)
    (store.root / bad / "run.copy.json").write_bytes(content)
    with pytest.raises(RunError, match=f"The record of run {bad} .* is damaged and cannot be read"):
        store.record(bad)
    listed = {record.id: record for record in store.records()}
    assert set(listed) == {good, bad}
    assert (listed[bad].name, listed[bad].status) == ("bad", "crashed")
    assert listed[bad].failure is not None and "damaged" in listed[bad].failure.message
    assert store.resolve("good") == good


@pytest.mark.parametrize("content", [b"", b"{", None])
def test_a_damaged_record_is_replaced_by_its_copy(store: RunStore, content: bytes | None) -> None:
    run_id = make(store)
    before = store.transition(run_id, "held")
    path = store.root / run_id / "run.json"
    path.unlink() if content is None else path.write_bytes(content)
    assert store.record(run_id) == before
    assert store.ids() == [run_id]
    assert store.transition(run_id, "queued").status == "queued"
    assert json.loads(path.read_text())["status"] == "queued"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"training": {"epochs": 0}}', None])
def test_damaged_settings_are_named(store: RunStore, content: bytes | None) -> None:
    run_id = make(store)
    path = store.root / run_id / "config.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=f"The settings of run {run_id} .* cannot be read"):
        store.config(run_id)


def test_where_runs_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BCE_RUNS_DIR", raising=False)
    assert default_runs_directory() == ROOT / "runs"
    monkeypatch.setenv("BCE_RUNS_DIR", "")
    assert RunStore().root == ROOT / "runs"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BCE_RUNS_DIR", "~/elsewhere")
    assert RunStore().root == tmp_path / "elsewhere"
    monkeypatch.chdir(tmp_path)
    assert RunStore(Path("here")).root == tmp_path / "here"


def test_a_copied_run_opens_elsewhere(store: RunStore, tmp_path: Path) -> None:
    run_id = make(store)
    (tmp_path / "other").mkdir()
    (store.root / run_id).rename(tmp_path / "other" / run_id)
    other = RunStore(tmp_path / "other")
    assert other.record(run_id).name == "a run"
    assert other.config(run_id) == CONFIG


# Changing runs


def test_changes_are_kept_and_change_nothing_else(store: RunStore) -> None:
    run_id = make(store)
    before = store.record(run_id)
    after = store.update(run_id, notes="iyi", tags=("a", "b"))
    assert after == store.record(run_id) == before.model_copy(update={"notes": "iyi", "tags": ("a", "b")})
    with pytest.raises(AssertionError, match="transition"):
        store.update(run_id, status="running")


def test_a_transition_changes_status_time_and_what_comes_with_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = make(store)
    later = now() + timedelta(minutes=1)
    monkeypatch.setattr(records, "now", lambda: later)
    record = store.transition(run_id, "starting", process=SOMEBODY)
    assert record == store.record(run_id)
    assert (record.status, record.status_since, record.process) == ("starting", later, SOMEBODY)
    with pytest.raises(RunError, match="is starting and cannot become finished"):
        store.transition(run_id, "finished", notes="not this")
    assert store.record(run_id) == record


def test_a_process_is_adopted_unless_it_was_first(store: RunStore) -> None:
    run_id = make(store)
    store.adopt(run_id, SOMEBODY)
    assert store.record(run_id).process is None  # not starting yet
    store.transition(run_id, "starting")
    store.adopt(run_id, SOMEBODY)
    assert store.record(run_id).process == SOMEBODY
    store.adopt(run_id, own_identity())
    assert store.record(run_id).process == SOMEBODY
    store.transition(run_id, "running", process=None)
    store.adopt(run_id, own_identity())
    assert store.record(run_id).process is None


def test_a_run_is_marked_dead_only_as_it_was_seen(store: RunStore) -> None:
    run_id = make(store)
    store.transition(run_id, "starting", process=SOMEBODY)
    seen = store.record(run_id)
    # It reports in the meantime: same process, next status.
    running = store.transition(run_id, "running")
    assert store.mark_dead(run_id, seen, "crashed", notes="gone") == running
    # It is resumed in the meantime: same status, another process.
    other = store.update(run_id, process=own_identity())
    assert store.mark_dead(run_id, running, "crashed") == other
    assert store.record(run_id) == other
    # What changed besides does not matter.
    store.update(run_id, notes="a note")
    dead = store.mark_dead(run_id, other, "crashed", process=None)
    assert dead == store.record(run_id)
    assert (dead.status, dead.process, dead.notes) == ("crashed", None, "a note")
    with pytest.raises(RunError, match="is crashed and cannot become finished"):
        store.mark_dead(run_id, dead, "finished")


def test_a_lock_that_is_never_released_is_said_so(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = make(store)
    monkeypatch.setattr(records, "_LOCK_SECONDS", 0.05)
    with (
        filelock.FileLock(store.root / run_id / "run.lock"),
        pytest.raises(RunError, match="is being changed by another process that does not finish"),
    ):
        store.update(run_id, notes="x")
    store.update(run_id, notes="y")


# Several processes at once

UPDATER = """
import sys
from pathlib import Path
from bcecore.store.runs import RunStore
root, run_id, field = sys.argv[1:]
store = RunStore(Path(root))
for number in range(40):
    store.update(run_id, durable=False, **{field: str(number)})
    kept = getattr(store.record(run_id), field)
    assert kept == str(number), (field, number, kept)
"""
STARTER = """
import sys
from pathlib import Path
from bcecore.errors import RunError
from bcecore.store.runs import RunStore
root, run_id = sys.argv[1:]
input()
try:
    RunStore(Path(root)).transition(run_id, "starting")
except RunError:
    sys.exit(3)
"""


def begin(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_processes_that_change_one_record_lose_nothing(store: RunStore) -> None:
    run_id = make(store)
    fields = ("notes", "device", "parent", "study")
    processes = [begin(UPDATER, str(store.root), run_id, field) for field in fields]
    assert [(process.communicate(timeout=60), process.returncode)[1] for process in processes] == [0] * len(fields)
    record = store.record(run_id)
    assert {getattr(record, field) for field in fields} == {"39"}
    assert {path.name for path in (store.root / run_id).iterdir()} <= {
        "config.json",
        "run.json",
        "run.lock",
        "run.copy.json",
    }


def test_only_one_of_several_processes_starts_a_run(store: RunStore) -> None:
    run_id = make(store)
    processes = [begin(STARTER, str(store.root), run_id) for _ in range(4)]
    codes = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        codes.append(process.returncode)
    assert sorted(codes) == [0, 3, 3, 3]
    assert json.loads((store.root / run_id / "run.json").read_text())["status"] == "starting"


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    store = RunStore(tmp_path / "runs")
    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere, so that no real folder refuses it
    with pytest.raises(RunError, match=r"writing there is not allowed\. Choose another folder"):
        store.create(RunConfig(), "x", lambda directory: None)


def test_a_run_that_never_started_can_be_discarded(store: RunStore) -> None:
    run_id = store.create(RunConfig(), "a run", lambda directory: (directory / "data").mkdir())
    store.discard(run_id)
    assert store.ids() == [] and list(store.root.iterdir()) == []
    with pytest.raises(RunError, match="There is no run"):
        store.discard(run_id)
