"""What a dashboard takes that shows ten runs at once: `python -m bcecore bench memory`, on Linux.

A real dashboard, and a real browser with a window for each run: one that logs a line every 0.05 s, and nine that are
finished. The memory and the processor time are those of the dashboard's process.
"""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, sync_playwright

from bcecore.jobs.local import REPOSITORY
from bcecore.store.metrics import MetricsWriter
from bcecore.store.preferences import save_preferences
from bcecore.store.record import Progress, now
from bcecore.store.runs import RunStore
from tests.benchmarks.world import World
from tests.examples import example_config, example_run, training_lines

RUNS = 10
LOGGED_STEPS = 2_000
SECONDS = 30
BUDGET_MB = 400
_LINE_SECONDS = 0.05
_PROGRESS_SECONDS = 2.0
_TOTAL = 100_000
_PATIENCE_SECONDS = 120
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def run(rounds: int | None = None, *, seconds: float = SECONDS, steps: int = LOGGED_STEPS) -> dict[str, Any]:
    """Measure for so many `seconds`, `rounds` (default 1) times; returns what the command prints."""
    with tempfile.TemporaryDirectory() as scratch, World(Path(scratch), slots=1) as world:
        save_preferences(world.store, keep_warm=False)
        run_ids = _make_runs(world.store, steps)
        with (
            _writer(world.store, run_ids[0]),
            _dashboard() as (dashboard, address),
            _windows(address, run_ids) as pages,
        ):
            began = _shown_step(world.store, run_ids[0])
            measured = [_measure(dashboard, pages, seconds) for _ in range(rounds or 1)]
            logged = _shown_step(world.store, run_ids[0]) - began
        world.close()
    memory = max(megabytes for megabytes, _ in measured)
    return {
        "bench": "memory",
        "what": f"a dashboard with {RUNS} runs of {steps} logged steps open, one of which goes on",
        "resident_mb": round(memory, 1),
        "processor_share": round(max(share for _, share in measured), 3),
        "seconds": seconds,
        "steps_logged_meanwhile": logged,
        "budget_mb": BUDGET_MB,
        "met": memory <= BUDGET_MB,
    }


def _make_runs(store: RunStore, steps: int) -> list[str]:
    """The ids of the runs; the first one goes on."""
    config = example_config(bce__profile="active")
    going_on = example_run(store, "running", name="going on", config=config, steps=steps, total=_TOTAL)
    over = [
        example_run(store, "finished", name=f"finished {number}", config=config, steps=steps, total=steps)
        for number in range(1, RUNS)
    ]
    return [going_on, *over]


@contextmanager
def _writer(store: RunStore, run_id: str) -> Iterator[None]:
    """Somebody who does to the run what a training process does."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", str(store.root), run_id]
    with subprocess.Popen(command, cwd=REPOSITORY) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def _dashboard() -> Iterator[tuple[psutil.Process, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.port", str(port), "--server.headless", "true"]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=REPOSITORY, **silent) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address)
            yield psutil.Process(process.pid), address
        finally:
            process.kill()


def _wait_for(address: str) -> None:
    for _ in range(_PATIENCE_SECONDS * 5):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"the dashboard did not answer within {_PATIENCE_SECONDS} s")


@contextmanager
def _windows(address: str, run_ids: list[str]) -> Iterator[list[Page]]:
    """A window for each run, each with its charts drawn."""
    executable = next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    if executable is None:
        raise RuntimeError(f"no browser: none of {', '.join(_CHROMIUM_NAMES)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        pages = []
        for run_id in run_ids:
            page = context.new_page()
            page.goto(f"{address}/Run?run={run_id}")
            page.wait_for_selector("svg.marks, canvas.marks", timeout=1000 * _PATIENCE_SECONDS)
            pages.append(page)
        yield pages
        browser.close()


def _measure(dashboard: psutil.Process, pages: list[Page], seconds: float) -> tuple[float, float]:
    """The most memory seen, in MB, and the processor time as a share of one core."""
    before, began = _processor_seconds(dashboard), time.monotonic()
    memory = 0.0
    while time.monotonic() - began < seconds:
        memory = max(memory, dashboard.memory_info().rss / 1e6)
        pages[0].wait_for_timeout(500)  # lets the windows speak with the dashboard, which a sleep would not
    return memory, (_processor_seconds(dashboard) - before) / (time.monotonic() - began)


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _shown_step(store: RunStore, run_id: str) -> int:
    progress = store.record(run_id).progress
    return 0 if progress is None else progress.step


def _write(root: str, run_id: str) -> None:
    """Go on logging until somebody ends this process."""
    store = RunStore(Path(root))
    config, told = store.config(run_id), 0.0
    first = _shown_step(store, run_id) + 1
    with MetricsWriter(store.directory(run_id) / "metrics.jsonl") as writer:
        for step in itertools.count(first):
            for line in training_lines(config, range(step, step + 1), _TOTAL):
                writer.write(line)
            if time.monotonic() - told > _PROGRESS_SECONDS:
                told = time.monotonic()
                progress = Progress(
                    step=step, total_steps=_TOTAL, epoch=step / 50, updated=now(), steps_per_second=1 / _LINE_SECONDS
                )
                store.update(run_id, durable=False, progress=progress)
            time.sleep(_LINE_SECONDS)


if __name__ == "__main__":
    _write(sys.argv[1], sys.argv[2])
