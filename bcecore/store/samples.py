"""What the model wrote when somebody asked a run for a sample (`samples.jsonl`): one line a prompt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bcecore.store.metrics import RESUME, MetricsTail, MetricsWriter

SAMPLES_FILE = "samples.jsonl"


class Sample(BaseModel):
    """The first words of a text, and how the model went on at some step."""

    model_config = ConfigDict(frozen=True)

    step: int
    prompt: str
    text: str
    """What the model added; it reads on directly from the prompt."""
    time: float
    """Seconds since 1970."""


def append_samples(run_directory: Path, samples: Iterable[Sample]) -> None:
    """Add samples to those of a run. Raises DiskFullError."""
    with MetricsWriter(run_directory / SAMPLES_FILE) as writer:
        for sample in samples:
            writer.write(sample.model_dump())


def read_samples(run_directory: Path) -> list[Sample]:
    """The samples of a run as they came; empty if there are none.

    Those beyond a resume are left out, as in the live log, and so are lines that cannot be read.
    """
    found: list[Sample] = []
    for record in MetricsTail(run_directory / SAMPLES_FILE).read():
        if record.get("event") == RESUME:
            found = [sample for sample in found if sample.step <= record.get("from", sample.step)]
            continue
        try:
            found.append(Sample.model_validate(record))
        except ValidationError:
            continue
    return found


def resume_samples(run_directory: Path, step: int) -> None:
    """Note that the run goes on from `step`: its samples beyond are no longer its own. Raises DiskFullError."""
    if (run_directory / SAMPLES_FILE).is_file():
        with MetricsWriter(run_directory / SAMPLES_FILE) as writer:
            writer.write({"event": RESUME, "from": step})
