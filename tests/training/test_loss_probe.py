"""The probe of the loss: what it finds on sound and on broken trainers, and that it leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bcecore.findings.accumulation import accumulation
from bcecore.findings.averaging import averaging
from bcecore.findings.padding import padding
from bcecore.store.runs import RunStore
from bcecore.training import engine, models
from bcecore.training.engine import Example, TokenizedText
from bcecore.training.loss_probe import probe_loss
from bcecore.training.trainer import BCETrainer
from bcecore.training.twins import model_hash, random_hash
from tests.training.conftest import assert_same_weights, training_records, weights
from tests.training.processes import run_patched, submit_small

MakeTrainer = Callable[..., BCETrainer]
ACCUMULATING = {"training.gradient_accumulation_steps": 3}

SCORES_PADDING = """
from bcecore.training import engine
collate = engine.Collator.__call__
def scores_padding(self, examples):
    batch = collate(self, examples)
    return batch | {"labels": batch["input_ids"].clone()}
engine.Collator.__call__ = scores_padding
"""
# As many scripts on the web have it: each batch's own mean, whatever else is in the step.
IGNORES_ITEMS = """
def own_mean(self, model, inputs, return_outputs=False, num_items_in_batch=None):
    outputs = model(**inputs)
    return (outputs.loss, outputs) if return_outputs else outputs.loss
trainer.BCETrainer.compute_loss = own_mean
"""
NO_LOSS_TYPE = """
from bcecore.training import models
models.prepare_model = lambda model: None
"""


def ids(probe: dict[str, Any]) -> list[str]:
    return [found.id for rule in (averaging, padding, accumulation) for found in rule("run", probe)]


@pytest.mark.parametrize("profile", ["seed", "active", None])
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_a_sound_trainer_is_silent_and_far_from_the_tolerance(
    make_trainer: MakeTrainer, profile: str | None, steps: int
) -> None:
    changes = {"bce.enabled": False} if profile is None else {"bce.profile": profile}
    probe = probe_loss(
        make_trainer({**changes, "training.gradient_accumulation_steps": steps, "training.batch_size": 8})
    )
    assert ids(probe) == []
    assert len(set(probe["lengths"])) == 3 and probe["pads"] > 0 and probe["scored_pads"] == 0
    assert probe["alone"] == pytest.approx(probe["by_token"], rel=1e-6)
    assert probe["together"] == pytest.approx(probe["by_token"], rel=1e-6)
    assert (probe["micro_batches"], probe["accumulated"] is None) == (
        (None, True) if steps == 1 else (min(steps, 3), False)
    )
    assert (probe["accumulated"] or 0.0) < probe["tolerance"] / 20


def test_half_precision_is_no_fault(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer({"model.dtype": "bfloat16", **ACCUMULATING})
    probe = probe_loss(trainer)
    assert ids(probe) == [] and probe["tolerance"] == pytest.approx(4 * 2**-7)


def test_it_leaves_no_trace(make_trainer: MakeTrainer) -> None:
    """Not in the weights, the random numbers, BCE's memory, the log or the record of twins, also under dropout."""
    changes = {"bce.profile": "active", "training.max_steps": 8, **ACCUMULATING}
    plain = make_trainer(changes, folder="plain")
    probed = make_trainer(changes, folder="probed")
    before = model_hash(probed.model), random_hash(torch.device("cpu"))
    modes = [module.training for module in probed.model.modules()]
    probe_loss(probed)
    assert before == (model_hash(probed.model), random_hash(torch.device("cpu")))
    assert modes == [module.training for module in probed.model.modules()]
    assert all(parameter.grad is None for parameter in probed.model.parameters())
    for trainer in (plain, probed):
        torch.manual_seed(7)
        trainer.train()
    assert_same_weights(weights(plain), weights(probed))
    assert plain.twin.facts(8, torch.device("cpu")) == probed.twin.facts(8, torch.device("cpu"))
    assert plain.regularizer is not None and probed.regularizer is not None
    assert plain.regularizer.memory.count == probed.regularizer.memory.count
    for record, other in zip(training_records(plain), training_records(probed), strict=True):
        timed = ("tokens_per_second", "steps_per_second")
        assert {k: v for k, v in record.items() if k not in timed} == {k: v for k, v in other.items() if k not in timed}


@pytest.mark.parametrize("lengths", [[5, 5, 5], [32], [2, 2], [32, 32, 31]])
def test_texts_that_do_not_differ_much(
    small_config: Callable[..., Any], small_text: TokenizedText, tmp_path: Any, lengths: list[int]
) -> None:
    """Where texts have one length there is no padding to look at; one that fills a step is looked at alone."""
    generator = torch.Generator().manual_seed(0)
    examples = [Example(torch.randint(5, 100, (length,), generator=generator)) for length in lengths]
    text = TokenizedText(examples, small_text.validation, small_text.tokenizer)
    probe = probe_loss(engine.build_trainer(small_config(ACCUMULATING), text, tmp_path / "out"))
    assert ids(probe) == [] and len(probe["lengths"]) == min(len(lengths), 2)


def test_a_text_is_never_padded_to_more_than_a_step_holds(
    small_config: Callable[..., Any], small_text: TokenizedText, tmp_path: Any
) -> None:
    examples = [Example(torch.arange(5, 5 + length)) for length in (3, 7, 20, 64)]
    text = TokenizedText(examples, small_text.validation, small_text.tokenizer)
    config = small_config({"training.batch_size": 1, "data.block_size": 64})
    probe = probe_loss(engine.build_trainer(config, text, tmp_path / "out"))
    assert probe["lengths"] == [3, 7, 20]  # three times 20 is less than 64, three times 64 is not


def test_a_loss_that_is_no_number_is_left_to_its_own_rule(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(ACCUMULATING)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    probe = probe_loss(trainer)
    assert ids(probe) == [] and probe["alone"] is probe["together"] is probe["accumulated"] is None


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_a_loss_type_that_is_not_set(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, accumulation_steps: int
) -> None:
    """The first token of every text is counted, though nobody predicts it: short texts count for too little."""
    monkeypatch.setattr(models, "prepare_model", lambda model: None)
    probe = probe_loss(make_trainer({"training.gradient_accumulation_steps": accumulation_steps}))
    assert ids(probe) == ["averaging"]
    lengths = probe["lengths"]
    assert probe["together"] == pytest.approx(probe["by_token"] * (1 - len(lengths) / sum(lengths)), rel=1e-5)
    (found,) = averaging("run", probe)
    assert f"{probe['alone']:.4g} one by one and {probe['together']:.4g} in one batch" in found.sentence


@pytest.mark.parametrize(
    ("patch", "changes", "expected"),
    [
        (SCORES_PADDING, {}, ["padding"]),
        (NO_LOSS_TYPE, {}, ["averaging"]),
        (IGNORES_ITEMS, {"training__gradient_accumulation_steps": 2}, ["accumulation"]),
        ("", {"training__gradient_accumulation_steps": 2}, []),
    ],
    ids=["pad labels that are scored", "no loss type", "num_items_in_batch ignored", "sound"],
)
def test_real_runs_with_a_planted_fault(
    store: RunStore, patch: str, changes: dict[str, Any], expected: list[str]
) -> None:
    run_id = submit_small(store, training__max_steps=2, training__warmup_steps=0, bce__enabled=False, **changes)
    # What a script of one's own logs does not have CE beside the loss; only the probe matters here.
    quiet = "callbacks.RunProgress.on_log = lambda *_, **__: None\n"
    assert run_patched(store, run_id, quiet + patch).returncode == 0, (
        store.directory(run_id) / "train.log"
    ).read_text()
    probe = store.record(run_id).facts["loss_probe"]
    assert ids(probe) == expected
