"""What a person has set for this machine: how many runs at once, what to keep free, whom to tell when a run ends.

One file beside the runs, never part of a run. The command and the webhook count only on the machine on which they
were set: a whole folder of runs may be copied elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bcecore.errors import ConfigError, Problem
from bcecore.files import read_json, write_json
from bcecore.store.identity import this_machine
from bcecore.store.runs import RunStore

SUPERVISOR_DIRECTORY = ".supervisor"
_FILE = "settings.json"
MAX_SLOTS = 16


class Preferences(BaseModel):
    """The settings of one machine and folder of runs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    slots: dict[str, Annotated[int, Field(ge=1, le=MAX_SLOTS)]] = Field(default_factory=dict)
    """Runs at once on each kind of device ("cpu", "cuda", "mps"); 1 where nothing is said."""
    keep_warm: bool = True
    """Keep a process with everything loaded, so that a run starts at once; it takes about 0.4 GB of memory."""
    keep_free_gb: Annotated[float, Field(ge=0, le=10_000)] = 1.0
    """No run is started when less than this would stay free on the disk, in GB."""
    warn_runs_gb: Annotated[float, Field(ge=0, le=1_000_000)] = 50.0
    """Say so when all runs together take more than this, in GB."""
    notify_command: str = ""
    """Run by the shell when a run or an evaluation ends; `jobs.notify` says which variables tell it which."""
    notify_webhook: str = ""
    """Address to which a JSON object is posted then."""
    machine: str = ""
    """The machine on which the command and the webhook were set."""

    @field_validator("notify_webhook")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("a web address begins with http:// or https://")
        return value

    def slots_for(self, device: str) -> int:
        """How many runs may be at work on a kind of device at once."""
        return self.slots.get(device, 1)

    @property
    def notifies(self) -> bool:
        """Whether somebody is to be told, from this machine."""
        return bool(self.notify_command or self.notify_webhook) and self.machine == this_machine()


def supervisor_directory(store: RunStore) -> Path:
    """Where the supervisor, the queue and these settings are kept; made when it is missing."""
    directory = store.root / SUPERVISOR_DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def load_preferences(store: RunStore) -> Preferences:
    """The settings; the defaults where there are none or the file is damaged."""
    try:
        return Preferences.model_validate(read_json(store.root / SUPERVISOR_DIRECTORY / _FILE))
    except (OSError, ValueError):
        return Preferences()


def save_preferences(store: RunStore, **changes: object) -> Preferences:
    """Change some of the settings. Raises ConfigError that names the first that is out of bounds."""
    values = load_preferences(store).model_dump() | changes
    if {"notify_command", "notify_webhook"} & set(changes):
        values["machine"] = this_machine()
    try:
        preferences = Preferences.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise ConfigError([Problem(key, first["input"], first["msg"].removeprefix("Value error, "))]) from error
    write_json(supervisor_directory(store) / _FILE, preferences.model_dump(mode="json"))
    return preferences
