"""Which kinds of device this machine has, and which of them a run will use. Found out once per boot by a command."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bcecore.config import RunConfig
from bcecore.files import read_json
from bcecore.jobs.local import spawn
from bcecore.store.identity import current_boot
from bcecore.store.preferences import SUPERVISOR_DIRECTORY, supervisor_directory
from bcecore.store.runs import RunStore

Kind = Literal["cpu", "cuda", "mps"]
_FILE = "devices.json"


class Device(BaseModel):
    """One device on which a model can be trained."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    name: str
    memory_bytes: int | None = None


class Devices(BaseModel):
    """What `bcecore.training.devices` found, and at which boot of the machine."""

    model_config = ConfigDict(frozen=True)

    boot: str
    devices: tuple[Device, ...]

    def kinds(self) -> list[Kind]:
        """The kinds there are, those that a run prefers first."""
        there = {device.kind for device in self.devices}
        return [kind for kind in ("cuda", "mps", "cpu") if kind in there]


def found(store: RunStore) -> Devices | None:
    """The devices of this machine; None until they are known (see `find`)."""
    try:
        devices = Devices.model_validate(read_json(store.root / SUPERVISOR_DIRECTORY / _FILE))
    except (OSError, ValueError):
        return None
    return devices if devices.boot == current_boot() else None


def find(store: RunStore) -> None:
    """Have the devices looked for, without waiting, unless they are known."""
    if found(store) is None:
        directory = supervisor_directory(store)
        log: Path = directory / "supervisor.log"
        spawn(["-m", "bcecore.training.devices", str(directory / _FILE)], log)


def kind_for(config: RunConfig, devices: Devices | None) -> Kind:
    """The kind of device whose place a run takes."""
    wanted = config.training.device
    if wanted != "auto":
        return wanted
    return devices.kinds()[0] if devices is not None and devices.kinds() else "cpu"
