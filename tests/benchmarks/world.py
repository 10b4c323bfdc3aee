"""A folder of runs with real processes at work on it, for benchmarks that kill them, crowd them or time them (Linux).

Every process that is started from here, by whatever way, carries a mark in its environment: so none is overlooked, and
none of anybody else's is ever touched.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from bcecore.jobs.election import is_supervised, wake
from bcecore.jobs.local import REPOSITORY
from bcecore.store.metrics import MetricsTail
from bcecore.store.preferences import save_preferences
from bcecore.store.record import RunRecord
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore

PATIENCE_SECONDS = 100.0
"""What takes longer is stuck; a run that nobody started for certain is given up after a minute."""

_MARK = "BCE_BENCHMARK_WORLD"
_POLL_SECONDS = 0.01


class World:
    """The runs in `root`, and the supervisor, dashboard and training processes that belong to them.

    With `threads`, each training process computes with so many; None leaves that to torch.
    """

    def __init__(self, root: Path, *, slots: int, threads: int | None = 1) -> None:
        self.store = RunStore(root)
        save_preferences(self.store, slots={"cpu": slots}, keep_free_gb=0)
        self._mark = secrets.token_hex(8)
        self._environment = {_MARK: self._mark, RUNS_DIR_VARIABLE: str(self.store.root)}
        if threads is not None:
            self._environment["OMP_NUM_THREADS"] = str(threads)
        self._before: dict[str, str | None] = {}
        self._dashboard: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._strangers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._before = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes():
            _kill(process)
        for stranger in self._strangers:
            stranger.kill()
            stranger.wait()
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    # -- processes

    def processes(self) -> list[psutil.Process]:
        """Everything alive that was started from here, but for strangers."""
        strangers = {stranger.pid for stranger in self._strangers}
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid not in strangers and process.environ().get(_MARK) == self._mark:
                    found.append(process)
            except psutil.Error:  # gone, a zombie, or somebody else's
                continue
        return found

    def supervisors(self) -> list[psutil.Process]:
        """The supervisor; also those that are just finding out whether there is one."""
        return [process for process in self.processes() if "supervise" in command_line(process)]

    def supervise(self) -> None:
        """Let a supervisor be started as the product does it, and wait until it is at work."""
        wake(self.store)
        self.wait(lambda: is_supervised(self.store), "a supervisor")

    def stranger(self) -> subprocess.Popen[bytes]:
        """A process that has nothing to do with any run."""
        stranger = subprocess.Popen(["sleep", "3600"])
        self._strangers.append(stranger)
        return stranger

    def open_dashboard(self) -> None:
        """Start a real dashboard if there is none; does not wait for it."""
        if self._dashboard is not None and self._dashboard.poll() is None:
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        options = ["--server.port", str(self._port), "--server.headless", "true"]
        self._dashboard = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *options],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill_dashboard(self) -> None:
        """Kill the dashboard once it serves pages."""
        self.open_dashboard()
        assert self._dashboard is not None
        self.wait(self._dashboard_answers, "the dashboard")
        self._dashboard.kill()
        self._dashboard.wait()

    def _dashboard_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/_stcore/health", timeout=5):
                return True
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def close(self) -> list[str]:
        """Let the supervisor and the dashboard go; returns the command lines of what does not go with them."""
        for process in self.supervisors():
            process.send_signal(signal.SIGTERM)
        if self._dashboard is not None:
            self._dashboard.kill()
            self._dashboard.wait()
        began = time.monotonic()
        # A warm parent notices that nobody needs it when it has loaded everything.
        while (left := self.processes()) and time.monotonic() - began < 30:
            time.sleep(0.1)
        return [" ".join(command_line(process)) for process in left]

    # -- waiting

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Return as soon as the condition holds. Raises StuckError."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                raise StuckError(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(_POLL_SECONDS)

    def wait_for_end(self, run_id: str) -> RunRecord:
        """The run's record, once it is over. Raises StuckError."""
        self.wait(lambda: self.store.record(run_id).is_over, f"the end of {run_id}")
        return self.store.record(run_id)

    def last_step(self, run_id: str) -> int:
        """The last step that the run has logged."""
        lines = MetricsTail(self.store.directory(run_id) / "metrics.jsonl").read()
        return max((line.get("step", line.get("from", 0)) for line in _last_session(lines)), default=0)


class StuckError(Exception):
    """Something did not happen."""


def _last_session(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in lines:
        found = [line] if "event" in line else [*found[-1:], line]
    return found


def command_line(process: psutil.Process) -> list[str]:
    """The process's command line; empty when it is gone."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill the processes, as nearly at once as can be, and wait until they are gone."""
    processes = list(processes)
    for process in processes:
        _kill(process)
    psutil.wait_procs(processes, timeout=10)


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
