"""What the tests of several rooms share: a store, small texts, a disk that is soon full, the real inputs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before huggingface_hub and tokenizers are imported: no test asks the Hub, and none trips over threads and forks.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Two test workers share two cores: without these, their threads would mostly wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# A supervisor that a test has started is not needed by the next one.
os.environ.setdefault("BCE_SUPERVISOR_IDLE_SECONDS", "2")

import hypothesis
import pytest

from bcecore.store.runs import RunStore

SHARED_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"

# Two workers share two cores: how long one example takes says nothing.
hypothesis.settings.register_profile("bce", deadline=None)
hypothesis.settings.load_profile("bce")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """An empty store."""
    return RunStore(tmp_path / "runs")


@pytest.fixture
def command(store: RunStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command on the store, without a supervisor; returns what it prints. Input errors are returned too."""
    from bcecore.cli import main
    from bcecore.jobs import control, evaluations

    for module in (control, evaluations):
        monkeypatch.setattr(module, "wake", lambda _store: None)

    def run(*arguments: str) -> str:
        status = main([*arguments, "--runs-dir", str(store.root)])
        printed = capsys.readouterr()
        if status == 2:
            assert printed.out == "" and "Traceback" not in printed.err
            return printed.err
        assert status == 0, printed.err
        return printed.out

    return run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real inputs, which are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real inputs are not here ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """Forty distinct lines."""
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"Line {n}: {n} and {n} make {2 * n}.\n" for n in range(40)), encoding="utf-8")
    return path


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a real file system of so many KiB, or skips the test where that is not allowed."""
    mounted: list[Path] = []

    def make(kibibytes: int) -> Path:
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            pytest.skip("mounting a small disk takes root on Linux")
        point = tmp_path / f"disk{len(mounted)}"
        point.mkdir()
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", point], capture_output=True, text=True
        )
        if mount.returncode != 0:
            pytest.skip(f"a small disk cannot be mounted here: {mount.stderr.strip()}")
        mounted.append(point)
        return point

    try:
        yield make
    finally:
        for point in mounted:
            subprocess.run(["umount", "--lazy", point], check=True)
