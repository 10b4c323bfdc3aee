"""Letting saved checkpoints of a run write, in a process of its own: the dashboard never loads a model."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Literal

from bcecore.errors import RunError
from bcecore.files import write_bytes_atomically
from bcecore.jobs.local import spawn
from bcecore.store import generation
from bcecore.store.checkpoints import checkpoint_steps
from bcecore.store.generation import Asked
from bcecore.store.identity import identity_of, is_alive
from bcecore.store.log import log_tail
from bcecore.store.record import now
from bcecore.store.runs import RunStore
from bcecore.store.samples import read_samples

MAX_PROMPTS = 8
MAX_PROMPT_CHARACTERS = 400
_SUGGESTED = 3
_SUGGESTED_WORDS = 8
_LIMIT = timedelta(hours=1)


@dataclass(frozen=True)
class Generation:
    """Where the writing stands that was asked for last."""

    state: Literal["running", "done", "failed"]
    steps: tuple[int, ...]
    done: int = 0
    total: int = 0
    """0 until the process has begun."""
    error: str = ""


def start(store: RunStore, run_id: str, steps: Sequence[int], prompts: Sequence[str]) -> None:
    """Have the checkpoints of these steps go on with each of the prompts.

    Raises RunError for a step without a whole checkpoint, for impossible prompts, and while the run's checkpoints are
    already writing.
    """
    directory = store.directory(run_id)
    beginnings = checked_prompts(prompts)
    saved = checkpoint_steps(directory)
    missing = [step for step in steps if step not in saved]
    if missing or not steps:
        there = ", ".join(f"{step:,}" for step in saved) or "none"
        wanted = ", ".join(f"{step:,}" for step in missing) or "none was named"
        raise RunError(f"There is no whole checkpoint at step {wanted}. Whole ones: {there}.")
    with store.locked(run_id):
        going_on = current(store, run_id)
        if going_on is not None and going_on.state == "running":
            raise RunError("The checkpoints of this run are writing already. Wait until they have done.")
        prompts_file = directory / generation.PROMPTS_FILE
        write_bytes_atomically(prompts_file, "".join(f"{line}\n" for line in beginnings).encode())
        generation.forget_progress(directory)
        log = directory / generation.LOG_FILE
        log.unlink(missing_ok=True)
        arguments = ["-m", "bcecore.training.generate", str(directory), "--prompts-file", str(prompts_file)]
        process = spawn([*arguments, "--steps", *map(str, steps)], log)
        asked = Asked(steps=tuple(steps), prompts=len(beginnings), at=now(), process=identity_of(process.pid))
        generation.write_asked(directory, asked)


def checked_prompts(prompts: Sequence[str]) -> list[str]:
    """The prompts without empty ones and repetitions, each on one line. Raises RunError for impossible ones."""
    lines = list(dict.fromkeys(" ".join(prompt.split()) for prompt in prompts if prompt.strip()))
    if not lines:
        raise RunError("Give at least one beginning for the checkpoints to go on with.")
    if len(lines) > MAX_PROMPTS:
        raise RunError(f"Give at most {MAX_PROMPTS} beginnings; these are {len(lines)}.")
    longest = max(lines, key=len)
    if len(longest) > MAX_PROMPT_CHARACTERS:
        raise RunError(
            f"A beginning has at most {MAX_PROMPT_CHARACTERS} characters; “{longest[:30]}…” has {len(longest):,}."
        )
    return lines


def current(store: RunStore, run_id: str) -> Generation | None:
    """Where the writing stands that was asked for last; None if nothing was ever asked for."""
    directory = store.directory(run_id)
    asked = generation.read_asked(directory)
    if asked is None:
        return None
    # First whether it lives: a process that says it is done and ends in between is done.
    alive = asked.process is not None and now() - asked.at < _LIMIT and is_alive(asked.process)
    progress = generation.read_progress(directory)
    done, total = (progress.done, progress.total) if progress is not None else (0, 0)
    if progress is not None and progress.ended:
        return Generation("failed" if progress.error else "done", asked.steps, done, total, progress.error)
    if alive:
        return Generation("running", asked.steps, done, total)
    said = [line.strip() for line in log_tail(directory / generation.LOG_FILE, 20) if line.strip()]
    return Generation("failed", asked.steps, done, total, said[-1] if said else "Its process ended without a word.")


def suggested_prompts(store: RunStore, run_id: str) -> list[str]:
    """Beginnings to start with: those that the run's samples have, else the first words of its checking text.

    Of its training text where there is no checking text; empty where there is neither.
    """
    directory = store.directory(run_id)
    used = list(dict.fromkeys(sample.prompt for sample in reversed(read_samples(directory))))
    if used:
        return used[:_SUGGESTED][::-1]
    for name in ("validation", "train"):
        try:
            with (directory / "data" / f"{name}.jsonl").open(encoding="utf-8") as file:
                texts = [json.loads(line)["text"] for line in islice(file, _SUGGESTED)]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # an imported run has no text, a damaged one none that can be read
        if texts:
            return [_first_words(text) for text in texts]
    return []


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words[: min(math.ceil(len(words) / 3), _SUGGESTED_WORDS)])
