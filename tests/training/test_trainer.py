"""BCETrainer against the plain Trainer and against numbers computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import (
    DataCollatorForLanguageModeling,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback

from bcecore.config import RunConfig
from bcecore.errors import NonFiniteError
from bcecore.training import models
from bcecore.training.engine import Collator, TokenizedText, build_trainer, training_arguments
from bcecore.training.regularizer import COMPONENTS, pool
from bcecore.training.trainer import BCETrainer
from tests.training.conftest import assert_same_weights, training_records, weights

MakeTrainer = Callable[..., BCETrainer]
MakeConfig = Callable[..., RunConfig]


def plain_trainer(config: RunConfig, text: TokenizedText, output: Path) -> Trainer:
    """The plain Trainer with the same arguments on an identically prepared model, fed by stock parts."""
    arguments = training_arguments(config, output, evaluates=False)
    set_seed(config.training.seed)
    model = models.build_model(config.model, text.tokenizer)
    table = datasets.Dataset.from_list([{"input_ids": example.ids.tolist()} for example in text.train])
    trainer = Trainer(
        model,
        arguments,
        train_dataset=table,
        data_collator=DataCollatorForLanguageModeling(text.tokenizer, mlm=False),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("max_grad_norm", [1.0, 0.0])
def test_off_is_the_plain_trainer_bit_for_bit(
    make_trainer: MakeTrainer,
    small_config: MakeConfig,
    small_text: TokenizedText,
    tmp_path: Path,
    accumulation: int,
    max_grad_norm: float,
) -> None:
    """This also covers every cut in the Trainer's overhead and our own collator: dropout is on, rows are padded."""
    changes = {
        "bce.enabled": False,
        "training.gradient_accumulation_steps": accumulation,
        "training.max_grad_norm": max_grad_norm,
    }
    ours = make_trainer(changes)
    ours.train()
    plain = plain_trainer(small_config(changes), small_text, tmp_path / "plain")
    plain.train()
    assert ours.state.global_step == plain.state.global_step == 50
    assert_same_weights(weights(ours), weights(plain))
    for key in ("loss", "grad_norm", "learning_rate", "epoch"):
        assert [r[key] for r in training_records(ours)] == [r[key] for r in training_records(plain)]


def test_seed_profile_ends_with_the_weights_of_off_while_the_logged_loss_moves(make_trainer: MakeTrainer) -> None:
    changes = {"training.gradient_accumulation_steps": 2, "bce.profile": "seed", "training.max_steps": 50}
    on = make_trainer(changes, folder="on")
    on.train()
    off = make_trainer(changes | {"bce.enabled": False}, folder="off")
    off.train()
    assert_same_weights(weights(on), weights(off))
    for record, without in zip(training_records(on), training_records(off), strict=True):
        assert record["ce"] == without["ce"] == pytest.approx(without["loss"], rel=1e-6)
        assert record["loss"] - record["ce"] == pytest.approx(record["bce_weight"] * record["bce_loss"], abs=2e-6)
        assert record["loss"] != record["ce"]
        assert record["grad_norm"] == without["grad_norm"]


def test_active_profile_changes_the_weights(make_trainer: MakeTrainer) -> None:
    on = make_trainer({"bce.profile": "active", "training.max_steps": 5}, folder="on")
    on.train()
    off = make_trainer({"bce.enabled": False, "training.max_steps": 5, "bce.warmup_steps": 1}, folder="off")
    off.train()
    assert any(not torch.equal(a, b) for a, b in zip(weights(on).values(), weights(off).values(), strict=True))


def test_measuring_the_gradient_ratio_leaves_the_weights_alone(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = make_trainer({"bce.profile": "active"}, folder="measured")
    measured.train()
    monkeypatch.setattr(BCETrainer, "_measures_ratio", lambda self: False)
    unmeasured = make_trainer({"bce.profile": "active"}, folder="unmeasured")
    unmeasured.train()
    assert_same_weights(weights(measured), weights(unmeasured))
    assert [r["step"] for r in training_records(measured) if "bce_grad_ratio" in r] == [1, 50]


class TestOneStep:
    """The loss and the gradient of single optimizer steps, against autograd by hand. No dropout."""

    QUIET = {"model.dropout": 0.0, "training.max_grad_norm": 0.0}  # noqa: RUF012

    @pytest.mark.parametrize("profile", ["seed", "active"])
    @pytest.mark.parametrize(("batch", "accumulation"), [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2)])
    def test_loss_and_gradient_under_accumulation(
        self, make_trainer: MakeTrainer, profile: str, batch: int, accumulation: int
    ) -> None:
        """Also for the short last group: 7 examples do not divide by any of these."""
        changes = self.QUIET | {
            "bce.profile": profile,
            "training.batch_size": batch,
            "training.gradient_accumulation_steps": accumulation,
            "training.max_steps": None,
            "training.epochs": 2,
            "bce.warmup_steps": 1,
            "bce.boost_span": 3,
        }
        trainer = make_trainer(changes, [watcher := _Watcher()])
        watcher.trainer = trainer
        trainer.train()
        assert len(watcher.differences) == trainer.state.max_steps
        assert sum(watcher.examples) == 14
        assert watcher.differences == pytest.approx([0] * len(watcher.differences), abs=2e-5)
        records = training_records(trainer)
        assert [r["loss"] for r in records] == pytest.approx(watcher.objectives, rel=1e-6)
        assert [r["ce"] for r in records] == pytest.approx(watcher.ces, rel=1e-6)
        assert [r["bce_loss"] for r in records] == pytest.approx(watcher.rs, rel=1e-5)
        ratios = [r["bce_grad_ratio"] for r in records if "bce_grad_ratio" in r]
        assert ratios == pytest.approx(watcher.ratios[:1], rel=1e-3, abs=1e-9)
        assert (ratios == [0.0]) is (profile == "seed")

    def test_weight_zero_is_ce_itself(self, make_trainer: MakeTrainer) -> None:
        changes = {"bce.base_weight": 0.0, "bce.max_weight": 0.0, "training.max_steps": 20, "bce.warmup_steps": 0}
        on = make_trainer(changes, folder="on")
        on.train()
        off = make_trainer(changes | {"bce.enabled": False}, folder="off")
        off.train()
        assert_same_weights(weights(on), weights(off))
        assert all(r["loss"] == r["ce"] and r["bce_term"] == 0 for r in training_records(on))


class _Watcher(TrainerCallback):
    """Recomputes each optimizer step in one go from its examples, and compares the gradient that the Trainer has."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.batches: list[dict[str, torch.Tensor]] = []
        self.differences: list[float] = []
        self.objectives: list[float] = []
        self.ces: list[float] = []
        self.rs: list[float] = []
        self.ratios: list[float] = []
        self.examples: list[int] = []
        self.states: torch.Tensor | None = None

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        original = self.trainer.get_batch_samples

        def remember(*args: Any) -> Any:
            batches, items = original(*args)
            self.batches = batches
            self.expect()
            return batches, items

        self.trainer.get_batch_samples = remember

    def expect(self) -> None:
        trainer, model = self.trainer, self.trainer.model
        parameters = [p for p in model.parameters() if p.requires_grad]
        nll = torch.zeros(())
        scored = 0
        pooled = []
        for batch in self.batches:
            output = model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True
            )
            for row in range(len(batch["input_ids"])):
                length = int(batch["attention_mask"][row].sum())
                logits, ids = output.logits[row, : length - 1], batch["input_ids"][row, 1:length]
                nll = nll + torch.nn.functional.cross_entropy(logits, ids, reduction="sum")
                scored += length - 1
            pooled.append(pool(output.hidden_states[-1], batch["attention_mask"]))
        ce = nll / scored
        r = trainer.regularizer(torch.cat(pooled)).loss.mean()
        term = trainer.bce.weight(trainer.state.global_step + 1) * r
        self.expected = torch.autograd.grad(ce + term, parameters, retain_graph=True, allow_unused=True)
        norm_ce = torch.nn.utils.get_total_norm(
            [g for g in torch.autograd.grad(ce, parameters, retain_graph=True, allow_unused=True) if g is not None]
        )
        norm_bce = torch.zeros(())
        if term.requires_grad and r.requires_grad:
            norm_bce = torch.nn.utils.get_total_norm(
                [g for g in torch.autograd.grad(term, parameters, allow_unused=True) if g is not None]
            )
        self.ratios.append(float(norm_bce / norm_ce))
        self.objectives.append(float(ce + term))
        self.ces.append(float(ce))
        self.rs.append(float(r))
        self.examples.append(sum(len(batch["input_ids"]) for batch in self.batches))

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        parameters = [p for p in self.trainer.model.parameters() if p.requires_grad]
        pairs = [(p.grad, e) for p, e in zip(parameters, self.expected, strict=True) if e is not None]
        self.differences.append(max(float((grad - e).abs().max()) for grad, e in pairs if grad is not None))


class TestRecords:
    def test_one_merged_record_a_step_with_every_value(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer({"bce.profile": "active", "training.max_steps": 12})
        trainer.train()
        records = training_records(trainer)
        assert [r["step"] for r in records] == list(range(1, 13))
        expected = {
            *("step", "epoch", "loss", "ce", "grad_norm", "learning_rate"),
            *("bce_loss", "bce_weight", "bce_term", "bce_share", "bce_spread", "bce_cosine_distance"),
            *(f"bce_{name}" for name in COMPONENTS),
            *("tokens", "tokens_per_second", "steps_per_second"),
        }
        assert set(records[-1]) == expected
        assert set(records[0]) == expected | {"bce_grad_ratio"}
        for record in records:
            assert record["loss"] == pytest.approx(record["ce"] + record["bce_term"], abs=1e-6)
            assert record["bce_weight"] == trainer.bce.weight(record["step"])
            term = abs(record["bce_term"])
            assert record["bce_share"] == pytest.approx(term / (record["ce"] + term))
        lengths = [len(example.ids) for example in trainer.train_dataset]  # type: ignore[union-attr]
        assert records[3]["tokens"] == sum(lengths)  # 7 examples, batch 2: step 4 ends the first pass

    def test_values_are_means_over_the_logging_interval(self, make_trainer: MakeTrainer) -> None:
        each = make_trainer({"training.max_steps": 12}, folder="each")
        each.train()
        some = make_trainer({"training.max_steps": 12, "logging.logging_steps": 4}, folder="some")
        some.train()
        single = {r["step"]: r for r in training_records(each)}
        records = {r["step"]: r for r in training_records(some)}
        assert list(records) == [1, 4, 8, 12]
        for key in ("loss", "ce", "bce_loss", "bce_weight", "bce_term", "bce_fuzzy"):
            mean = sum(single[step][key] for step in (5, 6, 7, 8)) / 4
            assert records[8][key] == pytest.approx(mean, rel=1e-5)
        assert records[8]["learning_rate"] == single[8]["learning_rate"]

    def test_off_has_a_weight_of_zero_and_no_other_bce_value(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer({"bce.enabled": False, "training.max_steps": 2})
        trainer.train()
        for record in training_records(trainer):
            assert {key for key in record if key.startswith("bce")} == {"bce_weight", "bce_term", "bce_share"}
            assert record["bce_weight"] == record["bce_term"] == record["bce_share"] == 0
            assert record["loss"] == record["ce"]


class TestEvaluation:
    def oracle(self, trainer: BCETrainer) -> tuple[float, float]:
        """CE and R, each token-weighted, one example at a time without the Trainer."""
        model = trainer.model.eval()
        nll, r_sum, tokens = 0.0, 0.0, 0
        for example in trainer.eval_dataset:  # type: ignore[union-attr]
            ids = example.ids.unsqueeze(0)
            with torch.no_grad():
                output = model(input_ids=ids, labels=ids, output_hidden_states=True)
                n = ids.shape[1] - 1
                nll += float(output.loss) * n
                if trainer.regularizer is not None:
                    pooled = pool(output.hidden_states[-1], torch.ones_like(ids))
                    r_sum += float(trainer.regularizer(pooled).loss) * n
            tokens += n
        return nll / tokens, r_sum / tokens

    @pytest.mark.parametrize("profile", ["seed", "active"])
    def test_eval_loss_is_ce_a_token_and_the_memory_stays(self, make_trainer: MakeTrainer, profile: str) -> None:
        trainer = make_trainer({"bce.profile": profile, "training.max_steps": 30})
        trainer.train()
        assert trainer.regularizer is not None
        before = trainer.regularizer.memory.states.clone()
        metrics = trainer.evaluate()
        assert torch.equal(before, trainer.regularizer.memory.states)
        ce, r = self.oracle(trainer)
        assert metrics["eval_loss"] == pytest.approx(ce, abs=1e-5)
        assert metrics["eval_perplexity"] == pytest.approx(math.exp(metrics["eval_loss"]))
        assert metrics["eval_bce_loss"] == pytest.approx(r, abs=1e-5)
        assert metrics["eval_objective"] == pytest.approx(ce + trainer.bce.weight(30) * r, abs=1e-5)

    def test_does_not_depend_on_the_batch_size(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer()
        losses = []
        for size in (1, 2, 3, 8):
            trainer.args.per_device_eval_batch_size = size
            losses.append(trainer.evaluate()["eval_loss"])
        assert losses == pytest.approx([losses[0]] * 4, abs=1e-6)

    def test_the_best_checkpoint_is_chosen_by_ce(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer({"training.max_steps": 20, "logging.eval_steps": 5, "logging.save_steps": 5})
        trainer.train()
        evaluations = {r["step"]: r["eval_loss"] for r in trainer.state.log_history if "eval_loss" in r}
        assert trainer.state.best_global_step == min(evaluations, key=lambda step: evaluations[step])
        assert trainer.state.best_metric == min(evaluations.values())

    def test_off_adds_no_bce_values(self, make_trainer: MakeTrainer) -> None:
        metrics = make_trainer({"bce.enabled": False}).evaluate()
        assert "eval_perplexity" in metrics
        assert not [key for key in metrics if "bce" in key or "objective" in key]


@pytest.mark.parametrize("profile", ["seed", "active"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_resume_is_bit_exact_memory_included(make_trainer: MakeTrainer, profile: str, accumulation: int) -> None:
    changes = {
        "bce.profile": profile,
        "training.gradient_accumulation_steps": accumulation,
        "training.max_steps": 30,
        "logging.save_steps": 13,
        "logging.eval_steps": 10,
    }
    whole = make_trainer(changes, folder="whole")
    whole.train()
    resumed = make_trainer(changes, folder="resumed")
    assert whole.args.output_dir is not None
    resumed.train(resume_from_checkpoint=str(Path(whole.args.output_dir) / "checkpoint-13"))
    assert_same_weights(weights(whole), weights(resumed))
    assert whole.regularizer is not None and resumed.regularizer is not None
    assert torch.equal(whole.regularizer.memory.states, resumed.regularizer.memory.states)
    timing = {"tokens_per_second", "steps_per_second"}
    for one, other in zip(training_records(whole), training_records(resumed), strict=True):
        assert {k: v for k, v in one.items() if k not in timing} == {k: v for k, v in other.items() if k not in timing}


class TestNonFinite:
    class Spoil(TrainerCallback):
        """Makes the weights infinite after a step."""

        def __init__(self, step: int) -> None:
            self.step = step

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if state.global_step == self.step:
                next(model.parameters()).data.fill_(math.nan)

    def test_training_ends_and_says_at_which_step(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer({"logging.save_steps": 5}, [self.Spoil(7)])
        with pytest.raises(NonFiniteError, match="at step 8,"):
            trainer.train()
        assert not math.isfinite(training_records(trainer)[-1]["loss"])

    def test_a_rare_log_names_the_interval(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer({"logging.logging_steps": 10}, [self.Spoil(12)])
        with pytest.raises(NonFiniteError, match="between steps 11 and 20"):
            trainer.train()

    def test_spoilt_weights_are_not_saved(self, make_trainer: MakeTrainer) -> None:
        trainer = make_trainer({"logging.save_steps": 5, "logging.logging_steps": 50}, [self.Spoil(7)])
        with pytest.raises(NonFiniteError):
            trainer.train()
        assert trainer.args.output_dir is not None
        assert [path.name for path in Path(trainer.args.output_dir).iterdir()] == ["checkpoint-5"]


def test_another_family_has_the_same_ce(small_text: TokenizedText, small_config: MakeConfig, tmp_path: Path) -> None:
    """GPT-2: the Trainer would count unshifted labels, and the hidden state comes from another kind of module."""
    config = small_config({"bce.profile": "active", "training.max_steps": 8, "training.batch_size": 3})
    set_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(small_text.tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2)
    )
    models.prepare_model(model)
    trainer = BCETrainer(
        model,
        training_arguments(config, tmp_path, evaluates=False),
        bce=config.bce,
        train_dataset=small_text.train,
        eval_dataset=small_text.validation,
        data_collator=Collator(small_text.pad_id),
    )
    trainer.train()
    ce, r = TestEvaluation().oracle(trainer)
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] == pytest.approx(ce, abs=1e-5)
    assert metrics["eval_bce_loss"] == pytest.approx(r, abs=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused", "adafactor", "sgd"])
@pytest.mark.parametrize("scheduler", ["linear", "cosine", "polynomial", "inverse_sqrt"])
def test_logged_learning_rate_is_the_schedule(make_trainer: MakeTrainer, optimizer: str, scheduler: str) -> None:
    changes = {
        "training.optimizer": optimizer,
        "training.lr_scheduler": scheduler,
        "training.warmup_steps": 4,
        "training.max_steps": 12,
    }
    trainer = make_trainer(changes)
    trainer.train()
    config_rates = [
        _rate(step, scheduler) for step in range(1, 13)
    ]  # fmt: skip
    assert [r["learning_rate"] for r in training_records(trainer)] == config_rates


def _rate(step: int, scheduler: Any) -> float:
    from bcecore.schedule import learning_rate

    return learning_rate(step, peak=1e-3, warmup_steps=4, total_steps=12, schedule=scheduler)


def test_building_does_not_depend_on_what_ran_before(
    small_text: TokenizedText, small_config: MakeConfig, tmp_path: Path
) -> None:
    first = weights(build_trainer(small_config(), small_text, tmp_path / "a"))
    torch.randn(100)
    assert_same_weights(first, weights(build_trainer(small_config(), small_text, tmp_path / "b")))
    other = weights(build_trainer(small_config({"training.seed": 7}), small_text, tmp_path / "c"))
    assert any(not torch.equal(first[name], other[name]) for name in first)
