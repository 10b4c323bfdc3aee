"""What a run does when somebody asks while it trains: save a checkpoint, check the model, let it write a little.

Whatever is asked, the run ends with the weights that it would have had otherwise.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState

from bcecore.store.requests import EVALUATE_REQUEST, SAMPLE_REQUEST, SAVE_REQUEST, take
from bcecore.store.samples import Sample, append_samples
from bcecore.text.sources import positions
from bcecore.training.callbacks import say
from bcecore.training.engine import TokenizedText
from bcecore.training.trainer import BCETrainer

_PROMPTS = 3
_MAX_PROMPT_TOKENS = 12
_MAX_NEW_TOKENS = 40


class FollowRequests(TrainerCallback):
    """Looks after every step whether somebody asks for something. `trainer` has to be set before training."""

    trainer: BCETrainer

    def __init__(self, run_directory: Path, text: TokenizedText) -> None:
        self._run_directory = run_directory
        self._text = text
        # As strings: joining paths would cost more than looking.
        self._files = {name: str(run_directory / name) for name in (SAVE_REQUEST, EVALUATE_REQUEST, SAMPLE_REQUEST)}

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        asked = {name for name, file in self._files.items() if os.access(file, os.F_OK)}
        if not asked:
            return
        for name in asked:
            take(self._run_directory, name)
        if EVALUATE_REQUEST in asked:
            self._evaluate(control)
        if SAMPLE_REQUEST in asked:
            self._sample(state.global_step)
        if SAVE_REQUEST in asked:
            say(f"step {state.global_step:,}: saving a checkpoint, as asked.")
            control.should_save = True

    def _evaluate(self, control: TrainerControl) -> None:
        if self.trainer.eval_dataset is None:
            say("Somebody asked to check the model, but this run has no text to check it on.")
        elif not control.should_evaluate:  # else it is checked after this step anyway
            # The evaluation takes what was due after this step for done.
            due = control.should_log, control.should_save
            with undisturbed(self.trainer.model):
                self.trainer.evaluate()
            control.should_log, control.should_save = due

    def _sample(self, step: int) -> None:
        say(f"step {step:,}: writing samples, as asked.")
        moment = round(time.time(), 3)
        tokenizer, model = self._text.tokenizer, self.trainer.model
        with undisturbed(model):
            samples = [
                Sample(step=step, prompt=prompt, text=text, time=moment)
                for prompt, text in (written(model, tokenizer, ids) for ids in self._prompts())
            ]
        append_samples(self._run_directory, samples)

    def _prompts(self) -> Iterator[list[int]]:
        """The first words of the first texts that the model is checked on, or else learns from."""
        for example in (self._text.validation or self._text.train)[:_PROMPTS]:
            yield first_words(example.ids.tolist(), self._text.tokenizer.all_special_ids)


def first_words(ids: Sequence[int], special: Sequence[int]) -> list[int]:
    """About a quarter of a text's tokens, at least 1 and at most 12, after the special ones that open it."""
    opening = next((place for place, token in enumerate(ids) if token not in special), 1)
    words = sum(token not in special for token in ids)
    return list(ids[: opening + min(max(words // 4, 1), _MAX_PROMPT_TOKENS)])


@torch.no_grad()
def written(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: list[int]) -> tuple[str, str]:
    """The prompt as text and how `model`, in evaluation mode, goes on with it, always with the likeliest token."""
    ids = list(prompt)
    room = len(prompt) + _MAX_NEW_TOKENS
    limit = positions(model.config.to_dict())
    if limit is not None and limit > 0:
        room = min(room, limit)
    ends = {tokenizer.sep_token_id, tokenizer.eos_token_id}
    while len(ids) < room:
        logits = model(input_ids=torch.tensor([ids], device=model.device)).logits  # (1, T, V)
        token = int(logits[0, -1].argmax())
        if token in ends:
            break
        ids.append(token)
    beginning, whole = (str(tokenizer.decode(part, skip_special_tokens=True)) for part in (prompt, ids))
    return beginning, whole.removeprefix(beginning)


@contextmanager
def undisturbed(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode within, and afterwards the mode and every random generator as they were before.

    Starting to read a data set draws a number even where nothing is shuffled. The generators of graphics cards are not
    looked after: in evaluation mode there is no dropout, and nothing else draws there.
    """
    python, numpy, training = random.getstate(), np.random.get_state(), model.training
    try:
        with torch.random.fork_rng(devices=[]):
            model.eval()
            yield
    finally:
        model.train(training)
        random.setstate(python)
        np.random.set_state(numpy)
