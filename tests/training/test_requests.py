"""Requests to a run that trains: followed at the next step, and without a trace in its weights."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from bcecore.config import RunConfig
from bcecore.store.metrics import MetricsTail, MetricsWriter
from bcecore.store.requests import EVALUATE_REQUEST, SAMPLE_REQUEST, SAVE_REQUEST, ask
from bcecore.store.samples import read_samples
from bcecore.training.callbacks import LiveLog, LogBeforeSaving
from bcecore.training.engine import TokenizedText, build_trainer
from bcecore.training.requests import FollowRequests, first_words, undisturbed, written
from bcecore.training.trainer import BCETrainer
from tests.training.conftest import assert_same_weights, weights

ALL = (SAVE_REQUEST, EVALUATE_REQUEST, SAMPLE_REQUEST)
# Dropout draws from the generator at every step. Steps 10, 20 and the last are checked anyway, every second is logged.
CHANGES = {"model.dropout": 0.3, "training.max_steps": 24, "logging.eval_steps": 10, "logging.logging_steps": 2}


class AskAt(TrainerCallback):
    """Leaves requests as another process would, before the end of these steps; notes the generators' draws."""

    def __init__(self, directory: Path, steps: dict[int, tuple[str, ...]]) -> None:
        self._directory = directory
        self._steps = steps
        self.draws: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for name in self._steps.get(state.global_step + 1, ()):
            ask(self._directory, name)
        self.draws += [random.random(), float(np.random.random())]


Trained = tuple[BCETrainer, list[dict[str, Any]], list[float]]


@pytest.fixture
def train(small_config: Callable[..., RunConfig], small_text: TokenizedText, tmp_path: Path) -> Callable[..., Trained]:
    """Trains with requests at some steps; the Trainer, the live log and what else was drawn meanwhile."""

    def carry_out(steps: dict[int, tuple[str, ...]], text: TokenizedText = small_text) -> Trained:
        directory = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        asks, requests = AskAt(directory, steps), FollowRequests(directory, text)
        with MetricsWriter(directory / "metrics.jsonl") as writer:
            callbacks = [LiveLog(writer), asks, requests, LogBeforeSaving()]
            trainer = build_trainer(small_config(CHANGES), text, directory / "checkpoints", callbacks)
            requests.trainer = trainer
            trainer.train()
        assert not list(directory.glob("*.request"))
        return trainer, list(MetricsTail(directory / "metrics.jsonl").read()), asks.draws

    return carry_out


def steps_of(log: list[dict[str, Any]], key: str) -> list[int]:
    return [line["step"] for line in log if key in line]


def test_a_run_that_was_asked_ends_like_one_that_was_not(train: Callable[..., Trained], tmp_path: Path) -> None:
    plain, plain_log, plain_draws = train({})
    asked, log, draws = train({1: ALL, 6: (EVALUATE_REQUEST,), 7: (SAMPLE_REQUEST,), 13: (SAVE_REQUEST,), 20: ALL})
    assert_same_weights(weights(plain), weights(asked))
    assert draws == plain_draws
    # Each was done once, at its step; nothing that was due anyway is missing or done twice.
    assert steps_of(plain_log, "eval_loss") == [10, 20, 24]
    assert steps_of(log, "eval_loss") == [1, 6, 10, 20, 24]
    assert steps_of(log, "loss") == sorted([*steps_of(plain_log, "loss"), 13])
    directory = tmp_path / "run-1"
    saved = {int(path.name.removeprefix("checkpoint-")) for path in (directory / "checkpoints").iterdir()}
    assert saved == {1, 13, 20, 24}
    assert [sample.step for sample in read_samples(directory)] == [1] * 3 + [7] * 3 + [20] * 3
    by_step = {line["step"]: line["eval_loss"] for line in log if "eval_loss" in line}
    for line in plain_log:
        if "eval_loss" in line:
            assert by_step[line["step"]] == line["eval_loss"]


def test_without_a_text_to_check_on_it_says_so_and_samples_from_the_training_text(
    train: Callable[..., Trained], small_text: TokenizedText, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TokenizedText(small_text.train, [], small_text.tokenizer)
    plain, _, _ = train({}, text)
    asked, log, _ = train({4: (EVALUATE_REQUEST, SAMPLE_REQUEST)}, text)
    assert_same_weights(weights(plain), weights(asked))
    assert steps_of(log, "eval_loss") == []
    assert "has no text to check it on" in capsys.readouterr().out
    samples = read_samples(tmp_path / "run-1")
    beginnings = [small_text.tokenizer.decode(e.ids, skip_special_tokens=True) for e in small_text.train[:3]]
    assert len(samples) == 3
    for sample, beginning in zip(samples, beginnings, strict=True):
        assert sample.prompt and beginning.startswith(sample.prompt) and sample.step == 4


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([2, 10, 11, 12, 13, 14, 15, 16, 17, 3], [2, 10, 11]),
        ([2, 10, 3], [2, 10]),
        ([10, 11, 12, 13, 14, 15, 16, 17], [10, 11]),
        ([2, *range(10, 210), 3], [2, *range(10, 22)]),
        ([2, 3], [2, 3]),
    ],
)
def test_a_prompt_is_about_a_quarter_of_a_text(ids: list[int], expected: list[int]) -> None:
    assert first_words(ids, special=[0, 1, 2, 3, 4]) == expected


def test_it_writes_the_likeliest_tokens_up_to_the_end(
    make_trainer: Callable[..., BCETrainer], small_text: TokenizedText
) -> None:
    model, tokenizer = make_trainer({"model.max_position_embeddings": 32}).model, small_text.tokenizer
    model.eval()
    prompt = small_text.train[0].ids.tolist()[:3]
    beginning, text = written(model, tokenizer, prompt)
    ids = list(prompt)
    while len(ids) < 32:
        likeliest = int(model(torch.tensor([ids])).logits[0, -1].argmax())
        if likeliest == tokenizer.sep_token_id:
            break
        ids.append(likeliest)
    assert beginning == tokenizer.decode(prompt, skip_special_tokens=True)
    assert beginning + text == tokenizer.decode(ids, skip_special_tokens=True)
    # A model that always ends at once, and one that never does.
    for token, words in ((tokenizer.sep_token_id, 0), (tokenizer.vocab["."], 29)):
        with torch.no_grad():
            model.cls.predictions.bias.fill_(-100.0)
            model.cls.predictions.bias[token] = 100.0
        assert written(model, tokenizer, prompt)[1].count(".") == words


@pytest.mark.parametrize("training", [True, False])
def test_undisturbed_puts_everything_back_even_after_an_error(
    make_trainer: Callable[..., BCETrainer], training: bool
) -> None:
    model = make_trainer().model.train(training)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), undisturbed(model):
        assert not model.training
        random.random(), np.random.random(), torch.rand(3)
        raise ZeroDivisionError
    assert model.training is training
    assert random.getstate() == states[0] and np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_looking_costs_next_to_nothing(small_text: TokenizedText, tmp_path: Path) -> None:
    requests = FollowRequests(tmp_path, small_text)
    state: Any = None
    began = time.perf_counter()
    for _ in range(1000):
        requests.on_step_end(None, state, state)
    assert (time.perf_counter() - began) / 1000 < 200e-6  # some 5 µs on a machine that has nothing else to do
