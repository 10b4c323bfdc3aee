"""What is known about a run that was trained elsewhere (`import.json`): given facts and its Trainer's state."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

IMPORT_FILE = "import.json"


class Source(BaseModel):
    """One file that the run was made from; its copy is in the run's folder."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    sha256: str


class Imported(BaseModel):
    """Everything in `import.json`. A fact that is not there is not known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sources: tuple[Source, ...] = ()
    facts: dict[str, str | int | float] = Field(default_factory=dict)
    """Given by a person: what a log cannot know, such as the wall clock. Names: `FACTS`."""
    state: dict[str, Any] = Field(default_factory=dict)
    """What the Trainer's state says besides its log: global_step, max_steps, num_train_epochs, train_batch_size …"""
    notes: tuple[str, ...] = ()
    """Sentences about what had to be mended in the files."""


FACTS: dict[str, str] = {
    "model": "the model's name",
    "text": "the text that it was trained on",
    "epochs": "epochs",
    "batch_size": "examples in a batch",
    "block_size": "longest example, in tokens",
    "learning_rate": "highest learning rate",
    "warmup_steps": "warm-up steps of the learning rate",
    "bce_weight": "the schedule of the BCE weight, in words",
    "wall_clock": "seconds from the first step to the last",
    "seed": "seed",
    "device": "what it was trained on",
}
"""Facts that can be given with an import, and what they mean."""
