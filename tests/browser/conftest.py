"""The real dashboard in a process of its own, and a real Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bcecore.store.identity import is_alive, own_identity
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore

ROOT = Path(__file__).parent.parent.parent
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser and needs the cores for itself, so it stays in one worker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@dataclass(frozen=True)
class Dashboard:
    """A dashboard at work: its address, and the store that it and the test both see."""

    url: str
    store: RunStore


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    """The dashboard on a free port with a runs directory of its own; it and what it started are gone afterwards."""
    runs = tmp_path / "runs"
    runs.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    with (tmp_path / "dashboard.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, RUNS_DIR_VARIABLE: str(runs)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, server, tmp_path / "dashboard.log")
        yield Dashboard(url, RunStore(runs))
    finally:
        server.kill()
        server.wait()
        _end_runs(RunStore(runs))


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(_START_SECONDS * 5):
        if server.poll() is not None:
            raise RuntimeError(f"the dashboard ended at once:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"the dashboard did not answer within {_START_SECONDS} s:\n{log.read_text()}")


def _end_runs(store: RunStore) -> None:
    """Training processes are meant to outlive the dashboard; those of a test must not outlive the test."""
    for record in store.records():
        # A run that is written by hand has the test's own process.
        if record.is_active and record.process not in (None, own_identity()) and is_alive(record.process):
            psutil.Process(record.process.pid).kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium. Without one the tests are skipped, or fail where BCE_REQUIRE_BROWSER=1 asks."""
    executable = next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    if executable is None:
        message = f"no browser: none of {', '.join(_CHROMIUM_NAMES)} is installed"
        if os.environ.get("BCE_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window, 1440 px wide."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    yield context.new_page()
    context.close()
