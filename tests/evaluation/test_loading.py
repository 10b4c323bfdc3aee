"""Which weights an evaluation takes, and how."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bcecore.errors import ConfigError, ModelError, RunError
from bcecore.evaluation.loading import Arithmetic, arithmetic, find_weights, load_forward, load_run_tokenizer
from bcecore.store.runs import RunStore
from tests.evaluation.scored import small_config

CPU = Arithmetic("cpu", "fp32")


def test_the_weights_of_a_step(trained: tuple[RunStore, str]) -> None:
    store, run_id = trained
    directory = store.directory(run_id)
    for step in (10, 20):
        weights = find_weights(directory, step, 20)
        assert weights.directory == weights.memory == directory / "checkpoints" / f"checkpoint-{step}"
        forward = load_forward(store.config(run_id), directory, weights, CPU, 48)
        saved = load_file(weights.directory / "model.safetensors")
        loaded = forward._model.state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in saved.items())
        assert forward._regularizer.memory.count > 16 and not forward._model.training


def test_the_final_model_where_its_checkpoint_is_gone(trained: tuple[RunStore, str], tmp_path: Path) -> None:
    store, run_id = trained
    directory = tmp_path / run_id
    shutil.copytree(store.directory(run_id), directory)
    (directory / "checkpoints" / "checkpoint-20" / "complete").unlink()
    weights = find_weights(directory, 20, 20)
    assert weights.directory == directory / "model"
    with pytest.raises(RunError, match=r"no whole checkpoint at step 20, .* Whole ones: 10\."):
        find_weights(directory, 20, 30)
    with pytest.raises(RunError, match="step 1,234"):
        find_weights(directory, 1234, 20)


def test_only_safetensors_are_read(trained: tuple[RunStore, str], tmp_path: Path) -> None:
    store, run_id = trained
    directory = tmp_path / run_id
    shutil.copytree(store.directory(run_id), directory)
    checkpoint = directory / "checkpoints" / "checkpoint-10"
    torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "complete").write_text("{}")
    with pytest.raises(ModelError, match=r"holds no model\.safetensors"):
        find_weights(directory, 10, 20)


def test_a_block_that_the_model_cannot_read_is_refused(trained: tuple[RunStore, str]) -> None:
    store, run_id = trained
    directory = store.directory(run_id)
    with pytest.raises(ConfigError, match="longer than the model can read"):
        load_forward(store.config(run_id), directory, find_weights(directory, 10, 20), CPU, 129)


def test_what_the_machine_does_not_have_is_replaced() -> None:
    assert arithmetic(small_config()) == CPU
    if not torch.cuda.is_available():
        elsewhere = small_config(training__device="cuda", training__precision="fp16")
        assert arithmetic(elsewhere).precision == "fp32" and arithmetic(elsewhere).device != "cuda"
    assert arithmetic(small_config(training__precision="bf16")) == Arithmetic("cpu", "bf16")


def test_equal_tokenizers_have_equal_fingerprints(trained: tuple[RunStore, str], tmp_path: Path) -> None:
    store, run_id = trained
    copy = tmp_path / "copy"
    shutil.copytree(store.directory(run_id) / "data", copy / "data")
    _, first = load_run_tokenizer(store.directory(run_id))
    assert load_run_tokenizer(copy)[1] == first
    path = copy / "data" / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text().replace('"the"', '"theX"'))
    assert load_run_tokenizer(copy)[1] != first
