"""The faults of `bench chaos`: each does its harm to one run, or to everything, and sees to it that the status is true.

A fault notes in its `Chaos` what it found and did; one that came too late, because the run had finished, notes nothing.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bcecore.errors import BceError
from bcecore.jobs import control
from bcecore.jobs.election import is_supervised, wake
from bcecore.jobs.local import signal_process
from bcecore.store import checkpoints
from bcecore.store.identity import ProcessIdentity, identity_of, is_alive
from bcecore.store.record import RunRecord
from bcecore.store.runs import RECORD_FILE
from tests.benchmarks.world import World, kill_all

# Longer than the supervisor waits between two looks at the runs at work.
_TWO_LOOKS_SECONDS = 0.6
_BALLAST = "ballast"


class Chaos:
    """What was done so far, and what was wrong after it. `steps` is the length of every run."""

    def __init__(self, world: World, rng: random.Random, steps: int) -> None:
        self.world = world
        self.rng = rng
        self.steps = steps
        self.faults: dict[str, Counter[str]] = {}
        self.violations: list[str] = []
        self.runs: dict[str, str] = {}
        """The name of its settings, by the run's id."""
        self.resumes = 0
        self._asked: set[str] = set()

    def note(self, kind: str, record: RunRecord) -> None:
        """A fault was injected while a run was as `record` says."""
        self.faults.setdefault(kind, Counter())[record.status] += 1

    def count(self, kind: str) -> int:
        """How often this fault was injected."""
        return self.faults.get(kind, Counter()).total()

    def violated(self, run_id: str, problem: str) -> None:
        """Something is wrong with a run."""
        self.violations.append(f"{run_id} {problem}")

    def stop(self, run_id: str, *, save: bool = True) -> None:
        """Ask a run to stop, as a person does; only after this may it be `stopped`."""
        self._asked.add(run_id)
        control.stop(self.world.store, run_id, save=save)

    def resume(self, run_id: str) -> None:
        """Let a run go on, as a person does."""
        self._asked.discard(run_id)
        control.resume(self.world.store, run_id)

    def expect(self, record: RunRecord, after: str, *statuses: str) -> None:
        """Wait for the end of the run, which has to come with one of these statuses."""
        found = self.world.wait_for_end(record.id)
        if found.status not in statuses:
            words = found.failure.message if found.failure else ""
            self.violated(record.id, f"was {record.status} and is {found.status} after {after}. {words}".rstrip())

    def expect_death(self, record: RunRecord, after: str) -> None:
        """The run's process was killed: it has crashed, if it had not come to its own end just before."""
        own = ("finished", "stopped") if record.id in self._asked else ("finished",)
        self.expect(record, after, "crashed", *own)


Fault = Callable[[Chaos, str], None]


def _at_some_moment(chaos: Chaos, run_id: str) -> RunRecord | None:
    """The run's record at a moment that chance has chosen: its process is alive then. None if it ended before."""
    world, wish = chaos.world, chaos.rng.random()
    target = chaos.rng.randrange(chaos.steps - 3)

    def is_there() -> bool:
        record = world.store.record(run_id)
        if record.is_over or (wish < 0.2 and record.process is not None):
            return True
        return record.status == "running" and world.last_step(run_id) >= target

    world.wait(is_there, f"{run_id} to be at work")
    if wish > 0.85:
        chaos.stop(run_id)
    record = world.store.record(run_id)
    return record if record.is_active and record.process and is_alive(record.process) else None


def _kill(record: RunRecord) -> bool:
    """Kill the run's process and wait until it is gone; False if it had ended by itself."""
    assert record.process is not None
    if not signal_process(record.process, signal.SIGKILL):
        return False
    while is_alive(record.process):
        time.sleep(0.001)
    return True


def kill_training(chaos: Chaos, run_id: str) -> None:
    """The training process is killed."""
    record = _at_some_moment(chaos, run_id)
    if record is not None and _kill(record):
        chaos.note("kill training", record)
        chaos.expect_death(record, "its process was killed")


def kill_in_checkpoint(chaos: Chaos, run_id: str) -> None:
    """The training process is killed while the files of a checkpoint are being written."""
    world = chaos.world
    skipped = chaos.rng.randrange(4)

    def is_training() -> bool:
        record = world.store.record(run_id)
        return record.is_over or record.status == "running"

    world.wait(is_training, f"{run_id} to train")
    record = world.store.record(run_id)
    directory = world.store.directory(run_id)
    if record.process is None:
        return
    seen: set[str] = set()
    while is_alive(record.process):
        unfinished = _unfinished_checkpoint(directory)
        if unfinished is None or unfinished.name in seen:
            continue
        if len(seen) < skipped:
            seen.add(unfinished.name)
            continue
        if _kill(record) and unfinished.is_dir() and not (unfinished / checkpoints.MARKER).exists():
            chaos.note("kill in a checkpoint", record)
        else:
            chaos.note("kill training", record)
        chaos.expect_death(record, "its process was killed in a checkpoint")
        return


def _unfinished_checkpoint(directory: Path) -> Path | None:
    """The newest checkpoint, if it has files but no marker. Older ones may be on their way out."""
    found = list(checkpoints.checkpoints_directory(directory).glob("checkpoint-*"))
    if not found:
        return None
    newest = max(found, key=lambda path: int(path.name.rpartition("-")[2]))
    try:
        names = {path.name for path in newest.iterdir()}
    except FileNotFoundError:
        return None
    return newest if names and checkpoints.MARKER not in names else None


def kill_supervisor(chaos: Chaos, run_id: str) -> None:
    """The supervisor is killed; runs go on, and the next one takes them over."""
    chaos.note("kill supervisor", chaos.world.store.record(run_id))
    with _undisturbed(chaos, "the supervisor was killed"):
        kill_all(chaos.world.supervisors())
        time.sleep(chaos.rng.random() / 2)
        chaos.world.supervise()


def kill_dashboard(chaos: Chaos, run_id: str) -> None:
    """The dashboard is killed; nothing else happens."""
    chaos.world.open_dashboard()
    with _undisturbed(chaos, "the dashboard was killed"):
        chaos.world.kill_dashboard()
        chaos.note("kill dashboard", chaos.world.store.record(run_id))
    chaos.world.open_dashboard()


@contextmanager
def _undisturbed(chaos: Chaos, after: str) -> Iterator[None]:
    """Every process that is training goes on training, under the same record, whatever is done within."""
    store = chaos.world.store
    before = [record for record in store.records() if record.process and is_alive(record.process)]
    yield
    time.sleep(_TWO_LOOKS_SECONDS)
    for record in before:
        found = store.record(record.id)
        is_same = found.process == record.process and found.is_active
        if not is_same and found.status not in ("finished", "stopped"):
            chaos.violated(record.id, f"was {record.status} and is {found.status} after {after}")


def kill_everything(chaos: Chaos, run_id: str) -> None:
    """Training, supervisor, warm parent and dashboard are killed at once, as when the machine goes down."""
    world = chaos.world
    world.wait(
        lambda: (record := world.store.record(run_id)).is_over or record.process is not None, f"{run_id} to be at work"
    )
    time.sleep(chaos.rng.random())
    before = [record for record in world.store.records() if record.process and is_alive(record.process)]
    if run_id not in {record.id for record in before}:
        return
    chaos.note("kill everything", world.store.record(run_id))
    kill_all(world.processes())
    world.supervise()
    for record in before:
        chaos.expect_death(record, "everything was killed")


def suspend(chaos: Chaos, run_id: str) -> None:
    """The training process is suspended for a while, in half of the cases under two supervisors; it stays running."""
    world = chaos.world
    record = _at_some_moment(chaos, run_id)
    if record is None or record.process is None or not signal_process(record.process, signal.SIGSTOP):
        return
    chaos.note("suspend", record)
    try:
        if chaos.rng.random() < 0.5:
            kill_all(world.supervisors())
            world.supervise()
        time.sleep(2 * _TWO_LOOKS_SECONDS)
        found = world.store.record(run_id)
        if (found.status, found.process) != (record.status, record.process) and is_alive(record.process):
            chaos.violated(run_id, f"was {record.status} and is {found.status} while it was suspended")
    finally:
        signal_process(record.process, signal.SIGCONT)
    step = world.last_step(run_id)
    world.wait(
        lambda: world.store.record(run_id).is_over or world.last_step(run_id) > step, f"{run_id} to go on after a pause"
    )


def fill_disk(chaos: Chaos, run_id: str) -> None:
    """Somebody else fills the disk, and frees it when the run has noticed. The world has to be a small disk."""
    world = chaos.world
    record = _at_some_moment(chaos, run_id)
    if record is None:
        return
    ballast = world.store.root / _BALLAST
    chaos.note("full disk", record)
    try:
        for _ in range(3):  # the run itself may free something: an old checkpoint, for one
            _fill(ballast)
            time.sleep(1)
            if world.store.record(run_id).is_over:
                break
    finally:
        ballast.unlink()
    wake(world.store)
    found = world.store.record(run_id)
    if found.is_active and found.process and is_alive(found.process):
        return  # it needed nothing as long as it lasted
    chaos.expect(record, "the disk was full", "failed", "crashed", "finished", "stopped")
    failure = world.store.record(run_id).failure
    if failure is not None and found.status == "failed" and "disk" not in failure.message:
        chaos.violated(run_id, f"has failed on a full disk without saying so: {failure.message}")


def _fill(ballast: Path) -> None:
    """Take what is free on the disk, to the last block."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def truncate_record(chaos: Chaos, run_id: str) -> None:
    """`run.json` is cut off, in half of the cases that of a run whose process was killed a moment before."""
    store = chaos.world.store
    record: RunRecord | None = store.record(run_id)
    is_killed = chaos.rng.random() < 0.5
    if is_killed:
        record = _at_some_moment(chaos, run_id)
        if record is None:
            return
    with store.locked(run_id):
        is_killed = is_killed and record is not None and _kill(record)
        record = store.record(run_id)
        _truncate(store.directory(run_id) / RECORD_FILE, chaos.rng)
        chaos.note("truncated run.json", record)
        try:
            found = store.record(run_id)
            if found.status != record.status or found.name != record.name:
                chaos.violated(run_id, f"was {record.status} and is {found.status} after its record was cut off")
        except BceError as error:
            chaos.violated(run_id, f"is lost after its record was cut off: {error}")
    if is_killed:
        chaos.expect_death(record, "it was killed and its record cut off")


def truncate_state(chaos: Chaos, run_id: str) -> None:
    """`trainer_state.json` in the newest checkpoint of a dead run is cut off."""
    _truncate_in_checkpoint(chaos, run_id, "truncated trainer_state.json", [checkpoints.STATE_FILE])


def truncate_checkpoint(chaos: Chaos, run_id: str) -> None:
    """Another file in the newest checkpoint of a dead run is cut off."""
    names = ["model.safetensors", "optimizer.pt", "bce_memory.safetensors", "rng_state.pth", checkpoints.MARKER]
    _truncate_in_checkpoint(chaos, run_id, "truncated checkpoint", names)


def _truncate_in_checkpoint(chaos: Chaos, run_id: str, kind: str, names: list[str]) -> None:
    world = chaos.world
    directory = world.store.directory(run_id)

    def has_checkpoint() -> bool:
        return world.store.record(run_id).is_over or bool(checkpoints.checkpoint_steps(directory))

    world.wait(has_checkpoint, f"{run_id} to save a checkpoint")
    record = _at_some_moment(chaos, run_id)
    if record is None or not _kill(record):
        return
    chaos.expect_death(record, "its process was killed")
    record = world.store.record(run_id)
    whole = [found for found in checkpoints.checkpoints(directory) if found.complete]
    if record.status == "finished" or not whole:
        return
    _truncate(whole[-1].directory / chaos.rng.choice(names), chaos.rng)
    chaos.note(kind, record)


def _truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def reuse_pid(chaos: Chaos, run_id: str) -> None:
    """The pid of a dead run's process belongs to a stranger by now, who must not suffer for it, even from a stop."""
    stranger = chaos.world.stranger()
    dead = _dead_under_other_identity(
        chaos, run_id, lambda process: process.model_copy(update={"pid": stranger.pid}), "reused pid"
    )
    if dead:
        time.sleep(_TWO_LOOKS_SECONDS)
        if stranger.poll() is not None or psutil.Process(stranger.pid).status() == psutil.STATUS_STOPPED:
            chaos.violated(run_id, "made a stranger suffer who had the pid of its process")


def change_boot(chaos: Chaos, run_id: str) -> None:
    """The machine was restarted since, and a stranger has the very pid and start time of a dead run's process."""
    stranger = identity_of(chaos.world.stranger().pid)
    assert stranger is not None
    other = stranger.model_copy(update={"boot": "00000000-0000-4000-8000-000000000000"})
    _dead_under_other_identity(chaos, run_id, lambda _: other, "changed boot")


def _dead_under_other_identity(
    chaos: Chaos, run_id: str, changed: Callable[[ProcessIdentity], ProcessIdentity], kind: str
) -> bool:
    """Kill a run's process and let its record name another one; a person may ask it to stop then. False if too late."""
    store = chaos.world.store
    record = _at_some_moment(chaos, run_id)
    if record is None or record.process is None:
        return False
    with _supervisor_looks_away(chaos.world, run_id):
        if not _kill(record):
            return False
        record = store.update(run_id, process=changed(record.process))
        chaos.note(kind, record)
        wish = chaos.rng.random()
        if record.is_active and wish < 0.5:
            chaos.stop(run_id, save=wish < 0.25)
    if record.is_active:
        # It did not stop before it died; but whoever asked for an end at once has got it.
        chaos.expect(record, f"its process was killed ({kind})", "stopped" if 0.25 <= wish < 0.5 else "crashed")
    return True


@contextmanager
def _supervisor_looks_away(world: World, run_id: str) -> Iterator[None]:
    """The supervisor is suspended within, while it is not writing about the run; it stays the supervisor."""
    world.wait(lambda: is_supervised(world.store), "a supervisor")
    suspended = world.supervisors()
    with world.store.locked(run_id):
        for process in suspended:
            process.suspend()
    try:
        yield
    finally:
        for process in suspended:
            process.resume()


ON_A_SMALL_DISK: dict[str, Fault] = {"full disk": fill_disk}
ANYWHERE: dict[str, Fault] = {
    "kill training": kill_training,
    "kill supervisor": kill_supervisor,
    "kill dashboard": kill_dashboard,
    "kill everything": kill_everything,
    "kill in a checkpoint": kill_in_checkpoint,
    "suspend": suspend,
    "truncated run.json": truncate_record,
    "truncated trainer_state.json": truncate_state,
    "truncated checkpoint": truncate_checkpoint,
    "reused pid": reuse_pid,
    "changed boot": change_boot,
}
