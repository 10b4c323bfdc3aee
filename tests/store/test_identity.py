"""Who a process is: alive, over, a zombie, merely suspended, or another one with its pid. All with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bcecore.store import identity
from bcecore.store.identity import ProcessIdentity, current_boot, identity_of, is_alive, own_identity

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
posix = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `python -c`; what is still there at the end is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(program: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_this_process_is_alive() -> None:
    own = own_identity()
    assert own.pid == os.getpid()
    assert is_alive(own)
    assert own == own_identity()
    assert is_alive(ProcessIdentity.model_validate_json(own.model_dump_json()))


def test_a_child_is_alive_until_it_was_waited_for(start: Start) -> None:
    child = start("input()")
    who = identity_of(child.pid)
    assert who is not None
    assert is_alive(who)
    assert who != own_identity()
    child.kill()
    child.wait()
    assert not is_alive(who)
    assert identity_of(child.pid) is None


@linux
def test_a_finished_child_that_nobody_waited_for_is_dead(start: Start) -> None:
    child = start("import time; time.sleep(60)")
    who = identity_of(child.pid)
    assert who is not None
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: state(child.pid) == "Z")
    os.kill(child.pid, 0)  # its pid is still there
    assert not is_alive(who)
    assert identity_of(child.pid) is None


@linux
def test_a_suspended_child_is_alive(start: Start) -> None:
    child = start("import time; time.sleep(60)")
    who = identity_of(child.pid)
    assert who is not None
    os.kill(child.pid, signal.SIGSTOP)
    wait_until(lambda: state(child.pid) == "T")
    assert is_alive(who)
    os.kill(child.pid, signal.SIGCONT)
    assert is_alive(who)


def test_another_process_with_the_same_pid_is_not_it() -> None:
    own = own_identity()
    assert not is_alive(own.model_copy(update={"started": own.started - 100}))
    assert not is_alive(own.model_copy(update={"pid": 2**22 + 1}))


@linux
def test_one_tick_earlier_or_another_boot_is_another_process() -> None:
    own = own_identity()
    assert not is_alive(own.model_copy(update={"started": own.started - 1}))
    assert not is_alive(own.model_copy(update={"started": own.started + 1}))
    assert not is_alive(own.model_copy(update={"boot": "7f7a9e0e-0000-0000-0000-000000000000"}))


@linux
def test_the_start_is_in_exact_ticks_and_the_boot_is_the_kernels() -> None:
    own = own_identity()
    assert own.started == int(own.started)
    assert own.boot == current_boot() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    seconds_since_boot = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 < own.started / os.sysconf("SC_CLK_TCK") <= seconds_since_boot


@linux
@pytest.mark.parametrize("name", [b"a) Z 1 (b", b") Z 0", b"sat\xc4", b"two words"])
def test_a_process_may_call_itself_anything(start: Start, name: bytes) -> None:
    child = start(
        "import pathlib, sys, time\n"
        f"pathlib.Path('/proc/self/comm').write_bytes({name!r})\n"
        "print(flush=True); time.sleep(60)"
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert name in Path(f"/proc/{child.pid}/stat").read_bytes()
    who = identity_of(child.pid)
    assert who is not None
    assert is_alive(who)
    assert who.started >= own_identity().started


@posix
def test_elsewhere_clocks_may_move_a_little(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    monkeypatch.setattr(identity, "_ON_LINUX", False)
    own = own_identity()
    assert is_alive(own)
    assert is_alive(own.model_copy(update={"started": own.started + 1.5}))
    assert not is_alive(own.model_copy(update={"started": own.started + 3}))
    assert not is_alive(own.model_copy(update={"boot": f"{float(own.boot) + 3:.0f}"}))
    child = start("import time; time.sleep(60)")
    who = identity_of(child.pid)
    assert who is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert not is_alive(who)
    child.wait()
    assert not is_alive(who)
