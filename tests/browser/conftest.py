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
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from bcecore.store.identity import is_alive, own_identity
from bcecore.store.preferences import save_preferences
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from tests.examples import devices_known

ROOT = Path(__file__).parent.parent.parent
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS = 60
# Each expectation waits so long for the page at most: on a machine with other work, a redraw takes its time.
expect.set_options(timeout=60_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


class Dashboard:
    """A dashboard at work: its address, and the store that it and the test both see. It can be killed and restarted.

    Starting one takes seconds, so all tests of a process use the same. Each has a runs directory of its own all the
    same: the dashboard's is a link, which is set anew for each test.
    """

    store: RunStore

    def __init__(self, directory: Path) -> None:
        self._link = directory / "runs"
        self._log = directory / "dashboard.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._server: subprocess.Popen[bytes] | None = None

    def show(self, runs: Path) -> None:
        """Have it show these runs from now on; it is started if it is not at work."""
        fresh = self._link.with_name("fresh")
        fresh.symlink_to(runs, target_is_directory=True)
        fresh.replace(self._link)
        self.store = RunStore(runs)
        if self._server is None or self._server.poll() is not None:
            self.start()

    def start(self) -> int:
        """Serve, and wait until it answers; returns the pid."""
        options = ["--server.port", str(self._port), "--server.headless", "true"]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app.py", *options],
                cwd=ROOT,
                env={**os.environ, RUNS_DIR_VARIABLE: str(self._link)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _wait_until_it_answers(self.url, self._server, self._log)
        return self._server.pid

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard on a free port that the tests of this process share."""
    dashboard = Dashboard(tmp_path_factory.mktemp("dashboard"))
    try:
        yield dashboard
    finally:
        dashboard.kill()


@pytest.fixture
def dashboard(served: Dashboard, tmp_path: Path) -> Iterator[Dashboard]:
    """The dashboard with an empty runs directory; what it starts there is gone afterwards."""
    runs = tmp_path / "runs"
    runs.mkdir()
    # Every visit wakes the supervisor, which would load torch to be ready for a run: most tests start none.
    save_preferences(RunStore(runs), keep_warm=False)
    devices_known(RunStore(runs))
    served.show(runs)
    try:
        yield served
    finally:
        _end_runs(served.store)


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
    """The supervisor and training processes are meant to outlive the dashboard; a test's must not outlive the test."""
    supervisors = [
        process
        for process in psutil.process_iter(["cmdline"])
        if {"supervise", str(store.root)} <= set(process.info["cmdline"] or [])
    ]
    for process in supervisors:
        process.terminate()
        # Not `wait`: the dashboard that started it lives on, so it stays a zombie.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)
    for record in store.records():
        # A run that is written by hand has the test's own process.
        if record.is_active and record.process not in (None, own_identity()) and is_alive(record.process):
            psutil.Process(record.process.pid).kill()


def chromium_executable() -> str | None:
    """The machine's own Chromium, if it has one."""
    return next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium. Without one the tests are skipped, or fail where BCE_REQUIRE_BROWSER=1 asks."""
    executable = chromium_executable()
    if executable is None:
        message = f"no browser: none of {', '.join(_CHROMIUM_NAMES)} is installed"
        if os.environ.get("BCE_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """What all windows of this process share: Streamlit's scripts, which each test would load and compile anew."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def page(profile: BrowserContext, served: Dashboard) -> Iterator[Page]:
    """A window, 1440 px wide, of somebody who has never been here: nothing is stored but what a page consists of."""
    page = profile.new_page()
    stored = {"origin": served.url, "storageTypes": "cookies,local_storage,indexeddb,service_workers"}
    profile.new_cdp_session(page).send("Storage.clearDataForOrigin", stored)
    yield page
    page.close()
