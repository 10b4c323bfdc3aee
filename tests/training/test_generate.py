from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from bcecore.errors import RunError
from bcecore.store.checkpoints import mark_complete
from bcecore.store.generation import read_progress
from bcecore.store.runs import RunStore
from bcecore.store.samples import read_samples
from bcecore.text.tokenizing import train_wordpiece
from bcecore.training.generate import main, prompt_ids
from bcecore.training.models import build_model
from bcecore.training.requests import written
from tests.examples import example_config
from tests.training.conftest import LINES

SMALL = {"model__hidden_size": 32, "model__intermediate_size": 64, "model__max_position_embeddings": 64}


def small_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=train_wordpiece(LINES, 200),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


@pytest.fixture
def run(store: RunStore) -> Any:
    """A run with two whole checkpoints of different random weights, and what is in them."""
    config = example_config(data__block_size=32, **SMALL)
    tokenizer = small_tokenizer()

    def fill(directory: Path) -> None:
        tokenizer.save_pretrained(directory / "data" / "tokenizer")

    directory = store.directory(store.create(config, "small", fill))
    models = {}
    for step in (10, 20):
        torch.manual_seed(step)
        models[step] = build_model(config.model, tokenizer).eval()
        checkpoint = directory / "checkpoints" / f"checkpoint-{step}"
        models[step].save_pretrained(checkpoint)
        mark_complete(checkpoint)
    return SimpleNamespace(directory=directory, models=models, tokenizer=tokenizer)


def generate(run: Any, steps: list[int], prompts: list[str]) -> int:
    file = run.directory / "prompts.txt"
    file.write_text("".join(f"{prompt}\n" for prompt in prompts), encoding="utf-8")
    return main([str(run.directory), "--steps", *map(str, steps), "--prompts-file", str(file)])


def test_each_checkpoint_goes_on_with_each_beginning(run: Any) -> None:
    prompts = ["The door is", "Kapı"]
    assert generate(run, [10, 20], prompts) == 0
    samples = read_samples(run.directory)
    assert [(sample.step, sample.prompt) for sample in samples] == [(s, p) for s in (10, 20) for p in prompts]
    for sample in samples:
        model = run.models[sample.step]
        ids = prompt_ids(model, run.tokenizer, sample.prompt)
        assert (sample.prompt, sample.text) == written(model, run.tokenizer, ids)
    assert samples[0].text != samples[2].text
    progress = read_progress(run.directory)
    assert progress is not None and (progress.done, progress.total, progress.ended, progress.error) == (4, 4, True, "")


def test_a_beginning_keeps_what_opens_a_text_and_not_what_ends_it(run: Any) -> None:
    tokenizer = run.tokenizer
    ids = prompt_ids(run.models[10], tokenizer, "The door is")
    assert ids[0] == tokenizer.cls_token_id and tokenizer.sep_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "The door is"
    with pytest.raises(RunError, match="64 in all"):
        prompt_ids(run.models[10], tokenizer, "the door " * 40)
    with pytest.raises(RunError, match="nothing in the beginning"):
        prompt_ids(run.models[10], tokenizer, "\u200b")


def test_a_checkpoint_that_is_not_there_is_named(run: Any) -> None:
    assert generate(run, [15], ["The door"]) == 1
    progress = read_progress(run.directory)
    assert progress is not None and progress.ended
    assert progress.error == "There is no whole checkpoint at step 15. Whole ones: 10, 20."
    assert read_samples(run.directory) == []


def test_a_damaged_checkpoint_is_told_and_what_was_written_before_stays(run: Any) -> None:
    weights = run.directory / "checkpoints" / "checkpoint-20" / "model.safetensors"
    weights.write_bytes(b"\0" * weights.stat().st_size)  # of the right size, so that only loading it tells
    assert generate(run, [10, 20], ["The door"]) == 1
    progress = read_progress(run.directory)
    assert progress is not None and (progress.done, progress.total) == (1, 2)
    assert progress.error.startswith("The checkpoint of step 20 could not be loaded.")
    assert [sample.step for sample in read_samples(run.directory)] == [10]


def test_an_unexpected_error_is_told_too(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (run.directory / "data" / "tokenizer" / "tokenizer.json").write_text(json.dumps({"version": 1}))
    assert generate(run, [10], ["The door"]) == 1
    progress = read_progress(run.directory)
    assert progress is not None and progress.error.startswith("An unexpected error ended it: ")
    assert "Traceback" in capsys.readouterr().err
