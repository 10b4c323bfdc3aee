"""Collating, devices, precision and the Trainer's arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import RunConfig
from bcecore.errors import ConfigError
from bcecore.training.engine import Collator, Example, pick_device, pick_precision, training_arguments


@given(st.lists(st.lists(st.integers(0, 99), min_size=2, max_size=12), min_size=1, max_size=5))
def test_collating_pads_masks_and_never_scores_padding(rows: list[list[int]]) -> None:
    batch = Collator(pad_id=7)([Example(torch.tensor(row)) for row in rows])
    assert {tensor.shape for tensor in batch.values()} == {(len(rows), max(map(len, rows)))}
    for row, ids, mask, labels in zip(
        rows, batch["input_ids"].tolist(), batch["attention_mask"].tolist(), batch["labels"].tolist(), strict=True
    ):
        padding = len(ids) - len(row)
        assert ids == row + [7] * padding
        assert mask == [1] * len(row) + [0] * padding
        assert labels == row + [-100] * padding


def test_collating_draws_no_random_numbers() -> None:
    state = torch.random.get_rng_state()
    Collator(0)([Example(torch.tensor([1, 2, 3])), Example(torch.tensor([1, 2]))])
    assert torch.equal(state, torch.random.get_rng_state())


def test_labels_are_a_copy() -> None:
    batch = Collator(0)([Example(torch.tensor([1, 2, 3]))])
    batch["labels"][0, 0] = -100
    assert batch["input_ids"][0, 0] == 1


def test_a_device_that_is_not_there_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    with pytest.raises(ConfigError, match=r"training\.device: this machine has no 'cuda' device\. Found: cpu\."):
        pick_device("cuda")


def test_precision() -> None:
    assert pick_precision("auto", "cpu") == "fp32"
    assert pick_precision("bf16", "cpu") == "bf16"
    with pytest.raises(ConfigError, match=r"training\.precision: fp16 is not available on 'cpu'"):
        pick_precision("fp16", "cpu")


def test_arguments_that_keep_the_log_honest(small_config: Callable[..., RunConfig], tmp_path: Path) -> None:
    arguments = training_arguments(small_config(), tmp_path, evaluates=True)
    assert arguments.logging_nan_inf_filter is False
    assert arguments.save_total_limit is None
    assert arguments.report_to == []
    assert arguments.metric_for_best_model == "eval_loss" and arguments.greater_is_better is False
    assert training_arguments(small_config(), tmp_path, evaluates=False).eval_strategy == "no"
