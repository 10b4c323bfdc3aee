"""Lets saved checkpoints of a run write: `python -m bcecore.training.generate RUN_DIRECTORY --steps 100 200
--prompts-file FILE` (one beginning a line). What they write joins the run's samples.

It works on the processor: the text is the same on every machine, and no training run loses its graphics card to it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from bcecore.config import ModelConfig
from bcecore.errors import BceError, ModelError, RunError
from bcecore.store.checkpoints import checkpoints
from bcecore.store.generation import Progress, write_progress
from bcecore.store.runs import RunStore
from bcecore.store.samples import Sample, append_samples
from bcecore.text.sources import positions
from bcecore.training.models import build_model, load_tokenizer
from bcecore.training.requests import written


def main(argv: list[str] | None = None) -> int:
    """Write, and note the progress in the run's folder. Returns 0, or 1 if it failed; the log then says how."""
    parser = argparse.ArgumentParser(prog="python -m bcecore.training.generate", description=__doc__)
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="steps of whole checkpoints")
    parser.add_argument("--prompts-file", type=Path, required=True, help="text file with one beginning a line")
    arguments = parser.parse_args(argv)
    transformers_logging.disable_progress_bar()
    directory: Path = arguments.run_directory.resolve()
    lines = arguments.prompts_file.read_text(encoding="utf-8").splitlines()
    prompts = [line for line in lines if line.strip()]
    total = len(arguments.steps) * len(prompts)
    done = 0
    try:
        write_progress(directory, Progress(done=0, total=total))
        for step in arguments.steps:
            done += write_at(directory, step, prompts)
            write_progress(directory, Progress(done=done, total=total))
        write_progress(directory, Progress(done=done, total=total, ended=True))
    except Exception as error:  # noqa: BLE001 - the last place that can say why it ended
        traceback.print_exc()
        unexpected = f"An unexpected error ended it: {type(error).__name__}: {error}"
        message = str(error) if isinstance(error, BceError) else unexpected
        write_progress(directory, Progress(done=done, total=total, ended=True, error=message))
        return 1
    return 0


def write_at(run_directory: Path, step: int, prompts: Sequence[str]) -> int:
    """Let the checkpoint of one step go on with each prompt; the number of samples added.

    Raises RunError for a checkpoint that is not there or cannot be loaded, and for a prompt without room behind it.
    """
    store = RunStore(run_directory.parent)
    found = {checkpoint.step: checkpoint for checkpoint in checkpoints(run_directory) if checkpoint.complete}
    if step not in found:
        there = ", ".join(f"{known:,}" for known in found) or "none"
        raise RunError(f"There is no whole checkpoint at step {step:,}. Whole ones: {there}.")
    tokenizer = load_tokenizer(run_directory / "data" / "tokenizer")
    model = _load(store.config(run_directory.name).model, found[step].directory, tokenizer, step)
    moment = round(time.time(), 3)
    samples = []
    for prompt in prompts:
        beginning, text = written(model, tokenizer, prompt_ids(model, tokenizer, prompt))
        samples.append(Sample(step=step, prompt=beginning, text=text, time=moment))
    append_samples(run_directory, samples)
    return len(samples)


def _load(settings: ModelConfig, checkpoint: Path, tokenizer: PreTrainedTokenizerBase, step: int) -> PreTrainedModel:
    # 16-bit weights are slow on a processor where it can compute with them at all.
    source = settings.model_copy(update={"source": str(checkpoint), "dtype": "float32"})
    try:
        model = build_model(source, tokenizer)
    except (ModelError, SafetensorError) as error:
        raise RunError(
            f"The checkpoint of step {step:,} could not be loaded. It may have been deleted meanwhile, or be damaged; "
            "choose another one."
        ) from error
    model.eval()
    return model


def prompt_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """The tokens of a beginning, with those that open a text but without those that end one.

    Raises RunError for one with no words in it, or that leaves the model no room to go on.
    """
    ids = [int(token) for token in tokenizer(prompt)["input_ids"]]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    while ids and ids[-1] in special:
        ids.pop()
    if not ids:
        raise RunError(f"There is nothing in the beginning {prompt!r} that this model can read.")
    limit = positions(model.config.to_dict())
    if limit is not None and 0 < limit <= len(ids):
        raise RunError(
            f"The beginning “{prompt[:30]}…” has {len(ids):,} tokens, but the model can hold {limit:,} in all. "
            "Shorten it."
        )
    return ids


if __name__ == "__main__":
    sys.exit(main())
