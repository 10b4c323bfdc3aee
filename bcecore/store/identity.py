"""Who a process is: enough to recognise it later, after its pid was given to another one or the machine restarted."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

# psutil computes create and boot times from clocks that are adjusted now and then.
_CLOCK_TOLERANCE_SECONDS = 2.0
_ON_LINUX = platform.system() == "Linux"


class ProcessIdentity(BaseModel):
    """A process: its pid, when it started, and the boot of the machine that it belongs to.

    On Linux `started` is in clock ticks since boot and `boot` the kernel's boot id: both exact. Elsewhere they are
    seconds since 1970 as psutil gives them.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    boot: str


def this_machine() -> str:
    """What tells this machine from others: its id where the system gives it one, else its name."""
    with suppress(OSError):
        known = Path("/etc/machine-id").read_text().strip()
        if known:
            return known
    return platform.node()


def place_of(directory: Path) -> str:
    """What tells a directory from a copy of it; it stays when the directory is moved on its disk.

    Nothing of the machine is in it: a name or an address of it that changes must not make a run a stranger.
    """
    return str(directory.stat().st_ino)


def current_boot() -> str:
    """What identifies this boot of this machine."""
    if _ON_LINUX:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{psutil.boot_time():.0f}"


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has `pid` now; None if there is none, or only a zombie."""
    if _ON_LINUX:
        stat = _linux_stat(pid)
        if stat is None or stat[0] in ("Z", "X"):
            return None
        return ProcessIdentity(pid=pid, started=stat[1], boot=current_boot())
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessIdentity(pid=pid, started=process.create_time(), boot=current_boot())
    except psutil.Error:
        return None


def _linux_stat(pid: int) -> tuple[str, int] | None:
    """State letter and start ticks; psutil derives its create time from the boot time, which clock changes move."""
    try:
        content = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command in parentheses may itself hold spaces, parentheses and half characters.
    fields = content[content.rindex(b")") + 2 :].decode().split()
    return fields[0], int(fields[19])


def own_identity() -> ProcessIdentity:
    """The identity of this process."""
    identity = identity_of(os.getpid())
    assert identity is not None
    return identity


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still exists. A suspended one does; a zombie, or another with its pid, is not it."""
    now = identity_of(identity.pid)
    if now is None:
        return False
    if _ON_LINUX:
        return now == identity
    return (
        abs(now.started - identity.started) <= _CLOCK_TOLERANCE_SECONDS
        and abs(float(now.boot) - float(identity.boot)) <= _CLOCK_TOLERANCE_SECONDS
    )
