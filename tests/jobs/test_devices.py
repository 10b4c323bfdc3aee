"""The devices of this machine: found once, by a process that loads torch, and known until the next boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from bcecore.jobs import devices
from bcecore.store.preferences import supervisor_directory
from bcecore.store.runs import RunStore
from tests.examples import example_config
from tests.loaded import run_program

_MODULE = (
    "import runpy, sys; sys.argv = sys.argv[2:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=False)"
)


def test_they_are_looked_for_once_a_boot(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def spawn(arguments: list[str], log: Path) -> None:
        assert log == supervisor_directory(store) / "supervisor.log"
        asked.append(arguments)
        assert run_program(_MODULE, *arguments).returncode == 0

    monkeypatch.setattr(devices, "spawn", spawn)
    assert devices.found(store) is None
    devices.find(store)
    found = devices.found(store)
    assert found is not None and found.kinds()[-1] == "cpu"
    assert found.devices[-1].memory_bytes is not None and "processor cores" in found.devices[-1].name
    devices.find(store)
    assert len(asked) == 1
    monkeypatch.setattr(devices, "current_boot", lambda: "the next one")
    assert devices.found(store) is None


def test_a_run_takes_the_place_of_its_device() -> None:
    both = devices.Devices(boot="", devices=tuple(devices.Device(kind=kind, name=kind) for kind in ("cpu", "cuda")))
    auto, chosen = (example_config(training__device=device) for device in ("auto", "cpu"))
    assert [devices.kind_for(config, both) for config in (auto, chosen)] == ["cuda", "cpu"]
    assert devices.kind_for(auto, None) == "cpu"
