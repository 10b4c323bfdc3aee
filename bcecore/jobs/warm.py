"""The warm parent: a process that has loaded everything a job needs, and forks off the jobs' processes (Linux only).

See `bcecore.training.warm` for its other end. It lives as long as its pipe: when the supervisor goes, so does it,
and the jobs it started go on.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from bcecore.jobs.local import EVALUATION_WORKER, REPOSITORY, TRAINING_WORKER, start_cold, training_environment

_READY_SECONDS = 60.0
_ANSWER_SECONDS = 10.0


class WarmParent:
    """A `Launcher` that asks a warm parent, and starts a job cold whenever that cannot help."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._began = 0.0
        self._ready = False
        self._is_broken = False

    @staticmethod
    def is_possible() -> bool:
        """Whether processes can be forked off safely here."""
        return sys.platform == "linux"

    def start(self) -> None:
        """Begin to load, without waiting for it; does nothing if that was done, or has failed before."""
        if self._is_broken or (self._process is not None and self._process.poll() is None):
            return
        self._answers = queue.Queue()
        self._began, self._ready = time.monotonic(), False
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bcecore.training.warm", TRAINING_WORKER, EVALUATION_WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=REPOSITORY,
                env=training_environment(),
                start_new_session=True,
                text=True,
            )
        threading.Thread(target=_listen, args=(self._process.stdout, self._answers), daemon=True).start()

    def is_loading(self) -> bool:
        """Whether it will soon be able to start jobs; one that takes too long is given up."""
        if self._process is None or self._ready or self._is_broken:
            return False
        try:
            self._ready = self._answers.get_nowait() is not None
            self._is_broken = not self._ready
        except queue.Empty:
            self._is_broken = time.monotonic() - self._began > _READY_SECONDS
        return not (self._ready or self._is_broken)

    def stop(self) -> None:
        """Let the parent go; the jobs it started go on."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __call__(self, worker: str, arguments: list[str], log: Path) -> int:
        """Start a process; returns its pid."""
        answer = self._ask({"worker": worker, "arguments": arguments, "log": str(log)})
        if answer is None or "pid" not in answer:
            self.stop()  # whatever is wrong with it, the next one begins afresh
            return start_cold(worker, arguments, log)
        return int(answer["pid"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        if self._process is None or self._process.stdin is None or not self._ready:
            return None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            return None
        try:
            return self._answers.get(timeout=_ANSWER_SECONDS)
        except queue.Empty:
            return None


def _listen(lines: IO[str], answers: queue.Queue[dict[str, Any] | None]) -> None:
    for line in lines:
        try:
            answer = json.loads(line)
        except ValueError:
            continue  # a library that greets on standard output
        if isinstance(answer, dict):
            answers.put(answer)
    answers.put(None)
